package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/queue"
)

// What is found in damaged files comes in no order: a tombstone before or behind what it deletes, an older state behind a newer one. So it is written down as evidence under the id of
// its message, and judged when all is there. Messages, which are never changed, go to their place at once. Nothing here is held in memory but the batch.
//
//	z <id> a                                          the journal says that it was accepted
//	z <id> d                                          its tombstone
//	z <id> e <time><seq>                              the journal says how a recipient ended
//	z <id> f <number>                                 its content file
//	z <id> l                                          it is missing
//	z <id> n                                          octets that are damaged say that it was accepted
//	z <id> o <recipient>                              a report that was found says that this one failed
//	z <id> q <age>                                    it was set aside
//	z <id> r <time><seq>                              the journal says that a report about failures of it was accepted
//	z <id> s <age>                                    states of its recipients
//	z <id> t <time><destination> 0 <age>              deadline
//	z <id> w <destination> 0 <middle of row><age>     waiting row
//	y <key> 0 <age>                                   any other key, for which the newest value counts
//
// Age is the sequence number, inverted: the newest comes first. The values of q, s, t, w and y begin with whether the key was set or deleted.
const (
	kindEvidence = 'z'
	kindNewest   = 'y'
)

// The kinds of evidence, in the order of their keys.
const (
	evidenceAccepted  = 'a'
	evidenceDead      = 'd'
	evidenceEnd       = 'e'
	evidenceFile      = 'f'
	evidenceLost      = 'l'
	evidenceMentioned = 'n'
	evidenceTold      = 'o'
	evidenceAside     = 'q'
	evidenceReport    = 'r'
	evidenceStates    = 's'
	evidenceDeadline  = 't'
	evidenceRow       = 'w'
)

// evidenceHead is the length of the key of evidence before what depends on its kind.
const evidenceHead = 1 + 8 + 1

// middleLength is that of the middle of a waiting row's key.
const middleLength = 1 + 2 + 8

// collectBatch is how much is written at once, in octets.
const collectBatch = 4 << 20

// collection is a new store that fills with what is found in a damaged one.
type collection struct {
	s       *Store // the new one; only its engine is in use
	b       *pebble.Batch
	fresh   map[queue.ID]bool // messages in b
	headers bool              // without contents: nothing is to be kept
	highest queue.ID
	kept    queue.ID // no id up to this one was given again
	ranges  []deletedRange
	told    uint64 // when the last entry of the journal was made
	entries int    // of the journal that cannot be read
}

func newCollection(s *Store) *collection {
	return &collection{s: s, b: s.db.NewBatch(), fresh: map[queue.ID]bool{}}
}

// flush writes what has gathered, when it is much.
func (c *collection) flush(always bool) error {
	if c.b.Len() < collectBatch && !always {
		return nil
	}
	b := c.b
	c.b, c.fresh = c.s.db.NewBatch(), map[queue.ID]bool{}
	return c.s.commit(b, pebble.NoSync)
}

func evidence(id queue.ID, kind byte, rest ...[]byte) []byte {
	return append(append(idKey(kindEvidence, id), kind), slices.Concat(rest...)...)
}

func age(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, ^seq) }

// judged is the value of evidence whose newest counts.
func judged(e entry) []byte {
	if e.set() {
		return append([]byte{1}, e.value...)
	}
	return []byte{0}
}

// record takes a record of a log. Of one that is not sound, only messages are taken: they carry their own checksum.
func (c *collection) record(record []byte, sound bool) error {
	each := c.take
	if !sound {
		each = func(e entry) error {
			if e.key[0] == kindMessage && e.set() {
				return c.take(e)
			}
			return nil
		}
	}
	_, err := eachEntry(record, each)
	return err
}

// mention notes messages that damaged octets say were accepted, and not that they were settled.
func (c *collection) mention(t traces) error {
	for id := range t.begun {
		if t.ended[id] {
			continue
		}
		if err := c.b.Set(evidence(id, evidenceMentioned), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// take writes one change down.
func (c *collection) take(e entry) error {
	var err error
	switch {
	case e.kind == pebble.InternalKeyKindRangeDelete:
		c.ranges = append(c.ranges, deletedRange{start: bytes.Clone(e.key), end: bytes.Clone(e.value), seq: e.seq})
	case e.key[0] == kindMessage:
		err = c.message(e)
	case e.key[0] == kindStates && len(e.key) == messageKeyLength:
		err = c.b.Set(evidence(c.seen(messageID(e.key)), evidenceStates, age(e.seq)), judged(e), nil)
	case e.key[0] == kindQuarantine && len(e.key) == messageKeyLength:
		err = c.b.Set(evidence(c.seen(messageID(e.key)), evidenceAside, age(e.seq)), judged(e), nil)
	case e.key[0] == kindWaiting:
		err = c.row(e)
	case e.key[0] == kindDeadline:
		err = c.deadline(e)
	case e.key[0] == kindJournal:
		err = c.journal(e)
	case e.key[0] == kindFile:
		if e.set() && len(e.value) == 8 {
			err = c.b.Set(evidence(c.seen(queue.ID(binary.BigEndian.Uint64(e.value))), evidenceFile, e.key[1:]), nil, nil)
		}
	case e.key[0] == kindLastID:
		if e.set() && len(e.value) == 8 {
			c.kept = max(c.kept, queue.ID(binary.BigEndian.Uint64(e.value)))
		}
	case e.key[0] == kindHint, e.key[0] == kindReport: // made again from the rows and states
	default:
		err = c.b.Set(slices.Concat([]byte{kindNewest}, e.key, []byte{0}, age(e.seq)), judged(e), nil)
	}
	if err != nil {
		return err
	}
	return c.flush(false)
}

// seen notes an id, so that it is never given again.
func (c *collection) seen(id queue.ID) queue.ID {
	c.highest = max(c.highest, id)
	return id
}

// message takes a message or its tombstone. A message is set once and deleted once, so it is there if it is found and its tombstone is not, in whatever order.
func (c *collection) message(e entry) error {
	if len(e.key) != messageKeyLength {
		return nil
	}
	id := messageID(e.key)
	if !e.set() {
		c.seen(id)
		return c.b.Set(evidence(id, evidenceDead), nil, nil)
	}
	m, content, err := decodeMessage(id, e.value)
	if err != nil {
		return nil // it will be missing
	}
	c.seen(id)
	if m.Origin != 0 {
		for _, a := range queue.Told(content) {
			if err := c.b.Set(evidence(m.Origin, evidenceTold, []byte(a.String())), nil, nil); err != nil {
				return err
			}
		}
	}
	// It must not be set twice: its one tombstone would uncover the other.
	if twice, err := c.known(id, e.key); twice || err != nil {
		return err
	}
	c.fresh[id] = true
	if c.headers {
		return c.b.Set(e.key, encodeHeader(m), nil)
	}
	return c.b.Set(e.key, e.value, nil)
}

// known says whether a message was taken already, or is known to be settled.
func (c *collection) known(id queue.ID, key []byte) (bool, error) {
	if c.fresh[id] {
		return true, nil
	}
	there, err := c.s.has(key)
	if there || err != nil {
		return there, err
	}
	return c.s.has(evidence(id, evidenceDead))
}

func (c *collection) row(e entry) error {
	value := e.value
	if !e.set() {
		value = make([]byte, 8)
	}
	r, ok := parseRow(e.key, value)
	if !ok {
		return nil
	}
	key := evidence(c.seen(r.id), evidenceRow, []byte(r.destination), []byte{0}, r.middle(false), age(e.seq))
	return c.b.Set(key, judged(e), nil)
}

func (c *collection) deadline(e entry) error {
	value := e.value
	if !e.set() {
		value = make([]byte, middleLength)
	}
	r, ok := parseDeadline(e.key, value)
	if !ok {
		return nil
	}
	key := evidence(c.seen(r.id), evidenceDeadline, e.key[1:9], []byte(r.destination), []byte{0}, age(e.seq))
	return c.b.Set(key, judged(entry{kind: e.kind}), nil)
}

// journal takes an entry of the journal; its indexes are made again.
func (c *collection) journal(e entry) error {
	if !e.set() || len(e.key) != volumeLength+1+cursorLength || e.key[volumeLength] != fieldEntry {
		return nil
	}
	told, err := decodeEntry(e.value, false)
	if err != nil {
		c.entries++
		return nil
	}
	volume, place := binary.BigEndian.Uint64(e.key[1:]), e.key[volumeLength+1:]
	c.told = max(c.told, binary.BigEndian.Uint64(place))
	err = c.b.Set(e.key, e.value, nil)
	for field, value := range indexed(told) {
		err = errors.Join(err, c.b.Set(append(indexPrefix(volume, field, value), place...), nil, nil))
	}
	id, none := queue.ParseID(told.Message)
	if err != nil || none != nil {
		return err
	}
	switch c.seen(id); told.Kind {
	case journal.Accepted:
		err := c.b.Set(evidence(id, evidenceAccepted), nil, nil)
		if origin, is := reportsAbout(told); is && queue.AboutFailures(told.MessageID) {
			err = errors.Join(err, c.b.Set(evidence(origin, evidenceReport, place), nil, nil))
		}
		return err
	case journal.Delivered, journal.Failed, journal.Removed, journal.Lost:
		told.Attempt = nil
		return c.b.Set(evidence(id, evidenceEnd, place), encodeEntry(told), nil)
	default:
		return nil
	}
}

// deleted says whether a key was deleted with its range after a time.
func (c *collection) deleted(key []byte, seq uint64) bool {
	return slices.ContainsFunc(c.ranges, func(r deletedRange) bool {
		return r.seq > seq && bytes.Compare(r.start, key) <= 0 && bytes.Compare(key, r.end) < 0
	})
}
