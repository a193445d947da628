package queue

import (
	"cmp"
	"slices"
	"time"

	"go.uber.org/zap"
)

const (
	overdueBatch = 1000
	overdueMost  = 20 // batches at one time: the schedule has more to do
	// overtime is how long after the end of its lifetime a message is kept that nobody could try, because we had trouble of our own.
	overtime = 24 * time.Hour
	// deadRemembered is how long a dead destination is remembered for which nothing was tried any more.
	deadRemembered = 24 * time.Hour
)

// tend does from time to time what no event asks for.
func (s *schedule) tend() {
	now := s.now()
	s.tellJump()
	s.findStalled(now)
	s.overdueInMemory(now)
	s.overdue(now)
	s.letGo(now)
	s.pruneDestinations(now)
}

// tellJump says once that the machine's clock was set.
func (s *schedule) tellJump() {
	off := s.clock.off()
	if change := (off - s.jump).Abs(); change > clockTolerance {
		s.log.Warn("the clock of the machine was set; the queue goes by its own until the next start", zap.Duration("difference", off.Round(time.Second)))
		s.jump = off
	}
}

// overdue looks for work whose deadline has passed.
func (s *schedule) overdue(now time.Time) {
	for range overdueMost {
		work, err := s.store.Overdue(s.ctx, now, overdueBatch)
		if err != nil {
			s.complain("the store does not tell what is overdue", err)
			return
		}
		for _, o := range work {
			s.expire(o, now)
		}
		if len(work) < overdueBatch {
			return
		}
		s.dispatch(now)
	}
}

// overdueInMemory does the same for what waits in memory, where the store does not look.
func (s *schedule) overdueInMemory(now time.Time) {
	t := terms{config: *s.current(), now: now}
	late := func(o Owed) bool {
		at := t.deadline(o, func(i int) RecipientState { return o.Recipients[i] })
		return !now.Before(at) && (now.Before(t.expires(o)) || s.tried(o, now))
	}
	var work []Owed
	for _, d := range s.destinations {
		if d.count > 0 {
			work = append(work, d.remove(late)...)
		}
	}
	s.count -= len(work)
	slices.SortFunc(work, func(a, b Owed) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Destination, b.Destination)) }) // a map has no order
	for _, o := range work {
		s.expire(o, now)
	}
}

// letGo gives back what waits for a destination that rests for long, where a report about its message waits for it: nothing of that message is about to be tried.
func (s *schedule) letGo(now time.Time) {
	if !s.owing.any() {
		return
	}
	for _, d := range s.destinations {
		if d.count == 0 || d.restFrom.Sub(now) <= restLong {
			continue
		}
		if work := d.remove(s.owing.has); len(work) > 0 {
			s.count -= len(work)
			s.back = append(s.back, work...)
			s.suspend(d.domain, d.restFrom) // else the store gives it out again
		}
	}
	if len(s.back) > 0 {
		s.giveBack()
		s.owing.poke()
	}
}

// expire ends work whose lifetime is over, or tells its sender of the delay. What was never tried, and whose destination was not probed either, is tried once
// before it ends.
func (s *schedule) expire(o Owed, now time.Time) {
	d, t := s.destination(o.Destination), terms{config: *s.current(), now: now}
	if !now.Before(t.expires(o)) && !s.tried(o, now) {
		d.add(o)
		s.count++
		s.enqueue(d)
		return
	}
	verdict := overdue(o, d.last, t)
	s.addReports(o, &verdict, t)
	s.sendResult(result{owed: o, now: now, settlement: verdict})
	s.forget(d)
}

// tried says whether an attempt for the work, or a probe of its destination, was made in its lifetime. What ended while we did not run, or when the clock was set
// between two runs, gets an attempt in this one.
func (s *schedule) tried(o Owed, now time.Time) bool {
	if now.After(o.Expires.Add(overtime)) && now.After(s.started.Add(overtime)) {
		return true
	}
	if d := s.destinations[o.Destination]; d != nil && d.last.at.After(o.begin()) {
		return true
	}
	if o.Expires.Before(s.started) {
		return false
	}
	for _, i := range o.Indices {
		if o.Recipients[i].Attempts == 0 {
			return false
		}
	}
	return true
}

// sendResult hands a result to the goroutine that settles, and takes what it has finished meanwhile, so that neither waits for the other.
func (s *schedule) sendResult(r result) {
	for {
		select {
		case s.results <- r:
			return
		case done := <-s.finished:
			s.finish(done)
		}
	}
}

// pruneDestinations forgets what forget could not: destinations that have rested, and dead ones whose mail has gone. When there are very many, dead ones are forgotten
// earlier: they die again, by one attempt.
func (s *schedule) pruneDestinations(now time.Time) {
	crowd := len(s.destinations) > destinationCrowd
	for _, d := range s.destinations {
		if d.dead() && d.idle() && now.After(d.suspended()) && (crowd || now.Sub(d.died) > deadRemembered) {
			d.probes = 0
		}
		s.forget(d)
	}
}
