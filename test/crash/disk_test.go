//go:build crash

package crash

import (
	"testing"
	"time"
)

// TestSmallDisks fills disks until the agent says 452, while nothing can be delivered. Nothing is lost, and it takes mail again by itself when there is room.
func TestSmallDisks(t *testing.T) {
	needs(t, "mount", "umount")
	for _, disk := range []struct {
		name, options string
		size          int // of a letter
	}{
		{"64-MB", "size=64m", 20_000},
		{"no-inodes", "size=512m,nr_inodes=200", 300_000},
	} {
		t.Run(disk.name, func(t *testing.T) {
			v := newVolume(t, "-t", "tmpfs", "-o", disk.options, "tmpfs")
			h, w, book := newHome(t, v.dir+"/q"), newWorld(t, names(t), later), newLedger()
			h.backoff = 20 * time.Second
			h.configure(t, w)
			a := h.start(t)
			a.serves(t)
			fill := load{home: h, prefix: "fill", connections: 4, letters: 5000, seed: 1, size: disk.size, book: book, stopAt: "452"}
			fill.run(t.Context())
			filled := book.count(accepted)
			if filled == 0 || book.refusals("452") == 0 {
				t.Fatalf("%d messages were accepted, %d were told 452", filled, book.refusals("452"))
			}
			w.script(t, polite)
			a.drained(t)
			// Space comes back when the store has tidied up, not at once.
			more := load{home: h, prefix: "more", connections: 1, letters: 1, seed: 2, size: disk.size, book: book}
			for round := 0; book.count(accepted) == filled; round++ {
				if round == 60 {
					t.Fatalf("nothing is accepted 30 s after the queue was empty\n%s", h.tail())
				}
				more.prefix += "e"
				more.run(t.Context())
				pause(t, 500*time.Millisecond)
			}
			a.drained(t)
			a.stop(t)
			if n := w.judge(t, book); n > 0 {
				t.Errorf("%d copies arrived twice", n)
			}
			t.Logf("%d messages accepted until the first 452", filled)
		})
	}
}
