package queue

import (
	"testing"
	"testing/synctest"
	"time"

	"sternpost/bounce"
	"sternpost/mail"
)

// The clock of the queue is not behind what the journal has seen, but for the little that clocks differ by.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		for name, c := range map[string]struct{ seen, want time.Time }{
			"an empty journal":    {time.Time{}, start},
			"an hour ago":         {start.Add(-time.Hour), start},
			"some seconds ahead":  {start.Add(5 * time.Second), start},
			"the clock went back": {start.Add(24 * time.Hour), start.Add(24 * time.Hour)},
		} {
			if got := newClock(start, c.seen).now(); !got.Equal(c.want) {
				t.Errorf("%s: %s, want %s", name, got, c.want)
			}
		}
		clock := newClock(start, time.Time{})
		time.Sleep(time.Hour)
		if got := clock.now().Sub(start); got != time.Hour || clock.off() != 0 {
			t.Errorf("after an hour: %s, off by %s", got, clock.off())
		}
	})
}

// What an attempt says of its destination.
func TestFared(t *testing.T) {
	rules, err := bounce.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	deferred := func(stage mail.Stage, code int, line string) mail.Outcome {
		o := mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeHost, Stage: stage}
		if code != 0 {
			o.Reply = mail.Reply{Code: code, Lines: []string{line}}
			o.Status = o.Reply.Status()
		}
		return o
	}
	delivered := mail.Outcome{Disposition: mail.Delivered, Stage: mail.StageDot, Reply: mail.Reply{Code: 250, Lines: []string{"250 ok"}}}
	for _, c := range []struct {
		name string
		outs []mail.Outcome
		want fare
	}{
		{"delivered", []mail.Outcome{delivered}, faredWell},
		{"delivered to one of two", []mail.Outcome{deferred(mail.StageRcpt, 451, "451 4.7.1 greylisted"), delivered}, faredWell},
		{"refused", []mail.Outcome{{Disposition: mail.Failed, Stage: mail.StageRcpt, Reply: mail.Reply{Code: 550, Lines: []string{"550 no"}}}}, faredSo},
		{"greylisted", []mail.Outcome{deferred(mail.StageRcpt, 450, "450 4.2.0 Greylisted, try again later")}, faredSo},
		{"mailbox full", []mail.Outcome{deferred(mail.StageRcpt, 452, "452 4.2.2 full")}, faredSo},
		{"421 at MAIL", []mail.Outcome{deferred(mail.StageMail, 421, "421 4.7.0 later")}, faredBadly},
		{"421 instead of a greeting", []mail.Outcome{deferred(mail.StageGreeting, 421, "421 too many")}, faredBadly},
		{"slow down by status", []mail.Outcome{deferred(mail.StageMail, 450, "450 4.7.28 rate")}, faredBadly},
		{"slow down by text", []mail.Outcome{deferred(mail.StageMail, 451, "451 4.7.500 Server busy. Please try again later")}, faredBadly},
		{"a limit by text", []mail.Outcome{deferred(mail.StageRcpt, 450, "450 4.2.1 is receiving mail too quickly")}, faredBadly},
		{"too many recipients of one message", []mail.Outcome{deferred(mail.StageRcpt, 452, "452 4.5.3 too many recipients")}, faredSo},
		{"trouble of theirs", []mail.Outcome{deferred(mail.StageRcpt, 451, "451 4.3.0 the connection to our database is lost")}, faredSo},
		{"too many connections", []mail.Outcome{deferred(mail.StageMail, 451, "451 Too many concurrent connections from your address")}, faredBadly},
		{"broken in the middle", []mail.Outcome{deferred(mail.StageContent, 0, "")}, faredBadly},
		{"the handshake failed", []mail.Outcome{deferred(mail.StageStartTLS, 0, "")}, faredBadly},
		{"no connection", []mail.Outcome{deferred(mail.StageConnect, 0, "")}, faredDead},
		{"no greeting", []mail.Outcome{deferred(mail.StageGreeting, 0, "")}, faredDead},
		{"554 instead of a greeting", []mail.Outcome{deferred(mail.StageGreeting, 554, "554 go away")}, faredDead},
		{"no name server", []mail.Outcome{deferred(mail.StageResolve, 0, "")}, faredDead},
		{"no such domain", []mail.Outcome{{Disposition: mail.Failed, Scope: mail.ScopeDestination, Stage: mail.StageResolve}}, faredSo},
		{"trouble of our own", []mail.Outcome{{Disposition: mail.Deferred, Scope: mail.ScopeLocal, Stage: mail.StageContent}}, faredLocally},
	} {
		if got := fared(mail.Attempt{Outcomes: c.outs}, rules); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestRamp(t *testing.T) {
	start := time.Unix(1e9, 0)
	r := newRamp(start)
	total := 0
	took := map[time.Duration]int{}
	for at := time.Duration(0); at < rampEnd; at += 10 * time.Millisecond {
		n := r.take(start.Add(at))
		r.spend(n)
		total += n
		took[at.Truncate(time.Second)] += n
	}
	if took[0] > rampRate*5/4+5 || took[59*time.Second] < 100*rampRate || total < 500_000 {
		t.Errorf("%d in the first second, %d in the last, %d in all", took[0], took[59*time.Second], total)
	}
	if r.take(start.Add(rampEnd)) < 1<<20 {
		t.Error("it does not end")
	}
}
