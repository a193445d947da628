package queue

import (
	"testing"
	"time"
)

// Five days of a dead domain, without jitter: the exact times, from the first attempt on.
func TestFiveDaysOfRetries(t *testing.T) {
	c := DefaultConfig()
	received := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	expires := received.Add(c.Lifetime)
	var got []time.Duration
	at := received
	for n := 1; ; n++ {
		due, more := NextDue(c.Backoff, 0, Past{Attempts: n, Ended: at, Begin: received, Expires: expires})
		if !more {
			break
		}
		got = append(got, due.Sub(received))
		at = due
	}
	want := []time.Duration{1 * time.Minute, 6 * time.Minute, 16 * time.Minute, 36 * time.Minute, 76 * time.Minute, 136 * time.Minute, 256 * time.Minute}
	for next := 496 * time.Minute; next < c.Lifetime-lastMargin; next += 4 * time.Hour {
		want = append(want, next)
	}
	want = append(want, c.Lifetime-lastMargin)
	if len(got) != len(want) {
		t.Fatalf("%d attempts, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("retry %d after %s, want %s", i+1, got[i], want[i])
		}
	}
}

func TestJitterStaysWithinItsShare(t *testing.T) {
	base := time.Unix(1_000_000_000, 0)
	for _, random := range []float64{0, 0.25, 0.5, 0.75, 1} {
		due, _ := NextDue([]time.Duration{time.Hour}, 0.1, Past{Attempts: 1, Ended: base, Begin: base, Expires: base.Add(100 * time.Hour), Random: random})
		want := base.Add(time.Hour + time.Duration((2*random-1)*0.1*float64(time.Hour)))
		if due.Sub(want).Abs() > time.Millisecond {
			t.Errorf("random %v: %s, want %s", random, due, want)
		}
	}
}

func TestRetryHint(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"4.7.1 Greylisted, try again in 300 seconds":           5 * time.Minute,
		"please retry after 10 minutes":                        10 * time.Minute,
		"Try again in 2 hours":                                 2 * time.Hour,
		"wait 5s":                                              leastHint,
		"come back and try again in 90000 seconds":             mostHint,
		"mailbox full":                                         0,
		"try again later":                                      0,
		"retry: ticket 300":                                    0,
		"too many connections from 192.0.2.1, try again later": 0,
	} {
		if got := RetryHint(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// What a window does is a table: successes while full, successes while idle, failures.
func TestWindow(t *testing.T) {
	w := NewWindow(5, 20)
	for _, step := range []struct {
		name string
		do   func(Window) Window
		want int
	}{
		{"a windowful of successes", func(w Window) Window {
			for range 6 {
				w = w.Grow()
			}
			return w
		}, 6},
		{"thousands of successes", func(w Window) Window {
			for range 5000 {
				w = w.Grow()
			}
			return w
		}, 20},
		{"a failure", Window.Shrink, 10},
		{"another", Window.Shrink, 5},
		{"many", func(w Window) Window {
			for range 10 {
				w = w.Shrink()
			}
			return w
		}, 1},
		{"a lower limit", func(w Window) Window { return w.WithLimit(1).Grow() }, 1},
	} {
		if w = step.do(w); w.Size() != step.want {
			t.Errorf("after %s: %d, want %d", step.name, w.Size(), step.want)
		}
	}
	if got := NewWindow(5, 2).Size(); got != 2 {
		t.Errorf("the start is above the limit: %d", got)
	}
}

func TestID(t *testing.T) {
	for _, id := range []ID{1, 31, 32, 1 << 20, 1<<64 - 1} {
		got, err := ParseID(id.String())
		if err != nil || got != id || len(id.String()) != idLength {
			t.Errorf("%d: %s, %d, %v", id, id, got, err)
		}
	}
	for _, bad := range []string{"", "0", "zzzzzzzzzzzzz", "000000000000u", "00000000000000", "0000000000000"} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if ID(5).String() >= ID(6).String() || ID(31).String() >= ID(32).String() {
		t.Error("the texts are not in the order of the ids")
	}
}
