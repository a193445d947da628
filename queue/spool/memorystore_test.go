package spool

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"sternpost/queue"
	"sternpost/queue/storetest"
)

func TestConformanceInMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) queue.Store { return openInMemory(t) })
}

func openInMemory(t *testing.T) *Store {
	t.Helper()
	c := DefaultConfig()
	c.Directory = "/spool"
	s, err := OpenMemory(c, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMemoryStoreIsStill: a year passes at once where nothing wakes up, and it would take minutes if the engine looked for work ten times a second. It compacts all the same.
func TestMemoryStoreIsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openInMemory(t)
		time.Sleep(365 * 24 * time.Hour)
		value := make([]byte, 256<<10)
		for i := range 16 * memtables * memtableWithoutDisk / len(value) {
			for n := range value {
				value[n] = byte(n * (i + 1) >> 3)
			}
			if err := s.db.Set([]byte{0xff, byte(i % 7)}, value, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if m := s.db.Metrics(); m.Compact.Count-m.Compact.MoveCount == 0 || m.Levels[0].TablesCount > 8 {
			t.Errorf("%d compactions, %d tables at level 0", m.Compact.Count, m.Levels[0].TablesCount)
		}
		for _, err := range s.Messages(context.Background(), queue.Query{}) {
			t.Fatal("there is a message", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
