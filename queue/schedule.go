package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
)

// How much the schedule keeps at hand, and how often it looks.
const (
	leaseBatch = 1024                 // work taken from the store at a time
	leaseLow   = 64                   // a destination with fewer at hand is filled up
	leaseAgain = 5 * time.Second      // and one with more so often, so that its other senders get their turn
	eventBatch = 256                  // events taken before places are given out again
	fillEvery  = 5 * time.Millisecond // the store is not asked more often
	fillBusy   = time.Second          // nor than this, while there is enough at hand,
	fillShare  = 50                   // nor for more than one part in so many of the time
	tendEvery  = 10 * time.Second     // how often deadlines and stalled attempts are looked for
	longWait   = time.Minute          // the timer is never set for longer
	restLong   = 2 * time.Second      // a destination that rests for longer is suspended in the store
	// destinationCrowd is how many destinations are remembered before dead ones are forgotten that have nothing to do.
	destinationCrowd = 20_000
)

// schedule is what only its one goroutine touches.
type schedule struct {
	*Queue
	ctx          context.Context // of the attempts
	beginning    context.Context // of what begins: questions for sites, and attempts up to their content. It ends when we stop
	started      time.Time
	destinations map[mail.Domain]*destination
	sites        map[string]*site
	siteCrowd    int
	ring         []*destination // may be able to run; whose turn it is stands first
	parked       []*destination // wait for a place that their site may have
	asleep       sleepers
	running      map[*running]struct{}
	hands        chan *running // to goroutines that have no attempt to make
	count        int           // work in memory
	underWay     int
	confined     int       // attempts of confined sites
	gates        int       // changes by a person that are under way: the store is left alone
	back         []Owed    // to be given back to the store
	starved      bool      // the store has due work that was not taken
	filled       time.Time // when the store was last asked
	fillTook     time.Duration
	next         time.Time // when it has to be asked again; zero: not for itself
	armed        time.Time // what the timer is set to
	ramp         ramp
	jump         time.Duration // how far the machine's clock was from ours when it was last told
}

func (q *Queue) newSchedule() *schedule {
	now := q.now()
	return &schedule{
		Queue: q, started: now, next: now, ramp: newRamp(now),
		destinations: make(map[mail.Domain]*destination), sites: make(map[string]*site), running: make(map[*running]struct{}), hands: make(chan *running),
	}
}

// Run delivers until ctx ends: then no new attempt begins, what is between DATA and its reply gets Config.Drain to end, the outcomes are settled, and the
// rest stays owed. It returns ErrStopped when the store fails. It is called once.
func (q *Queue) Run(ctx context.Context) error {
	if q.running.Swap(true) {
		return errors.New("the queue runs already")
	}
	defer close(q.stopped)
	attempts, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	beginning, stop := context.WithCancelCause(attempts)
	defer stop(nil)
	s := q.newSchedule()
	s.ctx, s.beginning = attempts, beginning
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		q.settleAll()
	}()
	reporting, stopReports := context.WithCancel(attempts)
	var reporter sync.WaitGroup
	reporter.Go(func() { q.reportAll(reporting) })
	err := s.run(ctx)
	stop(errStopping)
	s.drain(cancel)
	stopReports()
	reporter.Wait()
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
	tend := time.NewTicker(tendEvery)
	defer tend.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.store.Failed():
			return ErrStopped
		case o := <-s.accepted:
			s.take(o)
			s.takeMore(eventBatch)
		case e := <-s.ended:
			s.end(e)
		case done := <-s.finished:
			s.finish(done)
		case found := <-s.resolved:
			s.learn(found)
		case f := <-s.asks:
			f(s)
		case <-s.pokes:
			s.next = s.now()
		case <-timer.C:
			s.armed = time.Time{}
		case <-tend.C:
			s.tend()
		}
		s.turn(timer)
	}
}

// turn does what follows from an event.
func (s *schedule) turn(timer *time.Timer) {
	now := s.now()
	for d := s.asleep.wake(now); d != nil; d = s.asleep.wake(now) {
		s.enqueue(d)
	}
	s.dispatch(now)
	s.giveBack()
	if at := s.fillAt(); !at.IsZero() && !now.Before(at) {
		s.fill(now)
		s.dispatch(now)
		s.giveBack()
	}
	s.arm(timer, now)
}

// giveBack returns to the store what had no room in memory. It has to be asked for it again, whatever it said before.
func (s *schedule) giveBack() {
	if len(s.back) > 0 {
		s.store.Return(s.back)
		s.back = nil
		s.starved = true
	}
}

// arm sets the timer to when there is something to do by itself.
func (s *schedule) arm(timer *time.Timer, now time.Time) {
	at := now.Add(longWait)
	for _, t := range []time.Time{s.fillAt(), s.asleep.first()} {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if s.armed.IsZero() || at.Before(s.armed) || s.armed.Before(now) {
		s.armed = at
		timer.Reset(at.Sub(now))
	}
}

// fillAt is when the store has to be asked next; zero: when it says so.
func (s *schedule) fillAt() time.Time {
	at := s.next
	if s.starved {
		wait := max(fillBusy, fillShare*s.fillTook)
		if s.count < leaseLow {
			wait = fillEvery
		}
		if again := s.filled.Add(wait); at.IsZero() || again.Before(at) {
			at = again
		}
	}
	if least := s.filled.Add(fillEvery); !at.IsZero() && at.Before(least) {
		at = least
	}
	return at
}

// takeMore takes what else was accepted meanwhile, so that places are not given out anew for each message.
func (s *schedule) takeMore(most int) {
	for range most {
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
	if d.dead() && (d.count+d.underWay > 0 || s.now().Before(d.suspended())) {
		s.back = append(s.back, o)
		return
	}
	if !s.room(d, o) {
		s.back = append(s.back, o)
		s.forget(d)
		return
	}
	d.add(o)
	s.count++
	s.enqueue(d)
}

// room makes place for o: at the cost of the sender who has most, where its destination has its share, and of the longest destinations, where all do.
func (s *schedule) room(d *destination, o Owed) bool {
	if d.count >= s.share() {
		out, ok := d.displace(o)
		if ok {
			s.count--
			s.back = append(s.back, out)
		}
		return ok
	}
	if s.count >= s.current().MaxReady {
		s.shed()
	}
	return s.count < s.current().MaxReady
}

// share is how much of one destination may wait in memory.
func (s *schedule) share() int { return max(s.current().MaxReady/2, 1) }

// shed gives back the ends of the longest lines, at least an eighth of all where there are lines, so that it is not done for each message.
func (s *schedule) shed() {
	want := s.current().MaxReady * 7 / 8
	longest := 0
	for _, d := range s.destinations {
		longest = max(longest, d.count)
	}
	for keep := longest / 2; keep > 0 && s.count > want; keep /= 2 {
		for _, d := range s.destinations {
			if d.count > keep {
				out := d.cut(keep)
				s.count -= len(out)
				s.back = append(s.back, out...)
			}
		}
	}
}

// enqueue puts d into the ring, unless it is there or will be put there.
func (s *schedule) enqueue(d *destination) {
	if !d.queued && d.count > 0 {
		d.queued = true
		s.ring = append(s.ring, d)
	}
}

// forget drops a destination of which nothing is left to know.
func (s *schedule) forget(d *destination) {
	if d.idle() && !d.dead() && !s.now().Before(d.restFrom) && s.destinations[d.domain] == d {
		s.leave(d)
		delete(s.destinations, d.domain)
	}
}

// fill takes due work from the store, and learns when there will be more.
func (s *schedule) fill(now time.Time) {
	s.filled, s.next = now, time.Time{}
	if s.gates > 0 {
		return // who opens the gate asks again
	}
	if s.count > s.current().MaxReady*7/8 {
		s.shed()
	}
	began := time.Now()
	defer func() { s.fillTook = time.Since(began) }()
	s.starved = true
	// Destinations that have nothing at hand come first: the others may fill the memory and not move.
	s.lease(now, s.roomFor(leaseLow, func(d *destination) bool { return d.count > 0 }))
	s.lease(now, s.roomFor(leaseBatch, func(d *destination) bool { return d.count >= leaseLow && now.Sub(d.leased) < leaseAgain }))
	next, any, err := s.store.Next(s.ctx)
	switch {
	case err != nil:
		s.complain("the store does not tell its next work", err)
		s.next = now.Add(tendEvery)
	case !any:
		s.starved = false
		s.ramp.see(now)
	case next.After(now):
		s.starved, s.next = false, next
		s.ramp.see(next)
	default:
		s.ramp.see(next)
	}
}

// lease takes due work of the destinations that have room.
func (s *schedule) lease(now time.Time, room func(mail.Domain) int) {
	most := min(s.current().MaxReady-s.count, leaseBatch, s.ramp.take(now))
	if most <= 0 {
		return
	}
	work, err := s.store.Lease(s.ctx, Want{Now: now, Most: most, Room: room})
	if err != nil {
		s.complain("the store gives no work", err)
	}
	s.ramp.spend(len(work))
	for _, o := range work {
		s.destination(o.Destination).leased = now
		s.take(o)
	}
}

// roomFor says how much work of each destination is wanted: so much, unless it has enough at hand.
func (s *schedule) roomFor(most int, enough func(d *destination) bool) func(mail.Domain) int {
	return func(domain mail.Domain) int {
		switch d := s.destinations[domain]; {
		case d == nil:
			return most
		case d.dead():
			return d.forProbe()
		case enough(d):
			return 0
		default:
			return most
		}
	}
}

// forProbe is the room of a dead destination: it is tried with one message.
func (d *destination) forProbe() int {
	return max(0, 1-d.count-d.underWay)
}

func (s *schedule) complain(what string, err error) {
	if !errors.Is(err, ErrStopped) {
		s.log.Error(what, zap.Error(err))
	}
}

// dispatch starts attempts while there are places, one for each destination in turn.
func (s *schedule) dispatch(now time.Time) {
	for len(s.ring) > 0 && s.underWay < s.places() {
		d := s.ring[0]
		s.ring[0] = nil
		s.ring = s.ring[1:]
		d.queued = false
		if !s.may(d, now) {
			if d.site != nil {
				s.admit(d.site) // it leaves its place to the next
			}
			continue
		}
		o, _ := d.take() // may has seen it
		s.count--
		s.start(d, o, now)
		s.enqueue(d)
	}
}

// may says whether d may have one more attempt now. Where it may not, d is put where it will be found when it may.
func (s *schedule) may(d *destination, now time.Time) bool {
	switch {
	case d.count == 0:
		s.forget(d)
	case d.resolving: // learn puts it back
	case d.site == nil || !now.Before(d.siteUntil):
		s.resolve(d)
	case d.dead() && d.underWay > 0: // its end judges the rest
	case now.Before(d.restFrom):
		s.rest(d, now)
	case d.underWay >= d.rules(s.current()).WindowLimit: // the end of one puts it back
	case d.site.free() <= 0:
		d.queued = true
		d.site.waiting = append(d.site.waiting, d)
	case s.crowded(d.site):
		d.queued = true
		s.parked = append(s.parked, d)
	default:
		return true
	}
	return false
}

// rest lets d wait for its time. What it has at hand stays in memory; the store is told when it pays.
func (s *schedule) rest(d *destination, now time.Time) {
	s.asleep.put(d)
	if d.restFrom.Sub(now) > restLong && s.starved {
		s.suspend(d.domain, d.restFrom)
	}
}

// suspend keeps the store from giving work of a destination until a time; the zero time lifts it.
func (s *schedule) suspend(domain mail.Domain, until time.Time) {
	if err := s.store.Suspend(s.ctx, domain, until); err != nil {
		s.complain("a destination cannot be suspended", err)
	}
	if until.IsZero() {
		s.next = s.now()
	}
}
