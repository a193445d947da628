package main

import (
	"strings"
	"testing"
	"time"

	"sternpost/console"
)

func TestStandingOfRecipients(t *testing.T) {
	now := time.Now()
	at := func(d time.Duration) *time.Time { then := now.Add(d); return &then }
	s := standing{known: destinations{
		"dead.test":  {Suspended: at(time.Hour), Health: console.HealthDead},
		"over.test":  {Suspended: at(-time.Hour)},
		"under.test": {UnderWay: 2, Messages: 3, Held: 1},
		"some.test":  {UnderWay: 2, Messages: 3},
	}, now: now}
	for _, c := range []struct {
		domain string
		next   *time.Time
		want   string
	}{
		{"dead.test", nil, "waits for dead.test, next probe in 1h0m"},
		{"dead.test", at(time.Minute), "waits for dead.test, next probe in 1h0m"},
		{"dead.test", at(2 * time.Hour), "next try in 2h0m"},
		{"over.test", nil, "due"}, {"under.test", nil, "under way"}, {"some.test", at(-time.Minute), "due"}, {"new.test", nil, "due"},
	} {
		if got := s.of(console.Recipient{State: "pending", Domain: c.domain, Next: c.next}); got != c.want {
			t.Errorf("%s: %q, want %q", c.domain, got, c.want)
		}
	}
	if got := s.of(console.Recipient{State: "held", Domain: "dead.test"}); got != "held" {
		t.Errorf("held: %q", got)
	}
}

func TestSummaryOfDestinations(t *testing.T) {
	now := time.Now()
	soon, past := now.Add(90*time.Second), now.Add(-time.Second)
	list := []console.Destination{
		{Domain: "dead.test", Messages: 5, Health: console.HealthDead, Suspended: &soon, Site: "a", Window: 1, LastReply: "450 \x1b[2J"},
		{Domain: "probed.test", Messages: 1, Health: console.HealthDead, UnderWay: 1, Site: "b", Window: 20},
		{Domain: "other.test", Messages: 2, Health: console.HealthGood, UnderWay: 2, Next: &past, Site: "b", Window: 20},
		{Domain: "rated.test", Messages: 2, Health: console.HealthSuspended, Suspended: &soon},
		{Domain: "held.test", Messages: 1, Held: 1, Health: console.HealthGood},
	}
	shareSites(list)
	var out strings.Builder
	if err := printSummary(&out, list, now); err != nil {
		t.Fatal(err)
	}
	want := `DESTINATION  MESSAGES  HELD  OLDEST  WINDOW   HEALTH     NEXT TRY
dead.test    5         0     -       0 of 1   dead       probe in 1m30s
    450 \x1b[2J
probed.test  1         0     -       3 of 20  dead       probe now
other.test   2         0     -       3 of 20  good       now
rated.test   2         0     -       -        suspended  in 1m30s
held.test    1         1     -       -        good       -
11 messages for 5 destinations
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	if got := cut("0123456789", 5); got != "0123…" {
		t.Errorf("cut to %q", got)
	}
}

// A change is about the recipients that are chosen and may still change.
func TestRecipientsThatAreMeant(t *testing.T) {
	r := console.Recipient{Recipient: "you@example.test", Domain: "example.test", State: "pending"}
	gone := r
	gone.State = "delivered"
	for _, c := range []struct {
		s    console.Selection
		r    console.Recipient
		want bool
	}{
		{console.Selection{}, r, true}, {console.Selection{}, gone, false}, {console.Selection{Domain: "EXAMPLE.test"}, r, true},
		{console.Selection{Domain: "other.test"}, r, false}, {console.Selection{Recipient: "you@Example.TEST"}, r, true},
		{console.Selection{Recipient: "other@example.test"}, r, false},
	} {
		if got := meant(c.s, c.r); got != c.want {
			t.Errorf("%+v means %+v: %v", c.s, c.r, got)
		}
	}
}
