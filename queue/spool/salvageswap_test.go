package spool

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/zap/zapcore"

	"sternpost/journal"
	"sternpost/queue"
)

// damagedStore is one whose table has a damaged block that an agent has found, and what is lost with it.
func damagedStore(t *testing.T) (k *stock, damaged *vfs.MemFS, lost []queue.ID) {
	t.Helper()
	k, mem := shelf(t)["table and log"]()
	t.Cleanup(func() { _ = k.s.Close() })
	k.count()
	damaged = mem.CrashClone(vfs.CrashCloneCfg{})
	for _, path := range files(damaged, "/spool/store") {
		raw := contentOf(t, damaged, path)
		if strings.HasSuffix(path, ".sst") {
			where := k.placeOfMail(t, damaged, path)
			put(t, damaged, path, where, []byte{raw[where] ^ 1})
		}
	}
	if err := writeFile(damaged, "/spool/store/"+markerFile, []byte("a checksum is wrong\n")); err != nil {
		t.Fatal(err)
	}
	a := k.examine(t, damaged.CrashClone(vfs.CrashCloneCfg{}))
	if !a.rebuilt || len(a.lost) == 0 || len(a.back) > 0 {
		t.Fatalf("rebuilt %v, lost %v, back %v", a.rebuilt, a.lost, a.back)
	}
	slices.Sort(a.lost)
	return k, damaged, a.lost
}

// placeOfMail is an octet of a table in a block with messages that are owed.
func (k *stock) placeOfMail(t *testing.T, fs vfs.FS, path string) int {
	t.Helper()
	for at := len(contentOf(t, fs, path)) / 2; at > 0; at -= 100 {
		for _, id := range heldIn(t, fs, path, "m", at, at+1) {
			if m, owed := k.alive[id]; owed && m.Size < largestInline {
				return at
			}
		}
	}
	t.Fatal("no mail in " + path)
	return 0
}

// changes says whether an operation changes a disk.
func changes(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpLink, errorfs.OpRemove, errorfs.OpRemoveAll, errorfs.OpRename, errorfs.OpReuseForWrite, errorfs.OpMkdirAll,
		errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFilePreallocate:
		return true
	default:
		return false
	}
}

// The power is cut at many moments of a rebuilding: the next start comes to the same.
func TestPowerCutsWhileRebuilding(t *testing.T) {
	k, damaged, lost := damagedStore(t)
	random := rand.New(rand.NewPCG(3, 4))
	var mu sync.Mutex
	var cuts []*vfs.MemFS
	n := 0
	fs := errorfs.Wrap(damaged, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if changes(op) {
			if n++; n%(5*slow) == 0 || strings.Contains(op.Path, "complete") || op.Kind == errorfs.OpRename {
				cuts = append(cuts, damaged.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * random.IntN(3), RNG: random}))
			}
		}
		return nil
	}))
	s, _, err := openWatched(fs, zapcore.ErrorLevel)
	if err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	found := cuts
	mu.Unlock()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(found) < 20/slow {
		t.Fatalf("the power was cut %d times only, in %d steps", len(found), n)
	}
	for i, cut := range found {
		a := k.examine(t, cut)
		slices.Sort(a.lost)
		if !slices.Equal(a.lost, lost) || len(a.back)+len(a.unreadable) > 0 {
			t.Fatalf("cut %d of %d: lost %v in place of %v, back %v, unreadable %v\n%s", i, len(found), a.lost, lost, a.back, a.unreadable, a.log)
		}
		sound(t, cut, a)
		if names, err := cut.List("/spool"); err != nil || slices.Contains(names, salvageFolder) {
			t.Errorf("cut %d: left over: %v, %v", i, names, err)
		}
	}
}

// Without room for the new store the start fails, says how much it takes, and leaves the old one as it is.
func TestNoRoomToRebuild(t *testing.T) {
	k, damaged, lost := damagedStore(t)
	for _, after := range []int{0, 3, 30} {
		mem := damaged.CrashClone(vfs.CrashCloneCfg{})
		before := files(mem, "/spool/store")
		var mu sync.Mutex
		n := 0
		full := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(op.Path, salvageFolder) && (op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpFilePreallocate) {
				if n++; n > after {
					return syscall.ENOSPC
				}
			}
			return nil
		})}
		full.On()
		_, logs, err := openWatched(errorfs.Wrap(mem, full), zapcore.ErrorLevel)
		if err == nil || !strings.Contains(err.Error(), "it takes about 64 MiB") {
			t.Fatalf("after %d: %v", after, err)
		}
		full.Off()
		if logs.Len() > 10 {
			t.Errorf("%d lines in the log:\n%s", logs.Len(), logText(logs))
		}
		if now := files(mem, "/spool/store"); !slices.Equal(now, before) {
			t.Errorf("the old store has changed: %v", now)
		}
		for _, path := range files(mem, "/spool") {
			if strings.Contains(path, salvageFolder) || strings.Contains(path, damagedName) {
				t.Errorf("%s is left over", path)
			}
		}
		a := k.examine(t, mem)
		slices.Sort(a.lost)
		if !slices.Equal(a.lost, lost) {
			t.Errorf("with room again: lost %v, want %v", a.lost, lost)
		}
	}
}

// What is left of a message is set aside, and told in the report, the log and the journal.
func TestReport(t *testing.T) {
	k, damaged, lost := damagedStore(t)
	stray := "/spool/content/ff"
	if err := writeFile(damaged, stray, []byte("of a message that is gone")); err != nil {
		t.Fatal(err)
	}
	a := k.examine(t, damaged)
	var report, kept string
	for _, path := range files(damaged, "/spool") {
		switch {
		case strings.HasSuffix(path, "/"+reportName):
			report = string(contentOf(t, damaged, path))
		case strings.Contains(path, damagedName) && strings.HasSuffix(path, "content/ff"):
			kept = path
		}
	}
	if kept == "" {
		t.Errorf("the file without an owner is gone: %v", files(damaged, "/spool"))
	}
	s := openAt(t, damaged, "/spool")
	defer func() { _ = s.Close() }()
	for _, id := range lost {
		if !strings.Contains(report, "message "+id.String()+": it waited") || !strings.Contains(a.log, id.String()) {
			t.Errorf("%s is not named:\n%s", id, report)
		}
		if list := entries(t, s, journal.Query{Message: id.String(), Kind: journal.Lost}); len(list) != 1 {
			t.Errorf("%s in the journal: %v", id, list)
		}
	}
	if !strings.Contains(report, ".sst, octets ") || !strings.Contains(report, "a checksum is wrong") {
		t.Errorf("the places are not named:\n%s", report)
	}
}

// All files are read where the list of them is damaged: none of them must bring back what was settled, whatever compactions made of its tombstone.
func TestNothingSettledComesBack(t *testing.T) {
	mem := smallDisk()
	k := newStock(t, openAt(t, mem, "/spool"))
	random := rand.New(rand.NewPCG(5, 5))
	var waiting []queue.Owed
	for i := range 1500 / slow {
		waiting = append(waiting, k.accept(2000)[0])
		if len(waiting) > 60 {
			o := waiting[0]
			waiting = waiting[1:]
			if i%20 == 0 {
				k.s.Return([]queue.Owed{o})
			} else {
				k.settle(o, journal.Delivered, queue.RecipientState{State: queue.Delivered})
			}
		}
		if i%150 != 149 {
			continue
		}
		k.count()
		cut := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: random})
		for _, path := range files(cut, "/spool/store") {
			if strings.Contains(path, "MANIFEST-") {
				put(t, cut, path, 0, bytes.Repeat([]byte{0xff}, 8))
			}
		}
		a := k.examine(t, cut)
		if !a.rebuilt || len(a.lost)+len(a.back) > 0 {
			t.Fatalf("after %d: rebuilt %v, lost %v, back %v", i, a.rebuilt, a.lost, a.back)
		}
	}
}
