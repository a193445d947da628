package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"sternpost/console"
	"sternpost/journal"
)

// demoSender is who hands in all messages; demoZone has a mail server for the reports that come back.
const demoSender = "app@shop.test"

// demoPatience is longer than any scene takes: who waits longer waits for something that does not come.
const demoPatience = time.Minute

// scene is one message of the demonstration, and what must become of it.
type scene struct {
	title string
	about string // what a newcomer must know
	to    string

	kind     journal.Kind // in the end
	host     string       // that took it
	status   string       // of a failure
	attempts int
	report   bool // the sender is told by a report
}

func demoScenes() []scene {
	return []scene{
		{
			title: "The first mail server is down, its backup is up", to: "you@primary-down.test",
			about: "The mail servers of a domain stand in its MX records, each with a number, the preference: the lowest is tried first, the others are backups.",
			kind:  journal.Delivered, host: "mx2.primary-down.test", attempts: 1,
		},
		{
			title: "A domain without MX records", to: "you@no-mx.test",
			about: "Then the domain's own address takes the mail, if it has one.",
			kind:  journal.Delivered, host: "no-mx.test", attempts: 1,
		},
		{
			title: "A domain that does not exist", to: "you@does-not-exist.test",
			about: "Waiting would not help. The sender is told by a mail, the report (DSN).",
			kind:  journal.Failed, status: "5.1.2", attempts: 1, report: true,
		},
		{
			title: "A mail server that greylists", to: "you@greylisting.test",
			about: "It puts off whom it does not know, and takes the mail when it comes again: spammers seldom come again. The agent does, here " +
				durationWhole(demoRetry) + " later; without configuration 1m later, then 5m, 10m and so on for 5 days.",
			kind: journal.Delivered, host: "mx.greylisting.test", attempts: 2,
		},
	}
}

// played is the JSON of one scene.
type played struct {
	Title      string      `json:"title"`
	Recipient  string      `json:"recipient"`
	AsExpected bool        `json:"as_expected"`
	End        string      `json:"end"`       // what became of the message, in few words
	Otherwise  []string    `json:"otherwise"` // what did not go as it should
	Message    string      `json:"message"`
	Report     string      `json:"report"` // that the sender got, as a person reads it; empty: none
	Why        console.Why `json:"why"`
}

// demoMessage is what the application writes.
const demoMessage = `From: The Shop <app@shop.test>
To: %s
Subject: Your order

It is on its way.
`

// play hands in the message of a scene and waits until nothing more becomes of it, or for demoPatience. The error is that of an agent that does not work, or of ctx.
func (r *demonstration) play(ctx context.Context, s scene) (played, error) {
	p := played{Title: s.title, Recipient: s.to, Otherwise: []string{}}
	r.story.handsIn(demoSender, s.to)
	said, err := r.world.submit(ctx, demoSender, s.to, fmt.Sprintf(demoMessage, s.to))
	if err != nil {
		return p, err
	}
	if found := queuedAs.FindStringSubmatch(said); found != nil {
		p.Message = found[1]
	}
	r.story.takenOver(p.Message, said)
	ends := demoEnd{message: p.Message, reports: s.report}
	if err := r.awaits(ctx, &ends); err != nil {
		return p, err
	}
	if ends.reported.Kind == journal.Delivered {
		if p.Report, err = r.world.report(); err != nil {
			return p, err
		}
		r.story.report(p.Report)
	}
	p.End, p.Otherwise = ends.text(), append(p.Otherwise, s.judge(ends)...)
	p.AsExpected = len(p.Otherwise) == 0
	return p, nil
}

// awaits tells what happens until the message has come to its end, or for demoPatience.
func (r *demonstration) awaits(ctx context.Context, ends *demoEnd) error {
	patient, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	err := r.world.watch.until(patient, r.story.entry, ends.reached)
	if patient.Err() != nil && ctx.Err() == nil {
		return nil // judge says what is missing
	}
	return err
}

// demoEnd notices when a message has come to its end, and keeps what it came to.
type demoEnd struct {
	message  string
	reports  bool // the end is that of the report, too
	last     journal.Entry
	attempts int
	reported journal.Entry // what became of the report
}

// reached is called with each entry of the journal.
func (d *demoEnd) reached(e journal.Entry) bool {
	final := e.Kind == journal.Delivered || e.Kind == journal.Failed
	switch {
	case e.Message == d.message && (final || e.Kind == journal.Deferred):
		d.last = e
		d.attempts++
	case e.Sender == "" && e.Recipient == demoSender && final:
		d.reported = e
	}
	over := d.last.Kind == journal.Delivered || d.last.Kind == journal.Failed
	return over && (!d.reports || d.reported.Kind != "")
}

// text says in few words what became of the message.
func (d *demoEnd) text() string {
	text := cmp.Or(string(d.last.Kind), "nothing")
	if d.last.Kind == journal.Delivered {
		text += " by " + d.last.Host
	}
	if d.attempts > 1 {
		text += fmt.Sprintf(" at attempt %d", d.attempts)
	}
	if d.reported.Kind == journal.Delivered {
		text += ", the sender has a report"
	}
	return text
}

// judge says what did not go as the scene has it.
func (s scene) judge(d demoEnd) []string {
	var otherwise []string
	differs := func(what, got, want string) {
		if got != want {
			otherwise = append(otherwise, fmt.Sprintf("%s: %s is %q, and should be %q", s.to, what, got, want))
		}
	}
	differs("the end", string(d.last.Kind), string(s.kind))
	differs("the number of attempts", fmt.Sprint(d.attempts), fmt.Sprint(s.attempts))
	if s.kind == journal.Delivered {
		differs("the host", d.last.Host, s.host)
	} else {
		differs("the status", d.last.Status.String(), s.status)
	}
	if s.report {
		differs("the end of the report", string(d.reported.Kind), string(journal.Delivered))
		differs("the host of the report", d.reported.Host, demoMailbox)
	}
	return otherwise
}
