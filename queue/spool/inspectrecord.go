package spool

import (
	"encoding/binary"
	"iter"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/queue"
)

// batchHeader is the sequence number of the first entry of a record and how many there are.
const batchHeader = 8 + 4

// change of a key, as it stands in a log or a table.
type entry struct {
	key, value []byte
	seq        uint64
	kind       pebble.InternalKeyKind
}

// set says whether the entry gives the key a value.
func (e entry) set() bool {
	return e.kind == pebble.InternalKeyKindSet || e.kind == pebble.InternalKeyKindSetWithDelete
}

// eachEntry takes a record of a log apart, as far as that goes; false: it is not one to its end.
func eachEntry(record []byte, each func(entry) error) (whole bool, err error) {
	if len(record) < batchHeader {
		return false, nil
	}
	seq, count := binary.LittleEndian.Uint64(record), binary.LittleEndian.Uint32(record[8:])
	r := &reader{b: record[batchHeader:]}
	for n := uint32(0); n < count && len(r.b) > 0; n++ {
		e := entry{kind: pebble.InternalKeyKind(r.octet()), key: r.octets(), seq: seq + uint64(n)}
		switch e.kind {
		case pebble.InternalKeyKindDelete, pebble.InternalKeyKindSingleDelete:
		case pebble.InternalKeyKindSet, pebble.InternalKeyKindRangeDelete:
			e.value = r.octets()
		default:
			return false, nil // we write no other
		}
		if r.bad || len(e.key) == 0 {
			return false, nil
		}
		if err := each(e); err != nil {
			return false, err
		}
	}
	return len(r.b) == 0, nil
}

// The ids of messages that can stand in a queue: later than this program, and not too far ahead of us.
func plausible(id queue.ID) bool {
	const first = 1577836800000 // 2020
	const last = 4102444800000  // 2100
	ms := uint64(id) >> idSpare
	return ms >= first && ms < last
}

// traces is what octets that are damaged still say of messages.
type traces struct{ begun, ended map[queue.ID]bool }

// scan looks for messages in octets that are not all what was written: in the keys of a log, and in entries of the journal.
func (t *traces) scan(raw []byte) {
	if t.begun == nil {
		t.begun, t.ended = map[queue.ID]bool{}, map[queue.ID]bool{}
	}
	for id, what := range eachTrace(raw) {
		switch what {
		case journal.Accepted:
			t.begun[id] = true
		case journal.Delivered, journal.Failed, journal.Removed, journal.Lost:
			t.ended[id] = true
		}
	}
}

// mentioned lists the messages that octets name, each once.
func mentioned(raw []byte) []queue.ID {
	var ids []queue.ID
	for id := range eachTrace(raw) {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// eachTrace yields what octets say became of messages. Of a tombstone it is not known what it was for.
func eachTrace(raw []byte) iter.Seq2[queue.ID, journal.Kind] {
	return func(yield func(queue.ID, journal.Kind) bool) {
		for i := range raw {
			id, what, ok := keyAt(raw[i:])
			if !ok {
				id, what, ok = journalAt(raw[i:])
			}
			if ok && plausible(id) && !yield(id, what) {
				return
			}
		}
	}
}

// keyAt reads a message or its tombstone as it stands in a log.
func keyAt(b []byte) (queue.ID, journal.Kind, bool) {
	if len(b) < 2+messageKeyLength || b[1] != messageKeyLength || b[2] != kindMessage {
		return 0, "", false
	}
	switch id := messageID(b[2:]); pebble.InternalKeyKind(b[0]) {
	case pebble.InternalKeyKindSet:
		return id, journal.Accepted, true
	case pebble.InternalKeyKindSingleDelete, pebble.InternalKeyKindDelete:
		return id, journal.Removed, true
	default:
		return id, "", false
	}
}

// journalAt reads the beginning of an entry of the journal: its kind and its message.
func journalAt(b []byte) (queue.ID, journal.Kind, bool) {
	r := &reader{b: b}
	if n := int(b[0]); n < len(journal.Failed) || n > len(journal.Delivered) {
		return 0, "", false
	}
	kind := journal.Kind(r.text())
	switch kind {
	case journal.Accepted, journal.Delivered, journal.Deferred, journal.Failed, journal.Removed, journal.Changed:
		id, err := queue.ParseID(r.text())
		return id, kind, err == nil && !r.bad
	default:
		return 0, "", false
	}
}

// describe says in words what a key stands for.
func describe(key []byte) string {
	if len(key) == 0 {
		return "nothing"
	}
	switch {
	case key[0] == kindMessage && len(key) == messageKeyLength:
		return "message " + messageID(key).String()
	case key[0] == kindStates && len(key) == messageKeyLength:
		return "recipients of " + messageID(key).String()
	case key[0] == kindWaiting || key[0] == kindHint || key[0] == kindDeadline || key[0] == kindReport || key[0] == kindDestination || key[0] == kindFile || key[0] == kindLastID:
		return "index (" + string(key[:1]) + ")"
	case key[0] == kindOnce && len(key) >= onceKeyLength:
		return "idempotency keys from " + moment(uint64(binary.BigEndian.Uint32(key[1:]))*uint64(time.Hour)).Format(time.RFC3339)
	case key[0] == kindSuppression:
		return "suppression list"
	case key[0] == kindBookmark:
		return "how far a reader of the journal has come"
	case key[0] == kindJournal && len(key) >= volumeLength:
		return "journal from " + moment(binary.BigEndian.Uint64(key[1:])).Format(time.RFC3339)
	default:
		return "key " + string(key[:1])
	}
}
