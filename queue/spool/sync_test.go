package spool

import "testing"

// A sync waits for others only where many commits wait for it.
func TestSyncInterval(t *testing.T) {
	var s Store
	for commits, delayed := range map[int32]bool{0: false, 1: false, crowded - 1: false, crowded: true, 10 * crowded: true} {
		s.committing.Store(commits)
		if got := s.syncInterval() > 0; got != delayed {
			t.Errorf("%d commits under way: delayed %v", commits, got)
		}
	}
}
