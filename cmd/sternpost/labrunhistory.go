package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"sternpost/journal"
	"sternpost/lab"
	"sternpost/mail"
	"sternpost/queue"
)

// Bounds of what a report keeps of a run. What comes later is counted, and judged, but not told.
const (
	mostLabEvents = 100_000
	mostLabTrees  = 20_000
	// labJournal is how large the journal may grow in memory, in octets.
	labJournal = 512 << 20
)

// history is the journal of a run, by message.
type history struct {
	records map[string]*record
	last    journal.Entry
	events  int
	trees   int
	leftOut int
}

// record is what the journal has of one message.
type record struct {
	accepted journal.Entry
	entries  []journal.Entry
	fates    []*fate
	attempts int
	reports  []string // the ids of those about it, in their order
}

// fate is the sender's account of one recipient, while it is gathered.
type fate struct {
	lab.Fate
	attempt string // the last one
}

// errOverflow is the error of a run whose journal had no room.
var errOverflow = errors.New("the run is too long for its memory: its journal has forgotten the beginning; send fewer messages, or end it earlier (--until)")

// historyOf reads the whole journal.
func historyOf(s queue.Store) (*history, error) {
	h := &history{records: map[string]*record{}}
	for e, err := range s.Journal().Find(context.Background(), journal.Query{}) {
		if err != nil {
			return nil, err
		}
		if err := h.add(e); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// add takes the next entry. The journal tells entries of one instant apart by nanoseconds and numbers, which mean nothing here.
func (h *history) add(e journal.Entry) error {
	e.Cursor = journal.Cursor{Time: e.Cursor.Time.Truncate(time.Millisecond)}
	h.last = e
	r := h.records[e.Message]
	switch {
	case r != nil:
	case e.Kind == journal.Accepted:
		r = &record{accepted: e}
		h.records[e.Message] = r
		if about := h.records[strings.TrimPrefix(e.Reason, journal.ReportsAbout)]; about != nil {
			about.reports = append(about.reports, e.Message)
		}
	case e.Message == "": // about no message: an address that is suppressed
		return nil
	default:
		return errOverflow
	}
	if e.Attempt != nil {
		r.attempts++
	}
	r.judge(e)
	h.keep(r, e)
	return nil
}

// keep keeps the entry for the report, while there is room.
func (h *history) keep(r *record, e journal.Entry) {
	if h.events++; h.events > mostLabEvents {
		h.leftOut++
		return
	}
	if e.Attempt != nil {
		if h.trees++; h.trees > mostLabTrees {
			e.Attempt = nil
		}
	}
	r.entries = append(r.entries, e)
}

// judge notes what an entry says of a recipient.
func (r *record) judge(e journal.Entry) {
	to, err := mail.ParseAddress(e.Recipient)
	if err != nil || e.Kind != journal.Delivered && e.Kind != journal.Deferred && e.Kind != journal.Failed {
		return
	}
	f := r.fate(to)
	if f == nil {
		f = &fate{Fate: lab.Fate{Recipient: to}}
		r.fates = append(r.fates, f)
	}
	if e.AttemptID != f.attempt {
		f.attempt = e.AttemptID
		f.Attempts++
	}
	f.Disposition = mail.Disposition(e.Kind)
	f.Host, f.Status, f.Text, f.At = e.Host, e.Status, e.Reason, e.Cursor.Time
	f.InDoubt, f.Expired = f.InDoubt || e.InDoubt, e.Expired()
}

// fate is that of a recipient; nil: nothing is known of it.
func (r *record) fate(to mail.Address) *fate {
	i := slices.IndexFunc(r.fates, func(f *fate) bool { return f.Recipient == to })
	if i < 0 {
		return nil
	}
	return r.fates[i]
}

// accounts are the fates of all recipients.
func (r *record) accounts() []lab.Fate {
	list := make([]lab.Fate, 0, len(r.fates))
	for _, f := range r.fates {
		list = append(list, f.Fate)
	}
	return list
}
