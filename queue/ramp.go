package queue

import "time"

// How work that was due before a start is taken up: the rate doubles every few seconds, and soon there is none.
const (
	rampRate   = 200 // messages a second at first
	rampDouble = 5 * time.Second
	rampEnd    = time.Minute
)

// ramp spreads what is overdue after a start. What is accepted from then on does not come by it.
type ramp struct {
	start, last time.Time
	tokens      float64
	over        bool // nothing is left that was due before the start
}

func newRamp(now time.Time) ramp { return ramp{start: now, last: now, tokens: rampRate / 4} }

// see learns when the earliest work is due that is left.
func (r *ramp) see(next time.Time) { r.over = !next.Before(r.start) }

// take is how much may be leased now.
func (r *ramp) take(now time.Time) int {
	age := now.Sub(r.start)
	if r.over || age >= rampEnd {
		return 1 << 30
	}
	rate := float64(int(rampRate) << int(age/rampDouble))
	r.tokens = min(r.tokens+rate*now.Sub(r.last).Seconds(), rate)
	r.last = now
	return int(r.tokens)
}

func (r *ramp) spend(n int) { r.tokens -= float64(n) }
