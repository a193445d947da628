package spool

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// judging goes over a collection, message by message, and makes a store of it.
type judging struct {
	c     *collection
	lost  func(loss) error
	whole func(queue.ID, stored) error // may be nil; told of each message that is there
	at    uint64                       // the time of entries of the journal
	seq   uint32

	messages, settled, missing int
}

// run makes messages with states, rows and index out of the evidence, and takes the evidence away.
func (j *judging) run() error {
	if err := j.c.flush(true); err != nil {
		return err
	}
	if err := errors.Join(j.walk(), j.c.flush(true)); err != nil {
		return err
	}
	if err := j.newest(); err != nil {
		return err
	}
	b := j.c.b
	last := max(j.c.kept, j.c.highest+reservedAhead)
	for _, r := range j.c.ranges {
		if r.start[0] != kindJournal {
			continue
		}
		// Volumes that have expired; none of them was written to again.
		if err := b.DeleteRange(r.start, r.end, nil); err != nil {
			return err
		}
	}
	err := errors.Join(b.Set([]byte{kindLastID}, idKey(kindLastID, last)[1:], nil),
		b.DeleteRange([]byte{kindNewest}, []byte{kindEvidence + 1}, nil))
	if err != nil {
		return err
	}
	return j.c.flush(true)
}

// walk meets messages and evidence in the order of the ids.
func (j *judging) walk() error {
	db := j.c.s.db
	messages, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindMessage}, UpperBound: []byte{kindMessage + 1}})
	if err != nil {
		return err
	}
	proofs, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindEvidence}, UpperBound: []byte{kindEvidence + 1}})
	if err != nil {
		return errors.Join(err, messages.Close())
	}
	message, proof := messages.First(), proofs.First()
	for (message || proof) && err == nil {
		id := queue.ID(never)
		if message {
			id = messageID(messages.Key())
		}
		if proof {
			id = min(id, messageID(proofs.Key()))
		}
		t := trace{rows: map[mail.Domain]*rowTrace{}}
		for ; proof && messageID(proofs.Key()) == id; proof = proofs.Next() {
			t.add(proofs.Key(), proofs.Value())
		}
		if message && messageID(messages.Key()) == id {
			err = j.present(id, messages.Value(), t)
			message = messages.Next()
		} else {
			err = j.absent(id, t)
		}
		err = errors.Join(err, j.c.flush(false))
	}
	return errors.Join(err, messages.Error(), proofs.Error(), messages.Close(), proofs.Close())
}

// present is a message that was found.
func (j *judging) present(id queue.ID, value []byte, t trace) error {
	m, err := headerOfMessage(value)
	if err != nil {
		return err
	}
	c := &change{own: &message{stored: m}, states: make([]queue.RecipientState, len(m.Envelope.Recipients))}
	saved := false
	if states, err := decodeStates(t.states); err == nil && len(states) == len(c.states) {
		c.states, saved = states, true
	}
	saved = t.end(c) || saved
	over := !queue.Waits(c.states)
	if !t.dead && !over {
		if over, err = j.unfounded(m.Origin, queue.Told(contentOfMessage(value))); err != nil {
			return err
		}
	}
	if t.dead || over {
		j.settled++
		return j.c.b.Delete(idKey(kindMessage, id), nil)
	}
	j.messages++
	var rows []row
	for _, d := range destinationsOf(m.Envelope) {
		if r := (row{destination: d, turn: turnOf(m.Sender), id: id}); c.place(&r) {
			r.deadline = t.deadlineOf(d, m)
			rows = append(rows, r)
		}
	}
	err = errors.Join(j.c.s.putRows(j.c.b, rows), moveReport(j.c.b, id, nil, c.states))
	if saved {
		err = errors.Join(err, j.c.b.Set(idKey(kindStates, id), encodeStates(c.states), nil))
	}
	if m.file != 0 {
		err = errors.Join(err, j.c.b.Set(fileKey(m.file), idKey(kindMessage, id)[1:], nil))
	}
	if err == nil && j.whole != nil {
		err = j.whole(id, m)
	}
	return err
}

// headerOfMessage reads a message whose checksum was checked before, and whose content may have been left out.
func headerOfMessage(value []byte) (stored, error) {
	r := &reader{b: value[prefixLength:]}
	m := stored{Submission: r.submission()}
	m.size, m.file, m.sum = int64(r.number()), r.number(), uint32(r.number())
	if r.bad {
		return m, errDamaged
	}
	return m, nil
}

// absent is an id without a message. It is missing if something says that it was there and nothing says that it was settled.
func (j *judging) absent(id queue.ID, t trace) error {
	if t.aside != nil {
		return j.aside(id, t)
	}
	if t.dead || slices.ContainsFunc(t.ends, func(e journal.Entry) bool { return e.Kind == journal.Lost }) {
		return nil
	}
	l := loss{id: id, files: t.files}
	for d, r := range t.rows {
		if r.waiting {
			l.destinations = append(l.destinations, d)
		}
	}
	slices.Sort(l.destinations)
	switch {
	case len(l.destinations) > 0 || t.states != nil:
		l.why = "it waited"
	case len(t.ends) > 0 || !t.accepted && !t.mentioned:
		return nil
	case t.accepted:
		l.why = "it was accepted, and the journal knows no end of it"
	default:
		l.why = "damaged octets say that it was accepted"
	}
	if len(t.ends) > 0 {
		var ends []string
		for _, e := range t.ends {
			ends = append(ends, string(e.Kind)+" "+e.Recipient)
		}
		l.why += ", though not for all: " + strings.Join(ends, ", ")
	}
	j.missing++
	return errors.Join(j.lost(l), j.enter(l), j.c.b.Set(evidence(id, evidenceLost), nil, nil))
}

// aside keeps what is left of a message that was set aside before, and its files.
func (j *judging) aside(id queue.ID, t trace) error {
	err := j.c.b.Set(idKey(kindQuarantine, id), t.aside, nil)
	for _, number := range t.files {
		err = errors.Join(err, j.c.b.Set(fileKey(number), idKey(kindMessage, id)[1:], nil))
	}
	return err
}

// enter makes the entry of the journal.
func (j *judging) enter(l loss) error {
	e := journal.Entry{Kind: journal.Lost, Message: l.id.String(), Reason: "the files of the queue were damaged: " + l.why}
	if len(l.destinations) > 0 {
		e.Domain = l.destinations[0]
	}
	if j.at == 0 {
		j.at = max(j.c.told+1, nanos(time.Now()))
	}
	j.seq++
	return putEntry(j.c.b, e, flight{at: j.at, volume: j.at}, j.seq)
}

// newest puts the keys of all other kinds to their places.
func (j *judging) newest() error {
	it, err := j.c.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindNewest}, UpperBound: []byte{kindNewest + 1}})
	if err != nil {
		return err
	}
	last := ""
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		k := it.Key()[1:]
		key, seq := k[:len(k)-9], ^binary.BigEndian.Uint64(k[len(k)-8:])
		if string(key) == last {
			continue
		}
		last = string(key)
		if it.Value()[0] == 0 || j.c.deleted(key, seq) {
			continue
		}
		err = errors.Join(j.keep(key, it.Value()[1:]), j.c.flush(false))
	}
	return errors.Join(err, it.Close())
}

// keep sets a key. A suspension needs a hint, or nothing looks for its end. An idempotency key goes with a message that is missing, so that it may be handed in again.
func (j *judging) keep(key, value []byte) error {
	if key[0] == kindOnce {
		o, ok := parseOnce(key, value)
		if !ok {
			return nil
		}
		if lost, err := j.c.s.has(evidence(o.id, evidenceLost)); lost || err != nil {
			return err
		}
	}
	if !understood(key, value) {
		return nil
	}
	err := j.c.b.Set(key, value, nil)
	if len(key) > 2 && key[0] == kindDestination && key[1] == aboutSuspension && len(value) == 8 {
		err = errors.Join(err, j.c.b.Set(hintKey(binary.BigEndian.Uint64(value), mail.Domain(key[2:])), nil, nil))
	}
	return err
}

// understood says whether a row that stands for itself can be understood; of other kinds of keys it says that they can.
func understood(key, value []byte) bool {
	ok := true
	switch key[0] {
	case kindSuppression:
		_, ok = parseSuppression(key, value)
	case kindBookmark:
		_, ok = parseBookmark(value)
	}
	return ok
}
