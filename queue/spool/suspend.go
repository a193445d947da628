package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/mail"
)

// suspended reads until when a destination is suspended.
func (s *Store) suspended(d mail.Domain) (uint64, error) {
	value, closer, err := s.db.Get(destinationKey(aboutSuspension, d))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	until := uint64(0)
	if len(value) == 8 {
		until = binary.BigEndian.Uint64(value)
	}
	return until, closer.Close()
}

var errNoDestination = errors.New("a suspension needs a destination")

// Suspend implements queue.Store. It writes one key and a hint. mu is held through the commit, which waits for no sync, so that nobody puts a hint right by
// what was true before.
func (s *Store) Suspend(ctx context.Context, name mail.Domain, until time.Time) error {
	if err := s.enterToWrite(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	at := nanos(until)
	if name == "" && at > 0 {
		return errNoDestination
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.db.NewBatch()
	var err error
	switch {
	case name == "":
		err = s.liftAll(b)
	case at == 0:
		err = s.lift(b, name)
	default:
		s.destination(name).known = false
		err = errors.Join(b.Set(destinationKey(aboutSuspension, name), binary.BigEndian.AppendUint64(nil, at), nil), b.Set(hintKey(at, name), nil, nil))
		s.floor = min(s.floor, at)
		s.reports.look = true
	}
	if err != nil || b.Empty() {
		return errors.Join(err, b.Close())
	}
	return s.commit(b, pebble.NoSync)
}

// lift adds the end of a suspension to b; the hint is at the first row. The caller holds mu.
func (s *Store) lift(b *pebble.Batch, name mail.Domain) error {
	look, err := s.look()
	if err != nil {
		return err
	}
	at := look.earliest(name)
	if err := look.close(); err != nil {
		return err
	}
	s.destination(name).known = false
	if at != never {
		s.floor = min(s.floor, at)
		err = b.Set(hintKey(at, name), nil, nil)
	}
	return errors.Join(err, b.Delete(destinationKey(aboutSuspension, name), nil))
}

// liftAll adds the end of all suspensions to b, those of destinations that nobody remembers too. The hints are as early as can be; whoever finds them
// puts them right. The caller holds mu.
func (s *Store) liftAll(b *pebble.Batch) error {
	prefix := destinationKey(aboutSuspension, "")
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = b.Set(hintKey(0, mail.Domain(it.Key()[len(prefix):])), nil, nil)
	}
	if err := errors.Join(err, it.Close()); err != nil || b.Empty() {
		return err
	}
	for _, d := range s.destinations {
		d.known = false
	}
	s.floor = 0
	return b.DeleteRange(prefix, after(prefix), nil)
}
