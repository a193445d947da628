package spool

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/queue"
	"sternpost/queue/storetest"
)

func openAt(t testing.TB, fs vfs.FS, directory string) *Store {
	t.Helper()
	c := DefaultConfig()
	c.Directory = directory
	s, err := Open(c, fs, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) queue.Store { return openAt(t, vfs.NewMem(), "/spool") })
}

func TestConformanceOnDisk(t *testing.T) {
	storetest.RunReopen(t, func(t *testing.T) queue.Store { return openAt(t, vfs.Default, t.TempDir()) },
		func(t *testing.T, s queue.Store) queue.Store {
			directory := s.(*Store).config.Directory
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return openAt(t, vfs.Default, directory)
		})
}

// After a crash the store finds what was synced, and of the rest what the disk happened to keep.
func TestConformanceAfterCrash(t *testing.T) {
	storetest.RunReopen(t, func(t *testing.T) queue.Store { return openAt(t, vfs.NewCrashableMem(), "/spool") },
		func(t *testing.T, s queue.Store) queue.Store {
			crashed := s.(*Store).fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return openAt(t, crashed, "/spool")
		})
}
