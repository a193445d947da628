package spool

import (
	"errors"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/mail"
	"sternpost/queue"
)

// message is what is known of a message while somebody holds a lease of it.
type message struct {
	rows    map[mail.Domain]row // the leases; Store.mu guards it
	claimed bool                // all of it is taken, also rows that are not known yet
	owes    bool                // a report is owed

	// writing is held by who reads the message in, or settles it, to the end of the commit. It guards what follows.
	writing sync.Mutex
	loaded  bool
	stored
	states []queue.RecipientState
	saved  bool // there is a kindStates key
	// content is what the leases read, in memory until the last of them ends; nil: it is read from the disk.
	content held
}

// keep takes memory for the content of a leased message, which is read once so and not for each attempt; nil: there is not enough.
func (s *Store) keep(content []byte) held {
	size := int64(len(content))
	if !s.firsts.takeWithin(size, memoryOfLeases) {
		return nil
	}
	if !s.drafts.take(size) {
		s.firsts.give(size)
		return nil
	}
	own := make(held, size)
	copy(own, content)
	return own
}

// giveBack gives the memory of a content back.
func (s *Store) giveBack(content held) {
	s.firsts.give(int64(cap(content)))
	s.drafts.give(int64(cap(content)))
}

// read reads the message from the disk if that was not done yet. The caller holds writing.
func (s *Store) read(own *message, id queue.ID) error {
	return s.readWith(own, id, func([]byte) {})
}

// readWhole is read that keeps the content too, if it is inline and there is memory for it.
func (s *Store) readWhole(own *message, id queue.ID) error {
	var content held
	err := s.readWith(own, id, func(inline []byte) { content = s.keep(inline) })
	if err != nil {
		s.giveBack(content)
		return err
	}
	if content != nil {
		own.content = content
	}
	return nil
}

func (s *Store) readWith(own *message, id queue.ID, inline func(content []byte)) error {
	if own.loaded {
		return nil
	}
	m, states, saved, err := s.getWith(id, inline)
	if err != nil {
		return err
	}
	own.stored, own.states, own.saved, own.loaded = m, states, saved, true
	s.mu.Lock()
	defer s.mu.Unlock()
	own.owes = !queue.ReportDue(states).IsZero()
	return nil
}

// get reads a message and its states; saved says whether those are on the disk.
func (s *Store) get(id queue.ID) (m stored, states []queue.RecipientState, saved bool, err error) {
	return s.getWith(id, func([]byte) {})
}

// getWith is get that shows the content where it is inline; it belongs to Pebble.
func (s *Store) getWith(id queue.ID, inline func(content []byte)) (m stored, states []queue.RecipientState, saved bool, err error) {
	value, closer, err := s.db.Get(idKey(kindMessage, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return m, nil, false, queue.ErrNotFound
	}
	if err != nil {
		return m, nil, false, err
	}
	m, content, err := decodeMessage(id, value)
	if err == nil && m.file == 0 {
		inline(content)
	}
	if err := errors.Join(err, closer.Close()); err != nil {
		return m, nil, false, err
	}
	states, saved, err = s.statesOf(id, len(m.Envelope.Recipients))
	return m, states, saved, err
}

func (s *Store) statesOf(id queue.ID, recipients int) ([]queue.RecipientState, bool, error) {
	value, closer, err := s.db.Get(idKey(kindStates, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return make([]queue.RecipientState, recipients), false, nil
	}
	if err != nil {
		return nil, false, err
	}
	states, err := decodeStates(value)
	if err == nil && len(states) != recipients {
		err = errDamaged
	}
	return states, true, errors.Join(err, closer.Close())
}

// pending lists the recipients of a destination that wait for their next attempt.
func (m *message) pending(d mail.Domain) []int {
	var list []int
	for i, r := range m.Envelope.Recipients {
		if r.Address.Domain == d && m.states[i].State == queue.Pending {
			list = append(list, i)
		}
	}
	return list
}

// due is when recipient i is tried next.
func (m *message) due(i int) uint64 { return dueOf(m.Submission, m.states[i]) }

// dueOf: a recipient that was never tried is due at the later of acceptance and SendAt.
func dueOf(s queue.Submission, state queue.RecipientState) uint64 {
	if !state.Due.IsZero() {
		return nanos(state.Due)
	}
	return max(nanos(s.SendAt), nanos(s.Received))
}

// owe is the leased work of a row.
func (m *message) owe(s *Store, r row, indices []int) queue.Owed {
	o := queue.Owed{
		Message:     queue.Message{ID: r.id, Submission: m.Submission, Size: m.size, Recipients: slices.Clone(m.states)},
		Destination: r.destination, Indices: indices, Due: moment(r.due),
		Content: m.content,
	}
	if m.content == nil {
		o.Content = kept{s: s, id: r.id, size: m.size, file: m.file, sum: m.sum}
	}
	return o
}

// owed is the work of a message that was just accepted.
func (m *message) owed(s *Store, rows []row) []queue.Owed {
	m.writing.Lock()
	defer m.writing.Unlock()
	list := make([]queue.Owed, 0, len(rows))
	for _, r := range rows {
		list = append(list, m.owe(s, r, m.pending(r.destination)))
	}
	return list
}
