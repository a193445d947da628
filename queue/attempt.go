package queue

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"sternpost/mail"
)

// errStopping is the cause of the end of what had only begun when we were stopped.
var errStopping = errors.New("the agent is shutting down")

// errDrained is the cause of the end of attempts that took longer than the drain.
var errDrained = errors.New("the agent is shutting down, and this took too long")

// busyRest is how long a destination rests when we had no connection to spare and none of its own ends meanwhile.
const busyRest = time.Second

// running is one attempt under way.
type running struct {
	owed  Owed
	d     *destination
	site  *site // that it was charged to: the destination may lead elsewhere when it ends
	began time.Time
}

// ended is an attempt that is over. Its outcomes may not be recorded yet.
type ended struct {
	*running
	fare fare
	busy bool // there was none: see busy
	last mail.Outcome
}

// start gives an attempt to a goroutine that has none.
func (s *schedule) start(d *destination, o Owed, now time.Time) {
	r := &running{owed: o, d: d, site: d.site, began: now}
	s.running[r] = struct{}{}
	d.underWay++
	r.site.underWay++
	r.site.used = now
	if r.site.confined {
		s.confined++
	}
	s.underWay++
	if rate := d.rules(s.current()).Rate; rate > 0 {
		d.restFrom = now.Add(time.Minute / time.Duration(rate))
	}
	select {
	case s.hands <- r:
	default:
		s.attempts.Go(func() { s.work(r) })
	}
}

// handWaits is how long a goroutine waits for another attempt. A new one would have to let its stack grow again, which costs more than the scheduling.
const handWaits = time.Second

// work makes attempts, one after another, until there is none for a while.
func (s *schedule) work(r *running) {
	idle := time.NewTimer(handWaits)
	defer idle.Stop()
	for {
		s.attempt(r)
		idle.Reset(handWaits)
		select {
		case r = <-s.hands:
		case <-idle.C:
			return
		case <-s.beginning.Done():
			return
		}
	}
}

// attempt makes one attempt. The schedule is told first, then what became of it goes to be recorded.
func (s *schedule) attempt(r *running) {
	content := &inspected{Content: r.owed.Content}
	t := transaction(r.owed)
	t.Content, t.Stopping, t.HoldInDoubt = content, s.beginning, s.current().InDoubt == inDoubtHold
	at := s.deliverer.Deliver(s.ctx, t)
	e := ended{running: r, fare: fared(at, s.rules.Load()), busy: busy(at) && !s.stopping.Load(), last: at.Outcomes[0]}
	s.ended <- e
	if !e.busy {
		done := result{owed: r.owed, site: r.site, attempt: &at, damaged: content.damaged.Load(), now: s.now()}
		done.settlement = s.verdict(done) // here, where attempts run beside each other, and not in the one goroutine that settles
		s.results <- done
	}
}

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

// inspected is content that remembers when it was found to be damaged: delivery cannot tell that from other trouble of our own, and it never ends by itself.
type inspected struct {
	mail.Content
	damaged atomic.Bool
}

// Open implements mail.Content.
func (i *inspected) Open() (io.ReadCloser, error) {
	r, err := i.Content.Open()
	i.note(err)
	if err != nil {
		return nil, err
	}
	return inspectedReader{r, i}, nil
}

// Octets implements mail.InMemory.
func (i *inspected) Octets() []byte {
	if whole, ok := i.Content.(mail.InMemory); ok {
		return whole.Octets()
	}
	return nil
}

func (i *inspected) note(err error) {
	if errors.Is(err, ErrDamaged) {
		i.damaged.Store(true)
	}
}

type inspectedReader struct {
	io.ReadCloser
	content *inspected
}

func (r inspectedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil {
		r.content.note(err)
	}
	return n, err
}

// end takes an attempt that is over: its place is free, and the site and the destination learn from it.
func (s *schedule) end(e ended) {
	d, now := e.d, s.now()
	delete(s.running, e.running)
	d.underWay--
	s.underWay--
	e.site.underWay--
	if e.site.confined {
		s.confined--
	}
	e.site.feed(e.fare)
	if e.fare <= faredSo && now.Sub(e.site.stalled) > 2*tendEvery {
		s.confine(e.site, false)
	}
	if e.busy {
		s.again(e, now)
	} else {
		e.site.unsettled++
	}
	s.judge(d, e, now)
	s.admit(e.site)
	s.unpark()
	s.enqueue(d)
	s.forget(d)
}

// again keeps work that could not begin. It comes when a connection of its destination ends, or soon.
func (s *schedule) again(e ended, now time.Time) {
	d := e.d
	d.add(e.owed)
	s.count++
	if !d.asleep && d.underWay == 0 {
		d.restFrom = now.Add(busyRest)
	}
}

// finish takes results that are recorded.
func (s *schedule) finish(done []result) {
	for _, r := range done {
		if r.site != nil {
			r.site.unsettled--
			s.admit(r.site)
		}
	}
	if again := s.now().Add(localDelay); s.refused.Swap(false) && (s.next.IsZero() || again.Before(s.next)) {
		s.next = again
	}
}

// judge lets a destination die, or live again. Attempts that began before it was last found dead say nothing new; nor do those that failed while others went through.
func (s *schedule) judge(d *destination, e ended, now time.Time) {
	switch e.fare {
	case faredLocally:
	case faredDead:
		if e.began.Before(d.died) || e.began.Before(d.lived) {
			return
		}
		d.died = now
		d.probes++
		d.last = probe{at: now, failed: d.probes, outcome: e.last}
		work := d.empty()
		s.count -= len(work)
		s.back = append(s.back, work...)
		s.suspend(d.domain, d.suspended())
	default:
		d.lived = now
		s.revive(d)
	}
}

// revive forgets that a destination is dead. What waits for it is released, oldest first, through the window.
func (s *schedule) revive(d *destination) {
	if d.dead() {
		d.probes = 0
		s.suspend(d.domain, time.Time{})
	}
}

// probeDelay is the time to the n-th probe of a dead destination, from 0: 1m 2m 5m 10m, then 15m.
func probeDelay(n int) time.Duration {
	delays := [...]time.Duration{1, 2, 5, 10, 15}
	return delays[min(n, len(delays)-1)] * time.Minute
}
