package spool

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// A row of the suppression list stands under its address. Whoever changes some holds s.suppressing from the reading to the commit.

const (
	// suppressionSweep is how often rows that are forgotten are taken away. A lookup does not count them whether they are there or not.
	suppressionSweep = 24 * time.Hour
	// suppressionBatch is how many rows one commit takes away at most.
	suppressionBatch = 10_000
)

func suppressionKey(a mail.Address) []byte {
	return append([]byte{kindSuppression}, a.String()...)
}

func encodeSuppression(s queue.Suppression) []byte {
	w := &writer{b: append(make([]byte, 0, 128), version)}
	w.address(s.Address)
	w.number(uint64(s.Failures))
	w.number(uint64(s.Needed))
	w.time(s.Since)
	w.time(s.Last)
	w.time(s.Until)
	w.number(uint64(s.Code))
	w.status(s.Status)
	text(w, s.Reason)
	w.number(uint64(s.Message))
	text(w, s.Sender)
	return w.b
}

// parseSuppression reads a row; false: it is none.
func parseSuppression(key, value []byte) (queue.Suppression, bool) {
	if len(key) < 2 || key[0] != kindSuppression {
		return queue.Suppression{}, false
	}
	r := &reader{b: value}
	if r.octet() != version {
		return queue.Suppression{}, false
	}
	s := queue.Suppression{
		Address: r.address(), Failures: r.small(), Needed: r.small(), Since: r.time(), Last: r.time(), Until: r.time(), Code: r.small(), Status: r.status(),
		Reason: r.text(), Message: queue.ID(r.number()), Sender: r.text(),
	}
	return s, r.end() == nil && s.Address.String() == string(key[1:])
}

// Suppression implements queue.Store.
func (s *Store) Suppression(ctx context.Context, a mail.Address) (queue.Suppression, bool, error) {
	if err := s.enter(); err != nil {
		return queue.Suppression{}, false, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return queue.Suppression{}, false, err
	}
	return s.suppression(a)
}

// suppression reads a row. One that cannot be understood is as good as none: Verify names it.
func (s *Store) suppression(a mail.Address) (queue.Suppression, bool, error) {
	key := suppressionKey(a)
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return queue.Suppression{}, false, nil
	}
	if err != nil {
		return queue.Suppression{}, false, fmt.Errorf("the suppression list cannot be read: %w", err)
	}
	known, ok := parseSuppression(key, value)
	return known, ok, closer.Close()
}

// Suppressions implements queue.Store.
func (s *Store) Suppressions(ctx context.Context, behind mail.Address) iter.Seq2[queue.Suppression, error] {
	return func(yield func(queue.Suppression, error) bool) {
		if err := s.enter(); err != nil {
			yield(queue.Suppression{}, err)
			return
		}
		defer s.leave()
		first := []byte{kindSuppression}
		if !behind.IsZero() {
			first = append(suppressionKey(behind), 0)
		}
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: []byte{kindSuppression + 1}})
		if err != nil {
			yield(queue.Suppression{}, err)
			return
		}
		for ok := it.First(); ok; ok = it.Next() {
			if err := ctx.Err(); err != nil {
				yield(queue.Suppression{}, errors.Join(err, it.Close()))
				return
			}
			if one, known := parseSuppression(it.Key(), it.Value()); known && !yield(one, nil) {
				_ = it.Close() // nobody is there to be told
				return
			}
		}
		if err := it.Close(); err != nil {
			yield(queue.Suppression{}, err)
		}
	}
}

// Suppress implements queue.Store.
func (s *Store) Suppress(ctx context.Context, list []queue.Suppression) error {
	return s.changeSuppressions(ctx, func(b *pebble.Batch) ([]journal.Entry, error) {
		var entries []journal.Entry
		for _, one := range list {
			if err := b.Set(suppressionKey(one.Address), encodeSuppression(one), nil); err != nil {
				return nil, err
			}
			entries = append(entries, one.Entry())
		}
		return entries, nil
	})
}

// Unsuppress implements queue.Store.
func (s *Store) Unsuppress(ctx context.Context, list []mail.Address) (int, error) {
	n := 0
	err := s.changeSuppressions(ctx, func(b *pebble.Batch) ([]journal.Entry, error) {
		for i, a := range list {
			there, err := s.has(suppressionKey(a))
			if err != nil {
				return nil, err
			}
			if !there || slices.Contains(list[:i], a) {
				continue
			}
			n++
			if err := b.Delete(suppressionKey(a), nil); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (s *Store) changeSuppressions(ctx context.Context, fill func(b *pebble.Batch) ([]journal.Entry, error)) error {
	if err := s.enterToWrite(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	s.suppressing.Lock()
	defer s.suppressing.Unlock()
	b := s.db.NewBatch()
	entries, err := fill(b)
	if err != nil || b.Empty() {
		return errors.Join(err, b.Close())
	}
	return s.commitWithEntries(b, entries)
}

// suppress adds the failures of a settlement to what is known of their addresses.
func (t *settling) suppress(list []queue.Suppression) error {
	for _, one := range list {
		key := string(suppressionKey(one.Address))
		before, known := t.suppressed[key]
		if !known {
			var err error
			if before, known, err = t.s.suppression(one.Address); err != nil {
				return err
			}
		}
		next := one
		if known {
			next = one.After(before, one.Last)
		}
		if next.Holds(one.Last) && !(known && before.Holds(one.Last)) {
			t.entries = append(t.entries, next.Entry())
		}
		t.suppressed[key] = next
		if err := t.b.Set([]byte(key), encodeSuppression(next), nil); err != nil {
			return err
		}
	}
	return nil
}

// expireSuppressions takes rows away that are forgotten, once a day. What a crash undoes is done again.
func (s *Store) expireSuppressions(now time.Time) error {
	s.suppressing.Lock()
	defer s.suppressing.Unlock()
	if now.Sub(s.suppressionsSwept) < suppressionSweep {
		return nil
	}
	s.suppressionsSwept = now
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindSuppression}, UpperBound: []byte{kindSuppression + 1}})
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if one, known := parseSuppression(it.Key(), it.Value()); !known || one.Known(now) {
			continue
		}
		if err = b.Delete(it.Key(), nil); err == nil && b.Count() >= suppressionBatch {
			err = s.commit(b, pebble.NoSync)
			b = s.db.NewBatch()
		}
	}
	if err = errors.Join(err, it.Close()); err != nil || b.Empty() {
		return errors.Join(err, b.Close())
	}
	return s.commit(b, pebble.NoSync)
}
