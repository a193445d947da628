package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/console"
	"sternpost/mail"
	"sternpost/queue"
)

// oneSuppressed is a list on which me@gmial.com is.
type oneSuppressed struct{ queue.SuppressionList }

func (oneSuppressed) Suppression(_ context.Context, a mail.Address) (queue.Suppression, bool, error) {
	return queue.Suppression{Address: a, Failures: 1, Needed: 1, Since: time.Now(), Last: time.Now()}, a.Local == "me", nil
}

// answersOf are the first lines of a story.
func answersOf(told console.Why, now time.Time, p paint) string {
	var b bytes.Buffer
	y := whyStory{story{&b, p, false}, told, now, 2}
	if told.About == console.WhyMessage {
		y.answers()
	} else {
		y.answerPlace()
	}
	return b.String()
}

// The first line is the answer: what became of a message, or what comes next, and what to do.
func TestFirstLineOfAMessage(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) *time.Time { then := now.Add(d); return &then }
	full := console.Verdict{Category: "mailbox-full", Sentence: "The mailbox is full.", Advice: "Tell the recipient."}
	for _, c := range []struct {
		standing console.Standing
		want     string
	}{
		{console.Standing{State: "delivered", Handover: &console.Handover{At: now.Add(-time.Minute), Host: "mx.example.test"}}, "Delivered to you@example.test 1m0s ago: mx.example.test took it.\n"},
		{console.Standing{State: "delivered"}, "Delivered to you@example.test.\n"},
		{console.Standing{State: "failed", Verdict: full}, "Failed for you@example.test. The mailbox is full.\n  To do: Tell the recipient.\n"},
		{console.Standing{State: "failed"}, "Failed for you@example.test. It is not known why.\n"},
		{console.Standing{State: "held"}, "Held for you@example.test until somebody releases it.\n"},
		{console.Standing{State: "removed"}, "Removed for you@example.test: a person took it out of the queue.\n"},
		{console.Standing{State: "pending", Next: at(time.Hour), Verdict: full}, "Waiting for you@example.test. The mailbox is full. The next try is in 1h0m.\n  To do: Tell the recipient.\n"},
		{console.Standing{State: "pending", Next: at(-time.Second)}, "Waiting for you@example.test. It is being tried, or is about to be.\n"},
		{console.Standing{State: "pending"}, "Waiting for you@example.test. It is being tried, or is about to be.\n"},
		{console.Standing{State: "pending", GivesUp: at(time.Minute), NextReason: "its lifetime ends before the next probe", Verdict: full},
			"Waiting for you@example.test. The mailbox is full. There is no other try before its lifetime ends, in 1m0s.\n  To do: Tell the recipient.\n"},
	} {
		c.standing.Recipient = "you@example.test"
		got := answersOf(console.Why{About: console.WhyMessage, Standing: []console.Standing{c.standing}}, now, false)
		if unbroken(got) != unbroken(c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// unbroken is text in one line.
func unbroken(text string) string { return strings.Join(strings.Fields(text), " ") }

// Of many recipients the first line counts; below are those that it did not reach.
func TestFirstLinesOfManyRecipients(t *testing.T) {
	told := console.Why{About: console.WhyMessage}
	for _, state := range []string{"delivered", "pending", "delivered", "failed", "held", "failed"} {
		told.Standing = append(told.Standing, console.Standing{Recipient: state + "@example.test", State: state})
	}
	got := answersOf(told, time.Now(), false)
	if !strings.HasPrefix(got, "6 recipients: 2 failed, 1 held, 1 waiting, 2 delivered\nWaiting for pending@") || strings.Contains(got, "delivered@") || !strings.HasSuffix(got, "And 1 more: see \"How it stands\" below.\n") || strings.Count(got, "\n") != 5 {
		t.Error(got)
	}
}

// Of an address or a domain: whether mail waits, and whether more can go there.
func TestFirstLineOfAPlace(t *testing.T) {
	now := time.Now()
	soon := now.Add(61 * time.Second)
	dead := console.Destination{Messages: 7, Health: console.HealthDead, Suspended: &soon}
	held := console.Destination{Messages: 2, Held: 2}
	plan := mail.Attempt{Candidates: []mail.Candidate{{Host: "mx1.example.test", Verdict: mail.VerdictSkipped}, {Host: "mx2.example.test"}}}
	nowhere := mail.Attempt{Outcomes: []mail.Outcome{{Reason: "host unknown: it does not exist"}}}
	waiting := []console.Message{{}, {}}
	for _, c := range []struct {
		told console.Why
		want string
	}{
		{console.Why{Destinations: []console.Prospect{{Plan: &plan}}}, "Nothing waits for example.test. Mail would go to mx2.example.test.\n"},
		{console.Why{}, "Nothing waits for example.test.\n"},
		{console.Why{Destinations: []console.Prospect{{Plan: &nowhere}}}, "No mail can go to example.test now: host unknown: it does not exist.\n"},
		{console.Why{Subject: "1m8afk5h5000", Destinations: []console.Prospect{{Plan: &nowhere}}}, "No mail can go to 1m8afk5h5000 now: host unknown: it does not exist.\n  (The id of a message would have 13 letters and digits.)\n"},
		{console.Why{Destinations: []console.Prospect{{Queued: &dead, Plan: &plan}}}, "7 messages wait for example.test: no host could be reached, or would talk to us. Next: probe in 1m0s.\n"},
		{console.Why{Destinations: []console.Prospect{{Queued: &held}}}, "2 messages held for example.test, until somebody releases what is held.\n"},
		{console.Why{About: console.WhyAddress, Subject: "you@example.test", Waiting: waiting, MoreWaiting: true}, "2 messages and more wait for you@example.test.\n"},
		{console.Why{About: console.WhyAddress, Subject: "you@example.test", Waiting: waiting[:1], Events: []console.Event{{Verdict: console.Verdict{Sentence: "It is full."}}}}, "1 message waits for you@example.test. It is full.\n"},
		{console.Why{About: console.WhyAddress, Subject: "you@example.test", Suppression: &console.Suppression{Suppressed: true, Since: &now}},
			"Suppressed: mail to it is refused when it is handed in, since " + now.UTC().Format("2006-01-02") + ". `sternpost suppression remove you@example.test` ends that.\nNothing waits for you@example.test.\n"},
		{console.Why{About: console.WhyAddress, Subject: "you@example.test", Suppression: &console.Suppression{}}, "Nothing waits for you@example.test.\n"},
	} {
		if c.told.About == "" {
			c.told.About = console.WhyDomain
		}
		if c.told.Subject == "" {
			c.told.Subject = "example.test"
		}
		if got := answersOf(c.told, now.Add(time.Second), false); unbroken(got) != unbroken(c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Green is what went well, red what failed, yellow what waits: suppressed is no good news.
func TestColours(t *testing.T) {
	p := paint(true)
	for kind, want := range map[string]string{
		"delivered": p.good("x"), "failed": p.bad("x"), "lost": p.bad("x"), "suppressed": p.bad("x"), "deferred": p.wait("x"), "changed": p.wait("x"), "removed": p.wait("x"), "accepted": p.faint("x"),
	} {
		if got := p.kind(kind)("x"); got != want {
			t.Errorf("%s is %q, want %q", kind, got, want)
		}
	}
	if got := p.bad("one\ntwo"); got != p.bad("one")+"\n"+p.bad("two") {
		t.Errorf("a colour goes over the end of a line: %q", got)
	}
	for state, want := range map[string]string{"delivered": "32", "failed": "31", "held": "33", "pending": "33", "removed": "33"} {
		got := answersOf(console.Why{About: console.WhyMessage, Standing: []console.Standing{{Recipient: "you@example.test", State: state}}}, time.Now(), true)
		if !strings.Contains(got, "\x1b["+want+"m") {
			t.Errorf("%s: %q", state, got)
		}
	}
}

// Probes that came to the same are one line, also where the lifetime of the message that was tried ended with one.
func TestProbesInFewLines(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	probe := func(after time.Duration, host, reason string) console.Event {
		return console.Event{Time: at.Add(after), Kind: "deferred", Domain: "dead.test", Host: host, Stage: "connect", Reason: reason}
	}
	var b bytes.Buffer
	whyStory{story{&b, false, false}, console.Why{MoreProbes: 7, Probes: []console.Event{
		probe(0, "mx1.dead.test", "refused"), probe(time.Minute, "mx1.dead.test", "refused"), probe(time.Hour, "mx1.dead.test", "host unknown; the last attempt: refused"),
		probe(2*time.Hour, "", "SERVFAIL"),
	}}, at, 2}.probes()
	want := `
Other mail for the same domain was tried for all that waits, without success:
  7 times before these:
  2026-11-25 09:00:00Z until 2026-11-25 10:00:00Z, 3 times
    mx1.dead.test, connect: refused
  2026-11-25 11:00:00Z
    dead.test, connect: SERVFAIL
`
	if got := b.String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// A message of five days has some forty attempts that went alike: they are one line, unless all is asked for. What differs, or stands between, is told.
func TestAttemptsThatWentAlike(t *testing.T) {
	at := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	try := func(number int, said string) console.Event {
		a := mail.Attempt{Number: number, Domain: "dead.test", Started: at, Ended: at.Add(time.Duration(number) * time.Millisecond)}
		a.DNS = []mail.Lookup{{Name: "dead.test", Type: "MX", RCode: mail.RCodeSuccess, Answers: []string{"10 a.test", "20 b.test"}, TTL: time.Duration(number) * time.Minute}}
		if number%2 == 0 {
			slices.Reverse(a.DNS[0].Answers)
		}
		a.Candidates = []mail.Candidate{{Host: "a.test", Verdict: mail.VerdictDeferred, Stages: []mail.StageRecord{{Stage: mail.StageConnect, Error: said, Took: time.Duration(number)}}}}
		return console.Event{Time: at.Add(time.Duration(number) * time.Hour), Kind: "deferred", AttemptID: fmt.Sprint(number), Attempt: &a}
	}
	further := console.Event{Time: at, Kind: "deferred", Recipient: "second@dead.test", AttemptID: "2"}
	list := []console.Event{
		try(1, "refused"), try(2, "refused"), further, try(3, "refused"), try(4, "timeout"), try(5, "timeout"), {Time: at, Kind: "changed", Reason: "held"}, try(6, "timeout"),
	}
	told := func(verbose bool) string {
		var b bytes.Buffer
		whyStory{story{&b, false, verbose}, console.Why{Events: list}, at, 2}.events()
		var titles []string
		for line := range lines(b.String()) {
			if strings.Contains(line, "attempt") || strings.Contains(line, "the same") || strings.Contains(line, "second@") || strings.Contains(line, "held") {
				titles = append(titles, strings.TrimSpace(strings.TrimPrefix(line, "2026-11-25 ")))
			}
		}
		return strings.Join(titles, "\n")
	}
	want := `10:00:00Z  attempt 1
11:00:00Z  attempts 2 to 3, the last at 2026-11-25 12:00:00Z:
the same (--verbose shows each)
13:00:00Z  attempt 4
14:00:00Z  attempt 5:
the same (--verbose shows each)
09:00:00Z  changed by a person: held
15:00:00Z  attempt 6`
	if got := told(false); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := told(true); strings.Contains(got, "the same") || strings.Count(got, "attempt") != 6 {
		t.Errorf("all of it:\n%s", got)
	}
}
