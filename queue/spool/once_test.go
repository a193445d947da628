package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"sternpost/journal"
	"sternpost/queue"
)

// keyedLetter is a submission with a key, received some minutes after the first.
func keyedLetter(key string, minutes int) queue.Submission {
	s := submission("a@b.example")
	s.Key, s.Digest, s.Received = key, [32]byte{1}, at(minutes)
	return s
}

func commit(t testing.TB, s *Store, m queue.Submission, content []byte) ([]queue.Owed, error) {
	t.Helper()
	d, err := s.Begin(t.Context())
	if err != nil {
		return nil, err
	}
	if _, err := d.Write(content); err != nil {
		return nil, err
	}
	return d.Commit(t.Context(), m, []journal.Entry{{Kind: journal.Accepted}})
}

// repeats is the id that an answer names; 0: none.
func repeats(err error) queue.ID {
	var repeated *queue.RepeatedError
	if !errors.As(err, &repeated) {
		return 0
	}
	return repeated.ID
}

// What repeated messages had is given back: memory and files.
func TestRepeatedContentIsFreed(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	work, err := commit(t, s, keyedLetter("key", 0), []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s, work[0], queue.RecipientState{State: queue.Delivered})
	for _, size := range []int{10, largestInline + 1} {
		if _, err := commit(t, s, keyedLetter("key", 1), make([]byte, size)); repeats(err) != work[0].ID {
			t.Errorf("%d octets: %v", size, err)
		}
		other := keyedLetter("key", 1)
		other.Digest[0]++
		if _, err := commit(t, s, other, make([]byte, size)); !errors.Is(err, queue.ErrOtherContent) {
			t.Errorf("another, %d octets: %v", size, err)
		}
	}
	if got := memory(s); got != [2]int64{} {
		t.Errorf("in memory: %v", got)
	}
	if left := files(fs, "/spool/content"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if n := s.count(t, kindOnce); n != 1 {
		t.Errorf("%d rows", n)
	}
	if len(s.keys.busy) > 0 {
		t.Errorf("still taken: %v", s.keys.busy)
	}
}

// Keys go with their hour, a day after it has ended, and not before.
func TestKeysExpire(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	const day = 24 * 60
	for _, minutes := range []int{0, 59, 60, 125, 300} {
		if _, err := commit(t, s, keyedLetter(fmt.Sprint(minutes), minutes), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ now, rows int }{
		{0, 5}, {day + 59, 5}, {day + 60, 3}, {day + 119, 3}, {day + 120, 2}, {day + 179, 2}, {day + 180, 1}, {day + 359, 1}, {day + 360, 0}, {2 * day, 0},
	} {
		if err := s.Expire(at(c.now)); err != nil {
			t.Fatal(err)
		}
		if n := s.count(t, kindOnce); n != c.rows {
			t.Errorf("%d rows at minute %d, want %d", n, c.now, c.rows)
		}
		want := s.keys.hours
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, fs, "/spool")
		if !slices.Equal(s.keys.hours, want) {
			t.Errorf("hours %v, want %v after the next start", s.keys.hours, want)
		}
	}
}

// syncs is a disk whose syncs of logs can be held, and then succeed or fail.
type syncs struct {
	errorfs.Toggle
	held chan error
}

func newSyncs() *syncs {
	y := &syncs{held: make(chan error)}
	y.Injector = errorfs.InjectorFunc(func(op errorfs.Op) error {
		if (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && strings.HasSuffix(op.Path, ".log") {
			return <-y.held
		}
		return nil
	})
	return y
}

// Nobody is told of a message that is not on the disk yet: the second waits for the first, and for nothing else.
func TestRepeatedWaitsForTheSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		y := newSyncs()
		s := openAt(t, errorfs.Wrap(vfs.NewMem(), &y.Toggle), "/spool")
		y.On()
		firsts, seconds := make(chan []queue.Owed, 1), make(chan error, 2)
		go func() {
			work, _ := commit(t, s, keyedLetter("key", 0), []byte("text"))
			firsts <- work
		}()
		synctest.Wait()
		if n := s.count(t, kindOnce); n != 1 {
			t.Fatalf("%d rows can be read", n)
		}
		go func() {
			_, err := commit(t, s, keyedLetter("key", 1), []byte("text"))
			seconds <- err
		}()
		ended, cancel := context.WithCancel(t.Context())
		impatient := begin(t, s, []byte("text"))
		go func() {
			_, err := impatient.Commit(ended, keyedLetter("key", 2), nil)
			seconds <- err
		}()
		synctest.Wait()
		if len(firsts)+len(seconds) > 0 {
			t.Fatal("somebody is answered before the sync")
		}
		cancel()
		if err := <-seconds; !errors.Is(err, context.Canceled) {
			t.Errorf("the end of the context: %v", err)
		}
		y.Off()
		y.held <- nil
		if first, second := <-firsts, <-seconds; len(first) != 1 || repeats(second) != first[0].ID {
			t.Errorf("first %v, second %v", first, second)
		}
		if got := memory(s); got[0] != got[1] {
			t.Errorf("in memory: %d octets, of which leases have %d", got[0], got[1])
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What was not synced can be read, and is no answer: the next process may not find it.
func TestRepeatedAfterAFailedSync(t *testing.T) {
	y := newSyncs()
	s := openAt(t, errorfs.Wrap(vfs.NewMem(), &y.Toggle), "/spool")
	y.On()
	answers := make(chan error, 2)
	for n := range 2 {
		go func() {
			_, err := commit(t, s, keyedLetter("key", n), []byte("text"))
			answers <- err
		}()
	}
	y.held <- errors.New("the disk is gone")
	for range 2 {
		if err := <-answers; !errors.Is(err, queue.ErrStopped) {
			t.Error(err)
		}
	}
	if n := s.count(t, kindOnce); n != 1 {
		t.Errorf("%d rows can be read", n)
	}
	if err := s.answered(keyedLetter("key", 3)); !errors.Is(err, queue.ErrStopped) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// Where the first has not come to its commit, the second goes ahead.
func TestKeyThatIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openAt(t, vfs.NewMem(), "/spool")
		defer func() { _ = s.Close() }()
		giveBack, err := s.keys.take(t.Context(), string(onceKey(0, "us", "key")), s.failed)
		if err != nil {
			t.Fatal(err)
		}
		var answers [3]error
		done := make(chan int)
		for n := range answers {
			go func() {
				_, answers[n] = commit(t, s, keyedLetter("key", n), []byte("text"))
				done <- n
			}()
		}
		synctest.Wait()
		if _, err := commit(t, s, keyedLetter("other", 0), nil); err != nil {
			t.Errorf("another key: %v", err)
		}
		giveBack()
		accepted := 0
		for range answers {
			if err := answers[<-done]; err == nil {
				accepted++
			} else if repeats(err) == 0 {
				t.Error(err)
			}
		}
		if accepted != 1 {
			t.Errorf("%d are accepted", accepted)
		}
	})
}

// A message without a key pays nothing for those that have one.
func TestNoKeyNoRow(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	if _, err := accept(t, s, []byte("text")); err != nil {
		t.Fatal(err)
	}
	if n := s.count(t, kindOnce); n != 0 || len(s.keys.hours) > 0 || s.keys.busy != nil {
		t.Errorf("%d rows, hours %v", n, s.keys.hours)
	}
}

func BenchmarkKeyLookup(b *testing.B) {
	s := openAt(b, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	for hour := range 24 {
		for n := range 400 {
			if _, err := commit(b, s, keyedLetter(fmt.Sprint(hour, n), hour*60), nil); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	m := keyedLetter("new", 24*60-1)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.answered(m); err != nil {
			b.Fatal(err)
		}
	}
}
