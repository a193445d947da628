package storetest

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// compareCursors orders entries.
func compareCursors(a, b journal.Cursor) int {
	return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Seq, b.Seq))
}

// Destinations yields a summary of each destination with a recipient that may still change, by their names.
func (m *Memory) Destinations(ctx context.Context) iter.Seq2[queue.Summary, error] {
	return func(yield func(queue.Summary, error) bool) {
		summaries, err := m.summaries(ctx)
		if err != nil {
			yield(queue.Summary{}, err)
			return
		}
		for _, d := range slices.Sorted(maps.Keys(summaries)) {
			if !yield(*summaries[d], nil) {
				return
			}
		}
	}
}

func (m *Memory) summaries(ctx context.Context) (map[mail.Domain]*queue.Summary, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	summaries := map[mail.Domain]*queue.Summary{}
	for _, k := range m.oldestFirst() {
		for _, d := range k.destinations() {
			if !k.open(d) {
				continue
			}
			if summaries[d] == nil {
				summaries[d] = &queue.Summary{Destination: d, Suspended: m.suspended[d], LastReason: m.reasons[d]}
			}
			m.count(summaries[d], k)
		}
	}
	return summaries, nil
}

// open says whether a recipient at destination may still change.
func (k *kept) open(destination mail.Domain) bool {
	for i, s := range k.message.Recipients {
		if k.message.Destination(i) == destination && !s.State.Final() {
			return true
		}
	}
	return false
}

// count adds one message to the summary of one of its destinations.
func (m *Memory) count(s *queue.Summary, k *kept) {
	if s.Oldest.IsZero() || k.message.Received.Before(s.Oldest) {
		s.Oldest = k.message.Received
	}
	w, pending := k.owed(s.Destination)
	switch {
	case !pending:
		s.Held++
	case m.leases[unit{k.message.ID, s.Destination}]:
		s.Leased++
	default:
		s.Waiting++
		if s.Next.IsZero() || w.Due.Before(s.Next) {
			s.Next = w.Due
		}
	}
}
