package main

import (
	"errors"
	"slices"
	"time"

	"sternpost/console"
	"sternpost/lab"
	"sternpost/mail"
	"sternpost/submission"
)

// labReport is the JSON of a run.
type labReport struct {
	Scenario     string           `json:"scenario"`
	Title        string           `json:"title"`
	Seed         uint64           `json:"seed"`
	Started      time.Time        `json:"started"`
	Ended        time.Time        `json:"ended"` // when the last thing happened
	AsExpected   bool             `json:"as_expected"`
	Messages     []labMessage     `json:"messages"`
	Expectations []labExpectation `json:"expectations"`
	Delivered    int              `json:"delivered"` // recipients of the scenario's messages
	Failed       int              `json:"failed"`
	Deferred     int              `json:"deferred"`
	Attempts     int              `json:"attempts"` // for them
	Reports      int              `json:"reports"`
	LeftOut      int              `json:"left_out"` // events that are not told

	about string
}

// labMessage is a message of the scenario, or a report of ours about one.
type labMessage struct {
	Message    string          `json:"message"` // its id; empty: it was not taken
	At         time.Time       `json:"at"`
	Sender     string          `json:"sender"`
	Recipients []labRecipient  `json:"recipients"`
	Events     []console.Event `json:"events"`
	Reports    []labMessage    `json:"reports"`

	number   int // in the scenario, from 1; 0: a report
	attempts int
	says     []string // what a report says of each recipient; empty where it has not come back
}

// labRecipient is how a recipient stands when the run ends.
type labRecipient struct {
	Recipient   string   `json:"recipient"`
	Disposition string   `json:"disposition"`
	InDoubt     bool     `json:"in_doubt"`
	Attempts    int      `json:"attempts"`
	Host        string   `json:"host"`
	Status      string   `json:"status"`
	Reason      string   `json:"reason"`
	DSN         []string `json:"dsn"` // what was reported of it and came back, in its order

	refused bool // at the agent's door
}

// labExpectation is an expectation of the scenario, judged.
type labExpectation struct {
	Message     string `json:"message"`
	Expectation string `json:"expectation"`
	Met         bool   `json:"met"`
	Seen        string `json:"seen"`
}

// report tells what a run came to.
func (r labResult) report() labReport {
	told := labReport{
		Scenario: r.scenario.Name, Title: r.scenario.Title, Seed: r.scenario.Seed, Started: bubbleStart(), Ended: bubbleStart(),
		Messages: []labMessage{}, Expectations: []labExpectation{}, LeftOut: r.history.leftOut, about: r.scenario.About,
	}
	if last := r.history.last.Cursor.Time; !last.IsZero() {
		told.Ended = last.UTC()
	}
	var fates []lab.Fate
	for _, h := range r.handed {
		own := r.fates(h)
		fates = append(fates, own...)
		told.count(own)
		m := r.message(h.id.String(), own)
		m.number, m.At, m.Sender = h.number, h.at.Truncate(time.Millisecond).UTC(), r.scenario.Messages[h.number-1].From.String()
		for i, f := range own {
			m.Recipients[i].refused = h.refused[f.Recipient] != nil
		}
		told.Messages = append(told.Messages, m)
		told.Attempts += m.attempts
		told.Reports += len(m.Reports)
	}
	told.expect(r, fates)
	return told
}

// count adds up what became of the recipients of a message.
func (r *labReport) count(fates []lab.Fate) {
	for _, f := range fates {
		switch f.Disposition {
		case mail.Delivered:
			r.Delivered++
		case mail.Failed:
			r.Failed++
		default:
			r.Deferred++
		}
	}
}

// expect judges the expectations, the sender's account included.
func (r *labReport) expect(result labResult, fates []lab.Fate) {
	r.AsExpected = true
	ids := map[int]string{}
	for _, m := range r.Messages {
		ids[m.number] = m.Message
	}
	for _, v := range result.world.Check(fates...) {
		r.AsExpected = r.AsExpected && v.Met
		r.Expectations = append(r.Expectations, labExpectation{Message: ids[v.Expectation.Message], Expectation: v.Expectation.Text, Met: v.Met, Seen: v.Seen})
	}
}

// message is one message with what happened to it.
func (r labResult) message(id string, fates []lab.Fate) labMessage {
	m := labMessage{Recipients: []labRecipient{}, Events: []console.Event{}, Reports: []labMessage{}}
	for _, f := range fates {
		m.Recipients = append(m.Recipients, labRecipient{
			Recipient: f.Recipient.String(), Disposition: string(f.Disposition), InDoubt: f.InDoubt, Attempts: f.Attempts, Host: f.Host,
			Status: f.Status.String(), Reason: f.Text, DSN: append([]string{}, f.DSN...),
		})
	}
	known := r.history.records[id]
	if known == nil {
		return m
	}
	m.Message, m.At, m.Sender, m.attempts = id, known.accepted.Cursor.Time.UTC(), known.accepted.Sender, known.attempts
	for _, e := range known.entries {
		told := console.EventOf(e, r.judge)
		told.Cursor = "" // the journal is gone
		m.Events = append(m.Events, told)
	}
	for _, id := range known.reports {
		about := r.history.records[id]
		one := r.message(id, about.accounts())
		one.says = r.returned.says(about.accepted.MessageID)
		m.Reports = append(m.Reports, one)
	}
	return m
}

// fates is the sender's account of a message of the scenario: first of those whom it names, then of those whom they stand for.
func (r labResult) fates(h handed) []lab.Fate {
	known := r.history.records[h.id.String()]
	if known == nil {
		known = new(record)
	}
	var list []lab.Fate
	for _, to := range r.scenario.Messages[h.number-1].To {
		f := lab.Fate{Recipient: to, Disposition: mail.Deferred}
		if refusal := h.refused[to]; refusal != nil {
			f.Disposition, f.Text, f.At = mail.Failed, refusal.Error(), h.at
			if said := new(submission.Refusal); errors.As(refusal, &said) {
				f.Status = said.Status
			}
		} else if own := known.fate(to); own != nil {
			f = own.Fate
		} else if h.stands[to] {
			continue
		}
		list = append(list, f)
	}
	for _, f := range known.accounts() {
		if !slices.ContainsFunc(list, func(other lab.Fate) bool { return other.Recipient == f.Recipient }) {
			list = append(list, f)
		}
	}
	for i := range list {
		list[i].Message = h.number
		for _, id := range known.reports {
			if action := r.returned.about(r.history.records[id].accepted.MessageID, list[i].Recipient); action != "" {
				list[i].DSN = append(list[i].DSN, string(action))
			}
		}
	}
	return list
}

// lasted is how long the run was, in the time of the lab.
func (r labReport) lasted() time.Duration { return r.Ended.Sub(r.Started) }
