package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/mail"
)

// whyStory prints a Why for people.
type whyStory struct {
	story
	told console.Why
	now  time.Time
	// margin is before each line.
	margin int
}

func (y whyStory) print() error {
	var b bytes.Buffer
	out := y.w
	y.w = &b
	switch y.told.About {
	case console.WhyMessage:
		y.message()
	default:
		y.place()
	}
	_, err := out.Write(b.Bytes())
	return err
}

func (y whyStory) title(text string) { fmt.Fprintf(y.w, "\n%s\n", y.paint.bold(text)) }

// line is a name and what it is, broken at 80 columns.
func (y whyStory) line(name, text string) {
	if text != "" {
		margin := strings.Repeat(" ", y.margin)
		fmt.Fprintf(y.w, "%s%-11s %s\n", margin, name, wrapAfter(plain(text), " ", columns-12-y.margin, strings.Repeat(" ", 12+y.margin)))
	}
}

func (y whyStory) message() {
	m := y.told.Message
	y.answers()
	y.alarms()
	fmt.Fprintln(y.w, "\n"+y.paint.bold("Message "+mail.Escape(m.ID)))
	y.line("from", "<"+mail.Escape(m.Sender)+">")
	y.line("accepted", y.accepted(*m))
	y.line("message-id", mail.Escape(m.MessageID))
	if m.InQueue {
		y.line("size", sizeText(m.Size))
	}
	y.line("reports on", mail.Escape(m.Origin))
	y.title("What happened")
	y.events()
	y.probes()
	y.title("How it stands")
	for _, s := range y.told.Standing {
		y.standing(s)
	}
	for _, d := range y.told.Destinations {
		y.prospect(d)
	}
}

func (y whyStory) accepted(m console.Message) string {
	text := "-"
	if m.Received != nil {
		text = y.when(m.Received)
	}
	if m.Peer != "" {
		text += ", handed in by " + mail.Escape(m.Peer)
	}
	if m.Account != "" && m.Account != m.Sender {
		text += ", account " + mail.Escape(m.Account)
	}
	return text
}

// when is a time, and how far it is.
func (y whyStory) when(t *time.Time) string {
	text := t.UTC().Format("2006-01-02 15:04:05Z")
	if t.After(y.now) {
		return text + " (in " + untilThen(t, y.now) + ")"
	}
	return text + " (" + ageOf(t, y.now) + " ago)"
}

// standing prints where a recipient stands, what comes next, and what to do.
func (y whyStory) standing(s console.Standing) {
	fmt.Fprintf(y.w, "  %s\n", y.paint.bold(mail.Escape(s.Recipient)))
	y.margin = 6
	y.line("state", s.State)
	if s.State == "removed" {
		y.line("why", "a person took it out of the queue; nobody was told")
	}
	if h := s.Handover; h != nil {
		y.handover(*h)
	}
	if s.Next != nil {
		y.line("next try", y.when(s.Next))
	}
	y.line("why then", s.NextReason)
	if s.GivesUp != nil {
		y.line("gives up", y.when(s.GivesUp))
	}
	if s.State != "delivered" {
		y.verdict(s.Verdict)
	}
}

// handover is the proof that another server has the message.
func (y whyStory) handover(h console.Handover) {
	place := mail.Escape(h.Host)
	if h.Address != "" && h.Address != h.Host {
		place += " [" + h.Address + "]"
	}
	secured := "in clear"
	switch {
	case h.TLS != "" && h.Verified:
		secured = h.TLS + ", certificate verified"
	case h.TLS != "":
		secured = h.TLS + ", certificate not verified"
	}
	y.line("taken by", place)
	y.line("at", y.when(&h.At))
	y.line("over", secured)
	y.line("answer", strings.Join(escapeAll(h.Reply), " / "))
}

func (y whyStory) verdict(v console.Verdict) {
	if v.Category == "" {
		return
	}
	text := v.Category
	if v.Cause != "" && v.Cause != v.Category {
		text += " (" + v.Cause + ")"
	}
	if v.Hard {
		text += ", hard: the address or its domain is dead"
	}
	y.line("kind", text)
	y.line("looks like", v.Sentence)
	y.line("fault", faultText(v.Fault))
	y.line("to do", v.Advice)
	y.line("read", v.Link)
}

// faultText is whose fault a failure looks like, in words.
func faultText(fault string) string {
	words := map[string]string{
		"us": "ours: our configuration, our message or our queue", "our-reputation": "ours: what others think of our address or domain",
		"recipient": "the recipient's: the address, or who has it", "their-server": "theirs: their server", "their-policy": "theirs: their rules",
		"dns": "theirs: the DNS of the recipient's domain", "network": "not known: the network between us and them",
	}
	if text, known := words[fault]; known {
		return text
	}
	return fault
}

// place prints what is known of an address or a domain.
func (y whyStory) place() {
	y.answerPlace()
	y.alarms()
	for _, d := range y.told.Destinations {
		y.queued(d)
	}
	y.waiting()
	y.recent()
	for _, d := range y.told.Destinations {
		y.prospect(d)
	}
}

// queued prints what waits for a destination and how it is.
func (y whyStory) queued(p console.Prospect) {
	d := p.Queued
	if d == nil {
		return
	}
	fmt.Fprintln(y.w)
	y.line("waiting", fmt.Sprintf("%s for %s, %d under way, %d held; the oldest came %s ago", count(d.Messages, "message"), p.Domain, d.UnderWay, d.Held, ageOf(d.Oldest, y.now)))
	y.line("health", healthText(*d, y.now))
	y.line("next try", nextTry(*d, y.now))
	if d.Window > 0 {
		y.line("window", windowText(*d)+" attempts at the same time to "+d.Site+", of all domains that lead there")
	}
	y.line("last", d.LastReply)
}

func healthText(d console.Destination, now time.Time) string {
	switch d.Health {
	case console.HealthDead:
		return "dead: " + nobodyText + "; one message probes it from time to time"
	case console.HealthSuspended:
		return "suspended for " + untilThen(d.Suspended, now) + ": when it was last tried, " + nobodyText
	}
	return d.Health
}

// waiting prints the oldest messages that wait.
func (y whyStory) waiting() {
	if len(y.told.Waiting) == 0 {
		return
	}
	y.title("Waiting, the oldest first")
	known := destinations{}
	for _, p := range y.told.Destinations {
		if p.Queued != nil {
			known[p.Domain] = *p.Queued
		}
	}
	s := standing{y.paint, known, y.now}
	for _, m := range y.told.Waiting {
		fmt.Fprintf(y.w, "  %s  %s old, from <%s>\n", mail.Escape(m.ID), ageOf(m.Received, y.now), mail.Escape(m.Sender))
		for _, r := range m.Recipients {
			fmt.Fprintf(y.w, "      %s\n", wrapAfter(mail.Escape(r.Recipient)+"  "+s.of(r), " ", columns-6, "        "))
		}
	}
	if y.told.MoreWaiting {
		fmt.Fprintln(y.w, "  There are more: sternpost queue list lists all.")
	}
}

// recent prints what happened of late.
func (y whyStory) recent() {
	title, none := "What went wrong in the last 7 days, newest last", "nothing"
	if y.told.About == console.WhyAddress {
		title, none = "What happened of late, newest last", "nothing that the journal remembers"
	}
	y.title(title)
	rows := bounceRows{w: y.w, paint: y.paint, verbose: y.verbose}
	for _, e := range y.told.Events {
		_ = rows.row(e) // into memory
		rows.before = e.Sentence
	}
	if len(y.told.Events) == 0 {
		fmt.Fprintf(y.w, "  %s\n", none)
	}
}

// prospect prints what an attempt would do now.
func (y whyStory) prospect(p console.Prospect) {
	if p.Plan == nil {
		return
	}
	y.title("What an attempt for " + plain(p.Domain) + " would do now")
	if y.told.About != console.WhyMessage { // its attempts have told them
		y.lookups(p.Plan.DNS)
	}
	for _, c := range p.Plan.Candidates {
		text, colour := "would be tried", y.paint.faint
		switch {
		case c.Verdict == mail.VerdictSkipped:
			text, colour = "would be skipped: "+plain(c.Reason), y.paint.wait
		case c.Reason != "":
			text += " (" + plain(c.Reason) + ")"
		}
		fmt.Fprintf(y.w, "  %3d %s\n      %s\n", c.Preference, placeText(c.Host, c.Address, c.Port), colour(wrapAfter(text, " ", columns-6, "      ")))
	}
	for _, o := range p.Plan.Outcomes {
		fmt.Fprintf(y.w, "  %s\n", y.paint.bad(wrapAfter(plain(o.Reason), " ", columns-2, "  ")))
	}
	y.line("policy", p.Policy)
}
