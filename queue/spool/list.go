package spool

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// page is how many messages are read before they are yielded: no iterator stays open while the caller is busy.
const page = 64

// idsOfPass is how many ids are picked from the rows of a destination at once: half a megabyte of them.
const idsOfPass = 64 << 10

// Content implements queue.Store.
func (s *Store) Content(ctx context.Context, id queue.ID) (mail.Content, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m, _, _, err := s.get(id)
	if err != nil {
		return nil, err
	}
	return kept{s: s, id: id, size: m.size, file: m.file, sum: m.sum}, nil
}

// Messages implements queue.Store. What cannot be read is named in the log and left out.
func (s *Store) Messages(ctx context.Context, q queue.Query) iter.Seq2[queue.Message, error] {
	return func(yield func(queue.Message, error) bool) {
		if err := s.enter(); err != nil {
			yield(queue.Message{}, err)
			return
		}
		defer s.leave()
		if err := s.list(ctx, q, yield); err != nil {
			yield(queue.Message{}, err)
		}
	}
}

func (s *Store) list(ctx context.Context, q queue.Query, yield func(queue.Message, error) bool) error {
	left := q.Limit
	for id, err := range s.candidates(q) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		m, err := s.readable(id)
		if err != nil && id == q.ID && beyondRepair(err) {
			return err // of others there is only a line in the log
		}
		if err != nil || !selects(q, m) {
			continue
		}
		if !yield(m, nil) {
			return nil
		}
		if left--; left == 0 {
			return nil
		}
	}
	return nil
}

func (s *Store) readable(id queue.ID) (queue.Message, error) {
	m, states, _, err := s.get(id)
	if errors.Is(err, queue.ErrNotFound) {
		return queue.Message{}, cmp.Or(s.quarantined(id), err)
	}
	if err != nil {
		s.log.Error("a message of the queue cannot be read", zap.Stringer("id", id), zap.Error(err))
		return queue.Message{}, err
	}
	return queue.Message{ID: id, Submission: m.Submission, Size: m.size, Recipients: states}, nil
}

// candidates yields the ids that a query may mean, oldest first.
func (s *Store) candidates(q queue.Query) iter.Seq2[queue.ID, error] {
	switch {
	case q.ID != 0:
		return func(yield func(queue.ID, error) bool) { yield(q.ID, nil) }
	case q.Destination != "":
		return s.waitingFor(q.Destination, idsOfPass)
	default:
		return s.all
	}
}

// all yields the ids of all messages.
func (s *Store) all(yield func(queue.ID, error) bool) {
	from := queue.ID(0)
	for {
		ids, err := s.pageOf(from)
		if err != nil {
			yield(0, err)
			return
		}
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
		if len(ids) < page {
			return
		}
		from = ids[len(ids)-1] + 1
	}
}

func (s *Store) pageOf(from queue.ID) ([]queue.ID, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: idKey(kindMessage, from), UpperBound: []byte{kindMessage + 1}})
	if err != nil {
		return nil, err
	}
	var ids []queue.ID
	for ok := it.First(); ok && len(ids) < page; ok = it.Next() {
		if len(it.Key()) == messageKeyLength {
			ids = append(ids, messageID(it.Key()))
		}
	}
	return ids, it.Close()
}

// waitingFor yields the ids of the messages that wait for a destination, oldest first. Its rows stand in another order: each pass over them picks the next
// ids, so that many of them need little memory.
func (s *Store) waitingFor(d mail.Domain, each int) iter.Seq2[queue.ID, error] {
	return func(yield func(queue.ID, error) bool) {
		for from := queue.ID(0); ; {
			ids, err := s.lowest(d, from, each)
			if err != nil {
				yield(0, err)
				return
			}
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			if len(ids) < each {
				return
			}
			from = ids[len(ids)-1] + 1
		}
	}
}

// lowest are the lowest ids from one on that wait for a destination, in order, at most so many.
func (s *Store) lowest(d mail.Domain, from queue.ID, most int) ([]queue.ID, error) {
	var ids []queue.ID
	last := queue.ID(never)
	cut := func() {
		slices.Sort(ids)
		if ids = slices.Compact(ids); len(ids) > most {
			ids = ids[:most]
			last = ids[most-1]
		}
	}
	err := s.rowsOf(d, func(r row) {
		if r.id < from || r.id > last {
			return
		}
		if ids = append(ids, r.id); len(ids) >= 2*most {
			cut()
		}
	})
	cut()
	return ids, err
}

func (s *Store) rowsOf(d mail.Domain, each func(row)) error {
	prefix := waitingPrefix(d)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if r, fits := parseRow(it.Key(), it.Value()); fits {
			each(r)
		}
	}
	return it.Close()
}

// selects says whether all fields of the query fit the message.
func selects(q queue.Query, m queue.Message) bool {
	if q.Sender != "" && q.Sender != m.Sender && q.Sender != m.Envelope.From.String() {
		return false
	}
	if !q.ReceivedBefore.IsZero() && !m.Received.Before(q.ReceivedBefore) {
		return false
	}
	for i := range m.Recipients {
		if q.Means(m, i) {
			return true
		}
	}
	return false
}

// Destinations implements queue.Store. It counts the waiting rows, which are small keys: nothing is kept for it while mail goes through.
func (s *Store) Destinations(ctx context.Context) iter.Seq2[queue.Summary, error] {
	return func(yield func(queue.Summary, error) bool) {
		if err := s.enter(); err != nil {
			yield(queue.Summary{}, err)
			return
		}
		defer s.leave()
		name, ok, err := s.nextDestination(nil)
		for ; ok && err == nil; name, ok, err = s.nextDestination(after(waitingPrefix(name))) {
			if err = ctx.Err(); err != nil {
				break
			}
			summary, failure := s.summary(name)
			if err = failure; err != nil || !yield(summary, nil) {
				break
			}
		}
		if err != nil {
			yield(queue.Summary{}, err)
		}
	}
}

// nextDestination is the first with a waiting row at or behind a key.
func (s *Store) nextDestination(from []byte) (mail.Domain, bool, error) {
	if from == nil {
		from = []byte{kindWaiting}
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{kindWaiting + 1}})
	if err != nil {
		return "", false, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if r, fits := parseRow(it.Key(), it.Value()); fits {
			return r.destination, true, it.Close()
		}
	}
	return "", false, it.Close()
}

func (s *Store) summary(name mail.Domain) (queue.Summary, error) {
	sum := queue.Summary{Destination: name}
	oldest := row{id: never}
	next := uint64(never)
	err := s.rowsOf(name, func(r row) {
		if r.id < oldest.id {
			oldest = r
		}
		s.mu.Lock()
		leased := s.leased(r)
		s.mu.Unlock()
		switch {
		case leased:
			sum.Leased++
		case r.priority == heldRow:
			sum.Held++
		default:
			sum.Waiting++
			next = min(next, r.due)
		}
	})
	until, failure := s.suspended(name)
	if err := errors.Join(err, failure); err != nil {
		return sum, err
	}
	sum.Suspended = moment(until)
	if next != never {
		sum.Next = moment(next)
	}
	if m, err := s.readable(oldest.id); err == nil {
		sum.Oldest = m.Received
	}
	sum.LastReason, err = s.reason(name)
	return sum, err
}

func (s *Store) reason(name mail.Domain) (string, error) {
	value, closer, err := s.db.Get(destinationKey(aboutReason, name))
	if errors.Is(err, pebble.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return string(value), closer.Close()
}
