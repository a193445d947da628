package main

import "testing"

func TestAttemptsFollowTheHandles(t *testing.T) {
	for handles, want := range map[uint64]int{0: 20, 256: 20, 600: 20, 1024: 212, 20_000: 9700, 1 << 63: (1<<20 - 600) / 2} {
		if got := attemptsWith(handles); got != want {
			t.Errorf("%d handles: %d attempts, want %d", handles, got, want)
		}
	}
}
