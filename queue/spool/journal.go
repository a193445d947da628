package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"strconv"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
)

// The journal is written in volumes: one for each day at least, and a new one when the last has grown to a part of what the journal may hold. All keys of a
// volume, entries and indexes, stand together, so the oldest go with one deletion of a range however much they hold.

// diary gives entries their cursors and volumes.
type diary struct {
	sync.Mutex
	last uint64 // nanoseconds; no two commits have the same
	// flying are the times of commits under way: what is behind the first of them is not shown yet, so that a follower's cursor passes over nothing.
	flying map[uint64]struct{}
	volume uint64 // the last one, by the time of its first commit; 0: the next commit begins one
	// written counts the octets that this process has written, by volume.
	written map[uint64]uint64
}

// flight is a commit of entries.
type flight struct {
	at, volume uint64
	begins     bool // it is the first of its volume
}

// takeOff gives a commit its time and its volume, which holds most octets at most, or one day.
func (d *diary) takeOff(most uint64) flight {
	d.Lock()
	defer d.Unlock()
	d.last = max(d.last+1, nanos(time.Now()))
	d.flying[d.last] = struct{}{}
	begins := d.volume == 0 || d.last/day != d.volume/day || d.written[d.volume] >= most
	if begins {
		d.volume = d.last
	}
	return flight{at: d.last, volume: d.volume, begins: begins}
}

// count notes how much a commit adds to its volume.
func (d *diary) count(f flight, octets int) {
	d.Lock()
	defer d.Unlock()
	if d.written == nil {
		d.written = map[uint64]uint64{}
	}
	d.written[f.volume] += uint64(octets)
}

func (d *diary) land(f flight) {
	d.Lock()
	defer d.Unlock()
	delete(d.flying, f.at)
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
	byKind         = 'k'
	longestIndexed = 512 // octets of a value; entries are compared in full after
	cursorLength   = 8 + 4
	volumeLength   = 1 + 8
	day            = uint64(24 * time.Hour)
)

// commitWithEntries adds entries to b and commits it, synced.
func (s *Store) commitWithEntries(b *pebble.Batch, entries []journal.Entry) error {
	if len(entries) == 0 {
		return s.commit(b, pebble.Sync)
	}
	f := s.diary.takeOff(s.journalBound() / shares)
	defer s.diary.land(f)
	before := b.Len()
	for i, e := range entries {
		if err := putEntry(b, e, f, uint32(i)); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	s.diary.count(f, b.Len()-before)
	if err := s.commit(b, pebble.Sync); err != nil {
		return err
	}
	if f.begins {
		s.trim()
	}
	return nil
}

func putEntry(b *pebble.Batch, e journal.Entry, f flight, seq uint32) error {
	place := cursor(f.at, seq)
	err := b.Set(append(entryPrefix(f.volume), place...), encodeEntry(e), nil)
	for field, value := range indexed(e) {
		err = errors.Join(err, b.Set(append(indexPrefix(f.volume, field, value), place...), nil, nil))
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
		_ = put(bySender, e.Sender) && put(byDomain, string(e.Domain)) && put(byHost, e.Host) && put(byCode, code) && put(byKind, string(e.Kind))
	}
}

// plain says whether entries of a kind have the few indexes.
func plain(k journal.Kind) bool { return k == journal.Accepted || k == journal.Delivered }

func volumePrefix(volume uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kindJournal}, volume)
}

func entryPrefix(volume uint64) []byte { return append(volumePrefix(volume), fieldEntry) }

// indexPrefix ends in 0 1; a 0 within the value is written as 0 2, so that no value is the beginning of another.
func indexPrefix(volume uint64, field byte, value string) []byte {
	value = value[:min(len(value), longestIndexed)]
	key := append(volumePrefix(volume), field)
	key = append(key, bytes.ReplaceAll([]byte(value), []byte{0}, []byte{0, 2})...)
	return append(key, 0, 1)
}

func cursor(at uint64, seq uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, at), seq)
}

// lastEntry is the time of the last entry; 0: there is none. Indexes may stand behind the entries of the last volume, so the volume is asked.
func (s *Store) lastEntry() (uint64, error) {
	last, err := s.lastKey(kindJournal)
	if err != nil || len(last) < volumeLength {
		return 0, err
	}
	prefix := append(bytes.Clone(last[:volumeLength]), fieldEntry)
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
