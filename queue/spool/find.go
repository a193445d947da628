package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"sternpost/journal"
)

// Journal implements queue.Store.
func (s *Store) Journal() journal.Journal { return pages{s} }

// pages reads the journal.
type pages struct{ s *Store }

// Find implements journal.Journal. Message, MessageID and Recipient are looked up; Host, Code, Sender, Domain and Kind too where Kind
// rules successes out; all else is a reading of the volumes in question.
func (p pages) Find(ctx context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		if err := p.s.enter(); err != nil {
			yield(journal.Entry{}, err)
			return
		}
		defer p.s.leave()
		if err := p.find(ctx, q, yield); err != nil {
			yield(journal.Entry{}, err)
		}
	}
}

// reading is one Find.
type reading struct {
	p        pages
	q        journal.Query
	from, to uint64 // to is exclusive
	left     int    // below 0: no limit
	yield    func(journal.Entry, error) bool
}

func (p pages) find(ctx context.Context, q journal.Query, yield func(journal.Entry, error) bool) error {
	r := &reading{p: p, q: q, from: nanos(q.Since), to: p.s.diary.horizon(), left: -1, yield: yield}
	if !q.Until.IsZero() {
		r.to = min(r.to, nanos(q.Until))
	}
	if !q.Newest {
		r.from = max(r.from, nanos(q.After.Time))
	}
	if q.Limit > 0 {
		r.left = q.Limit
	}
	list, err := p.s.volumes()
	if err != nil {
		return err
	}
	list = r.within(list)
	if q.Newest {
		slices.Reverse(list)
	}
	for _, v := range list {
		if more, err := r.volume(ctx, v); err != nil || !more {
			return err
		}
	}
	return nil
}

// within are the volumes that have entries of the time in question: each ends where the next begins.
func (r *reading) within(list []uint64) []uint64 {
	if r.from >= r.to {
		return nil
	}
	for len(list) > 1 && list[1] <= r.from {
		list = list[1:]
	}
	for len(list) > 0 && list[len(list)-1] >= r.to {
		list = list[:len(list)-1]
	}
	return list
}

// volumes lists the volumes, by a seek for each.
func (s *Store) volumes() ([]uint64, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindJournal}, UpperBound: []byte{kindJournal + 1}})
	if err != nil {
		return nil, err
	}
	var list []uint64
	for ok := it.First(); ok && len(it.Key()) >= volumeLength; ok = it.SeekGE(volumePrefix(list[len(list)-1] + 1)) {
		list = append(list, binary.BigEndian.Uint64(it.Key()[1:]))
	}
	return list, it.Close()
}

// prefix is where the entries of a volume are looked up.
func (r *reading) prefix(volume uint64) []byte {
	q := r.q
	failures := q.Kind != "" && !plain(q.Kind)
	switch {
	case q.Message != "":
		return indexPrefix(volume, byMessage, q.Message)
	case q.MessageID != "":
		return indexPrefix(volume, byMessageID, q.MessageID)
	case q.Recipient != "":
		return indexPrefix(volume, byRecipient, q.Recipient)
	case q.Host != "" && failures:
		return indexPrefix(volume, byHost, q.Host)
	case q.Code != 0 && failures:
		return indexPrefix(volume, byCode, strconv.Itoa(q.Code))
	case q.Sender != "" && failures:
		return indexPrefix(volume, bySender, q.Sender)
	case q.Domain != "" && failures:
		return indexPrefix(volume, byDomain, string(q.Domain))
	case failures:
		return indexPrefix(volume, byKind, string(q.Kind))
	default:
		return entryPrefix(volume)
	}
}

// volume yields what fits in one volume; false: it is enough.
func (r *reading) volume(ctx context.Context, volume uint64) (more bool, err error) {
	prefix := r.prefix(volume)
	bound := func(at uint64) []byte { return append(bytes.Clone(prefix), cursor(at, 0)...) }
	it, err := r.p.s.db.NewIter(&pebble.IterOptions{LowerBound: bound(r.from), UpperBound: bound(r.to)})
	if err != nil {
		return false, err
	}
	first, next := it.First, it.Next
	if r.q.Newest {
		first, next = it.Last, it.Prev
	}
	more = true
	for ok := first(); ok && more && err == nil; ok = next() {
		if err = ctx.Err(); err == nil {
			more, err = r.one(it, len(prefix))
		}
	}
	return more, errors.Join(err, it.Close())
}

// one yields the entry that the iterator stands at, if it fits; false: it is enough. A damaged entry is named in the log and hides no other.
func (r *reading) one(it *pebble.Iterator, prefix int) (bool, error) {
	place := it.Key()[min(prefix, len(it.Key())):]
	if len(place) != cursorLength {
		return true, nil // of a value that is longer
	}
	at, seq := binary.BigEndian.Uint64(place), binary.BigEndian.Uint32(place[8:])
	e, err := r.entry(it, place)
	if errors.Is(err, pebble.ErrNotFound) {
		return true, nil // its volume has just expired
	}
	if beyondRepair(err) {
		r.p.s.log.Error("an entry of the journal is damaged and is left out", zap.Time("entry", moment(at)), zap.Uint32("seq", seq), zap.Error(err))
		return true, nil
	}
	if err != nil {
		return false, err
	}
	e.Cursor = journal.Cursor{Time: moment(at), Seq: seq}
	if !fits(r.q, e) {
		return true, nil
	}
	r.left--
	return r.yield(e, nil) && r.left != 0, nil
}

// entry reads the entry at a place: what the iterator stands at, or what the index there leads to.
func (r *reading) entry(it *pebble.Iterator, place []byte) (journal.Entry, error) {
	if it.Key()[volumeLength] == fieldEntry {
		return decodeEntry(it.Value(), r.q.Brief)
	}
	volume := binary.BigEndian.Uint64(it.Key()[1:])
	value, closer, err := r.p.s.db.Get(append(entryPrefix(volume), place...))
	if err != nil {
		return journal.Entry{}, err
	}
	e, err := decodeEntry(value, r.q.Brief)
	return e, errors.Join(err, closer.Close())
}

// fits says whether all fields of the query fit the entry.
func fits(q journal.Query, e journal.Entry) bool {
	behind := q.Newest || e.Cursor.Time.After(q.After.Time) || e.Cursor.Time.Equal(q.After.Time) && e.Cursor.Seq > q.After.Seq
	return behind && fit(q.Kind, e.Kind) && fit(q.Message, e.Message) && fit(q.Sender, e.Sender) && fit(q.Recipient, e.Recipient) &&
		fit(q.Domain, e.Domain) && fit(q.Host, e.Host) && fit(q.MessageID, e.MessageID) && fit(q.Code, e.Code) && fit(q.Status, e.Status)
}

// fit compares one field; the zero value fits all.
func fit[T comparable](want, have T) bool {
	var zero T
	return want == zero || want == have
}
