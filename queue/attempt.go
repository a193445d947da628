package queue

import (
	"context"
	"errors"
	"time"

	"sternpost/mail"
)

// errDrained is the cause of the end of attempts that took longer than the drain.
var errDrained = errors.New("the agent is shutting down")

// result is one attempt that has ended, or a verdict without one.
type result struct {
	owed    Owed
	attempt *mail.Attempt // nil: there was none
	now     time.Time
	// settlement is the verdict where there was no attempt.
	settlement *Settlement
}

// start makes one attempt in a goroutine of its own. Its outcome goes to settle.go, and comes back to finish when it is durable.
func (s *schedule) start(d *destination, o Owed) {
	now := time.Now()
	d.underWay++
	d.site.underWay++
	d.site.used = now
	s.underWay++
	if rate := s.current().forDestination(d.domain).Rate; rate > 0 {
		d.rateFrom = now.Add(time.Minute / time.Duration(rate))
	}
	if d.dead() { // the probe: all others wait for its verdict
		if err := s.store.Suspend(s.ctx, d.domain, now.Add(probeTime)); err != nil {
			s.complain("a destination cannot be suspended", err)
		}
	}
	ctx := s.ctx
	s.attempts.Go(func() {
		at := s.deliverer.Deliver(ctx, transaction(o))
		s.results <- result{owed: o, attempt: &at, now: time.Now()}
	})
}

// probeTime is how long a probe may take before the next is allowed.
const probeTime = 30 * time.Minute

// transaction is the work as delivery wants it.
func transaction(o Owed) mail.Transaction {
	t := mail.Transaction{Message: o.ID.String(), Attempt: 1, Domain: o.Destination, Envelope: o.Envelope, Content: o.Content}
	t.Envelope.Recipients = make([]mail.Recipient, 0, len(o.Indices))
	for _, i := range o.Indices {
		t.Envelope.Recipients = append(t.Envelope.Recipients, o.Envelope.Recipients[i])
		t.Attempt = max(t.Attempt, o.Recipients[i].Attempts+1)
	}
	return t
}

// finish takes results that are settled: places become free, windows and the clocks of destinations learn.
func (s *schedule) finish(done []result) {
	for _, r := range done {
		if d := s.destinations[r.owed.Destination]; d != nil && d.site != nil {
			d.site.pressed = len(d.site.waiting) > 0
		}
	}
	for _, r := range done {
		if r.attempt == nil {
			continue
		}
		d := s.destination(r.owed.Destination)
		d.underWay--
		s.underWay--
		if d.site != nil {
			s.feed(d, r)
		}
		s.judge(d, r)
		s.enqueue(d)
		s.forget(d)
	}
}

// feed tells the window of the site how it went.
func (s *schedule) feed(d *destination, r result) {
	st := d.site
	switch fared(*r.attempt) {
	case faredWell:
		if st.pressed {
			st.window = st.window.Grow()
		}
	case faredBadly, faredDead:
		st.window = st.window.Shrink()
	}
	st.underWay = max(st.underWay-1, 0)
	for _, w := range st.release() {
		w.queued = false
		s.enqueue(w)
	}
}

// judge lets a destination die, or live again.
func (s *schedule) judge(d *destination, r result) {
	switch fared(*r.attempt) {
	case faredDead:
		d.lastProbe = r.now
		d.probes++
		s.suspend(d, r.now.Add(probeDelay(d.probes-1)))
	case faredLocally:
	default:
		if d.dead() {
			d.probes = 0
			s.lift(d)
		}
	}
}

// lift ends a suspension.
func (s *schedule) lift(d *destination) {
	if err := s.store.Suspend(s.ctx, d.domain, time.Time{}); err != nil {
		s.complain("a suspension cannot be lifted", err)
	}
	s.poke()
}

// fare is what an attempt says of its destination.
type fare int

const (
	faredWell    fare = iota
	faredBadly        // a host asks to slow down, or the conversation broke
	faredDead         // no address reached EHLO
	faredLocally      // nothing was learnt
)

// fared judges an attempt by its outcomes. It is a function of the attempt alone.
func fared(a mail.Attempt) fare {
	worst := faredLocally
	for _, o := range a.Outcomes {
		f := faredOne(o)
		if f == faredWell {
			return faredWell
		}
		worst = min(worst, f)
	}
	return worst
}

func faredOne(o mail.Outcome) fare {
	switch {
	case o.Scope == mail.ScopeLocal:
		return faredLocally
	case o.Disposition != mail.Deferred:
		return faredWell
	case o.Stage == mail.StageResolve, o.Stage == mail.StageConnect, o.Stage == mail.StageGreeting, o.Stage == mail.StageHello, o.Stage == mail.StageStartTLS:
		return faredDead
	case slowDown(o):
		return faredBadly
	default:
		return faredWell // a reply about the mail; the host is well
	}
}

// slowDown finds replies that ask for fewer connections: 421 and the statuses that say so (RFC 3463 s3.4, s3.5; 4.7.28 of RFC 7372 and the large
// providers). Greylisting does not.
func slowDown(o mail.Outcome) bool {
	switch o.Status {
	case mail.Status{4, 3, 2}, mail.Status{4, 4, 5}, mail.Status{4, 7, 28}:
		return true
	}
	return o.Reply.Code == 421
}

// drain ends the attempts: they get some time, then they are called off. What waits in memory goes back to the store.
func (s *schedule) drain(cancel context.CancelCauseFunc) {
	s.stopping.Store(true)
	ended := make(chan struct{})
	go func() {
		s.attempts.Wait()
		close(ended)
	}()
	limit := time.NewTimer(s.current().Drain)
	defer limit.Stop()
	for {
		select {
		case <-ended:
			s.giveBack()
			return
		case <-limit.C:
			cancel(errDrained)
		case done := <-s.finished:
			s.finish(done)
		case found := <-s.resolved:
			s.learn(found)
		case f := <-s.asks:
			f(s)
		}
	}
}

// giveBack returns all work that no attempt was begun for.
func (s *schedule) giveBack() {
	for _, d := range s.destinations {
		s.store.Return(d.empty())
	}
	for {
		select {
		case o := <-s.accepted:
			s.store.Return([]Owed{o})
		default:
			return
		}
	}
}

// recall gives back what waits in memory for a query, so that the store can change it.
func (s *schedule) recall(query Query) {
	s.takeMore()
	for _, d := range s.destinations {
		if query.Destination != "" && query.Destination != d.domain {
			continue
		}
		work := d.empty()
		s.count -= len(work)
		s.store.Return(work)
		s.forget(d)
	}
}

// revive forgets that destinations are dead.
func (s *schedule) revive(domain mail.Domain) {
	for _, d := range s.destinations {
		if domain == "" || domain == d.domain {
			d.probes = 0
			s.lift(d)
			s.forget(d)
		}
	}
	if domain != "" && s.destinations[domain] == nil {
		s.lift(&destination{domain: domain})
	}
}

// describe adds what the schedule knows to a summary.
func (s *schedule) describe(status *DestinationStatus) {
	d := s.destinations[status.Destination]
	if d == nil {
		return
	}
	status.UnderWay, status.Dead = d.underWay, d.dead()
	if d.site != nil {
		status.Site, status.Window = d.site.name, d.site.window.Size()
	}
}
