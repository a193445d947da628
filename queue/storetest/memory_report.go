package storetest

import (
	"context"
	"slices"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// Reports leases the messages that owe a report.
func (m *Memory) Reports(ctx context.Context, now time.Time, most int) (work []queue.Owed, next time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Reports++
	if err := m.usable(ctx); err != nil {
		return nil, time.Time{}, err
	}
	for _, k := range m.oldestFirst() {
		due := queue.ReportDue(k.message.Recipients)
		switch {
		case due.IsZero() || m.leases[unit{k.message.ID, queue.ReportWork}]:
		case len(work) < most && (!due.After(now) || !m.underWay(k) && !m.nextInTurn(k, now)):
			work = append(work, m.report(k, due))
		case next.IsZero() || due.Before(next):
			next = due
		}
	}
	return work, next, nil
}

// report leases the report about a message.
func (m *Memory) report(k *kept, due time.Time) queue.Owed {
	o := queue.Owed{Message: k.snapshot(), Destination: queue.ReportWork, Due: due, Content: k.content}
	for i, state := range k.message.Recipients {
		if state.Owes() {
			o.Indices = append(o.Indices, i)
		}
	}
	m.leases[unit{k.message.ID, queue.ReportWork}] = true
	return o
}

// nextInTurn says whether a recipient is due where nothing keeps it.
func (m *Memory) nextInTurn(k *kept, now time.Time) bool {
	return slices.ContainsFunc(queue.NextInTurn(k.message.Submission, k.message.Recipients, now), func(d mail.Domain) bool { return !m.suspended[d].After(now) })
}
