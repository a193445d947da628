package spool

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/zap/zapcore"

	"sternpost/queue"
)

// within fails the test if something takes longer than anybody would wait.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal(what + " hangs")
	}
}

// A damaged block stands in the way of a compaction: the store stops in order, and the next start rebuilds it and serves.
func TestDamageUnderLoad(t *testing.T) {
	mem := smallDisk()
	k := newStock(t, openAt(t, mem, "/spool"))
	k.fill(50, 2000)
	if err := k.s.Close(); err != nil {
		t.Fatal(err)
	}
	k.s = openAt(t, mem, "/spool")
	k.count()
	if err := k.s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range files(mem, "/spool/store") {
		if strings.HasSuffix(path, ".sst") {
			where := k.placeOfMail(t, mem, path)
			put(t, mem, path, where, []byte{^contentOf(t, mem, path)[where]})
		}
	}
	s, logs, err := openWatched(mem, zapcore.ErrorLevel)
	if err != nil {
		t.Fatal(err)
	}
	load := newStock(t, s)
	accepted := map[queue.ID]bool{}
	within(t, "the load", func() {
		for {
			work, err := accept(t, s, load.text(5000))
			if err != nil {
				if !errors.Is(err, queue.ErrStopped) {
					t.Error(err)
				}
				return
			}
			accepted[work[0].ID] = true
			s.Return(work)
		}
	})
	<-s.Failed()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if logs.Len() > 5 || !strings.Contains(logText(logs), "the next start will rebuild it") {
		t.Errorf("%d lines in the log:\n%s", logs.Len(), logText(logs))
	}
	a := k.look(t, mem)
	if !a.rebuilt || len(a.lost) == 0 || len(a.lost) > 4 {
		t.Errorf("rebuilt %v, lost %v", a.rebuilt, a.lost)
	}
	for _, id := range a.back {
		delete(accepted, id)
	}
	if len(accepted) > 0 {
		t.Errorf("%d accepted messages are gone", len(accepted))
	}
}

// A write-out that fails is tried with pauses and told once, and what is waiting goes on when it works again.
func TestFailingWriteOut(t *testing.T) {
	synctest.Test(t, testFailingWriteOut)
}

func testFailingWriteOut(t *testing.T) {
	mem := smallDisk()
	var tried atomic.Int64
	full := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		err := noTables().MaybeError(op)
		if err != nil {
			tried.Add(1)
		}
		return err
	})}
	s, logs, err := openWatched(errorfs.Wrap(mem, full), zapcore.ErrorLevel)
	if err != nil {
		t.Fatal(err)
	}
	full.On()
	k := newStock(t, s)
	for tried.Load() == 0 {
		s.Return(k.accept(15000))
	}
	time.Sleep(300 * time.Millisecond)
	if n := tried.Load(); n < 2 || n > 10 {
		t.Errorf("%d tries in 0.3 s", n)
	}
	if logs.Len() != 1 {
		t.Errorf("%d lines in the log:\n%s", logs.Len(), logText(logs))
	}
	full.Off()
	within(t, "Close", func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// trouble lets operations on some files fail.
func trouble(file string, kinds ...errorfs.OpKind) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		for _, kind := range kinds {
			if op.Kind == kind && strings.Contains(op.Path, file) {
				return errors.New("input/output error")
			}
		}
		return nil
	})
}

// troubles are ways in which an engine goes wrong that neither goes on nor comes back.
func troubles() map[string][]errorfs.OpKind {
	return map[string][]errorfs.OpKind{
		"sync":   {errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
		"write":  {errorfs.OpFileWrite},
		"create": {errorfs.OpCreate, errorfs.OpRename, errorfs.OpReuseForWrite},
	}
}

// Whatever fails while the store opens, Open comes back, and gives the directory back.
func TestTroubleWhileOpening(t *testing.T) {
	base := vfs.NewCrashableMem()
	k := newStock(t, openAt(t, base, "/spool"))
	k.fill(10, 500)
	k.count()
	for name, kinds := range troubles() {
		for _, file := range []string{"MANIFEST", ".log", ".sst", "OPTIONS", "marker"} {
			t.Run(name+" "+file, func(t *testing.T) {
				t.Parallel()
				mem := base.CrashClone(vfs.CrashCloneCfg{})
				within(t, "Open", func() {
					s, logs, err := openWatched(errorfs.Wrap(mem, trouble(file, kinds...)), zapcore.ErrorLevel)
					if err == nil {
						_ = s.Close() // it may fail at its end
					}
					if logs.Len() > 10 {
						t.Errorf("%d lines in the log", logs.Len())
					}
				})
				if a := k.examine(t, mem); len(a.lost)+len(a.back) > 0 {
					t.Errorf("lost %v, back %v", a.lost, a.back)
				}
			})
		}
	}
}

// Whatever fails while the store closes, Close comes back, and gives the directory back.
func TestTroubleWhileClosing(t *testing.T) {
	for name, kinds := range troubles() {
		for _, file := range []string{"MANIFEST", ".log", ".sst"} {
			t.Run(name+" "+file, func(t *testing.T) {
				t.Parallel()
				mem := vfs.NewMem()
				bad := &errorfs.Toggle{Injector: trouble(file, kinds...)}
				s := openAt(t, errorfs.Wrap(mem, bad), "/spool")
				if _, err := accept(t, s, []byte("text")); err != nil {
					t.Fatal(err)
				}
				bad.On()
				within(t, "Close", func() { _ = s.Close() }) // that the last write-out fails loses nothing
				bad.Off()
				s = openAt(t, mem, "/spool")
				if work := lease(t, s, later()); len(work) != 1 {
					t.Errorf("%d messages are left of 1", len(work))
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// After a failed commit the directory is given back too.
func TestFailedStoreGivesItsDirectoryBack(t *testing.T) {
	mem := vfs.NewMem()
	bad := &errorfs.Toggle{Injector: trouble(".log", errorfs.OpFileSync, errorfs.OpFileSyncData)}
	s := openAt(t, errorfs.Wrap(mem, bad), "/spool")
	bad.On()
	if _, err := accept(t, s, []byte("text")); !errors.Is(err, queue.ErrStopped) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := openAt(t, mem, "/spool").Close(); err != nil {
		t.Error(err)
	}
}
