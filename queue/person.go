package queue

import (
	"context"
	"time"

	"sternpost/mail"
)

// Effect is what a person's change came to, in recipients.
type Effect struct {
	Changed  int
	UnderWay int // were being delivered just then, and were left alone
}

// Change does what a person asked to the messages of a query that are not under way.
func (q *Queue) Change(ctx context.Context, query Query, a Action) (Effect, error) {
	return q.change(ctx, query, func() (int, error) { return q.store.Change(ctx, query, a, q.now()) })
}

// Flush makes everything that waits for a destination due now, and lifts its suspension; no destination: for all of them.
func (q *Queue) Flush(ctx context.Context, d mail.Domain) (Effect, error) {
	effect, err := q.Change(ctx, Query{Destination: d}, Retry)
	if err != nil {
		return effect, err
	}
	return effect, q.ask(ctx, func(s *schedule) { s.reviveAll(d) })
}

// Fail returns the messages of a query to their senders, with a report. Messages that are under way are left alone.
func (q *Queue) Fail(ctx context.Context, query Query) (Effect, error) {
	return q.change(ctx, query, func() (int, error) { return q.failAll(ctx, query) })
}

// change gives what waits in memory for a query back to the store, so that f reaches it, and nothing is leased until f has ended.
func (q *Queue) change(ctx context.Context, query Query, f func() (int, error)) (Effect, error) {
	var e Effect
	if err := q.ask(ctx, func(s *schedule) { e.UnderWay = s.closeGate(query) }); err != nil {
		return e, err
	}
	n, err := f()
	e.Changed = n
	// The gate opens also when nobody waits for the answer any more.
	if opening := q.ask(context.WithoutCancel(ctx), (*schedule).openGate); err == nil {
		err = opening
	}
	return e, err
}

// failAll claims and settles in batches.
func (q *Queue) failAll(ctx context.Context, query Query) (int, error) {
	n := 0
	for {
		work, err := q.store.Claim(ctx, query, failBatch)
		if err != nil || len(work) == 0 {
			return n, err
		}
		settlements := make([]Settlement, 0, len(work))
		for _, o := range work {
			settlements = append(settlements, q.giveUp(o, q.now()))
			n += len(o.Indices)
		}
		owes := q.owing.note(settlements)
		if err := q.store.Settle(ctx, settlements); err != nil {
			return n, err
		}
		if owes {
			q.owing.poke()
		}
	}
}

// failBatch is how many messages Fail returns in one commit.
const failBatch = 256

// ask runs f in the goroutine that owns the schedule. While there is none it does nothing.
func (q *Queue) ask(ctx context.Context, f func(*schedule)) error {
	if !q.running.Load() {
		return nil
	}
	done := make(chan struct{})
	question := func(s *schedule) {
		defer close(done)
		f(s)
	}
	select {
	case q.asks <- question:
	case <-q.stopped:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	<-done
	return nil
}

// closeGate gives back what waits in memory for a query, and says how many recipients of it are under way.
func (s *schedule) closeGate(query Query) (underWay int) {
	s.gates++
	s.takeMore(cap(s.accepted))
	for _, d := range s.destinations {
		if query.Destination == "" || query.Destination == d.domain {
			work := d.remove(query.fits)
			s.count -= len(work)
			s.back = append(s.back, work...)
			s.forget(d)
		}
	}
	s.giveBack()
	for r := range s.running {
		if query.fits(r.owed) {
			underWay += len(r.owed.Indices)
		}
	}
	return underWay
}

func (s *schedule) openGate() {
	s.gates--
	s.next = s.now()
}

// Means says whether a query means recipient i of a message that it selects: a choice of held mail leaves the other recipients of a message alone.
func (q Query) Means(m Message, i int) bool {
	a := m.Envelope.Recipients[i].Address
	return (q.Recipient == "" || q.Recipient == a.String()) && (q.Destination == "" || q.Destination == a.Domain) &&
		(!q.Held || m.Recipients[i].State == Held)
}

// fits says whether a query means o. What is held is never work.
func (q Query) fits(o Owed) bool {
	switch {
	case q.ID != 0 && q.ID != o.ID, q.Held:
		return false
	case q.Sender != "" && q.Sender != o.Sender && q.Sender != o.Envelope.From.String():
		return false
	case !q.ReceivedBefore.IsZero() && !o.Received.Before(q.ReceivedBefore):
		return false
	case q.Destination != "" && q.Destination != o.Destination:
		return false
	case q.Recipient == "":
		return true
	}
	for _, i := range o.Indices {
		if o.Envelope.Recipients[i].Address.String() == q.Recipient {
			return true
		}
	}
	return false
}

// reviveAll forgets that a destination is dead, or that any is.
func (s *schedule) reviveAll(domain mail.Domain) {
	for _, d := range s.destinations {
		if domain == "" || domain == d.domain {
			d.probes = 0
			s.forget(d)
		}
	}
	s.suspend(domain, time.Time{}) // also what only the store remembers
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
