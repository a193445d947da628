package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func acceptTests() map[string]func(*trial) {
	tests := map[string]func(*trial){
		"a lease for each destination": testDestinationsOfCommit,
		"every field is kept":          testFieldsAreKept,
		"abort":                        testAbort,
		"with reports about it":        testAcceptReports,
		"not leased while in draft":    testDraftIsInvisible,
		"ids increase":                 testIDsIncrease,
		"all at once":                  testConcurrentLife,
	}
	for _, size := range []int64{0, 1, 5_000, 300_000, 20_000_000} {
		tests[fmt.Sprintf("content of %d octets", size)] = func(r *trial) { testContent(r, size) }
	}
	return tests
}

// noise is a stream of octets that do not compress, always the same.
func noise(size int64) io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), size) }

// testContent streams, so that a store that does the same needs little memory.
func testContent(r *trial, size int64) {
	draft, err := r.store.Begin(r.Context())
	if err != nil {
		r.Fatalf("Begin: %v", err)
	}
	if n, err := io.Copy(draft, noise(size)); err != nil || n != size {
		r.Fatalf("wrote %d of %d: %v", n, size, err)
	}
	work, err := draft.Commit(r.Context(), letter("a@a.example", "b@b.example"), nil)
	if err != nil || len(work) != 1 {
		r.Fatalf("Commit: %v, %v", work, err)
	}
	expect(r, "Message.Size", work[0].Size, size)
	r.expectNoise("content of the commit", work[0].Content, size)
	again, err := r.store.Content(r.Context(), work[0].ID)
	if err != nil {
		r.Fatalf("Content: %v", err)
	}
	r.expectNoise("content by id", again, size)
	r.store.Return(work)
	work = r.lease(start())
	r.expectWork("leased again", work, work[0].ID)
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() { r.expectNoise("content of the lease", work[0].Content, size) })
	}
	readers.Wait()
	r.settle(all(work[0], delivered()))
	if _, err := r.store.Content(r.Context(), work[0].ID); !errors.Is(err, queue.ErrNotFound) {
		r.Errorf("Content of a message that is gone: %v", err)
	}
}

// expectNoise may be called by several goroutines.
func (r *trial) expectNoise(what string, c mail.Content, size int64) {
	reader, err := c.Open()
	if err != nil {
		r.Errorf("%s: Open: %v", what, err)
		return
	}
	defer func() {
		if err := reader.Close(); err != nil {
			r.Errorf("%s: Close: %v", what, err)
		}
	}()
	expect(r, what+": Size", c.Size(), size)
	want := noise(size)
	got, expected := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); at < size; {
		n, err := io.ReadFull(reader, got[:min(int64(len(got)), size-at)])
		if _, short := io.ReadFull(want, expected[:n]); short != nil || err != nil || !bytes.Equal(got[:n], expected[:n]) {
			r.Errorf("%s: differs behind octet %d: %v", what, at, err)
			return
		}
		at += int64(n)
	}
	if n, err := reader.Read(got); n != 0 || err != io.EOF {
		r.Errorf("%s: at the end: %d, %v", what, n, err)
	}
}

func testDestinationsOfCommit(r *trial) {
	s := letter("a@a.example", "1@z.example", "2@b.example", "3@z.example", "4@c.example", "5@b.example")
	work := r.accept(s, "text")
	expect(r, "destinations", destinations(work), "[z.example b.example c.example]")
	for i, want := range [][]int{{0, 2}, {1, 4}, {3}} {
		o := work[min(i, len(work)-1)]
		expect(r, "Indices", fmt.Sprint(o.Indices), fmt.Sprint(want))
		expect(r, "ID", o.ID, work[0].ID)
		expect(r, "due at Received", o.Due.Equal(start()), true)
		expect(r, "states", len(o.Recipients), 5)
		r.expectContent("content", o.Content, "text")
	}
	r.expectWork("leased to us", r.lease(never()))
}

func testFieldsAreKept(r *trial) {
	s := letter("a@a.example", `"a b> NOTIFY=NEVER"@b.example`, "例@xn--r8jz45g.example", "c@[192.0.2.1]")
	s.Sender, s.Priority, s.SendAt, s.MessageID, s.Peer, s.Origin = "user\x00\xff", queue.Bulk, after(5), "1@a.example", "[::1]", 77
	s.Envelope.EnvelopeID, s.Envelope.Return = "QQ314159\x00", "HDRS"
	s.Envelope.Recipients[0].Notify = []string{"SUCCESS", "FAILURE"}
	s.Envelope.Recipients[1].OriginalType, s.Envelope.Recipients[1].Original = "rfc822", "x+y@b.example"
	s.Received = s.Received.Add(123456789)
	work := r.accept(s, "text")
	want := queue.Message{ID: work[0].ID, Submission: s, Size: 4, Recipients: make([]queue.RecipientState, 3)}
	expect(r, "of the commit", text(work[0].Message), text(want))
	expect(r, "due at SendAt", work[0].Due.Equal(after(5)), true)
	want.Recipients[0] = queue.RecipientState{
		Attempts: 3, Due: after(9), InDoubt: true, Noticed: true, Reported: true,
		Last: mail.Outcome{
			Disposition: mail.Deferred, InDoubt: true, Scope: mail.ScopeHost, Stage: mail.StageDot,
			Reply:  mail.Reply{Code: 451, Lines: []string{"451-4.3.0 \x1b[31m", "451 4.3.0 \xff"}},
			Status: mail.Status{4, 3, 0}, Host: "mx.b.example", IP: netip.MustParseAddr("2001:db8::1"), Reason: "no reply",
		},
	}
	r.settle(all(work[0], want.Recipients[0]))
	r.store.Return(work)
	if found := r.messages(queue.Query{}); len(found) != 1 || text(found[0]) != text(want) {
		r.Errorf("of the list: got %+v\nwant %+v", found, want)
	}
	for _, o := range r.lease(never()) {
		expect(r, "of the lease", text(o.Message), text(want))
	}
}

func testAbort(r *trial) {
	draft, err := r.store.Begin(r.Context())
	if err != nil {
		r.Fatalf("Begin: %v", err)
	}
	if _, err := io.Copy(draft, noise(400_000)); err != nil {
		r.Fatalf("Write: %v", err)
	}
	draft.Abort()
	draft.Abort()
	if draft, err = r.store.Begin(r.Context()); err != nil {
		r.Fatalf("Begin: %v", err)
	}
	work, err := draft.Commit(r.Context(), letter("a@a.example", "b@b.example"), nil)
	if err != nil {
		r.Fatalf("Commit: %v", err)
	}
	draft.Abort() // does nothing any more
	r.store.Return(work)
	r.expectWork("only what was committed", r.lease(start()), ids(work)...)
	expect(r, "messages", len(r.messages(queue.Query{})), 1)
}

func testDraftIsInvisible(r *trial) {
	draft, err := r.store.Begin(r.Context())
	if err != nil {
		r.Fatalf("Begin: %v", err)
	}
	defer draft.Abort()
	if _, err := io.WriteString(draft, "text"); err != nil {
		r.Fatalf("Write: %v", err)
	}
	r.expectWork("a draft", r.lease(never()))
	r.expectNext("a draft", never(), false)
	expect(r, "messages", len(r.messages(queue.Query{})), 0)
	expect(r, "destinations", len(r.summaries()), 0)
}

func testIDsIncrease(r *trial) {
	last := queue.ID(0)
	for range 20 {
		id := r.accept(letter("a@a.example", "b@b.example"), "")[0].ID
		expect(r, "later ids are greater", id > last, true)
		last = id
	}
	s := letter("a@a.example", "b@b.example")
	s.Received = s.Received.Add(-1e12) // the clock was set back
	expect(r, "also when the clock is not", r.accept(s, "")[0].ID > last, true)
}

// testConcurrentLife does what a busy agent does: some accept, some lease and settle, some read.
func testConcurrentLife(r *trial) {
	const writers, each = 4, 50
	var accepting, settling, reading sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		accepting.Go(func() {
			for i := range each {
				s := letter(fmt.Sprintf("%d@a.example", w), fmt.Sprintf("x@%d.example", i%5), "y@y.example")
				r.store.Return(r.accept(s, strings.Repeat("x", i), journal.Entry{Kind: journal.Accepted}))
			}
		})
	}
	for range 3 {
		settling.Go(func() { r.deliverUntil(done) })
	}
	reading.Go(func() { r.readUntil(done) })
	accepting.Wait()
	for len(r.messages(queue.Query{})) > 0 {
		r.deliver()
	}
	close(done)
	settling.Wait()
	reading.Wait()
	expect(r, "accepted", len(r.entries(journal.Query{Kind: journal.Accepted})), writers*each)
	expect(r, "delivered", len(r.entries(journal.Query{Kind: journal.Delivered})), 2*writers*each)
	expect(r, "destinations", len(r.summaries()), 0)
	r.expectNext("nothing waits", never(), false)
}

func (r *trial) deliverUntil(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
			r.deliver()
		}
	}
}

// deliver leases a little and settles it.
func (r *trial) deliver() {
	work, err := r.store.Lease(r.Context(), queue.Want{Now: start(), Most: 7, PerDestination: 3})
	if err != nil {
		r.Errorf("Lease: %v", err)
		return
	}
	var settlements []queue.Settlement
	for _, o := range work {
		settlement := all(o, delivered())
		settlement.Entries = []journal.Entry{{Kind: journal.Delivered, Message: o.ID.String()}}
		settlements = append(settlements, settlement)
	}
	if err := r.store.Settle(r.Context(), settlements); err != nil {
		r.Errorf("Settle: %v", err)
	}
}

func (r *trial) readUntil(done chan struct{}) {
	for {
		select {
		case <-done:
			return
		default:
		}
		last := queue.ID(0)
		for message, err := range r.store.Messages(r.Context(), queue.Query{}) {
			if err != nil || message.ID <= last || !slices.ContainsFunc(message.Recipients, func(s queue.RecipientState) bool { return !s.State.Final() }) {
				r.Errorf("Messages: %v behind %v: %v", message, last, err)
			}
			last = message.ID
		}
		for _, err := range r.store.Destinations(r.Context()) {
			if err != nil {
				r.Errorf("Destinations: %v", err)
			}
		}
	}
}

// withReports is a letter that is accepted with reports about it.
func withReports(n int) queue.Submission {
	s := letter("a@a.example", "1@b.example", "2@c.example")
	s.Expanded = s.Envelope.Recipients
	s.Reports = func(id queue.ID) []queue.Spawned { return slices.Repeat([]queue.Spawned{report(id)}, n) }
	return s
}

// testAcceptReports: a message brings reports about itself, in its own commit, and they are not leased.
func testAcceptReports(r *trial) {
	work := r.accept(withReports(2), "text")
	expect(r, "leased", destinations(work), fmt.Sprint([]mail.Domain{"b.example", "c.example"}))
	if s := work[0].Submission; s.Reports != nil || s.Expanded != nil {
		r.Errorf("what is not kept with a message is there: %+v", s)
	}
	reports := r.lease(after(1))
	expect(r, "reports", destinations(reports), fmt.Sprint([]mail.Domain{"a.example", "a.example"}))
	for _, o := range reports {
		expect(r, "about", o.Origin, work[0].ID)
		r.expectContent("content", o.Content, "it failed")
	}
	accepted := 0
	for e := range r.store.Journal().Find(r.Context(), journal.Query{}) {
		if e.Kind == journal.Accepted {
			accepted++
		}
	}
	expect(r, "entries", accepted, 2)

	broken := withReports(1)
	broken.Key, broken.Digest = "key", [32]byte{1}
	broken.Reports = func(queue.ID) []queue.Spawned {
		return []queue.Spawned{{Submission: queue.Submission{Received: start()}}}
	}
	if _, err := r.hand(r.Context(), broken, 10); err == nil {
		r.Error("a message with a report to nobody is accepted")
	}
	expect(r, "messages", len(r.messages(queue.Query{})), 3)
	whole := withReports(1)
	whole.Key, whole.Digest = "key", [32]byte{2}
	id := r.expectFirst("with a key", whole)
	r.expectRepeated("again", whole, id)
	expect(r, "messages", len(r.messages(queue.Query{})), 5)
}
