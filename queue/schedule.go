package queue

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
)

// How much the schedule keeps at hand, and how often it looks.
const (
	leaseBatch   = 256              // work taken from the store for one destination at a time
	leaseLow     = 64               // a destination with fewer at hand is filled up
	overdueEvery = 15 * time.Second // how often deadlines are looked for
	overdueBatch = 1000
	maxSites     = 20_000 // sites whose window is remembered
	eventBatch   = 256    // events taken before places are given out again
)

// schedule is what only its one goroutine touches.
type schedule struct {
	*Queue
	ctx          context.Context // of the attempts
	destinations map[mail.Domain]*destination
	sites        map[string]*site
	ring         []*destination // may be able to run; whose turn it is stands first
	count        int            // work in memory
	underWay     int
	starved      bool // the store has due work that was not taken
}

// siteFound is an answer of Deliverer.Site.
type siteFound struct {
	domain mail.Domain
	name   string
	until  time.Time
}

// Run delivers until ctx ends: then no new attempt begins, those under way get Config.Drain to end, their outcomes are settled, and the rest stays owed. It
// returns ErrStopped when the store fails. It is called once.
func (q *Queue) Run(ctx context.Context) error {
	if q.running.Swap(true) {
		return errors.New("the queue runs already")
	}
	defer close(q.stopped)
	attempts, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	s := &schedule{Queue: q, ctx: attempts, destinations: make(map[mail.Domain]*destination), sites: make(map[string]*site)}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		q.settleAll()
	}()
	err := s.run(ctx)
	s.drain(cancel)
	close(q.results)
	for {
		select {
		case done := <-q.finished:
			s.finish(done)
		case <-settled:
			return err
		}
	}
}

// run is the loop of the schedule.
func (s *schedule) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	deadlines := time.NewTicker(overdueEvery)
	defer deadlines.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.store.Failed():
			return ErrStopped
		case o := <-s.accepted:
			s.take(o)
			s.takeMore()
		case done := <-s.finished:
			s.finish(done)
		case found := <-s.resolved:
			s.learn(found)
		case f := <-s.asks:
			f(s)
		case <-s.pokes:
			s.fill(timer)
		case <-timer.C:
			s.fill(timer)
		case <-deadlines.C:
			s.overdue()
			s.pruneDestinations(time.Now())
		}
		s.dispatch()
		if s.starved && s.count < leaseLow {
			s.fill(timer)
			s.dispatch()
		}
	}
}

// takeMore takes what else was accepted meanwhile, so that places are not given out anew for each message.
func (s *schedule) takeMore() {
	for range eventBatch {
		select {
		case o := <-s.accepted:
			s.take(o)
		default:
			return
		}
	}
}

func (s *schedule) destination(domain mail.Domain) *destination {
	d := s.destinations[domain]
	if d == nil {
		d = &destination{domain: domain}
		s.destinations[domain] = d
	}
	return d
}

// take keeps work in memory, or gives it back to the store where it could not run soon.
func (s *schedule) take(o Owed) {
	d := s.destination(o.Destination)
	probing := d.dead() && d.count+d.underWay > 0
	suspended := d.dead() && time.Now().Before(d.lastProbe.Add(probeDelay(d.probes-1)))
	if probing || suspended || d.count >= s.current().MaxReady/2 || s.count >= s.current().MaxReady {
		s.starved = s.starved || !d.dead()
		s.store.Return([]Owed{o})
		s.forget(d)
		return
	}
	d.add(o)
	s.count++
	s.enqueue(d)
}

// enqueue puts d into the ring, unless it is there or waits for its site.
func (s *schedule) enqueue(d *destination) {
	if !d.queued && d.count > 0 {
		d.queued = true
		s.ring = append(s.ring, d)
	}
}

// forget drops a destination of which nothing is left to know.
func (s *schedule) forget(d *destination) {
	if now := time.Now(); d.idle() && !d.dead() && !now.Before(d.rateFrom) {
		delete(s.destinations, d.domain)
	}
}

// deadRemembered is how long a dead destination is remembered for which nothing was tried any more: longer than the longest usual delay of a message, so that one which still
// has mail is never forgotten.
const deadRemembered = 24 * time.Hour

// pruneDestinations forgets what forget could not: destinations whose rate has come round, and dead ones whose mail has gone.
func (s *schedule) pruneDestinations(now time.Time) {
	for _, d := range s.destinations {
		if d.dead() && d.idle() && now.Sub(d.lastProbe) > deadRemembered {
			d.probes = 0
		}
		s.forget(d)
	}
}

// fill takes due work from the store, and sets the timer to when there will be more.
func (s *schedule) fill(timer *time.Timer) {
	now := time.Now()
	room := s.current().MaxReady - s.count
	s.starved = room <= 0
	if room > 0 {
		work, err := s.store.Lease(s.ctx, Want{Now: now, Most: min(room, 4*leaseBatch), PerDestination: leaseBatch, Except: s.busy})
		if err != nil {
			s.complain("the store gives no work", err)
		}
		for _, o := range work {
			s.take(o)
		}
		s.starved = s.starved || len(work) > 0
	}
	next, any, err := s.store.Next(s.ctx)
	if err != nil {
		s.complain("the store does not tell its next work", err)
		any, next = true, now.Add(overdueEvery)
	}
	switch {
	case any && next.After(now):
		timer.Reset(next.Sub(now))
	case any: // due, but passed over: when places are free again
		s.starved = true
		timer.Reset(time.Second)
	}
}

// busy says which destinations have enough at hand.
func (s *schedule) busy(domain mail.Domain) bool {
	d := s.destinations[domain]
	return d != nil && (d.count >= leaseLow || d.dead() && d.count+d.underWay > 0)
}

func (s *schedule) complain(what string, err error) {
	if !errors.Is(err, ErrStopped) {
		s.log.Error(what, zap.Error(err))
	}
}

// dispatch starts attempts while there are places, one for each destination in turn.
func (s *schedule) dispatch() {
	for len(s.ring) > 0 && s.underWay < s.current().MaxAttempts {
		d := s.ring[0]
		s.ring[0] = nil
		s.ring = s.ring[1:]
		d.queued = false
		if !s.may(d) {
			continue
		}
		o, ok := d.take()
		if !ok {
			s.forget(d)
			continue
		}
		s.count--
		s.start(d, o)
		s.enqueue(d)
	}
}

// may says whether d may have one more attempt now. Where it may not, d is put where it will be found when it may.
func (s *schedule) may(d *destination) bool {
	now := time.Now()
	switch {
	case d.count == 0:
		s.forget(d)
		return false
	case d.resolving:
		return false // learn enqueues it
	case d.site == nil || !now.Before(d.siteUntil):
		s.resolve(d)
		return false
	case d.dead() && d.underWay > 0:
		return false // finish judges the rest
	case now.Before(d.rateFrom):
		s.suspend(d, d.rateFrom)
		return false
	case d.site.full():
		d.queued = true
		d.site.waiting = append(d.site.waiting, d)
		return false
	}
	return true
}

// resolve asks for the site of d, which may take as long as the DNS does.
func (s *schedule) resolve(d *destination) {
	d.resolving = true
	s.attempts.Go(func() {
		name, until := s.deliverer.Site(s.ctx, d.domain)
		s.resolved <- siteFound{d.domain, name, until}
	})
}

// leastSiteTime is how long a site is believed at least: also a domain that cannot be resolved must come to its attempt.
const leastSiteTime = 10 * time.Second

// learn takes the answer to resolve.
func (s *schedule) learn(found siteFound) {
	d := s.destination(found.domain)
	d.resolving = false
	if now := time.Now(); found.until.Before(now.Add(leastSiteTime)) {
		found.until = now.Add(leastSiteTime)
	}
	d.site, d.siteUntil = s.site(found.name, d), found.until
	s.enqueue(d)
	s.forget(d)
}

func (s *schedule) site(name string, d *destination) *site {
	c := s.current()
	found := s.sites[name]
	if found == nil {
		s.pruneSites()
		found = &site{name: name, window: NewWindow(c.WindowStart, c.WindowLimit)}
		s.sites[name] = found
	}
	if limit := c.forDestination(d.domain).WindowLimit; limit != found.window.limit {
		found.window = found.window.WithLimit(limit)
	}
	return found
}

// pruneSites forgets the windows of sites that were not used for a while, when there are many.
func (s *schedule) pruneSites() {
	if len(s.sites) < maxSites {
		return
	}
	for name, old := range s.sites {
		if old.underWay == 0 && len(old.waiting) == 0 && time.Since(old.used) > time.Hour {
			delete(s.sites, name)
		}
	}
}

// suspend gives the work of d back to the store until a time.
func (s *schedule) suspend(d *destination, until time.Time) {
	work := d.empty()
	s.count -= len(work)
	s.store.Return(work)
	if err := s.store.Suspend(s.ctx, d.domain, until); err != nil {
		s.complain("a destination cannot be suspended", err)
	}
	s.poke()
}
