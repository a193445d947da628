package spool

import (
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// accept writes the message and gives it leased. The lease is taken before the write, since what is written is seen before it is synced. The memory of the
// content becomes the lease's if there is room for that, and is given back if not.
func (s *Store) accept(m stored, content []byte, entries []journal.Entry) ([]queue.Owed, error) {
	key, reports := takeKey(&m.Submission), m.Reports
	m.Reports, m.Expanded = nil, nil
	s.mu.Lock()
	id := s.nextID(m)
	rows := firstRows(id, m.Submission)
	own := s.register(id, m, rows)
	if m.file == 0 && s.firsts.takeWithin(int64(cap(content)), memoryOfLeases) {
		own.content = content[:len(content):cap(content)]
	} else {
		defer s.drafts.give(int64(cap(content)))
	}
	unhinted := s.withoutHint(rows)
	s.mu.Unlock()

	b := s.db.NewBatchWithSize(len(content) + 2048)
	last := s.reserve(id)
	if err := errors.Join(putReserved(b, last), s.putMessage(b, id, m, content), key.put(b, id)); err != nil {
		return nil, s.withdraw(rows, err)
	}
	if err := errors.Join(putWaiting(b, rows), putHints(b, unhinted)); err != nil {
		return nil, s.withdraw(rows, err)
	}
	fresh, accepted, err := s.spawnFor(b, id, reports)
	if err != nil {
		return nil, s.withdraw(slices.Concat(rows, fresh), err)
	}
	if err := s.commitWithEntries(b, append(stamp(entries, id), accepted...)); err != nil {
		return nil, err
	}
	if key.key != "" {
		s.keys.note(hourOf(key.received))
	}
	s.mu.Lock()
	s.reserved = max(s.reserved, last)
	s.lower(rows)
	for _, r := range unhinted {
		s.destination(r.destination).hinted = hintTime(r.due)
	}
	s.putBack(fresh)
	s.mu.Unlock()
	return own.owed(s, rows), nil
}

// withoutHint lists the rows that no hint on the disk leads to. The others are leased already, so that nobody takes their hint away. The caller holds mu.
func (s *Store) withoutHint(rows []row) []row {
	var list []row
	for _, r := range rows {
		if s.destination(r.destination).hinted != hintTime(r.due) {
			list = append(list, r)
		}
	}
	return list
}

// stamp names the message in entries that were made before it had an id.
func stamp(entries []journal.Entry, id queue.ID) []journal.Entry {
	list := make([]journal.Entry, len(entries))
	for i, e := range entries {
		if e.Message == "" {
			e.Message = id.String()
		}
		list[i] = e
	}
	return list
}

// withdraw ends leases of what was not written and passes the error on.
func (s *Store) withdraw(rows []row, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		s.release(r)
	}
	return err
}

// nextID names m: by its time of acceptance, and above all ids before. The caller holds mu.
func (s *Store) nextID(m stored) queue.ID {
	id := queue.ID(0)
	if t := m.Received; !t.IsZero() && t.Unix() > 0 {
		id = queue.ID(t.UnixMilli()) << idSpare
	}
	s.lastID = max(s.lastID+1, id)
	return s.lastID
}

// reserve says what is to be written with a new message as the last id that may have been given: see reservedAhead. Zero: what is on the disk does.
func (s *Store) reserve(id queue.ID) queue.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id+reservedAhead/2 <= s.reserved {
		return 0
	}
	return id + reservedAhead
}

// putReserved adds what reserve said.
func putReserved(b *pebble.Batch, last queue.ID) error {
	if last == 0 {
		return nil
	}
	return b.Set([]byte{kindLastID}, idKey(kindLastID, last)[1:], nil)
}

// firstRows are the waiting rows of a new message, one for each destination in the order of the envelope.
func firstRows(id queue.ID, s queue.Submission) []row {
	due := dueOf(s, queue.RecipientState{})
	turn := turnOf(s.Sender)
	deadline := s.Expires
	if !s.Notice.IsZero() {
		deadline = s.Notice
	}
	var rows []row
	for _, d := range destinationsOf(s.Envelope) {
		rows = append(rows, row{destination: d, priority: byte(min(s.Priority, queue.Report)), turn: turn, due: due, id: id, deadline: nanos(deadline)})
	}
	return rows
}

// destinationsOf lists each domain of the recipients once.
func destinationsOf(e mail.Envelope) []mail.Domain {
	if len(e.Recipients) == 1 {
		return []mail.Domain{e.Recipients[0].Address.Domain}
	}
	seen := map[mail.Domain]bool{}
	var list []mail.Domain
	for _, r := range e.Recipients {
		if d := r.Address.Domain; !seen[d] {
			seen[d] = true
			list = append(list, d)
		}
	}
	return list
}

// putMessage adds the message to b, and who owns its file.
func (s *Store) putMessage(b *pebble.Batch, id queue.ID, m stored, content []byte) error {
	header := encodeHeader(m)
	op := b.SetDeferred(messageKeyLength, len(header)+len(content))
	copy(op.Key, idKey(kindMessage, id))
	copy(op.Value[copy(op.Value, header):], content)
	seal(op.Value, id)
	err := op.Finish()
	if err != nil || m.file == 0 {
		return err
	}
	return b.Set(fileKey(m.file), idKey(kindMessage, id)[1:], nil)
}

// putRows adds waiting rows, with their deadlines and the hints that lead to them.
func (s *Store) putRows(b *pebble.Batch, rows []row) error {
	return errors.Join(putWaiting(b, rows), putHints(b, rows))
}

// putWaiting adds waiting rows and their deadlines.
func putWaiting(b *pebble.Batch, rows []row) error {
	for _, r := range rows {
		if err := b.Set(r.key(), r.value(), nil); err != nil {
			return err
		}
		if r.priority == heldRow || r.deadline == 0 {
			continue
		}
		if err := b.Set(r.deadlineKey(), r.middle(false), nil); err != nil {
			return err
		}
	}
	return nil
}

// putHints adds the hints that lead to rows.
func putHints(b *pebble.Batch, rows []row) error {
	for _, r := range rows {
		if r.priority == heldRow {
			continue
		}
		if err := b.Set(r.hint(), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// dropRows takes waiting rows and their deadlines away. Hints stay until a lease finds them stale.
func (s *Store) dropRows(b *pebble.Batch, rows []row) error {
	for _, r := range rows {
		if err := b.SingleDelete(r.key(), nil); err != nil {
			return err
		}
		if r.deadline == 0 || r.priority == heldRow {
			continue
		}
		if err := b.SingleDelete(r.deadlineKey(), nil); err != nil {
			return err
		}
	}
	return nil
}
