package bounce

import (
	"fmt"
	"hash/maphash"
	"iter"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// failing is an event; change makes it another one.
func failing(c *Classifier, at time.Time, message string, change func(*journal.Entry)) Event {
	e := journal.Entry{
		Cursor: journal.Cursor{Time: at}, Kind: journal.Failed, Message: message, Sender: "a@example.org", Recipient: "b@outlook.com", Domain: "outlook.com",
		Host: "outlook-com.olc.protection.outlook.com", Code: 550, Status: mail.Status{5, 7, 1}, Stage: mail.StageMail,
		Reply: []string{"550 5.7.1 Messages from [203.0.113.9] weren't sent. Part of their network is on our block list (S3150)."},
	}
	if change != nil {
		change(&e)
	}
	return Event{e, c.Classify(FromEntry(e))}
}

func TestEqualCausesAreOneIncident(t *testing.T) {
	c, start := classifier(t), time.Date(2026, 11, 25, 9, 12, 0, 0, time.UTC)
	var events []Event
	for n := range 214 {
		events = append(events, failing(c, start.Add(time.Duration(n)*time.Minute), fmt.Sprint(n), func(e *journal.Entry) {
			e.Domain = []mail.Domain{"outlook.com", "hotmail.com"}[n%2]
		}))
	}
	deferred := func(e *journal.Entry) {
		e.Kind, e.Code, e.Status, e.Reply = journal.Deferred, 452, mail.Status{4, 2, 2}, []string{"452 4.2.2 mailbox full"}
	}
	events = append(events,
		failing(c, start.Add(time.Hour), "7", nil), // the same message once more
		failing(c, start, "x", func(e *journal.Entry) { e.Reply[0] = "550 5.7.1 203.0.113.10 is on our block list" }),
		failing(c, start, "y", func(e *journal.Entry) { e.Kind = journal.Delivered }),
		failing(c, start, "z", deferred), failing(c, start.Add(13*time.Hour), "z", deferred),
	)
	list := Gather(slices.Values(events), 1)
	if len(list) != 3 {
		t.Fatalf("%d incidents: %+v", len(list), list)
	}
	got := list[0]
	want := Incident{
		Key: "reputation outlook.com 203.0.113.9", Category: Reputation, Fault: FaultReputation, Messages: 214, Failed: 215, First: start, Last: start.Add(213 * time.Minute),
		Domains: []mail.Domain{"outlook.com", "hotmail.com"}, Address: netip.MustParseAddr("203.0.113.9"),
		Sentence: "214 messages to outlook.com refused since 09:12: our address 203.0.113.9 is listed, or has a bad name",
		Action:   events[0].Verdict.Action, Link: "https://sendersupport.olc.protection.outlook.com/pm/troubleshooting", place: "outlook.com",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	var sentences []string
	for _, i := range list[1:] {
		sentences = append(sentences, i.Sentence)
	}
	if want := []string{"1 message to outlook.com delayed since 2026-11-25 09:12: mailboxes that are full",
		"1 message to outlook.com refused since 09:12: our address 203.0.113.10 is listed, or has a bad name"}; !slices.Equal(sentences, want) {
		t.Errorf("%q, want %q", sentences, want)
	}
	if few := Gather(slices.Values(events), 2); len(few) != 1 {
		t.Errorf("%d incidents of two messages or more", len(few))
	}
}

// What the sender's domain causes is gathered over all providers.
func TestIncidentOfASender(t *testing.T) {
	c := classifier(t)
	var events []Event
	for n, host := range []string{"mx.one.example", "mx.two.example", "mx.three.co.uk"} {
		events = append(events, failing(c, time.Unix(0, 0), fmt.Sprint(n), func(e *journal.Entry) {
			e.Host, e.Domain, e.Reply = host, mail.Domain(host), []string{"550 5.7.26 fails DMARC"}
			e.Status = mail.Status{5, 7, 26}
		}))
	}
	list := Gather(slices.Values(events), 3)
	if len(list) != 1 || list[0].Sentence != "3 messages from example.org refused since 00:00: who sent the mail could not be verified" || list[0].Key != "authentication example.org" {
		t.Errorf("%+v", list)
	}
	refused := failing(c, time.Unix(0, 0), "1", func(e *journal.Entry) { e.Status, e.Reply = mail.Status{5, 1, 8}, []string{"553 5.1.8 no"} })
	if list := Gather(slices.Values([]Event{refused}), 1); list[0].Key != "rejected-sender example.org" {
		t.Errorf("%+v", list)
	}
	if ip := named([]string{"550-127.0.0.2 is what list.example says", "550 of [203.0.113.9]: see 5.7.1"}); ip != netip.MustParseAddr("203.0.113.9") {
		t.Errorf("the reply names %s", ip)
	}
	for host, want := range map[string]string{"mx.three.co.uk": "three.co.uk", "a.b.example.com.": "example.com", "localhost": "localhost", "MX.Example.DE": "example.de", "": ""} {
		if got := organization(host); got != want {
			t.Errorf("%s belongs to %s", host, got)
		}
	}
}

// However many causes and messages there are, memory is bounded, and the great incident is found.
func TestIncidentsAreBounded(t *testing.T) {
	c := classifier(t)
	one := failing(c, time.Unix(0, 0), "", nil)
	many := func(yield func(Event) bool) {
		for n := range 20_000 {
			e := one
			e.Entry.Message = fmt.Sprint(n)
			if n%4 != 0 {
				e.Entry.Host = fmt.Sprintf("mx.d%d.example", n)
			}
			e.Entry.Domain = mail.Domain(fmt.Sprintf("d%d.example", n))
			if !yield(e) {
				return
			}
		}
	}
	list := Gather(iter.Seq[Event](many), 1)
	if len(list) > 2*maxIncidents || list[0].Messages != 5000 || len(list[0].Domains) != maxDomains || !list[0].MoreDomains {
		t.Errorf("%d incidents, the first %+v", len(list), list[0])
	}
	g := gathering{byKey: map[string]*Incident{}, seen: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	for n := range uint64(maxCounted) {
		g.seen[n] = struct{}{}
	}
	i := begun(one)
	g.count(&i, "one more")
	i.Failed = 1
	i.tell()
	if !i.AtLeast || i.Messages != 0 || len(g.seen) != maxCounted {
		t.Errorf("%+v", i)
	}
}

func TestEveryCategoryHasACause(t *testing.T) {
	for _, category := range Categories() {
		i := Incident{Category: category}
		if known := i.why() != "for a reason that is not understood"; known == (category == Unknown || category == Expired) {
			t.Errorf("%s: %s", category, i.why())
		}
	}
}

func BenchmarkGather(b *testing.B) {
	c := classifier(b)
	var events []Event
	for n := range 10_000 {
		events = append(events, failing(c, time.Unix(int64(n), 0), fmt.Sprint(n), func(e *journal.Entry) { e.Host = fmt.Sprintf("mx.d%d.example", n%50) }))
	}
	for b.Loop() {
		Gather(slices.Values(events), 2)
	}
}
