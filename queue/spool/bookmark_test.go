package spool

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/journal"
	"sternpost/queue"
)

// A reader of the journal that moves its bookmark over what was taken finds it after a power cut where it was last answered for, whatever of the rest the disk has kept; and
// what it stands at is in the journal.
func TestBookmarkAfterAPowerCut(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := openAt(t, mem, "/spool")
	defer func() { _ = s.Close() }()
	random := rand.New(rand.NewPCG(1, 2))
	at := journal.Cursor{}
	for n := range 60 {
		if err := s.Suppress(t.Context(), []queue.Suppression{refusedBox(n)}); err != nil {
			t.Fatal(err)
		}
		for e, err := range s.Journal().Find(t.Context(), journal.Query{After: at}) {
			if err != nil {
				t.Fatal(err)
			}
			at = e.Cursor
		}
		if err := s.SetBookmark(t.Context(), "reader", at); err != nil {
			t.Fatal(err)
		}
		crashed := openAt(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random}), "/spool")
		got, known, err := crashed.Bookmark(t.Context(), "reader")
		if err != nil || !known || got != at {
			t.Fatalf("after %d moves: %v, %t, %v, want %v", n+1, got, known, err, at)
		}
		rest := 0
		for e, err := range crashed.Journal().Find(t.Context(), journal.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Cursor == got {
				rest = 0
				continue
			}
			rest++
		}
		if rest != 0 {
			t.Errorf("after %d moves: %d entries stand behind the bookmark, or it stands at none", n+1, rest)
		}
		if err := crashed.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
