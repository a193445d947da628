package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	reportBatch = 64               // reports that are written in one commit
	reportAgain = 10 * time.Second // how often the store is asked though nothing says that a report is due
)

// owing is the messages that have a recipient who waits for its report. It says when the store must be asked, and is not the record: that is RecipientState.Owes, and after a
// start all that it tells of is found by the first question.
type owing struct {
	mu       sync.Mutex
	messages map[ID]struct{}
	pokes    chan struct{}
}

func newOwing() *owing { return &owing{messages: map[ID]struct{}{}, pokes: make(chan struct{}, 1)} }

// note remembers, before they are recorded, the settlements that leave something owed; it says whether any message of the work owes a report.
func (w *owing) note(work []Settlement) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	any := false
	for _, s := range work {
		for _, state := range s.States {
			if state.Owes() {
				w.messages[s.ID] = struct{}{}
				break
			}
		}
		if len(w.messages) > 0 {
			_, owes := w.messages[s.ID]
			any = any || owes
		}
	}
	return any
}

// any says whether a report is owed at all.
func (w *owing) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.messages) > 0
}

// has says whether a report about the message of o is owed.
func (w *owing) has(o Owed) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, owes := w.messages[o.ID]
	return owes
}

func (w *owing) forget(work []Owed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range work {
		delete(w.messages, o.ID)
	}
}

// poke makes the reporter ask the store.
func (w *owing) poke() {
	select {
	case w.pokes <- struct{}{}:
	default:
	}
}

// reportAll is the one goroutine that writes the reports that have waited, until ctx ends: what is owed then is owed at the next start.
func (q *Queue) reportAll(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.store.Failed():
			return
		case <-q.owing.pokes:
		case <-timer.C:
		}
		q.gather()
		next := q.writeReports(ctx)
		wait := reportAgain
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(q.now()), time.Second))
		}
		timer.Reset(wait)
	}
}

// writeReports writes what is due, and says when the next is.
func (q *Queue) writeReports(ctx context.Context) time.Time {
	for {
		work, next, err := q.store.Reports(ctx, q.now(), reportBatch)
		if err != nil {
			if !errors.Is(err, ErrStopped) && ctx.Err() == nil {
				q.log.Error("the store does not tell which reports are owed", zap.Error(err))
			}
			return time.Time{}
		}
		if len(work) == 0 {
			return next
		}
		q.owing.forget(work) // before they are recorded: what comes meanwhile is another report
		t := terms{config: *q.current(), now: q.now()}
		settlements := make([]Settlement, 0, len(work))
		for _, o := range work {
			settlements = append(settlements, q.settleReport(o, t))
		}
		err = q.record(settlements)
		q.poke()
		if err != nil || len(work) < reportBatch {
			return next
		}
	}
}

// settleReport is the report about one message, and that it is made.
func (q *Queue) settleReport(o Owed, t terms) Settlement {
	s := Settlement{ID: o.ID, Destination: ReportWork, States: make(map[int]RecipientState, len(o.Indices))}
	for _, i := range o.Indices {
		s.States[i] = o.Recipients[i]
	}
	if report, ok := q.spawn(o, q.report(o, q.entries(o, &s, o.Indices, t), t), t); ok {
		s.Reports = []Spawned{report}
	}
	for _, i := range o.Indices {
		s.States[i] = reported(s.States[i])
	}
	return s
}
