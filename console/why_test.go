package console

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func TestWhyOfAMessageInTheQueue(t *testing.T) {
	m := messageOn(t, 7)
	now := time.Now()
	m.Received, m.Expires = now.Add(-4*time.Hour), now.Add(24*time.Hour)
	m.Recipients[0].Due = now.Add(30 * time.Minute)
	d := toldOf(&fakeQueue{messages: []queue.Message{m}, destinations: []Destination{{Domain: "example.test", Health: HealthGood}}})
	b := d.Journal.(*book)
	probe := failedAt(15*time.Minute, "them@example.test", 0)
	probe.Kind, probe.Message, probe.AttemptID, probe.Stage = journal.Deferred, "0000000000008", "p", mail.StageConnect
	again := probe
	again.Recipient = "others@example.test"
	refused := probe
	refused.AttemptID, refused.Stage = "q", mail.StageRcpt
	own := probe
	own.Message, own.AttemptID, own.Recipient = "0000000000007", "o", "other@example.test"
	b.write(probe, again, refused, own)
	_, client := startWith(t, DefaultConfig(), d)
	var told Why
	answered(t, client, "/v1/why?what=0000000000007", &told)
	if told.About != WhyMessage || told.Message == nil || told.Events[0].Kind != "accepted" || len(told.Standing) != 1 {
		t.Fatalf("%+v", told)
	}
	if len(told.Probes) != 1 || told.Probes[0].Message != "0000000000008" {
		t.Errorf("the attempt with another message that reached nobody is told once, the one that reached somebody is not: %+v", told.Probes)
	}
	s := told.Standing[0]
	if s.State != "pending" || s.NextReason != "1h after attempt 1, by queue.backoff" || s.GivesUp == nil || s.Category != "greylisted" {
		t.Errorf("%+v", s)
	}
	if len(told.Destinations) != 1 || told.Destinations[0].Queued == nil || told.Destinations[0].Plan.Candidates[0].Reason != "down" {
		t.Errorf("%+v", told.Destinations)
	}
}

// The proof is where the tree of the attempt is, which another recipient of it may have.
func TestWhyOfAMessageThatIsGone(t *testing.T) {
	first, second := failedAt(time.Hour, "you@gone.test", 250), failedAt(time.Hour, "them@gone.test", 250)
	ip := netip.MustParseAddr("192.0.2.9")
	first.Attempt = &mail.Attempt{ID: "a", Number: 1, Candidates: []mail.Candidate{
		{Host: "mx.gone.test", Address: ip, TLS: &mail.TLS{Version: "TLS 1.3", Verified: true}},
		{Host: "mx.gone.test", Address: netip.MustParseAddr("192.0.2.8"), TLS: &mail.TLS{Version: "TLS 1.2"}},
	}}
	for _, e := range []*journal.Entry{&first, &second} {
		e.Kind, e.Message, e.Reply = journal.Delivered, "0000000000009", []string{"250 queued as 4XyZ"}
		to, _ := mail.ParseAddress(e.Recipient)
		first.Attempt.Outcomes = append(first.Attempt.Outcomes, mail.Outcome{Recipient: to, Host: "mx.gone.test", IP: ip})
	}
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Journal: &book{entries: []journal.Entry{first, second}}})
	var told Why
	answered(t, client, "/v1/why?what=0000000000009", &told)
	if len(told.Standing) != 2 || told.Events[0].Attempt == nil || told.Events[1].Attempt != nil {
		t.Fatalf("%+v", told)
	}
	for _, s := range told.Standing {
		h := s.Handover
		if h == nil || h.Address != "192.0.2.9" || h.TLS != "TLS 1.3" || !h.Verified || strings.Join(h.Reply, "") != "250 queued as 4XyZ" || s.State != "delivered" {
			t.Errorf("%+v %+v", s, h)
		}
	}
}

func TestWhyOfPlaces(t *testing.T) {
	m := messageOn(t, 7)
	m.Envelope.Recipients = append(m.Envelope.Recipients, mail.Recipient{Address: mail.Address{Local: "done", Domain: "example.test"}})
	m.Recipients = append(m.Recipients, queue.RecipientState{State: queue.Delivered})
	var many []queue.Message
	for range mostWaiting + 1 {
		many = append(many, m)
	}
	q := &fakeQueue{messages: many}
	_, client := startWith(t, DefaultConfig(), toldOf(q))
	for _, c := range []struct {
		what, about, events string
		waiting             int
	}{
		{"you@EXAMPLE.test", WhyAddress, "you", mostWaiting},
		{"done@example.test", WhyAddress, "", 0},
		{"example.test", WhyDomain, "one two you", mostWaiting},
		{"nobody.test", WhyDomain, "", 0},
	} {
		var told Why
		answered(t, client, "/v1/why?what="+c.what, &told)
		if told.About != c.about || recipientsOf(told.Events) != c.events || len(told.Waiting) != c.waiting || told.MoreWaiting != (c.waiting > 0) {
			t.Errorf("%s: %s, %q, %d waiting, more %v", c.what, told.About, recipientsOf(told.Events), len(told.Waiting), told.MoreWaiting)
		}
		for _, m := range told.Waiting {
			if len(m.Recipients) != 1 {
				t.Errorf("%s: %+v", c.what, m.Recipients)
			}
		}
	}
	if response, text := ask(t, client, get(t, "/v1/why?what=a%20b")); response.StatusCode != http.StatusBadRequest {
		t.Errorf("%d %s", response.StatusCode, text)
	}
}

// What was never tried itself is kept by what keeps all that waits.
func TestVerdictOfAProbe(t *testing.T) {
	probe := Event{Domain: "example.test", Verdict: Verdict{Category: "network"}}
	w := Why{Message: &Message{}, Probes: []Event{{Domain: "other.test", Verdict: Verdict{Category: "dns"}}, probe}}
	if s := w.standing(Recipient{Recipient: "you@example.test", Domain: "example.test", State: "pending"}); s.Category != "network" {
		t.Errorf("%+v", s)
	}
}

func TestReasonOfTheNextTry(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	code := 450
	tried := Event{Kind: "deferred", Recipient: "you@example.test", Time: now.Add(-time.Minute), Code: &code, Reply: []string{"450 4.2.0 try again in 10 minutes"}}
	for _, c := range []struct {
		name      string
		recipient Recipient
		sendAt    *time.Time
		expires   *time.Time
		suspended *time.Time
		events    []Event
		want      string
		at        *time.Time
	}{
		{"hint", Recipient{Next: in(9 * time.Minute), Attempts: 1}, nil, in(48 * time.Hour), nil, []Event{tried}, "the remote asked for 10m", in(9 * time.Minute)},
		{"longer than the hint", Recipient{Next: in(time.Hour), Attempts: 2}, nil, in(48 * time.Hour), nil, []Event{tried}, "1h1m after attempt 2, by queue.backoff", in(time.Hour)},
		{"last", Recipient{Next: in(9 * time.Minute), Attempts: 1}, nil, in(20 * time.Minute), nil, []Event{tried}, "the last attempt", in(9 * time.Minute)},
		{"dead", Recipient{Next: in(-time.Minute)}, nil, nil, in(5 * time.Minute), nil, "no host of example.test could be reached", in(5 * time.Minute)},
		{"dead, but not for long", Recipient{Next: in(time.Hour), Attempts: 1}, nil, nil, in(5 * time.Minute), []Event{tried}, "by queue.backoff", in(time.Hour)},
		{"later", Recipient{}, in(time.Hour), nil, nil, nil, "send_at", in(time.Hour)},
		{"due", Recipient{Next: in(-time.Second)}, nil, nil, nil, []Event{tried}, "it is due", in(-time.Second)},
		{"never tried", Recipient{}, nil, nil, nil, nil, "it is due", nil},
		{"by hand", Recipient{Next: in(time.Hour)}, nil, nil, nil, nil, "by a person", in(time.Hour)},
		{"held", Recipient{State: "held", InDoubt: true}, nil, nil, nil, nil, "may have been delivered", nil},
	} {
		c.recipient.Recipient, c.recipient.Domain = "you@example.test", "example.test"
		if c.recipient.State == "" {
			c.recipient.State = "pending"
		}
		w := Why{Message: &Message{SendAt: c.sendAt, Expires: c.expires}, Events: c.events, Destinations: []Prospect{{Domain: "example.test", Queued: &Destination{Suspended: c.suspended}}}}
		s := w.standing(c.recipient)
		if !strings.Contains(s.NextReason, c.want) || (s.Next == nil) != (c.at == nil) || s.Next != nil && !s.Next.Equal(*c.at) {
			t.Errorf("%s: %v %q", c.name, s.Next, s.NextReason)
		}
	}
}
