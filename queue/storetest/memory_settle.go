package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

var errNotLeased = errors.New("the work is not leased")

// Settle records what became of leased work. One settlement that cannot be refuses them all.
func (m *Memory) Settle(ctx context.Context, work []queue.Settlement) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Settle++
	if err := m.writable(ctx); err != nil {
		return err
	}
	seen := map[unit]bool{}
	for _, s := range work {
		u := unit{s.ID, s.Destination}
		if err := m.checkSettlement(s); err != nil || seen[u] {
			return fmt.Errorf("settle %s for %s: %w", s.ID, s.Destination, cmp.Or(err, errNotLeased))
		}
		seen[u] = true
	}
	if err := m.commit(); err != nil {
		return err
	}
	var entries []journal.Entry
	for _, s := range work {
		entries = append(entries, m.apply(s)...)
	}
	m.write(entries)
	return nil
}

func (m *Memory) checkSettlement(s queue.Settlement) error {
	k, ok := m.messages[s.ID]
	switch {
	case !ok:
		return queue.ErrNotFound
	case !m.leases[unit{s.ID, s.Destination}]:
		return errNotLeased
	}
	for i := range s.States {
		if i < 0 || i >= len(k.message.Recipients) || s.Destination != queue.ReportWork && k.message.Destination(i) != s.Destination {
			return fmt.Errorf("recipient %d is not of this destination", i)
		}
		if s.Destination == queue.ReportWork && !k.message.Recipients[i].Owes() {
			return fmt.Errorf("recipient %d is not owed a report", i)
		}
	}
	for _, report := range s.Reports {
		if len(report.Envelope.Recipients) == 0 {
			return errNoRecipients
		}
	}
	return nil
}

// apply makes one settlement true and returns what the journal says of it.
func (m *Memory) apply(s queue.Settlement) []journal.Entry {
	k := m.messages[s.ID]
	reports := s.Reports
	noticed := slices.ContainsFunc(k.message.Recipients, func(state queue.RecipientState) bool { return state.Noticed })
	if s.Notice != nil && !noticed {
		reports, noticed = append(slices.Clone(reports), *s.Notice), true
	}
	for _, i := range slices.Sorted(maps.Keys(s.States)) {
		state := s.States[i]
		k.message.Recipients[i] = state
		if state.State == queue.Pending && state.Last.Disposition == mail.Deferred {
			m.reasons[s.Destination] = state.Last.Reason
		}
	}
	for i, state := range k.message.Recipients {
		k.message.Recipients[i].Noticed = state.Noticed || noticed && !state.State.Final()
	}
	if s.Destination != queue.ReportWork {
		k.deadlines[s.Destination] = s.Deadline
	}
	delete(m.leases, unit{s.ID, s.Destination})
	m.settled(k)
	entries := append(about(s.ID, s.Entries), m.suppress(s.Suppress)...)
	for _, report := range reports {
		entries = append(entries, m.spawn(report))
	}
	return entries
}

// spawn accepts a report of ours.
func (m *Memory) spawn(report queue.Spawned) journal.Entry {
	k := m.add(report.Submission, slices.Clone(report.Content))
	return journal.Entry{
		Kind: journal.Accepted, Message: k.message.ID.String(), Sender: report.Envelope.From.String(), MessageID: report.MessageID,
		Reason: journal.ReportsAbout + report.Origin.String(),
	}
}
