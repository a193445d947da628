package spool

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/mail"
	"sternpost/queue"
)

// errNotLeased is the answer to a settlement of work that nobody holds.
var errNotLeased = errors.New("no lease is held of this work")

// register takes leases of rows of a message that is known already. The caller holds mu.
func (s *Store) register(id queue.ID, m stored, rows []row) *message {
	own := &message{rows: map[mail.Domain]row{}, loaded: true, stored: m, states: make([]queue.RecipientState, len(m.Envelope.Recipients))}
	s.messages[id] = own
	for _, r := range rows {
		own.rows[r.destination] = r
		s.destination(r.destination).leases++
	}
	return own
}

// take leases a row that may have been the next of its destination. The caller holds mu.
func (s *Store) take(r row) *message {
	own := s.messages[r.id]
	if own == nil {
		own = &message{rows: map[mail.Domain]row{}}
		s.messages[r.id] = own
	}
	own.rows[r.destination] = r
	d := s.destination(r.destination)
	d.leases++
	d.known = false
	return own
}

// leased says whether somebody holds the row. The caller holds mu.
func (s *Store) leased(r row) bool {
	own := s.messages[r.id]
	if own == nil {
		return false
	}
	return own.claimed || own.holds(r.destination)
}

// release ends a lease. The caller holds mu.
func (s *Store) release(r row) {
	own := s.messages[r.id]
	if own == nil {
		return
	}
	if _, taken := own.rows[r.destination]; !taken {
		return
	}
	delete(own.rows, r.destination)
	s.destination(r.destination).leases--
	if len(own.rows) > 0 {
		return
	}
	delete(s.messages, r.id)
	s.giveBack(own.content)
	if own.owes {
		s.reports.ripe[r.id] = struct{}{}
	}
}

// Return implements queue.Store.
func (s *Store) Return(work []queue.Owed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range work {
		own := s.messages[o.ID]
		if own == nil {
			continue
		}
		if r, taken := own.rows[o.Destination]; taken {
			s.release(r)
			s.ripen([]row{r})
		}
	}
}

// Lease implements queue.Store.
func (s *Store) Lease(ctx context.Context, w queue.Want) ([]queue.Owed, error) {
	if err := s.enterToWrite(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil || w.Most <= 0 {
		return nil, err
	}
	rows, err := s.takeDue(w)
	if err != nil {
		return nil, err
	}
	now := nanos(w.Now)
	return s.load(rows, now, func(due uint64) bool { return due <= now }), nil
}

// takeDue leases rows that are due, destination by destination.
func (s *Store) takeDue(w queue.Want) ([]row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look, err := s.look()
	if err != nil {
		return nil, err
	}
	ripe := look.ripe(w)
	var rows []row
	for _, d := range ripe {
		rows = append(rows, look.takeFrom(d, nanos(w.Now), min(w.Of(d), w.Most-len(rows)))...)
	}
	if err := look.close(); err != nil {
		s.putBack(rows)
		return nil, err
	}
	return rows, nil
}

// putBack ends leases of rows that are there to be leased again. The caller holds mu.
func (s *Store) putBack(rows []row) {
	for _, r := range rows {
		s.release(r)
		s.ripen([]row{r})
	}
}

// Overdue implements queue.Store. It passes over messages that wait for a person only: what is held does not expire.
func (s *Store) Overdue(ctx context.Context, now time.Time, most int) ([]queue.Owed, error) {
	if err := s.enterToWrite(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil || most <= 0 {
		return nil, err
	}
	rows, err := s.takeOverdue(nanos(now), most)
	if err != nil {
		return nil, err
	}
	return s.load(rows, nanos(now), func(uint64) bool { return true }), nil
}

func (s *Store) takeOverdue(now uint64, most int) ([]row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindDeadline}, UpperBound: row{deadline: now + 1}.deadlineKey()})
	if err != nil {
		return nil, err
	}
	var rows []row
	for ok := it.First(); ok && len(rows) < most; ok = it.Next() {
		r, fits := parseDeadline(it.Key(), it.Value())
		if fits {
			s.tryAgain(r.destination, now)
		}
		if fits && !s.leased(r) {
			s.take(r)
			rows = append(rows, r)
		}
	}
	if err := it.Close(); err != nil {
		s.putBack(rows)
		return nil, err
	}
	return rows, nil
}

// load reads the messages of leased rows, and picks the recipients that are due. A row that leads to nothing is mended; what cannot be read for now is
// tried again later. Neither stands in the way of the rest.
func (s *Store) load(rows []row, now uint64, ripe func(due uint64) bool) []queue.Owed {
	var list []queue.Owed
	for _, r := range rows {
		s.mu.Lock()
		own := s.messages[r.id]
		s.mu.Unlock()
		o, err := s.loadOne(own, r, ripe)
		switch {
		case err == nil:
			list = append(list, o)
		case pebble.IsCorruptionError(err):
			s.postpone(r, never, err) // the rebuilding may find it elsewhere, unless it is in quarantine
		case errors.Is(err, errNobodyWaits), errors.Is(err, queue.ErrNotFound), beyondRepair(err):
			s.mend(own, r, err)
		default:
			s.postpone(r, now+readAgain, err)
		}
	}
	return list
}

// errNobodyWaits says that the index is wrong: none of the recipients is due at the destination.
var errNobodyWaits = errors.New("no recipient is due at the destination")

func (s *Store) loadOne(own *message, r row, ripe func(due uint64) bool) (queue.Owed, error) {
	own.writing.Lock()
	defer own.writing.Unlock()
	if err := s.readWhole(own, r.id); err != nil {
		return queue.Owed{}, err
	}
	var indices []int
	for _, i := range own.pending(r.destination) {
		if ripe(own.due(i)) {
			indices = append(indices, i)
		}
	}
	if len(indices) == 0 {
		return queue.Owed{}, errNobodyWaits
	}
	return own.owe(s, r, indices), nil
}
