package spool

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// Claim implements queue.Store.
func (s *Store) Claim(ctx context.Context, q queue.Query, most int) ([]queue.Owed, error) {
	if err := s.enterToWrite(); err != nil {
		return nil, err
	}
	defer s.leave()
	var work []queue.Owed
	for m, err := range s.Messages(ctx, q) {
		if err != nil {
			s.Return(work)
			return nil, err
		}
		for _, d := range destinationsOf(m.Envelope) {
			if len(work) >= most {
				return work, nil
			}
			if o, ok := s.claimWork(m.ID, d, q); ok {
				work = append(work, o)
			}
		}
	}
	return work, nil
}

// claimWork leases what waits for one destination, due or not. The lease is taken before it is known whether there is something, so that nobody changes
// it meanwhile.
func (s *Store) claimWork(id queue.ID, d mail.Domain, q queue.Query) (queue.Owed, bool) {
	r := row{id: id, destination: d}
	s.mu.Lock()
	if s.leased(r) {
		s.mu.Unlock()
		return queue.Owed{}, false
	}
	own := s.take(r)
	s.mu.Unlock()

	own.writing.Lock()
	defer own.writing.Unlock()
	o, r, err := s.workOf(own, r, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || len(o.Indices) == 0 {
		s.complain(id, err)
		s.release(r)
		s.ripen([]row{r})
		return queue.Owed{}, false
	}
	own.rows[d] = r
	return o, true
}

func (s *Store) complain(id queue.ID, err error) {
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		s.log.Error("a message of the queue cannot be read", zap.Stringer("id", id), zap.Error(err))
	}
}

// workOf completes a row that was taken by its name.
func (s *Store) workOf(own *message, r row, q queue.Query) (queue.Owed, row, error) {
	if err := s.read(own, r.id); err != nil {
		return queue.Owed{}, r, err
	}
	c := &change{own: own, states: own.states}
	if !c.place(&r) {
		return queue.Owed{}, r, nil
	}
	r.turn = turnOf(own.Sender)
	var err error
	if r.deadline, err = s.deadlineOf(r); err != nil {
		return queue.Owed{}, r, err
	}
	var indices []int
	for i, recipient := range own.Envelope.Recipients {
		if recipient.Address.Domain == r.destination && !own.states[i].State.Final() && q.Means(queue.Message{Submission: own.Submission, Recipients: own.states}, i) {
			indices = append(indices, i)
		}
	}
	return own.owe(s, r, indices), r, nil
}

// deadlineOf reads the deadline of a waiting row; 0: it has none.
func (s *Store) deadlineOf(r row) (uint64, error) {
	value, closer, err := s.db.Get(r.key())
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	deadline := uint64(0)
	if len(value) == 8 {
		deadline = binary.BigEndian.Uint64(value)
	}
	return deadline, closer.Close()
}
