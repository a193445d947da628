package spool

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// The kinds of keys. Numbers in keys are big-endian, so that the order of the keys is theirs; times are nanoseconds since 1970.
//
//	m <id>                                        message and its content, written once
//	s <id>                                        states of its recipients, from the first change on
//	w <destination> 0 <priority><turn><due><id>   waiting row; its value is the deadline
//	n <time><destination>                         hint: the destination may have something due from then on
//	q <id>                                        damaged message that was set aside
//	d s <destination>                             suspended until
//	d r <destination>                             reason of the last deferral
//	t <time><id><destination>                     deadline; its value is the middle of the waiting row
//	r <time><id>                                  a report about the message is owed, at the latest then
//	i                                             no id up to this one is given again
//	f <number>                                    content file that belongs to the message in its value
//	k <hour><sender><key>                         message that was accepted with an idempotency key; see once
//	x <address>                                   what is known of an address of the suppression list
//	h <reader>                                    how far a reader of the journal has come
//	J <volume> e <time><seq>                      entry of the journal
//	J <volume> <field> <value> 0 1 <time><seq>    index of the journal
const (
	kindMessage     = 'm'
	kindStates      = 's'
	kindWaiting     = 'w'
	kindHint        = 'n'
	kindDestination = 'd'
	kindDeadline    = 't'
	kindReport      = 'r'
	kindQuarantine  = 'q'
	kindFile        = 'f'
	kindLastID      = 'i'
	kindOnce        = 'k'
	kindSuppression = 'x'
	kindBookmark    = 'h'
	kindJournal     = 'J'
)

// Of a kindDestination key.
const (
	aboutSuspension = 's'
	aboutReason     = 'r'
)

const (
	messageKeyLength = 1 + 8
	fileKeyLength    = 1 + 8
	// rowTail is what follows the destination in the key of a waiting row: 0, priority, turn, due, id.
	rowTail = 1 + 1 + 2 + 8 + 8
	// idSpare is the number of bits in an id behind the milliseconds.
	idSpare = 20
	// reservedAhead is how far the last id on the disk reaches beyond that of the message that carries it: ten seconds. Messages within the first half of it need not carry it
	// again, and in the other half it does not matter in which order messages are committed.
	reservedAhead queue.ID = 10_000 << idSpare
	// heldRow is the priority of rows that no lease finds: only held recipients.
	heldRow = 0xff
	// turns is how many senders of a destination are told apart. Those whose names share a turn stand in one line: with 4096 a busy sender stands in the way of one other in
	// 4096, and looking at all lines is cheap even if each message has its own sender (VERP).
	turns = 4096
	never = math.MaxUint64
)

func nanos(t time.Time) uint64 {
	if t.IsZero() || t.Unix() < 0 {
		return 0
	}
	return uint64(t.UnixNano())
}

// moment is the time of n; 0 is the zero time.
func moment(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

func idKey(kind byte, id queue.ID) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, uint64(id))
}

func messageID(key []byte) queue.ID { return queue.ID(binary.BigEndian.Uint64(key[1:])) }

// row says that recipients of a message wait for a destination.
type row struct {
	destination mail.Domain
	priority    byte
	turn        uint16 // of the sender
	due         uint64
	id          queue.ID
	deadline    uint64 // 0: none
}

// turnOf is the line in which a sender stands.
func turnOf(sender string) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(sender)) // a hash never fails
	sum := h.Sum32()
	return uint16((sum ^ sum>>16) % turns)
}

func waitingPrefix(d mail.Domain) []byte {
	key := make([]byte, 0, 1+len(d)+rowTail)
	key = append(key, kindWaiting)
	key = append(key, d...)
	return append(key, 0)
}

// before says whether r stands before o in one destination.
func (r row) before(o row) bool {
	return cmp.Or(cmp.Compare(r.priority, o.priority), cmp.Compare(r.turn, o.turn), cmp.Compare(r.due, o.due), cmp.Compare(r.id, o.id)) < 0
}

// in is the place of r in a destination.
func (r row) in(d mail.Domain) row {
	r.destination = d
	return r
}

// key is that of the waiting row.
func (r row) key() []byte { return append(waitingPrefix(r.destination), r.middle(true)...) }

// middle is the key behind the destination, with or without the id.
func (r row) middle(withID bool) []byte {
	b := []byte{r.priority}
	b = binary.BigEndian.AppendUint16(b, r.turn)
	b = binary.BigEndian.AppendUint64(b, r.due)
	if withID {
		b = binary.BigEndian.AppendUint64(b, uint64(r.id))
	}
	return b
}

func (r row) value() []byte { return binary.BigEndian.AppendUint64(nil, r.deadline) }

// hint is the key that leads to the row. Rows of one second share it: there are fewer hints than rows.
func (r row) hint() []byte { return hintKey(hintTime(r.due), r.destination) }

func hintTime(due uint64) uint64 { return due - due%1e9 }

func hintKey(at uint64, d mail.Domain) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{kindHint}, at), d...)
}

func parseHint(key []byte) (uint64, mail.Domain) {
	return binary.BigEndian.Uint64(key[1:]), mail.Domain(key[9:])
}

func (r row) deadlineKey() []byte {
	key := binary.BigEndian.AppendUint64([]byte{kindDeadline}, r.deadline)
	key = binary.BigEndian.AppendUint64(key, uint64(r.id))
	return append(key, r.destination...)
}

// parseRow reads a waiting row; false: it is none.
func parseRow(key, value []byte) (row, bool) {
	split := len(key) - rowTail
	if split < 1 || key[0] != kindWaiting || key[split] != 0 || len(value) != 8 {
		return row{}, false
	}
	tail := key[split+1:]
	return row{
		destination: mail.Domain(key[1:split]), priority: tail[0], turn: binary.BigEndian.Uint16(tail[1:]),
		due: binary.BigEndian.Uint64(tail[3:]), id: queue.ID(binary.BigEndian.Uint64(tail[11:])), deadline: binary.BigEndian.Uint64(value),
	}, true
}

// parseDeadline reads a deadline and gives the row that it belongs to; false: it is none.
func parseDeadline(key, value []byte) (row, bool) {
	if len(key) < 17 || key[0] != kindDeadline || len(value) != 11 {
		return row{}, false
	}
	return row{
		destination: mail.Domain(key[17:]), priority: value[0], turn: binary.BigEndian.Uint16(value[1:]),
		due: binary.BigEndian.Uint64(value[3:]), id: queue.ID(binary.BigEndian.Uint64(key[9:])), deadline: binary.BigEndian.Uint64(key[1:]),
	}, true
}

func destinationKey(about byte, d mail.Domain) []byte {
	return append([]byte{kindDestination, about}, d...)
}

func fileKey(number uint64) []byte { return binary.BigEndian.AppendUint64([]byte{kindFile}, number) }

func fileNumber(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
