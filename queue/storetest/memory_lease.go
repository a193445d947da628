package storetest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// waiting is all work that nobody holds a lease of, by destination.
func (m *Memory) waiting() map[mail.Domain][]queue.Owed {
	work := map[mail.Domain][]queue.Owed{}
	for _, k := range m.oldestFirst() {
		for _, d := range k.destinations() {
			if w, ok := k.owed(d); ok && !m.leases[unit{k.message.ID, d}] {
				work[d] = append(work[d], w)
			}
		}
	}
	return work
}

// earliest is the first due time of work, which is not empty.
func earliest(work []queue.Owed) time.Time {
	return slices.MinFunc(work, byDue).Due
}

func byDue(a, b queue.Owed) int {
	return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
}

// Lease gives work that is due. Room is called while m is locked.
func (m *Memory) Lease(ctx context.Context, w queue.Want) ([]queue.Owed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Lease++
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var leased []queue.Owed
	for _, due := range m.eligible(w) {
		leased = append(leased, m.inTurn(due, min(w.Of(due[0].Destination), w.Most-len(leased)))...)
	}
	for i, o := range leased {
		m.lease(o)
		leased[i].Indices = m.ripe(o, w.Now)
	}
	return leased, nil
}

// ripe are the recipients of o that are due themselves.
func (m *Memory) ripe(o queue.Owed, now time.Time) []int {
	return slices.DeleteFunc(o.Indices, func(i int) bool { return m.messages[o.ID].due(i).After(now) })
}

func (m *Memory) lease(o queue.Owed) {
	m.leases[unit{o.ID, o.Destination}] = true
	m.counts.Leased++
}

// eligible is the work that w may get, a list for each destination, by their next due times.
func (m *Memory) eligible(w queue.Want) [][]queue.Owed {
	var lists [][]queue.Owed
	for d, work := range m.waiting() {
		if m.suspended[d].After(w.Now) || w.Of(d) == 0 {
			continue
		}
		work = slices.DeleteFunc(work, func(o queue.Owed) bool { return o.Due.After(w.Now) })
		if len(work) > 0 {
			lists = append(lists, work)
		}
	}
	slices.SortFunc(lists, func(a, b []queue.Owed) int {
		return cmp.Or(earliest(a).Compare(earliest(b)), cmp.Compare(a[0].Destination, b[0].Destination))
	})
	return lists
}

// inTurn takes at most so much of the work of one destination: by priority, and within one the senders take turns, also over several calls.
func (m *Memory) inTurn(work []queue.Owed, most int) []queue.Owed {
	slices.SortFunc(work, func(a, b queue.Owed) int { return cmp.Or(cmp.Compare(a.Priority, b.Priority), byDue(a, b)) })
	var taken []queue.Owed
	for len(taken) < most && len(work) > 0 {
		t := turn{work[0].Destination, work[0].Priority}
		sender := m.nextSender(t, work)
		i := slices.IndexFunc(work, func(o queue.Owed) bool { return o.Priority == t.priority && o.Sender == sender })
		taken = append(taken, work[i])
		work = slices.Delete(work, i, i+1)
		m.turns[t] = sender
	}
	return taken
}

// nextSender is the one behind the one that was served last, in the order of their names, and after the last the first again.
func (m *Memory) nextSender(t turn, work []queue.Owed) string {
	senders := map[string]bool{}
	for _, o := range work {
		if o.Priority == t.priority {
			senders[o.Sender] = true
		}
	}
	names := slices.Sorted(maps.Keys(senders))
	last, served := m.turns[t]
	if i := slices.IndexFunc(names, func(name string) bool { return served && strings.Compare(name, last) > 0 }); i >= 0 {
		return names[i]
	}
	return names[0]
}

// Next is the earliest time at which Lease has something.
func (m *Memory) Next(ctx context.Context) (time.Time, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Next++
	if err := m.usable(ctx); err != nil {
		return time.Time{}, false, err
	}
	var next time.Time
	found := false
	for d, work := range m.waiting() {
		at := earliest(work)
		if m.suspended[d].After(at) {
			at = m.suspended[d]
		}
		if !found || at.Before(next) {
			next, found = at, true
		}
	}
	return next, found, nil
}

var errNoDestination = errors.New("a suspension needs a destination")

// Suspend keeps the work of a destination from being leased, or lifts all suspensions.
func (m *Memory) Suspend(ctx context.Context, destination mail.Domain, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Suspend++
	if err := m.writable(ctx); err != nil {
		return err
	}
	if destination == "" && !until.IsZero() {
		return errNoDestination
	}
	if err := m.commit(); err != nil {
		return err
	}
	switch {
	case destination == "":
		clear(m.suspended)
	case until.IsZero():
		delete(m.suspended, destination)
	default:
		m.suspended[destination] = until
	}
	return nil
}

// deadline is when Overdue gives the work of a destination.
func (k *kept) deadline(destination mail.Domain) time.Time {
	if at := k.deadlines[destination]; !at.IsZero() {
		return at
	}
	return k.message.Expires
}

// Overdue leases work whose deadline has passed, the earliest deadline first. A message without Expires and without a deadline has none.
func (m *Memory) Overdue(ctx context.Context, now time.Time, most int) ([]queue.Owed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Overdue++
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var work []queue.Owed
	at := func(o queue.Owed) time.Time { return m.messages[o.ID].deadline(o.Destination) }
	for _, list := range m.waiting() {
		for _, o := range list {
			if !at(o).IsZero() && !at(o).After(now) {
				work = append(work, o)
			}
		}
	}
	slices.SortFunc(work, func(a, b queue.Owed) int {
		return cmp.Or(at(a).Compare(at(b)), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Indices[0], b.Indices[0]))
	})
	work = work[:max(0, min(most, len(work)))]
	for _, o := range work {
		m.lease(o)
	}
	return work, nil
}

// Return gives leases back. Work that is not leased is passed over.
func (m *Memory) Return(work []queue.Owed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range work {
		delete(m.leases, unit{o.ID, o.Destination})
	}
}
