package storetest

import (
	"context"

	"sternpost/mail"
	"sternpost/queue"
)

// Claim leases the work of a query that nobody holds, due or not, held or not.
func (m *Memory) Claim(ctx context.Context, q queue.Query, most int) ([]queue.Owed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var claimed []queue.Owed
	for _, k := range m.oldestFirst() {
		if !fits(q, k.message) {
			continue
		}
		for _, d := range k.destinations() {
			if w := k.claim(q, d); len(w.Indices) > 0 && !m.leases[unit{w.ID, d}] && len(claimed) < most {
				m.lease(w)
				claimed = append(claimed, w)
			}
		}
	}
	return claimed, nil
}

// claim is the work for one destination as a person takes it: pending and held recipients that the query reaches.
func (k *kept) claim(q queue.Query, destination mail.Domain) queue.Owed {
	w := queue.Owed{Message: k.snapshot(), Destination: destination, Content: k.content}
	for i, s := range k.message.Recipients {
		if k.message.Destination(i) == destination && !s.State.Final() && reaches(q, k.message, i) {
			w.Indices = append(w.Indices, i)
		}
	}
	return w
}
