package queue

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
)

// settleBatch is how many outcomes one commit takes at most. They gather while the commit before is synced.
const settleBatch = 512

// settleAll is the one goroutine that settles, until results is closed. What has gathered is one synced commit; then the schedule learns, and the delivery lines are
// logged.
func (q *Queue) settleAll() {
	for r := range q.results {
		q.gather()
		batch := append(make([]result, 0, 1+len(q.results)), r)
	gather:
		for len(batch) < settleBatch {
			select {
			case more, open := <-q.results:
				if !open {
					break gather
				}
				batch = append(batch, more)
			default:
				break gather
			}
		}
		settled, ok := q.settle(batch)
		if ok {
			q.finished <- batch
		}
		for _, r := range settled {
			q.logDelivery(r)
			q.observe(r)
		}
	}
}

// gather lets those outcomes come that belong to the same instant.
func (q *Queue) gather() {
	if q.gathering > 0 {
		time.Sleep(q.gathering)
	}
}

// result is one attempt that has ended, or a verdict without one.
type result struct {
	owed       Owed
	site       *site         // that the attempt was charged to
	attempt    *mail.Attempt // nil: there was none
	damaged    bool          // the content is not what was accepted
	now        time.Time
	settlement Settlement
}

// settle commits what became of a batch, and says what was recorded and whether the store takes more. Work whose attempt proved nothing, because we were stopped, goes back as it
// was. After a failed commit nothing is known of the disk: the store has stopped, and start-up finds the work as it was.
func (q *Queue) settle(batch []result) (settled []result, ok bool) {
	work := make([]Settlement, 0, len(batch))
	settled = make([]result, 0, len(batch))
	for _, r := range batch {
		if r.attempt != nil && q.interrupted(r.attempt) {
			q.store.Return([]Owed{r.owed})
			continue
		}
		work = append(work, r.settlement)
		settled = append(settled, r)
	}
	if len(work) == 0 {
		return nil, true
	}
	owes := q.owing.note(work)
	if err := q.record(work); err != nil {
		return nil, false // the schedule ends too
	}
	if owes {
		q.owing.poke()
	}
	if slices.ContainsFunc(work, leavesWork) {
		q.poke()
	}
	return settled, true
}

// record commits settlements. Where the store refuses some, for another reason than a failed write, it takes the others one by one, so that one that is wrong costs
// nobody else his.
func (q *Queue) record(work []Settlement) error {
	ctx := context.Background() // an outcome is recorded also while we are stopped
	err := q.store.Settle(ctx, work)
	if err == nil || errors.Is(err, ErrStopped) {
		return err
	}
	for _, one := range work {
		err := q.store.Settle(ctx, []Settlement{one})
		if errors.Is(err, ErrStopped) {
			return err
		}
		if err != nil {
			q.log.Error("an outcome cannot be recorded; the message will be tried again", zap.Stringer("id", one.ID), zap.Error(err))
			q.store.Return([]Owed{{Message: Message{ID: one.ID}, Destination: one.Destination}})
			q.refused.Store(true)
		}
	}
	return nil
}

// leavesWork says whether a settlement leaves something to be tried later.
func leavesWork(s Settlement) bool {
	for _, state := range s.States {
		if state.State == Pending {
			return true
		}
	}
	return len(s.Reports) > 0 || s.Notice != nil
}

// interrupted says whether our own shutdown ended an attempt before anything was learnt for anybody.
func (q *Queue) interrupted(a *mail.Attempt) bool {
	if !q.stopping.Load() {
		return false
	}
	for _, o := range a.Outcomes {
		if o.Scope != mail.ScopeLocal || o.InDoubt {
			return false
		}
	}
	return true
}

// verdict is the settlement of one attempt, with the reports that it owes.
func (q *Queue) verdict(r result) Settlement {
	t := terms{config: *q.current(), now: r.now, random: random(q.seed, r.owed.ID, r.attempt.Number)}
	s := settlement(r, t)
	q.addReports(r.owed, &s, t)
	q.addSuppressions(r.owed, &s, r.now)
	return s
}

// logDelivery writes one line for each recipient; docs/log.md says what its keys mean.
func (q *Queue) logDelivery(r result) {
	if r.attempt == nil || !q.log.Core().Enabled(zap.InfoLevel) {
		return
	}
	for n, i := range r.owed.Indices {
		o, state := r.attempt.Outcomes[n], r.settlement.States[i]
		c := candidateOf(r.attempt, o)
		if state.State != Pending {
			state.Due = time.Time{} // of an attempt before
		}
		q.log.Info("delivery",
			zap.Stringer("id", r.owed.ID), zap.String("from", r.owed.Envelope.From.String()), zap.String("to", o.Recipient.String()),
			zap.String("domain", string(r.owed.Destination)), zap.Int("attempt", r.attempt.Number),
			zap.String("disposition", string(o.Disposition)), zap.Bool("in_doubt", o.InDoubt), zap.String("scope", string(o.Scope)),
			zap.String("stage", string(o.Stage)), zap.String("host", o.Host), zap.String("addr", addressText(o)), zap.Int("code", o.Reply.Code),
			zap.String("status", o.Status.String()), zap.Strings("reply", o.Reply.Lines), zap.String("tls", tlsText(c)),
			zap.Dict("delays", delays(r, c)...), zap.Time("next", state.Due))
	}
}

// observe tells the observer what was recorded.
func (q *Queue) observe(r result) {
	if q.observer == nil {
		return
	}
	age := r.now.Sub(r.owed.Received)
	for n, i := range r.owed.Indices {
		var o mail.Outcome
		if r.attempt != nil {
			o = r.attempt.Outcomes[n]
		}
		if state, ok := r.settlement.States[i]; ok {
			q.observer.Settled(o, state.State, age)
		}
	}
}

func addressText(o mail.Outcome) string {
	if !o.IP.IsValid() {
		return ""
	}
	return o.IP.String()
}

func candidateOf(a *mail.Attempt, o mail.Outcome) *mail.Candidate {
	for i, c := range a.Candidates {
		if c.Host == o.Host && c.Address == o.IP {
			return &a.Candidates[i]
		}
	}
	return nil
}

func tlsText(c *mail.Candidate) string {
	if c == nil || c.TLS == nil {
		return ""
	}
	return c.TLS.Version
}

// delays are where the time of a message went, in seconds: in the queue before this attempt was due, waiting for a place, connecting, transmitting.
func delays(r result, c *mail.Candidate) []zap.Field {
	connect, transmit := time.Duration(0), time.Duration(0)
	if c != nil {
		for _, s := range c.Stages {
			switch s.Stage {
			case mail.StageConnect, mail.StageGreeting, mail.StageHello, mail.StageStartTLS, mail.StageAuth:
				connect += s.Took
			case mail.StageContent, mail.StageDot:
				transmit += s.Took
			}
		}
	}
	due := r.owed.Due
	if due.Before(r.owed.Received) {
		due = r.owed.Received
	}
	return []zap.Field{
		zap.Float64("queued", seconds(due.Sub(r.owed.Received))), zap.Float64("scheduled", seconds(r.attempt.Started.Sub(due))),
		zap.Float64("connect", seconds(connect)), zap.Float64("transmit", seconds(transmit)),
	}
}

func seconds(d time.Duration) float64 { return max(d, 0).Round(time.Millisecond).Seconds() }
