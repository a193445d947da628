package spool

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/journal"
	"sternpost/queue"
)

// due asks for all reports that are due some time later, and wants so many.
func (w *told) due(what string, n int) {
	w.t.Helper()
	work, _, err := w.s.Reports(w.t.Context(), at(600), 10)
	if err != nil || len(work) != n {
		w.t.Errorf("%s: %d reports, %v", what, len(work), err)
	}
	w.s.Return(work)
}

// rows are how many rows lead to reports.
func (w *told) rows() (n int) {
	w.t.Helper()
	it, err := w.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindReport}, UpperBound: []byte{kindReport + 1}})
	if err != nil {
		w.t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// What leads to a report that cannot be made goes away, is said once, and does not stand in the way of others.
func TestReportsThatCannotBeMade(t *testing.T) {
	for name, harm := range map[string]func(w *told) error{
		"the states are damaged":  func(w *told) error { return w.s.db.Set(idKey(kindStates, w.id), []byte("?"), pebble.Sync) },
		"the message is damaged":  func(w *told) error { return w.s.db.Set(idKey(kindMessage, w.id), []byte("?"), pebble.Sync) },
		"the message is gone":     func(w *told) error { return w.s.db.Delete(idKey(kindMessage, w.id), pebble.Sync) },
		"nothing is owed of it":   func(w *told) error { return w.s.db.Delete(idKey(kindStates, w.id), pebble.Sync) },
		"it stands at two places": func(w *told) error { return w.s.db.Set(reportKey(nanos(at(1)), w.id+1), nil, pebble.Sync) },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			w := newTold(t, fs)
			w.fail(0)
			w.fail(1)
			err := w.s.Close()
			s, logs := openLogged(t, fs) // with nothing in memory
			w.s = s
			defer func() { _ = s.Close() }()
			if err := errors.Join(err, harm(w)); err != nil {
				t.Fatal(err)
			}
			stays := 0
			if name == "it stands at two places" {
				stays = 1
			}
			w.due("first", stays)
			said := logs.Len()
			for range 3 {
				w.due("again", stays)
			}
			if w.rows() != stays || logs.Len() != said || said > 1 {
				t.Errorf("%d rows lead there, and the log has %d lines after %d: %v", w.rows(), logs.Len(), said, logs.All())
			}
			lost := 0
			for e := range s.Journal().Find(t.Context(), journal.Query{Message: w.id.String()}) {
				if e.Kind == journal.Lost {
					lost++
				}
			}
			if damaged := name == "the states are damaged" || name == "the message is damaged"; (lost == 1) != damaged || (s.quarantined(w.id) != nil) != damaged {
				t.Errorf("the journal tells of %d losses, and the message is %v", lost, s.quarantined(w.id))
			}
			if another := newLetter(t, s); another == 0 {
				t.Error("the store takes nothing")
			}
		})
	}
}

func newLetter(t *testing.T, s *Store) queue.ID { return wait(t, s, []byte("text"), "x@y.example") }
