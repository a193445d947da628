package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
)

// diary gives entries their cursors.
type diary struct {
	sync.Mutex
	last uint64 // nanoseconds; no two commits have the same
	// flying are the times of commits under way: what is behind the first of them is not shown yet, so that a follower's cursor passes over nothing.
	flying map[uint64]struct{}
}

// takeOff gives a commit its time.
func (d *diary) takeOff() uint64 {
	d.Lock()
	defer d.Unlock()
	d.last = max(d.last+1, nanos(time.Now()))
	d.flying[d.last] = struct{}{}
	return d.last
}

func (d *diary) land(at uint64) {
	d.Lock()
	defer d.Unlock()
	delete(d.flying, at)
}

// horizon is the time of the first commit under way.
func (d *diary) horizon() uint64 {
	d.Lock()
	defer d.Unlock()
	first := uint64(never)
	for at := range d.flying {
		first = min(first, at)
	}
	return first
}

// The fields of the indexes.
const (
	fieldEntry     = 'e'
	byMessage      = 'm'
	byRecipient    = 'r'
	bySender       = 's'
	byDomain       = 'd'
	byHost         = 'h'
	byMessageID    = 'i'
	byCode         = 'c'
	longestIndexed = 512 // octets of a value; entries are compared in full after
	cursorLength   = 8 + 4
	dayLength      = 1 + 4
	day            = uint64(24 * time.Hour)
)

// commitWithEntries adds entries to b and commits it, synced.
func (s *Store) commitWithEntries(b *pebble.Batch, entries []journal.Entry) error {
	if len(entries) == 0 {
		return s.commit(b, pebble.Sync)
	}
	at := s.diary.takeOff()
	defer s.diary.land(at)
	for i, e := range entries {
		if err := putEntry(b, e, at, uint32(i)); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	return s.commit(b, pebble.Sync)
}

func putEntry(b *pebble.Batch, e journal.Entry, at uint64, seq uint32) error {
	err := b.Set(append(entryPrefix(at), cursor(at, seq)...), encodeEntry(e), nil)
	for field, value := range indexed(e) {
		err = errors.Join(err, b.Set(append(indexPrefix(at, field, value), cursor(at, seq)...), nil, nil))
	}
	return err
}

// indexed yields the indexes of an entry. Successes, which are most of all, have few.
func indexed(e journal.Entry) iter.Seq2[byte, string] {
	return func(yield func(byte, string) bool) {
		put := func(field byte, value string) bool { return value == "" || yield(field, value) }
		if !put(byMessage, e.Message) || !put(byMessageID, e.MessageID) || !put(byRecipient, e.Recipient) || plain(e.Kind) {
			return
		}
		code := ""
		if e.Code != 0 {
			code = strconv.Itoa(e.Code)
		}
		_ = put(bySender, e.Sender) && put(byDomain, string(e.Domain)) && put(byHost, e.Host) && put(byCode, code)
	}
}

// plain says whether entries of a kind have the few indexes.
func plain(k journal.Kind) bool { return k == journal.Accepted || k == journal.Delivered }

func dayPrefix(at uint64) []byte {
	return binary.BigEndian.AppendUint32([]byte{kindJournal}, uint32(at/day))
}

func entryPrefix(at uint64) []byte { return append(dayPrefix(at), fieldEntry) }

// indexPrefix ends in 0 1; a 0 within the value is written as 0 2, so that no value is the beginning of another.
func indexPrefix(at uint64, field byte, value string) []byte {
	value = value[:min(len(value), longestIndexed)]
	key := append(dayPrefix(at), field)
	key = append(key, bytes.ReplaceAll([]byte(value), []byte{0}, []byte{0, 2})...)
	return append(key, 0, 1)
}

func cursor(at uint64, seq uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, at), seq)
}

// lastEntry is the time of the last entry; 0: there is none. Indexes may stand behind the entries of the last day, so the day is asked.
func (s *Store) lastEntry() (uint64, error) {
	last, err := s.lastKey(kindJournal)
	if err != nil || len(last) < dayLength {
		return 0, err
	}
	prefix := append(bytes.Clone(last[:dayLength]), fieldEntry)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return 0, err
	}
	at := uint64(0)
	if it.Last() && len(it.Key()) == len(prefix)+cursorLength {
		at = binary.BigEndian.Uint64(it.Key()[len(prefix):])
	}
	return at, it.Close()
}

// Journal implements queue.Store.
func (s *Store) Journal() journal.Journal { return pages{s} }

// pages reads the journal.
type pages struct{ s *Store }

// Find implements journal.Journal. Message, MessageID and Recipient are looked up; Host, Code, Sender and Domain too where successes are ruled out by Kind or
// Code; all else is a reading of the days in question.
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
	days, err := p.s.days()
	if err != nil {
		return err
	}
	if q.Newest {
		slices.Reverse(days)
	}
	for _, d := range days {
		if d*day+day <= r.from || d*day >= r.to {
			continue
		}
		if more, err := r.day(ctx, d*day); err != nil || !more {
			return err
		}
	}
	return nil
}

// days lists the days that have entries, by a seek for each.
func (s *Store) days() ([]uint64, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindJournal}, UpperBound: []byte{kindJournal + 1}})
	if err != nil {
		return nil, err
	}
	var days []uint64
	for ok := it.First(); ok && len(it.Key()) >= dayLength; ok = it.SeekGE(dayPrefix((days[len(days)-1] + 1) * day)) {
		days = append(days, uint64(binary.BigEndian.Uint32(it.Key()[1:])))
	}
	return days, it.Close()
}

// prefix is where the entries of the day are looked up.
func (r *reading) prefix(at uint64) []byte {
	q := r.q
	failures := q.Kind != "" && !plain(q.Kind)
	switch {
	case q.Message != "":
		return indexPrefix(at, byMessage, q.Message)
	case q.MessageID != "":
		return indexPrefix(at, byMessageID, q.MessageID)
	case q.Recipient != "":
		return indexPrefix(at, byRecipient, q.Recipient)
	case q.Host != "" && failures:
		return indexPrefix(at, byHost, q.Host)
	case q.Code != 0 && failures:
		return indexPrefix(at, byCode, strconv.Itoa(q.Code))
	case q.Sender != "" && failures:
		return indexPrefix(at, bySender, q.Sender)
	case q.Domain != "" && failures:
		return indexPrefix(at, byDomain, string(q.Domain))
	default:
		return entryPrefix(at)
	}
}

// day yields what fits in one day; false: it is enough.
func (r *reading) day(ctx context.Context, at uint64) (more bool, err error) {
	prefix := r.prefix(at)
	end := after(prefix)
	if r.to < at+day {
		end = append(bytes.Clone(prefix), cursor(r.to, 0)...)
	}
	it, err := r.p.s.db.NewIter(&pebble.IterOptions{LowerBound: append(bytes.Clone(prefix), cursor(max(r.from, at), 0)...), UpperBound: end})
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

// one yields the entry that the iterator stands at, if it fits; false: it is enough.
func (r *reading) one(it *pebble.Iterator, prefix int) (bool, error) {
	place := it.Key()[min(prefix, len(it.Key())):]
	if len(place) != cursorLength {
		return true, nil // of a value that is longer
	}
	at, seq := binary.BigEndian.Uint64(place), binary.BigEndian.Uint32(place[8:])
	value := it.Value()
	if it.Key()[dayLength] != fieldEntry {
		found, closer, err := r.p.s.db.Get(append(entryPrefix(at), place...))
		if errors.Is(err, pebble.ErrNotFound) {
			return true, nil // its day has just expired
		}
		if err != nil {
			return false, err
		}
		value = bytes.Clone(found)
		if err := closer.Close(); err != nil {
			return false, err
		}
	}
	e, err := decodeEntry(value)
	if err != nil {
		return false, fmt.Errorf("the entry of the journal at %s: %w", moment(at), err)
	}
	e.Cursor = journal.Cursor{Time: moment(at), Seq: seq}
	if !fits(r.q, e) {
		return true, nil
	}
	r.left--
	return r.yield(e, nil) && r.left != 0, nil
}

// fits says whether all fields of the query fit the entry.
func fits(q journal.Query, e journal.Entry) bool {
	behind := q.Newest || e.Cursor.Time.After(q.After.Time) || e.Cursor.Time.Equal(q.After.Time) && e.Cursor.Seq > q.After.Seq
	return behind && fit(q.Kind, e.Kind) && fit(q.Message, e.Message) && fit(q.Sender, e.Sender) && fit(q.Recipient, e.Recipient) &&
		fit(q.Domain, e.Domain) && fit(q.Host, e.Host) && fit(q.MessageID, e.MessageID) && fit(q.Code, e.Code)
}

// fit compares one field; the zero value fits all.
func fit[T comparable](want, have T) bool {
	var zero T
	return want == zero || want == have
}
