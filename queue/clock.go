package queue

import "time"

// clock is the time of the queue. It begins with that of the machine and goes on by itself, so that setting the machine's clock neither ends lifetimes
// nor puts attempts off. After a restart it is not behind what the journal has seen: a clock that was set back does not put everything off by as much.
type clock struct {
	start time.Time     // with its monotonic reading
	ahead time.Duration // of the machine's clock
}

// clockTolerance is how much the machine's clock may differ before anybody is told.
const clockTolerance = time.Minute

// newClock begins a clock; seen is the latest time in the store.
func newClock(start, seen time.Time) clock {
	c := clock{start: start}
	if ahead := seen.Sub(start); !seen.IsZero() && ahead > clockTolerance {
		c.ahead = ahead
	}
	return c
}

// now is the time of the queue, without a monotonic reading: it is compared with times of the disk.
func (c clock) now() time.Time {
	return c.start.Round(0).Add(time.Since(c.start) + c.ahead)
}

// off is how far the machine's clock is from that of the queue.
func (c clock) off() time.Duration { return time.Now().Round(0).Sub(c.now()) }
