package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// readAgain is how long a message waits that could not be read because of trouble that may pass.
const readAgain = uint64(time.Minute)

// postponed is a leased row whose message could not be read.
type postponed struct {
	row
	until uint64 // the lease ends then
}

// postpone keeps the lease of a row until a time; never: until the next start.
func (s *Store) postpone(r row, until uint64, trouble error) {
	what := "a message of the queue cannot be read; it is read again in a minute"
	if until == never {
		what = "a message of the queue stands in a damaged place; it waits for the next start, which rebuilds the queue"
	}
	s.log.Error(what, zap.Stringer("id", r.id), zap.Error(trouble))
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.destination(r.destination)
	d.later = append(d.later, postponed{r, until})
	d.known = false
}

// tryAgain ends leases that were postponed for long enough. The caller holds mu.
func (s *Store) tryAgain(name mail.Domain, now uint64) {
	d := s.destinations[name]
	if d == nil || len(d.later) == 0 {
		return
	}
	var left []postponed
	for _, p := range d.later {
		if p.until > now {
			left = append(left, p)
			continue
		}
		s.release(p.row)
		s.lower([]row{p.row})
		d.known = false
	}
	d.later = left
}

// beyondRepair says whether reading again will come to the same.
func beyondRepair(err error) bool {
	return errors.Is(err, errDamaged) || errors.Is(err, queue.ErrDamaged) || pebble.IsCorruptionError(err)
}

// mend puts the index right where a leased row leads to no work, and ends the lease.
func (s *Store) mend(own *message, r row, trouble error) {
	own.writing.Lock()
	defer own.writing.Unlock()
	b := s.db.NewBatch()
	fresh, entries, err := s.remedy(b, own, r, trouble)
	switch {
	case err != nil:
		err = errors.Join(err, b.Close())
	case len(entries) > 0:
		err = s.commitWithEntries(b, entries)
	default:
		err = s.commit(b, pebble.NoSync) // what a crash undoes is done again
	}
	if err != nil {
		s.log.Error("the index of the queue cannot be mended", zap.Stringer("id", r.id), zap.Error(err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(r)
	s.ripen(fresh)
}

// remedy adds to b what helps against the trouble with a row: it goes, or it moves to where its message says, or a damaged message goes out of the way.
func (s *Store) remedy(b *pebble.Batch, own *message, r row, trouble error) (fresh []row, entries []journal.Entry, err error) {
	err = erase(b, r)
	lost := s.quarantined(r.id)
	if lost != nil && !beyondRepair(lost) {
		return nil, nil, lost // whether it is there cannot be said
	}
	if lost == nil && beyondRepair(trouble) {
		lost = trouble
		err = errors.Join(err, s.quarantine(b, r.id, trouble))
	}
	about := []zap.Field{zap.Stringer("id", r.id), zap.String("domain", string(r.destination))}
	switch {
	case lost != nil:
		return nil, s.obituary(r, lost), err
	case errors.Is(trouble, queue.ErrNotFound):
		s.log.Warn("an entry of the index leads to no message and is removed", about...)
		return nil, nil, err
	}
	s.log.Warn("an entry of the index is not where its message says and is put right", about...)
	c := &change{own: own, states: own.states}
	right := row{destination: r.destination, turn: turnOf(own.Sender), id: r.id, deadline: r.deadline}
	if c.place(&right) {
		fresh = []row{right}
		err = errors.Join(err, erase(b, right), s.putRows(b, fresh)) // it may be there already
	}
	return fresh, nil, err
}

// erase deletes a row and its deadline, whether they are there or not and however often they were written.
func erase(b *pebble.Batch, r row) error {
	err := b.Delete(r.key(), nil)
	if r.deadline == 0 {
		return err
	}
	return errors.Join(err, b.Delete(r.deadlineKey(), nil))
}

// quarantine moves what is left of a damaged message to where nothing leads: it is not tried again, and a person decides.
func (s *Store) quarantine(b *pebble.Batch, id queue.ID, trouble error) error {
	w := &writer{b: []byte{version}}
	text(w, trouble.Error())
	for _, kind := range []byte{kindMessage, kindStates} {
		text(w, s.rest(idKey(kind, id)))
	}
	return errors.Join(b.Set(idKey(kindQuarantine, id), w.b, nil), b.Delete(idKey(kindMessage, id), nil), b.Delete(idKey(kindStates, id), nil))
}

// rest is what can be read of a value; nil: nothing.
func (s *Store) rest(key []byte) []byte {
	value, closer, err := s.db.Get(key)
	if err != nil {
		return nil
	}
	defer closer.Close()
	return bytes.Clone(value)
}

// quarantined is what is wrong with a message that is in quarantine; nil: it is not.
func (s *Store) quarantined(id queue.ID) error {
	value, closer, err := s.db.Get(idKey(kindQuarantine, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r := &reader{b: value}
	r.octet()
	return errors.Join(fmt.Errorf("message %s was set aside (its value %s): %w", id, r.text(), queue.ErrDamaged), closer.Close())
}

// obituary says in the log and for the journal that a destination does not get a damaged message.
func (s *Store) obituary(r row, trouble error) []journal.Entry {
	accepted := s.acceptance(r.id)
	s.log.Error("a message of the queue is damaged and was set aside: it is not delivered; `queue remove` with its id takes it out", zap.Stringer("id", r.id),
		zap.String("from", accepted.Sender), zap.String("domain", string(r.destination)), zap.Error(trouble))
	return []journal.Entry{{
		Kind: journal.Lost, Message: r.id.String(), Sender: accepted.Sender, Domain: r.destination, MessageID: accepted.MessageID,
		Scope: mail.ScopeLocal, Reason: "the message is damaged on our disk and was set aside",
	}}
}

// acceptance is the entry of the journal about the acceptance of a message, or an empty one.
func (s *Store) acceptance(id queue.ID) journal.Entry {
	for e, err := range s.Journal().Find(context.Background(), journal.Query{Message: id.String(), Kind: journal.Accepted, Limit: 1}) {
		if err == nil {
			return e
		}
	}
	return journal.Entry{}
}

// removeDamaged removes a damaged message, in quarantine or not yet, and its files; 0: there is none that nobody holds.
func (s *Store) removeDamaged(ctx context.Context, id queue.ID) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	if s.messages[id] != nil {
		s.mu.Unlock()
		return 0, nil
	}
	s.messages[id] = &message{claimed: true}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.messages, id)
	}()
	_, _, _, err := s.get(id)
	if errors.Is(err, queue.ErrNotFound) {
		err = s.quarantined(id)
	}
	if !beyondRepair(err) {
		return 0, nil
	}
	files, err := s.filesOf(id)
	if err != nil {
		return 0, err
	}
	b := s.db.NewBatch()
	for _, kind := range []byte{kindQuarantine, kindMessage, kindStates} {
		err = errors.Join(err, b.Delete(idKey(kind, id), nil))
	}
	for _, number := range files {
		err = errors.Join(err, b.Delete(fileKey(number), nil))
	}
	if err != nil {
		return 0, errors.Join(err, b.Close())
	}
	accepted := s.acceptance(id)
	entry := journal.Entry{Kind: journal.Removed, Message: id.String(), Sender: accepted.Sender, MessageID: accepted.MessageID, Reason: string(queue.Remove)}
	if err := s.commitWithEntries(b, []journal.Entry{entry}); err != nil {
		return 0, err
	}
	for _, number := range files {
		s.removeContent(number)
	}
	return 1, nil
}

// filesOf finds the files of a message whose own word for it cannot be read. There are few: only large messages have one.
func (s *Store) filesOf(id queue.ID) ([]uint64, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindFile}, UpperBound: []byte{kindFile + 1}})
	if err != nil {
		return nil, err
	}
	var files []uint64
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Key()) == fileKeyLength && bytes.Equal(it.Value(), idKey(kindMessage, id)[1:]) {
			files = append(files, fileNumber(it.Key()))
		}
	}
	return files, it.Close()
}
