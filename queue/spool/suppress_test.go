package spool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func refusedBox(n int) queue.Suppression {
	return queue.Suppression{
		Address: mail.Address{Local: fmt.Sprint("box", n), Domain: "b.example"}, Failures: 1, Needed: 1, Since: at(0), Last: at(0), Until: at(n), Code: 550,
		Status: mail.Status{5, 1, 1}, Reason: "550 5.1.1 no", Message: 9,
	}
}

// suppress puts boxes on the list, each to be forgotten at the minute of its number.
func suppress(t *testing.T, s *Store, boxes ...int) {
	t.Helper()
	var list []queue.Suppression
	for _, n := range boxes {
		list = append(list, refusedBox(n))
	}
	if err := s.Suppress(t.Context(), list); err != nil {
		t.Fatal(err)
	}
}

func TestSuppressionsAreForgotten(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	suppress(t, s, 10, 20, 2*24*60)
	for _, c := range []struct{ now, rows int }{{10, 2}, {30, 2}, {24 * 60, 2}, {24*60 + 10, 1}, {3*24*60 + 10, 0}} { // once a day
		if err := s.Expire(at(c.now)); err != nil {
			t.Fatal(err)
		}
		if n := s.count(t, kindSuppression); n != c.rows {
			t.Errorf("%d rows at minute %d, want %d", n, c.now, c.rows)
		}
	}
}

// A failure and its row are in one commit: a crash leaves both or none, whatever part of the log the disk has kept.
func TestSuppressionAndFailureInOneCommit(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openAt(t, mem, "/spool")
	defer func() { _ = s.Close() }()
	work, err := accept(t, s, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	before := mem.CrashClone(vfs.CrashCloneCfg{})
	states := map[int]queue.RecipientState{0: {State: queue.Failed}}
	err = s.Settle(t.Context(), []queue.Settlement{{
		ID: work[0].ID, Destination: work[0].Destination, States: states, Suppress: []queue.Suppression{refusedBox(1)}, Entries: []journal.Entry{{Kind: journal.Failed}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, fs := range map[string]*vfs.MemFS{"before": before, "after": mem.CrashClone(vfs.CrashCloneCfg{})} {
		crashed := openAt(t, fs, "/spool")
		failed := 0
		for e, err := range crashed.Journal().Find(t.Context(), journal.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == journal.Failed || e.Kind == journal.Suppressed {
				failed++
			}
		}
		rows := crashed.count(t, kindSuppression)
		if failed != 2*rows || (rows == 1) != (name == "after") {
			t.Errorf("%s: %d entries and %d rows", name, failed, rows)
		}
		if err := crashed.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Rows that are not what was written answer nobody, and are named.
func TestDamagedRowsThatStandForThemselves(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "/spool")
	suppress(t, s, 1)
	if err := s.SetBookmark(t.Context(), "reader", journal.Cursor{Time: at(1), Seq: 2}); err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{suppressionKey(refusedBox(1).Address), bookmarkKey("reader")}
	for _, key := range keys {
		value, closer, err := s.db.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		short := slices.Clone(value[:len(value)-1])
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
		keep(t, s, key, short)
		if understood(key, short) {
			t.Errorf("%q is taken for whole", key)
		}
	}
	if _, known, err := s.Suppression(t.Context(), refusedBox(1).Address); known || err != nil {
		t.Errorf("suppression: %t, %v", known, err)
	}
	if _, known, err := s.Bookmark(t.Context(), "reader"); known || err != nil {
		t.Errorf("bookmark: %t, %v", known, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := Verify("/spool", fs)
	if err != nil || len(found) != 2 || !strings.Contains(found.String(), "suppression list") || !strings.Contains(found.String(), "reader of the journal") {
		t.Errorf("%v, %v", found, err)
	}
}

// A rebuilt store has the list and the bookmarks, in their last state.
func TestRebuiltStoreKeepsListAndBookmarks(t *testing.T) {
	for name, flush := range map[string]bool{"log": false, "tables": true} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			s := openAt(t, mem, "/spool")
			stock := newStock(t, s)
			var ids []queue.ID
			for range 20 {
				work, err := accept(t, s, stock.text(9000))
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, work[0].ID)
			}
			suppress(t, s, 1, 2)
			place := journal.Cursor{Time: at(5), Seq: 1}
			for _, place.Time = range []time.Time{at(4), at(6), at(5)} {
				if err := s.SetBookmark(t.Context(), "reader", place); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Unsuppress(t.Context(), []mail.Address{refusedBox(2).Address}); err != nil {
				t.Fatal(err)
			}
			s, logs := reopenSpoilt(t, s, mem, ids[10], flush)
			defer func() { _ = s.Close() }()
			if !strings.Contains(logText(logs), "is rebuilt") {
				t.Fatal(logText(logs))
			}
			got, known, err := s.Suppression(t.Context(), refusedBox(1).Address)
			if err != nil || !known || fmt.Sprint(got) != fmt.Sprint(refusedBox(1)) {
				t.Errorf("%+v, %t, %v", got, known, err)
			}
			if n := s.count(t, kindSuppression); n != 1 {
				t.Errorf("%d rows", n)
			}
			if at, known, err := s.Bookmark(t.Context(), "reader"); err != nil || !known || at != place {
				t.Errorf("%v, %t, %v", at, known, err)
			}
		})
	}
}
