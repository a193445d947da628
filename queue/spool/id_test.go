package spool

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/journal"
	"sternpost/queue"
)

// No id is given twice, though only a message every few seconds carries what was given last, and what it carries is all that a restart has.
func TestIDsAreNotGivenAgain(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 4 * time.Second, 5*time.Second + time.Millisecond, 9 * time.Second, 11 * time.Second, time.Hour} {
		t.Run(after.String(), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			s := openAt(t, fs, "/spool")
			begin := submission("a@b.example").Received
			last := passThrough(t, s, begin)
			for range 3 {
				if id := passThrough(t, s, begin.Add(after)); id <= last {
					t.Fatalf("%v after %v", id, last)
				} else {
					last = id
				}
			}
			crashed := openAt(t, fs.CrashClone(vfs.CrashCloneCfg{}), "/spool")
			if id := passThrough(t, crashed, begin); id <= last {
				t.Errorf("%v was given before the crash, %v after it", last, id)
			}
			if err := crashed.Close(); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// passThrough accepts a message at a time and delivers it: nothing of it is left but its entries in the journal.
func passThrough(t *testing.T, s *Store, received time.Time) queue.ID {
	t.Helper()
	d, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := submission("a@b.example")
	m.Received = received
	work, err := d.Commit(t.Context(), m, []journal.Entry{{Kind: journal.Accepted}})
	if err != nil {
		t.Fatal(err)
	}
	done := queue.Settlement{ID: work[0].ID, Destination: work[0].Destination, States: map[int]queue.RecipientState{0: {State: queue.Delivered}}}
	if err := s.Settle(t.Context(), []queue.Settlement{done}); err != nil {
		t.Fatal(err)
	}
	return work[0].ID
}
