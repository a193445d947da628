package spool

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/queue"
)

// A report whose failure is not recorded is half of a commit: it goes, since the failure comes again. One whose failure or notice is recorded, or whose message is gone, stays.
func TestHalfOfAFailure(t *testing.T) {
	for name, test := range map[string]struct {
		states []queue.RecipientState // of the message that it is about; nil: none were written
		gone   bool
		tells  string // of whom the report says that he failed; empty: it is no report that can be read
		stays  bool
	}{
		"nothing recorded":  {},
		"only deferred":     {states: []queue.RecipientState{{Attempts: 3}, {}}},
		"one of two failed": {states: []queue.RecipientState{{State: queue.Failed, Reported: true}, {}}, stays: true},
		"told of the delay": {states: []queue.RecipientState{{Noticed: true}, {}}, stays: true},
		"gone":              {gone: true, stays: true},
		"another failed":    {states: []queue.RecipientState{{State: queue.Failed, Reported: true}, {}}, tells: "c@b.example"},
		"that one failed":   {states: []queue.RecipientState{{State: queue.Failed, Reported: true}, {}}, tells: "a@b.example", stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := openAt(t, fs, "/spool")
			origin := wait(t, s, []byte("text"), "a@b.example", "c@b.example")
			report := halfReport(t, s, origin, test.states, test.gone, test.tells)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			harmManifest(t, fs)
			s = openAt(t, fs, "/spool")
			defer func() { _ = s.Close() }()
			if there, err := s.has(idKey(kindMessage, report)); err != nil || there != test.stays {
				t.Errorf("the report is there: %v, %v", there, err)
			}
			if there, err := s.has(idKey(kindMessage, origin)); err != nil || there == test.gone {
				t.Errorf("its message is there: %v, %v", there, err)
			}
		})
	}
}

// halfReport writes a report about a message, and of what the commit that made it says of that message only so much.
func halfReport(t *testing.T, s *Store, origin queue.ID, states []queue.RecipientState, gone bool, tells string) queue.ID {
	t.Helper()
	content := []byte("text")
	if tells != "" {
		content = (&told{}).reportOn("failed", tells).Content
	}
	m := stored{Submission: submission("us@a.example"), size: int64(len(content))}
	m.Origin, m.Received = origin, m.Received.Add(time.Minute)
	s.mu.Lock()
	id := s.nextID(m)
	s.mu.Unlock()
	b := s.db.NewBatch()
	err := s.putMessage(b, id, m, content)
	if err == nil && states != nil {
		err = b.Set(idKey(kindStates, origin), encodeStates(states), nil)
	}
	if err == nil && gone {
		err = b.SingleDelete(idKey(kindMessage, origin), nil)
	}
	if err == nil {
		err = s.db.Apply(b, pebble.Sync)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// harmManifest makes the next start rebuild the store.
func harmManifest(t *testing.T, fs vfs.FS) {
	t.Helper()
	for _, path := range files(fs, "/spool/store") {
		if strings.Contains(path, "MANIFEST-") {
			put(t, fs, path, 0, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		}
	}
}
