package storetest

import (
	"context"
	"iter"
	"slices"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// Content opens the content of a message.
func (m *Memory) Content(ctx context.Context, id queue.ID) (mail.Content, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	k, ok := m.messages[id]
	if !ok {
		return nil, queue.ErrNotFound
	}
	return k.content, nil
}

// Messages yields the messages of a query as they were when it began.
func (m *Memory) Messages(ctx context.Context, q queue.Query) iter.Seq2[queue.Message, error] {
	return func(yield func(queue.Message, error) bool) {
		found, err := m.find(ctx, q)
		if err != nil {
			yield(queue.Message{}, err)
			return
		}
		for _, message := range found {
			if !yield(message, nil) {
				return
			}
		}
	}
}

func (m *Memory) find(ctx context.Context, q queue.Query) ([]queue.Message, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return nil, err
	}
	var found []queue.Message
	for _, k := range m.oldestFirst() {
		if fits(q, k.message) {
			found = append(found, k.snapshot())
		}
		if q.Limit > 0 && len(found) == q.Limit {
			break
		}
	}
	return found, nil
}

// fits says whether a message is one of a query.
func fits(q queue.Query, message queue.Message) bool {
	return (q.ID == 0 || q.ID == message.ID) &&
		(q.Sender == "" || q.Sender == message.Sender || q.Sender == message.Envelope.From.String()) &&
		(q.ReceivedBefore.IsZero() || message.Received.Before(q.ReceivedBefore)) &&
		slices.ContainsFunc(message.Recipients, func(s queue.RecipientState) bool { return !q.Held || s.State == queue.Held }) &&
		reachesAny(q, message)
}

func reachesAny(q queue.Query, message queue.Message) bool {
	for i := range message.Recipients {
		if reaches(q, message, i) {
			return true
		}
	}
	return false
}

// reaches says whether a recipient of a message that fits is one that is meant.
func reaches(q queue.Query, m queue.Message, i int) bool {
	r := m.Envelope.Recipients[i]
	return (q.Recipient == "" || q.Recipient == r.Address.String()) && (q.Destination == "" || q.Destination == r.Address.Domain) &&
		(!q.Held || m.Recipients[i].State == queue.Held)
}

// Change does what a person asked.
func (m *Memory) Change(ctx context.Context, q queue.Query, a queue.Action, now time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Change++
	if err := m.writable(ctx); err != nil {
		return 0, err
	}
	if err := m.commit(); err != nil {
		return 0, err
	}
	changed, messages := 0, 0
	for _, k := range m.oldestFirst() {
		if !fits(q, k.message) || m.underWay(k) || m.leases[unit{k.message.ID, queue.ReportWork}] || q.Limit > 0 && messages == q.Limit {
			continue
		}
		messages++
		changed += m.change(k, q, a, now)
	}
	return changed, nil
}

// underWay says whether anybody holds a lease of a destination of k.
func (m *Memory) underWay(k *kept) bool {
	return slices.ContainsFunc(k.destinations(), func(d mail.Domain) bool { return m.leases[unit{k.message.ID, d}] })
}

func (m *Memory) change(k *kept, q queue.Query, a queue.Action, now time.Time) int {
	changed := 0
	for i, r := range k.message.Envelope.Recipients {
		state, ok := changedState(k.message.Recipients[i], a, now)
		if !ok || !reaches(q, k.message, i) {
			continue
		}
		k.message.Recipients[i] = state
		changed++
		kind := journal.Changed
		if a == queue.Remove {
			kind = journal.Removed
		}
		m.write([]journal.Entry{{
			Kind: kind, Message: k.message.ID.String(), Sender: k.message.Envelope.From.String(), Recipient: r.Address.String(),
			Domain: r.Address.Domain, MessageID: k.message.MessageID, Reason: string(a),
		}})
	}
	m.settled(k)
	return changed
}

// changedState is what an action makes of a recipient; false: nothing.
func changedState(s queue.RecipientState, a queue.Action, now time.Time) (queue.RecipientState, bool) {
	from := s.State
	switch a {
	case queue.Retry:
		s.Due = now
		return s, from == queue.Pending
	case queue.Hold:
		s.State = queue.Held
		return s, from == queue.Pending
	case queue.Release:
		s.State, s.Due = queue.Pending, now
		return s, from == queue.Held
	case queue.Remove:
		s.State = queue.Removed
		return s, !from.Final()
	}
	return s, false
}

// Journal is m itself.
func (m *Memory) Journal() journal.Journal { return m }

// Find yields the entries of a query as they were when it began.
func (m *Memory) Find(ctx context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		m.mu.Lock()
		err := m.usable(ctx)
		entries := slices.Clone(m.entries)
		m.mu.Unlock()
		if err != nil {
			yield(journal.Entry{}, err)
			return
		}
		for _, e := range selectEntries(q, entries) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func selectEntries(q journal.Query, entries []journal.Entry) []journal.Entry {
	entries = slices.DeleteFunc(entries, func(e journal.Entry) bool { return !tells(q, e) })
	if q.Newest {
		slices.Reverse(entries)
	} else {
		entries = slices.DeleteFunc(entries, func(e journal.Entry) bool { return compareCursors(e.Cursor, q.After) <= 0 })
	}
	if q.Limit > 0 {
		entries = entries[:min(q.Limit, len(entries))]
	}
	for i := range entries {
		if q.Brief {
			entries[i].Attempt = nil
		}
	}
	return entries
}

// tells says whether e is an entry of q, but for its place.
func tells(q journal.Query, e journal.Entry) bool {
	same := func(asked, is string) bool { return asked == "" || asked == is }
	return same(string(q.Kind), string(e.Kind)) && same(q.Message, e.Message) && same(q.Sender, e.Sender) &&
		same(q.Recipient, e.Recipient) && same(string(q.Domain), string(e.Domain)) && same(q.Host, e.Host) &&
		same(q.MessageID, e.MessageID) && (q.Code == 0 || q.Code == e.Code) && (q.Status.IsZero() || q.Status == e.Status) && during(q, e.Cursor.Time)
}

func during(q journal.Query, at time.Time) bool {
	return (q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until))
}
