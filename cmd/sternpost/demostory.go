package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// demoStory tells what happens in the demonstration, a line for each thing, with the time since it began.
type demoStory struct {
	w     io.Writer
	began time.Time
	said  string // the reply to the message that was handed in last
	paint
}

func newDemoStory(sh *shell) *demoStory {
	return &demoStory{w: sh.stdout, began: time.Now(), paint: paintFor(sh.stdout, sh.environ)}
}

// demoMargin is how far the lines of the story are in: behind their times.
const demoMargin = 11

// paragraph prints text to be read.
func (d *demoStory) paragraph(margin int, text string) {
	indent := strings.Repeat(" ", margin)
	fmt.Fprintf(d.w, "%s%s\n", indent, wrapAfter(text, " ", columns-margin, indent))
}

// line is one thing that happened.
func (d *demoStory) line(at time.Time, colour func(string) string, text string) {
	wrapped := wrapAfter(plain(text), " ", columns-demoMargin, strings.Repeat(" ", demoMargin))
	if colour != nil {
		wrapped = colour(wrapped)
	}
	fmt.Fprintf(d.w, "%s  %s\n", d.faint(fmt.Sprintf("%8.3fs", max(0, at.Sub(d.began)).Seconds())), wrapped)
}

func (d *demoStory) heading(text string) { fmt.Fprintf(d.w, "\n%s\n", d.bold(text)) }

// opening says what runs, and where.
func (d *demoStory) opening() {
	d.paragraph(0, "A small internet (a DNS server and mail servers) and the mail agent run in this program now, on loopback addresses. Nothing leaves this machine. An application hands four messages to the agent.")
}

// title begins a scene.
func (d *demoStory) title(number int, s scene) {
	d.heading(fmt.Sprintf("%d. %s", number, s.title))
	d.paragraph(3, s.about)
	fmt.Fprintln(d.w)
}

// handsIn tells that a message is handed in.
func (d *demoStory) handsIn(from, to string) {
	d.line(time.Now(), nil, "SMTP: "+from+" sends to "+to)
}

// entry tells an entry of the journal.
func (d *demoStory) entry(e journal.Entry) {
	switch e.Kind {
	case journal.Accepted:
		d.accepted(e)
		return
	case journal.Delivered, journal.Deferred, journal.Failed:
	default:
		return
	}
	if e.Attempt != nil {
		d.attempt(*e.Attempt)
	}
	at := e.Cursor.Time
	switch e.Kind {
	case journal.Delivered:
		d.line(at, d.good, "delivered to "+e.Recipient+" by "+e.Host)
	case journal.Deferred:
		d.line(at, d.wait, "not delivered yet: the agent waits "+durationWhole(demoRetry)+" and tries again")
	case journal.Failed:
		d.line(at, d.bad, "failed for good ("+e.Status.String()+"): "+e.Reason)
	}
}

// accepted tells of mail that the agent has taken over, from outside or from itself.
func (d *demoStory) accepted(e journal.Entry) {
	text := "SMTP: " + e.Sender + " hands in message " + e.Message
	switch {
	case e.Sender == "":
		text = "the agent writes a report to the sender, as message " + e.Message
	case strings.HasSuffix(d.said, " "+e.Message):
		text = "SMTP: 250 " + d.said + " (it is safe on the disk)"
	}
	d.line(e.Cursor.Time, nil, text)
}

// attempt tells what was asked and tried, host by host.
func (d *demoStory) attempt(a mail.Attempt) {
	for _, l := range a.DNS {
		if l.Type == "MX" || a.Rule != mail.RuleMX {
			d.lookup(a.Started, l)
		}
	}
	for _, c := range a.Candidates {
		d.candidate(c)
	}
}

// lookup tells the answer to a question; further records stand below the first.
func (d *demoStory) lookup(at time.Time, l mail.Lookup) {
	question := "DNS:  " + l.Type + " of " + l.Name + ": "
	text, _, _ := strings.Cut(lookupText(l), "; TTL")
	records := strings.Split(text, ", ")
	d.line(at, nil, question+records[0])
	for _, record := range records[1:] {
		fmt.Fprintf(d.w, "%*s%s\n", demoMargin+len(question), "", record)
	}
}

// candidate tells how it went at one address: what decided is the last that was said there, but for QUIT.
func (d *demoStory) candidate(c mail.Candidate) {
	place := placeText(c.Host, c.Address, 0)
	switch c.Verdict {
	case mail.VerdictSkipped:
		d.line(time.Now(), d.faint, place+" is skipped: "+c.Reason)
		return
	case mail.VerdictUnreached:
		return
	}
	refused := false
	for _, s := range c.Stages {
		said, colour := "", d.wait
		switch {
		case s.Error != "":
			said = strings.TrimPrefix(s.Error, "no connection: ")
		case refused && s.Stage == mail.StageData: // follows from it
			continue
		case s.Stage == mail.StageDot || s.Reply.Code >= 400:
			said = s.Reply.String()
			if refused = s.Reply.Code >= 400; !refused {
				colour = nil
			}
		default:
			continue
		}
		d.line(s.At.Add(s.Took), colour, "tried "+place+": "+said)
	}
}

// report shows a report as a person reads it.
func (d *demoStory) report(text string) {
	fmt.Fprintf(d.w, "\n   %s\n\n", "The report, as the sender reads it:")
	for line := range lines(text) {
		fmt.Fprintln(d.w, strings.TrimRight(" "+d.faint("|")+" "+plain(line), " "))
	}
}

// recap says again what became of each message, since what the commands print is long.
func (d *demoStory) recap(told demonstrated) {
	title := "What became of the four messages: all as it should be"
	if !told.AsExpected {
		title = "What became of the four messages: not all as it should be"
	}
	d.heading(title)
	for _, p := range told.Scenes {
		colour := d.good
		if !p.AsExpected {
			colour = d.bad
		}
		fmt.Fprintf(d.w, "  %-24s %s\n", p.Recipient, colour(wrapAfter(plain(p.End), " ", columns-27, strings.Repeat(" ", 27))))
	}
}

// ending says what can be done now.
func (d *demoStory) ending(w *demoWorld, keep bool) {
	fmt.Fprintln(d.w)
	if !keep {
		d.paragraph(0, "All of it is stopped now. "+os.Args[0]+" demo --keep leaves the agent running, at "+w.submission+" for SMTP and with its console at "+w.consoleURL()+", until Ctrl-C.")
		return
	}
	d.paragraph(0, "The agent runs on until Ctrl-C stops it. Mail comes in by SMTP at "+w.submission+"; the domains are those above. What becomes of it is told here. To look around, in another terminal:")
	fmt.Fprintf(d.w, `
  export STERNPOST_CONFIG=%s
  echo hello | %[2]s submit --from %[3]s --to you@grey.test
  %[2]s queue
  %[2]s why you@grey.test

The console (the HTTP API; docs/json.md lists what it answers):

  curl -H "Authorization: Bearer %[4]s" \
      %[5]s/v1/destinations

`, w.file, os.Args[0], "app@shop.test", w.token, w.consoleURL())
}

// stopped is said at Ctrl-C.
func (d *demoStory) stopped() { fmt.Fprintln(d.w, "\nStopping; the directory is removed.") }
