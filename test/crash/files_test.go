//go:build crash

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// someFiles is how many numbers of files are watched for faults.
const someFiles = 400

// The files of a queue by their kinds, those that do not exist yet included: strace takes no patterns.
func (h *home) tables() []string    { return h.files("store/%06d.sst") }
func (h *home) manifests() []string { return h.files("store/MANIFEST-%06d") }
func (h *home) contents() []string  { return h.files("content/%x") }

// everything is all that a start may write.
func (h *home) everything() []string {
	var list []string
	for _, form := range []string{"store/%06d.sst", "store/%06d.log", "store/MANIFEST-%06d", "store/OPTIONS-%06d", "store/temporary.%06d.dbtmp"} {
		list = append(list, h.files(form)...)
	}
	return list
}

func (h *home) files(form string) []string {
	var list []string
	for n := 1; n <= someFiles; n++ {
		list = append(list, filepath.Join(h.queue, fmt.Sprintf(form, n)))
	}
	return list
}

// smallTrouble is trouble on a small disk, whose memtables are written to tables soon.
func smallTrouble(t *testing.T) *trouble {
	t.Helper()
	needs(t, "strace", "mount", "umount")
	v := newVolume(t, "-t", "tmpfs", "-o", "size=128m", "tmpfs")
	x := &trouble{home: newHome(t, v.dir+"/q"), world: newWorld(t, names(t), silent), book: newLedger()}
	x.book.syncFails = true
	x.home.configure(t, x.world)
	x.agent = x.home.start(t)
	x.agent.serves(t)
	x.hand(t, "before", 10, 0)
	return x
}

// fill hands in so much that tables are written.
func (x *trouble) fill(t *testing.T) {
	t.Helper()
	x.hand(t, "after", 200, 20_000)
}

// TestTablesFail: while tables cannot be written the agent goes on from its log, or ends in order; either way nothing is lost.
func TestTablesFail(t *testing.T) {
	for name, f := range map[string][2]string{"sync-EIO": {syncs, "error=EIO"}, "write-ENOSPC": {writes, "error=ENOSPC"}} {
		t.Run(name, func(t *testing.T) {
			x := smallTrouble(t)
			end := x.agent.inject(t, f[0], f[1], x.home.tables()...)
			x.fill(t)
			if !x.home.says(t, "the queue cannot tidy up its files") {
				t.Error("no table was to be written")
			}
			if x.lasts(t) {
				end()
				before := x.book.count(accepted)
				x.hand(t, "late", 1, 0)
				if n := x.book.count(accepted) - before; n != 3 {
					t.Errorf("%d of 3 messages were accepted when tables can be written again", n)
				}
				x.agent.stop(t)
			}
			x.recovers(t)
		})
	}
}

// says says whether the log has a text.
func (h *home) says(t *testing.T, text string) bool {
	t.Helper()
	log, err := os.ReadFile(h.log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(log), text)
}

// lasts says whether the agent still runs; if it has ended, then in order.
func (x *trouble) lasts(t *testing.T) bool {
	t.Helper()
	select {
	case <-x.agent.ended:
		if code := x.agent.exit(t); code != 75 {
			t.Errorf("exit status %d, want 75", code)
		}
		return false
	default:
		return true
	}
}

// TestListOfFilesFails: an agent that cannot write down which files it has ends in order.
func TestListOfFilesFails(t *testing.T) {
	for name, f := range map[string][2]string{"sync-EIO": {syncs, "error=EIO"}, "write-ENOSPC": {writes, "error=ENOSPC"}} {
		t.Run(name, func(t *testing.T) {
			x := smallTrouble(t)
			x.agent.inject(t, f[0], f[1], x.home.manifests()...)
			x.fill(t) // a table is an entry in the list
			if code := x.agent.exit(t); code != 75 {
				t.Errorf("exit status %d, want 75", code)
			}
			x.recovers(t)
		})
	}
}

// TestContentFails: a large message that cannot be synced ends the agent, as nobody knows of the rest then; one that finds no space is told so.
func TestContentFails(t *testing.T) {
	needs(t, "strace")
	t.Run("sync-EIO", func(t *testing.T) {
		x := newTrouble(t, silent)
		before := x.book.count(accepted)
		x.agent.inject(t, syncs, "error=EIO", append(x.home.contents(), filepath.Join(x.home.queue, "content"))...)
		x.hand(t, "large", 1, 400_000)
		if n := x.book.count(accepted) - before; n != 0 {
			t.Errorf("%d large messages were accepted unsynced", n)
		}
		if code := x.agent.exit(t); code != 75 {
			t.Errorf("exit status %d, want 75", code)
		}
		x.recovers(t)
	})
	t.Run("write-ENOSPC", func(t *testing.T) {
		x := newTrouble(t, silent)
		before := x.book.count(accepted)
		end := x.agent.inject(t, writes, "error=ENOSPC", x.home.contents()...)
		x.hand(t, "large", 1, 400_000)
		if x.book.refusals("452") != 3 || x.book.count(accepted) != before {
			t.Errorf("%d of 3 large messages were told 452", x.book.refusals("452"))
		}
		if left, err := filepath.Glob(filepath.Join(x.home.queue, "content", "*")); err != nil || len(left) > 0 {
			t.Errorf("files are kept of what was refused: %v, %v", left, err)
		}
		x.hand(t, "small", 1, 1000)
		end()
		x.hand(t, "late", 1, 400_000)
		if n := x.book.count(accepted) - before; n != 6 {
			t.Errorf("%d of 6 messages were accepted: small ones and, with space again, large ones", n)
		}
		x.agent.stop(t)
		x.recovers(t)
	})
}

// TestStartFails: a disk that fails while the agent starts lets it end with 75, and the next start recovers. The nth call fails and all that follow; n rises until the
// agent serves.
func TestStartFails(t *testing.T) {
	needs(t, "strace")
	most := max(4, number(t, "ROUNDS", 20)/2)
	for name, f := range map[string]struct {
		calls, code string
		paths       func(*home) []string
	}{
		"sync-EIO":     {syncs, "EIO", func(*home) []string { return nil }},
		"write-ENOSPC": {writes, "ENOSPC", (*home).everything},
		"write-EIO":    {writes, "EIO", (*home).everything},
		"rename-EIO":   {"rename,renameat,renameat2", "EIO", func(*home) []string { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			failed, serving := 0, 0
			for n := 1; n <= most && serving < quietRuns; n++ {
				served := false
				ok := t.Run(fmt.Sprint(n), func(t *testing.T) {
					x := usedTrouble(t)
					x.agent = x.home.start(t, straced(t, "/dev/null", f.calls, fmt.Sprintf("error=%s:when=%d+", f.code, n), f.paths(x.home)...)...)
					if served = x.agent.settles(t); served {
						x.agent.kill()
					} else if code := x.agent.exit(t); code != 75 {
						t.Errorf("exit status %d, want 75\n%s", code, x.home.tail())
					}
					x.recovers(t)
				})
				if !ok {
					return
				}
				if served {
					serving++
				} else {
					failed, serving = failed+1, 0
				}
			}
			t.Logf("%d starts failed; the last %d served", failed, serving)
		})
	}
}
