package spool

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"sternpost/mail"
	"sternpost/queue"
)

// count is how many keys begin with prefix.
func (s *Store) count(t *testing.T, prefix ...byte) int {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// at is so many minutes after the submissions of the tests are received.
func at(minutes int) time.Time {
	return time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC)
}

func lease(t *testing.T, s *Store, now time.Time) []queue.Owed {
	t.Helper()
	work, err := s.Lease(t.Context(), queue.Want{Now: now, Most: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return work
}

func settle(t *testing.T, s *Store, o queue.Owed, state queue.RecipientState) {
	t.Helper()
	states := map[int]queue.RecipientState{}
	for _, i := range o.Indices {
		states[i] = state
	}
	if err := s.Settle(t.Context(), []queue.Settlement{{ID: o.ID, Destination: o.Destination, States: states}}); err != nil {
		t.Fatal(err)
	}
}

func suspend(t *testing.T, s *Store, name mail.Domain, until time.Time) {
	t.Helper()
	if err := s.Suspend(t.Context(), name, until); err != nil {
		t.Fatal(err)
	}
}

// What is kept of a destination goes when its suspension is over and nothing waits any more.
func TestEmptyDestinationIsForgotten(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	work, err := accept(t, s, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s, work[0], queue.RecipientState{Due: at(5), Last: mail.Outcome{Disposition: mail.Deferred, Reason: "busy"}})
	suspend(t, s, "b.example", at(10))
	suspend(t, s, "empty.example", at(10))
	if n, err := s.Change(t.Context(), queue.Query{}, queue.Remove, at(1)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for _, now := range []int{1, 5, 9} {
		lease(t, s, at(now))
		if _, found, err := s.Next(t.Context()); found || err != nil {
			t.Errorf("Next: %v, %v", found, err)
		}
		if n := s.count(t, kindDestination, aboutSuspension); n != 2 {
			t.Errorf("%d suspensions before they are over, want 2", n)
		}
	}
	lease(t, s, at(11))
	if n := s.count(t, kindDestination) + s.count(t, kindHint); n != 0 {
		t.Errorf("%d keys are left of destinations without work", n)
	}
}

// A suspension waits for no disk, and lifting all takes the destinations along that nobody remembers.
func TestSuspensionIsNotSynced(t *testing.T) {
	var syncs atomic.Int64
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo {
			syncs.Add(1)
		}
		return nil
	}))
	s := openAt(t, fs, "/spool")
	before := syncs.Load()
	for i := range 100 {
		suspend(t, s, mail.Domain(fmt.Sprintf("%d.example", i)), at(10))
	}
	if n := syncs.Load() - before; n > 0 {
		t.Errorf("%d syncs for suspensions", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	suspend(t, s, "", time.Time{})
	if n := s.count(t, kindDestination); n != 0 {
		t.Errorf("%d suspensions are left of 100", n)
	}
	lease(t, s, at(11)) // each look puts one hint of a destination right
	lease(t, s, at(11))
	if n := s.count(t, kindHint); n != 0 {
		t.Errorf("%d hints lead to nothing", n)
	}
}

// A look at the index while a person changes messages must not take a claimed one for gone: its hint would be lost.
func TestHintsOfClaimedMessages(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	work, err := accept(t, s, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	s.Return(work)
	id := work[0].ID
	s.mu.Lock()
	s.messages[id] = &message{claimed: true}
	s.mu.Unlock()
	lease(t, s, at(1))
	s.mu.Lock()
	delete(s.messages, id)
	s.mu.Unlock()
	if work := lease(t, s, at(1)); len(work) != 1 {
		t.Error("the message is not found any more")
	}
}
