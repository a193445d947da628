package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"sternpost/journal"
	"sternpost/queue"
)

func keyTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"accepted once":           testAcceptedOnce,
		"other content":           testOtherContent,
		"whose key":               testWhoseKey,
		"remembered for a day":    testKeyLifetime,
		"not kept with a message": testKeyIsNotKept,
		"what failed is forgot":   testFailedKey,
		"at the same time":        testKeyRace,
	}
}

// withKey is a letter whose digest is that of its number.
func withKey(key string, digest byte) queue.Submission {
	s := letter("a@a.example", "b@b.example", "c@c.example")
	s.Key, s.Digest = key, [32]byte{31: digest}
	return s
}

// hand commits a message with content of a size, and gives the answer.
func (r *trial) hand(ctx context.Context, s queue.Submission, size int64) ([]queue.Owed, error) {
	draft, err := r.store.Begin(r.Context())
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	defer draft.Abort()
	if _, err := io.Copy(draft, noise(size)); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return draft.Commit(ctx, s, []journal.Entry{{Kind: journal.Accepted, MessageID: s.MessageID}})
}

// expectRepeated hands s in and wants the answer of the first time.
func (r *trial) expectRepeated(what string, s queue.Submission, want queue.ID) {
	r.Helper()
	work, err := r.hand(r.Context(), s, 10)
	var repeated *queue.RepeatedError
	if len(work) > 0 || !errors.As(err, &repeated) || repeated.ID != want {
		r.Errorf("%s: got %v and %v, want that it repeats %v", what, ids(work), err, want)
	}
}

// expectOther hands s in and wants to hear that its key stands for another message.
func (r *trial) expectOther(what string, s queue.Submission) {
	r.Helper()
	if work, err := r.hand(r.Context(), s, 10); len(work) > 0 || !errors.Is(err, queue.ErrOtherContent) {
		r.Errorf("%s: got %v and %v, want ErrOtherContent", what, ids(work), err)
	}
}

// expectFirst hands s in, wants it accepted, and returns its id.
func (r *trial) expectFirst(what string, s queue.Submission) queue.ID {
	r.Helper()
	work, err := r.hand(r.Context(), s, 10)
	if err != nil || len(work) == 0 {
		r.Fatalf("%s: got %v and %v, want that it is accepted", what, ids(work), err)
	}
	r.store.Return(work)
	return work[0].ID
}

func testAcceptedOnce(r *trial) {
	s := withKey("key", 1)
	work, err := r.hand(r.Context(), s, 300_000)
	if err != nil {
		r.Fatalf("Commit: %v", err)
	}
	id := work[0].ID
	r.expectRepeated("while it is leased", s, id)
	r.store.Return(work)
	r.expectRepeated("while it waits", s, id)
	expect(r, "messages", len(r.messages(queue.Query{})), 1)
	expect(r, "entries of the journal", len(r.entries(journal.Query{})), 1)
	work = r.lease(start())
	r.expectWork("work", work, id, id)
	r.expectNoise("content", work[0].Content, 300_000)
	r.settle(all(work[0], delivered()), all(work[1], delivered()))
	r.expectGone("delivered", id)
	r.expectRepeated("when it has left the queue", s, id)
	s.Envelope.Recipients, s.MessageID, s.Expires = s.Envelope.Recipients[:1], "other@a.example", never()
	r.expectRepeated("the digest decides, and nothing else", s, id)
	expect(r, "messages at the end", len(r.messages(queue.Query{})), 0)
	r.expectNext("at the end", start(), false)
	expect(r, "destinations at the end", len(r.summaries()), 0)
}

func testOtherContent(r *trial) {
	id := r.expectFirst("the first", withKey("key", 1))
	r.expectOther("another", withKey("key", 2))
	r.expectRepeated("the first again", withKey("key", 1), id)
	r.expectOther("another again", withKey("key", 2))
	r.expectWork("work", r.lease(never()), id, id)
	expect(r, "entries of the journal", len(r.entries(journal.Query{})), 1)
}

// testWhoseKey: a key is its sender's, and however the two are written down, each pair is one of its own.
func testWhoseKey(r *trial) {
	accepted := map[[2]string]queue.ID{}
	pairs := [][2]string{
		{"a", "bc"}, {"ab", "c"}, {"", "abc"}, {"", "a"}, {"", "ab"}, {"a", "b"}, {"a\x00b", "c"}, {"a", "b\x01"}, {"a\x01", "b"}, {"a\x00", "b"}, {"user", " "}, {"user", "  "},
		{"user", fmt.Sprintf("%0255d", 1)}, {"user", fmt.Sprintf("%0255d", 2)}, {fmt.Sprintf("%0700d", 1), "a"}, {fmt.Sprintf("%0700d", 2), "a"},
	}
	submission := func(pair [2]string) queue.Submission {
		s := withKey(pair[1], 1)
		s.Sender = pair[0]
		return s
	}
	for _, pair := range pairs {
		accepted[pair] = r.expectFirst(fmt.Sprintf("%q", pair), submission(pair))
	}
	for pair, id := range accepted {
		r.expectRepeated(fmt.Sprintf("%q", pair), submission(pair), id)
	}
	s := withKey("", 0)
	if first, second := r.expectFirst("without a key", s), r.expectFirst("without a key again", s); first == second {
		r.Errorf("without a key: %v twice", first)
	}
}

func testKeyLifetime(r *trial) {
	for _, minute := range []int{0, 1, 30, 59} {
		s := withKey(fmt.Sprint(minute), 1)
		first := after(minute).Add(time.Nanosecond)
		submit := func(since time.Duration) queue.Submission {
			s.Received = first.Add(since)
			return s
		}
		id := r.expectFirst("the first", submit(0))
		for _, since := range []time.Duration{-90 * time.Minute, time.Second, time.Hour, 12 * time.Hour, 24*time.Hour - 1} {
			r.expectRepeated(fmt.Sprintf("received %v later", since), submit(since), id)
		}
		again := r.expectFirst("after a day", submit(24*time.Hour))
		expect(r, "another id", again != id, true)
		r.expectRepeated("the next day", submit(25*time.Hour), again)
		r.expectRepeated("nearly two days later", submit(48*time.Hour-1), again)
		r.expectRepeated("the clock was set back: the last answer", submit(23*time.Hour), again)
		r.expectFirst("after a week", submit(7*24*time.Hour))
	}
}

func testKeyIsNotKept(r *trial) {
	work, err := r.hand(r.Context(), withKey("key", 1), 10)
	if err != nil {
		r.Fatalf("Commit: %v", err)
	}
	check := func(what string, s queue.Submission) {
		expect(r, what+": key", s.Key, "")
		expect(r, what+": digest", s.Digest, [32]byte{})
	}
	check("of the commit", work[0].Submission)
	r.store.Return(work)
	check("of the list", r.messages(queue.Query{})[0].Submission)
	check("of the lease", r.lease(start())[0].Submission)
}

// testFailedKey: what was not accepted stands in nobody's way.
func testFailedKey(r *trial) {
	s := withKey("key", 1)
	s.Envelope.Recipients = nil
	if _, err := r.hand(r.Context(), s, 10); err == nil {
		r.Error("a message without recipients is accepted")
	}
	ended, cancel := context.WithCancel(r.Context())
	cancel()
	if _, err := r.hand(ended, withKey("key", 2), 400_000); !errors.Is(err, context.Canceled) {
		r.Errorf("a commit whose context has ended: %v", err)
	}
	draft, err := r.store.Begin(r.Context())
	if err != nil {
		r.Fatalf("Begin: %v", err)
	}
	draft.Abort()
	if _, err := draft.Commit(r.Context(), withKey("key", 3), nil); err == nil {
		r.Error("an aborted draft is accepted")
	}
	id := r.expectFirst("the first that is sound", withKey("key", 4))
	r.expectRepeated("again", withKey("key", 4), id)
}

// testKeyRace hands the same message in many times at once, and another with the same key: one of all is accepted, and all others are told which.
func testKeyRace(r *trial) {
	type answer struct {
		digest byte
		work   []queue.Owed
		err    error
	}
	for round := range 30 {
		const hands = 8
		answers := make([]answer, hands)
		var handing sync.WaitGroup
		begin := make(chan struct{})
		for n := range hands {
			handing.Go(func() {
				a := answer{digest: byte(n % 2)}
				<-begin
				a.work, a.err = r.hand(r.Context(), withKey(fmt.Sprint(round), a.digest), int64(10+round%3*200_000))
				answers[n] = a
			})
		}
		close(begin)
		handing.Wait()
		var first *answer
		for n, a := range answers {
			if a.err == nil && first != nil {
				r.Fatalf("round %d: %v and %v are accepted", round, first.work[0].ID, a.work[0].ID)
			}
			if a.err == nil {
				first = &answers[n]
			}
		}
		if first == nil {
			r.Fatalf("round %d: none is accepted: %v", round, answers[0].err)
		}
		for _, a := range answers {
			var repeated *queue.RepeatedError
			switch same := a.digest == first.digest; {
			case a.err == nil:
			case same && errors.As(a.err, &repeated) && repeated.ID == first.work[0].ID:
			case !same && errors.Is(a.err, queue.ErrOtherContent):
			default:
				r.Errorf("round %d: %v is accepted; another with digest %d of %d: %v", round, first.work[0].ID, a.digest, first.digest, a.err)
			}
		}
		expect(r, "messages", len(r.messages(queue.Query{})), 1)
		r.settle(all(first.work[0], delivered()), all(first.work[1], delivered()))
	}
	expect(r, "entries of the journal", len(r.entries(journal.Query{Kind: journal.Accepted})), 30)
	expect(r, "all is given", len(r.lease(never())), 0)
}

func testReopenKeys(r *trial, reopen func()) {
	waits := r.expectFirst("the first", withKey("waits", 1))
	work, err := r.hand(r.Context(), withKey("gone", 1), 10)
	if err != nil {
		r.Fatalf("Commit: %v", err)
	}
	gone := work[0].ID
	r.settle(all(work[0], delivered()), all(work[1], delivered()))
	late := withKey("late", 1)
	late.Received = start().Add(30 * time.Hour)
	last := r.expectFirst("of another hour", late)
	for range 2 {
		reopen()
		r.expectRepeated("waits", withKey("waits", 1), waits)
		r.expectOther("waits, another", withKey("waits", 2))
		r.expectRepeated("gone", withKey("gone", 1), gone)
		r.expectOther("gone, another", withKey("gone", 2))
		r.expectRepeated("late", late, last)
	}
	s := withKey("waits", 1)
	s.Received = late.Received
	again := r.expectFirst("after a day", s)
	reopen()
	r.expectRepeated("after a day", s, again)
	r.expectWork("due", r.lease(start()), waits, waits)
	expect(r, "messages", len(r.messages(queue.Query{})), 3)
}
