package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/lab"
	"sternpost/mail"
)

// demoPatience is longer than any scene takes: who waits longer waits for something that does not come.
const demoPatience = time.Minute

// scene is what a newcomer must know of one message of the demonstration. The message itself, and what is to become of it, stand in demo.toml, in the same order.
type scene struct {
	title string
	about string
}

func demoScenes() []scene {
	return []scene{
		{
			title: "The first mail server is down, its backup is up",
			about: "The mail servers of a domain stand in its MX records, each with a number, the preference: the lowest is tried first, the others are backups.",
		},
		{
			title: "A domain without MX records",
			about: "Then the domain's own address takes the mail, if it has one.",
		},
		{
			title: "A domain that does not exist",
			about: "Waiting would not help. The sender is told by a mail, the report (DSN).",
		},
		{
			title: "A mail server that greylists",
			about: "It puts strangers off, and takes their mail when they come again: spammers seldom do. The agent comes again, here after " +
				durationWhole(demoRetry) + "; without configuration after 1m, then 5m, 10m and so on for 5 days.",
		},
	}
}

// played is the JSON of one scene.
type played struct {
	Title      string      `json:"title"`
	Recipient  string      `json:"recipient"`
	AsExpected bool        `json:"as_expected"`
	Expected   string      `json:"expected"`
	Seen       string      `json:"seen"` // by the mail servers and by the agent
	End        string      `json:"end"`  // the same in few words
	Message    string      `json:"message"`
	Report     string      `json:"report"` // that the sender got, as a person reads it; empty: none
	Why        console.Why `json:"why"`

	fate lab.Fate
}

// play hands in the message of a scene, the number-th, and waits until nothing more becomes of it, or for the patience. The error is that of an agent that does not
// work, or of ctx.
func (r *demonstration) play(ctx context.Context, number int, s scene) (*played, error) {
	m := r.world.lab.Scenario().Messages[number-1]
	from, to := m.From.String(), m.To[0]
	p := &played{Title: s.title, Recipient: to.String()}
	r.story.handsIn(from, p.Recipient)
	said, err := r.world.submit(ctx, from, p.Recipient, m.Content())
	if err != nil {
		return p, err
	}
	if found := queuedAs.FindStringSubmatch(said); found != nil {
		p.Message = found[1]
	}
	r.story.said = said
	ends := demoEnd{message: p.Message, to: to}
	if err := r.awaits(ctx, &ends); err != nil {
		return p, err
	}
	p.fate, p.End = ends.fate(number), ends.text()
	if ended(&ends.reported) == mail.Delivered {
		err = r.read(p, from)
	}
	return p, err
}

// read shows the report that the sender has got.
func (r *demonstration) read(p *played, sender string) error {
	content := r.world.lastTo(sender)
	told, err := dsn.Parse(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	for _, one := range told.Recipients {
		p.fate.DSN = append(p.fate.DSN, string(one.Action))
	}
	if p.Report, err = letterText(content); err != nil {
		return err
	}
	r.story.report(p.Report)
	return nil
}

// awaits tells what happens until the message has come to its end, or until the patience has.
func (r *demonstration) awaits(ctx context.Context, ends *demoEnd) error {
	patient, cancel := context.WithTimeout(ctx, r.patience)
	defer cancel()
	err := r.world.watch.until(patient, r.story.entry, ends.reached)
	if patient.Err() != nil && ctx.Err() == nil {
		return nil // judge says what is missing
	}
	return err
}

// judge compares all that happened with what is expected.
func (r *demonstration) judge() error {
	r.told.AsExpected = true
	var fates []lab.Fate
	for _, p := range r.told.Scenes {
		fates = append(fates, p.fate)
	}
	var otherwise []error
	for _, v := range r.world.lab.Check(fates...) {
		p := r.told.Scenes[v.Expectation.Message-1]
		p.AsExpected, p.Expected, p.Seen = v.Met, v.Expectation.Text, v.Seen
		if !v.Met {
			r.told.AsExpected = false
			otherwise = append(otherwise, fmt.Errorf("expected: %s\nseen: %s", v.Expectation.Text, v.Seen))
		}
	}
	if len(otherwise) > 0 {
		return withCode(exitFailed, errors.Join(otherwise...))
	}
	return nil
}

// demoEnd notices when a message to one recipient has come to its end, its report included, and keeps what it came to.
type demoEnd struct {
	message  string
	to       mail.Address
	account  record // of the message
	report   string // the id of the report about it
	reported record
}

// reached is called with each entry of the journal.
func (d *demoEnd) reached(e journal.Entry) bool {
	about, isReport := strings.CutPrefix(e.Reason, journal.ReportsAbout)
	switch {
	case e.Kind == journal.Accepted && isReport && about == d.message:
		d.report = e.Message
	case e.Message == d.message:
		d.account.judge(e)
	case e.Message == d.report:
		d.reported.judge(e)
	}
	return ended(&d.account) == mail.Delivered || ended(&d.account) == mail.Failed && ended(&d.reported) != ""
}

// ended is what the only recipient of a message came to; empty: he waits.
func ended(r *record) mail.Disposition {
	if len(r.fates) == 0 || r.fates[0].Disposition == mail.Deferred {
		return ""
	}
	return r.fates[0].Disposition
}

// fate is the agent's account of the recipient, the number-th of the scenario, but for what was reported.
func (d *demoEnd) fate(number int) lab.Fate {
	f := lab.Fate{Recipient: d.to, Disposition: mail.Deferred}
	if known := d.account.fate(d.to); known != nil {
		f = known.Fate
	}
	f.Message = number
	return f
}

// text is the same in few words.
func (d *demoEnd) text() string {
	f := d.fate(0)
	text := string(f.Disposition)
	if f.Disposition == mail.Delivered {
		text += " by " + f.Host
	}
	if f.Attempts > 1 {
		text += fmt.Sprintf(" at attempt %d", f.Attempts)
	}
	if ended(&d.reported) == mail.Delivered {
		text += ", the sender has a report"
	}
	return text
}
