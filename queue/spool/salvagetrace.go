package spool

import (
	"encoding/binary"
	"slices"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// trace is all evidence about one message.
type trace struct {
	dead, accepted, mentioned bool
	ends                      []journal.Entry // how recipients ended
	told                      map[string]bool // recipients whose failure a report that was found tells of
	reported                  uint64          // when the last report about failures was accepted, as the journal says
	files                     []uint64
	states                    []byte // the newest value; nil: none, or deleted
	stated                    bool
	aside                     []byte // the newest value of its quarantine
	asided                    bool
	rows                      map[mail.Domain]*rowTrace
}

// rowTrace is what is known of the rows of one destination.
type rowTrace struct {
	deadline uint64 // of the newest row
	age      uint64 // of that row; less is newer
	earliest uint64 // of all deadlines
	waiting  bool   // a row or a deadline was set and not deleted
	// last and lastDeadline are what was read last: the first of each is the newest.
	last, lastDeadline string
}

func (t *trace) add(key, value []byte) {
	rest := key[evidenceHead:]
	switch key[evidenceHead-1] {
	case evidenceAccepted:
		t.accepted = true
	case evidenceDead:
		t.dead = true
	case evidenceEnd:
		if e, err := decodeEntry(value, true); err == nil {
			e.Cursor.Time = moment(binary.BigEndian.Uint64(rest))
			t.ends = append(t.ends, e)
		}
	case evidenceTold:
		if t.told == nil {
			t.told = map[string]bool{}
		}
		t.told[string(rest)] = true
	case evidenceReport:
		t.reported = max(t.reported, binary.BigEndian.Uint64(rest))
	case evidenceFile:
		t.files = append(t.files, binary.BigEndian.Uint64(rest))
	case evidenceMentioned:
		t.mentioned = true
	case evidenceAside:
		if !t.asided && value[0] == 1 {
			t.aside = slices.Clone(value[1:])
		}
		t.asided = true
	case evidenceStates:
		if !t.stated && value[0] == 1 {
			t.states = slices.Clone(value[1:])
		}
		t.stated = true
	case evidenceDeadline:
		t.addDeadline(rest, value)
	case evidenceRow:
		t.addRow(rest, value)
	}
}

func (t *trace) row(d mail.Domain) *rowTrace {
	if t.rows[d] == nil {
		t.rows[d] = &rowTrace{age: never}
	}
	return t.rows[d]
}

// note keeps the earliest deadline.
func (r *rowTrace) note(deadline uint64) {
	if deadline > 0 && (r.earliest == 0 || deadline < r.earliest) {
		r.earliest = deadline
	}
}

func (t *trace) addDeadline(rest, value []byte) {
	name := rest[:len(rest)-1-8]
	r := t.row(mail.Domain(name[8:]))
	newest := string(name) != r.lastDeadline
	r.lastDeadline = string(name)
	if value[0] == 1 {
		r.note(binary.BigEndian.Uint64(name))
		r.waiting = r.waiting || newest
	}
}

func (t *trace) addRow(rest, value []byte) {
	split := len(rest) - 1 - middleLength - 8
	r := t.row(mail.Domain(rest[:split]))
	name, since := string(rest[split:len(rest)-8]), binary.BigEndian.Uint64(rest[len(rest)-8:])
	newest := name != r.last
	r.last = name
	if value[0] == 0 {
		return
	}
	deadline := binary.BigEndian.Uint64(value[1:])
	r.note(deadline)
	r.waiting = r.waiting || newest
	if since < r.age {
		r.age, r.deadline = since, deadline
	}
}

// end sets the states of recipients whose end is in the journal: it is written in the same commit as the tombstone, and may be what is left of it. A failure of which nothing says that
// it was reported owes its report. It says whether it changed any.
func (t trace) end(c *change) bool {
	changed := false
	ends := slices.Clone(t.ends)
	for i, r := range c.own.Envelope.Recipients {
		name, state := r.Address.String(), c.states[i]
		n := slices.IndexFunc(ends, func(e journal.Entry) bool { return e.Recipient == name && ended(e.Kind) != queue.Pending })
		if n < 0 {
			if state.Owes() && t.told[name] {
				c.states[i], changed = state.Settled(), true
			}
			continue
		}
		e := ends[n]
		ends = slices.Delete(ends, n, n+1)
		told := t.told[name] || t.reported >= nanos(e.Cursor.Time)
		switch {
		case state.State.Final() && !(state.Owes() && told):
			continue
		case state.State.Final():
			c.states[i] = state.Settled()
		case e.Kind == journal.Failed:
			c.states[i] = queue.FailedAgain(c.own.Submission, i, e, told)
		default:
			c.states[i].State = ended(e.Kind)
		}
		changed = true
	}
	return changed
}

// ended is the state that an entry says; Pending: it says none.
func ended(kind journal.Kind) queue.State {
	switch kind {
	case journal.Delivered:
		return queue.Delivered
	case journal.Failed:
		return queue.Failed
	case journal.Removed:
		return queue.Removed
	default:
		return queue.Pending
	}
}

// deadlineOf is the deadline of the newest row. An older one may come too early, which does no harm.
func (t trace) deadlineOf(d mail.Domain, m stored) uint64 {
	if r := t.rows[d]; r != nil {
		if r.deadline > 0 {
			return r.deadline
		}
		if r.earliest > 0 {
			return r.earliest
		}
	}
	return nanos(m.Expires)
}
