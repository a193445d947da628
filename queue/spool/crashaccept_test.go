package spool

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/queue"
)

// A message and the report that is accepted with it are there together or not at all, whenever the power is cut; and both are there once it was said that they are.
func TestPowerCutsWhileAcceptingWithReports(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	var mu sync.Mutex
	said := map[queue.ID]bool{}
	cut := func(seed uint64) {
		mu.Lock()
		promised := make([]queue.ID, 0, len(said))
		for id := range said {
			promised = append(promised, id)
		}
		mu.Unlock()
		clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed * 37 % 101), RNG: rand.New(rand.NewPCG(seed, 1))})
		after := openAt(t, clone, "/spool")
		defer func() { _ = after.Close() }()
		messages, about := map[queue.ID]bool{}, map[queue.ID]int{}
		for m, err := range after.Messages(t.Context(), queue.Query{}) {
			switch {
			case err != nil:
				t.Error(err)
			case m.Origin == 0:
				messages[m.ID] = true
			default:
				about[m.Origin]++
			}
		}
		for id := range messages {
			if about[id] != 1 {
				t.Errorf("cut %d: message %v has %d reports", seed, id, about[id])
			}
		}
		if len(about) != len(messages) {
			t.Errorf("cut %d: reports about %d messages, and %d messages", seed, len(about), len(messages))
		}
		for _, id := range promised {
			if !messages[id] {
				t.Errorf("cut %d: message %v was promised and is gone", seed, id)
			}
		}
	}
	var working sync.WaitGroup
	for n := range 3 {
		working.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(n)))
			for range 30 {
				d, err := s.Begin(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := d.Write(letter(random)); err != nil {
					t.Error(err)
					return
				}
				m, content := submission("a@b.example"), letter(random)
				m.Reports = func(id queue.ID) []queue.Spawned {
					report := submission("us@a.example")
					report.Origin, report.Priority, report.Received = id, queue.Report, report.Received.Add(time.Minute)
					return []queue.Spawned{{Submission: report, Content: content}}
				}
				work, err := d.Commit(t.Context(), m, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				said[work[0].ID] = true
				mu.Unlock()
				s.Return(work)
			}
		})
	}
	for seed := range uint64(25) {
		cut(seed)
	}
	working.Wait()
	cut(99)
}
