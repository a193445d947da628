package console

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// rulesOf is the judge that the agent has.
func rulesOf(t *testing.T) func(journal.Entry) bounce.Verdict {
	t.Helper()
	rules, err := bounce.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return func(e journal.Entry) bounce.Verdict { return rules.Classify(bounce.FromEntry(e)) }
}

// greetedWith is a deferral whose only host greeted with a reply.
func greetedWith(ago time.Duration, recipient, message string, code int) journal.Entry {
	e := failedAt(ago, recipient, code)
	reply := mail.Reply{Code: code, Lines: []string{"554 5.7.1 blocked using zen.spamhaus.org"}}
	e.Kind, e.Message, e.AttemptID, e.Stage, e.Reply, e.Status = journal.Deferred, message, message, mail.StageGreeting, reply.Lines, mail.Status{4, 7, 1}
	e.Attempt = &mail.Attempt{ID: message, Candidates: []mail.Candidate{{Host: e.Host, Stages: []mail.StageRecord{{Stage: mail.StageGreeting, Reply: reply}}}}}
	return e
}

func kindsOf(list []Alarm) string {
	var kinds []string
	for _, a := range list {
		kinds = append(kinds, a.Kind)
	}
	return strings.Join(kinds, " ")
}

// The last attempt at a domain decides, with whatever mail it was; and the DNS as it is now.
func TestAlarmsOfWhy(t *testing.T) {
	refused := greetedWith(time.Hour, "you@example.test", "0000000000008", 554)
	accepts := failedAt(time.Minute, "them@example.test", 550)
	before := failedAt(2*time.Hour, "them@example.test", 550)
	old := greetedWith(8*24*time.Hour, "you@example.test", "0000000000008", 554)
	arrived := failedAt(time.Minute, "you@example.test", 250)
	arrived.Kind = journal.Delivered
	other := refused
	other.Recipient, other.Attempt = "us@example.test", nil // of the same attempt
	ended := failedAt(time.Second, "you@example.test", 554)
	ended.AttemptID, ended.Reason = "", journal.LifetimeEnded
	for _, c := range []struct {
		name, what string
		entries    []journal.Entry
		want       string
	}{
		{"refused", "example.test", []journal.Entry{refused}, "refused-by-all"},
		{"an address there", "nobody@example.test", []journal.Entry{refused}, "refused-by-all"},
		{"several recipients", "example.test", []journal.Entry{refused, other}, "refused-by-all"},
		{"the lifetime has ended since", "example.test", []journal.Entry{refused, ended}, "refused-by-all"},
		{"a host has answered since", "example.test", []journal.Entry{refused, accepts}, ""},
		{"a host had answered before", "example.test", []journal.Entry{before, refused}, "refused-by-all"},
		{"it has arrived since", "you@example.test", []journal.Entry{refused, arrived}, ""},
		{"long ago", "example.test", []journal.Entry{old}, ""},
		{"another domain", "other.test", []journal.Entry{refused}, ""},
		{"no mail, and no such domain", "you@gmial.com", nil, "typo"},
	} {
		d := Deps{Queue: &fakeQueue{}, Journal: &book{entries: c.entries}, Judge: rulesOf(t), Outlook: noSuchDomain}
		_, client := startWith(t, DefaultConfig(), d)
		var told Why
		answered(t, client, "/v1/why?what="+c.what, &told)
		if got := kindsOf(told.Alarms); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Journal: &book{entries: []journal.Entry{{Kind: "broken"}}}, Judge: rulesOf(t)})
	if response, _ := ask(t, client, get(t, "/v1/why?what=example.test")); response.StatusCode != http.StatusInternalServerError {
		t.Error(response.Status)
	}
}

// noSuchDomain is an outlook that knows gmial.com not to exist.
func noSuchDomain(_ context.Context, domain mail.Domain) (mail.Attempt, string) {
	if domain != "gmial.com" {
		return mail.Attempt{}, ""
	}
	return mail.Attempt{Outcomes: []mail.Outcome{{
		Disposition: mail.Failed, Scope: mail.ScopeDestination, Stage: mail.StageResolve, Status: mail.Status{5, 1, 2}, Reason: "host unknown: gmial.com does not exist (NXDOMAIN)",
	}}}, ""
}

// What is known of a message that is gone is what was known when it failed.
func TestAlarmsOfAMessageThatIsGone(t *testing.T) {
	accepted, failed := failedAt(3*time.Hour, "you@example.test", 0), failedAt(time.Hour, "you@example.test", 554)
	accepted.Kind, accepted.Recipient, accepted.AttemptID = journal.Accepted, "", ""
	failed.AttemptID, failed.Reason, failed.Stage = "", journal.LifetimeEnded+"; the last attempt: refused", mail.StageGreeting
	later := failedAt(time.Minute, "them@example.test", 550)
	later.Message, later.AttemptID = "0000000000009", "z"
	b := &book{entries: []journal.Entry{accepted, greetedWith(2*time.Hour, "others@example.test", "0000000000008", 554), failed, later}}
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Journal: b, Judge: rulesOf(t)})
	var told Why
	answered(t, client, "/v1/why?what=0000000000007", &told)
	if got := kindsOf(told.Alarms); got != "refused-by-all" {
		t.Errorf("%q of %+v", got, told)
	}
	if len(told.Probes) != 1 || told.Probes[0].Message != "0000000000008" || told.Probes[0].Attempt == nil || told.MoreProbes != 0 {
		t.Errorf("the probe in its lifetime has a tree, since it has none of its own: %+v", told.Probes)
	}
}

// The newest probes are shown, and the others counted; those of other domains, of other times and those that reached somebody are none.
func TestProbesOfAMessageThatExpired(t *testing.T) {
	accepted, failed := failedAt(3*time.Hour, "you@example.test", 0), failedAt(time.Hour, "you@example.test", 554)
	accepted.Kind, accepted.Recipient, accepted.AttemptID = journal.Accepted, "", ""
	failed.AttemptID, failed.Reason, failed.Stage = "", journal.NeverReached, mail.StageConnect
	b := &book{entries: []journal.Entry{greetedWith(4*time.Hour, "a@example.test", "0000000000001", 554), accepted}}
	for i := range mostProbes + 3 {
		b.write(greetedWith(2*time.Hour-time.Duration(i)*time.Minute, "b@example.test", "00000000000"+string(rune('a'+i))+"0", 554))
	}
	elsewhere := greetedWith(2*time.Hour, "b@other.test", "0000000000002", 554)
	reached := failedAt(70*time.Minute, "c@example.test", 450)
	reached.Kind, reached.Message, reached.AttemptID = journal.Deferred, "0000000000003", "r"
	b.write(elsewhere, reached, failed, greetedWith(time.Minute, "d@example.test", "0000000000004", 554))
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Journal: b, Judge: rulesOf(t)})
	var told Why
	answered(t, client, "/v1/why?what=0000000000007", &told)
	if len(told.Probes) != mostProbes || told.MoreProbes != 3 {
		t.Fatalf("%d and %d more", len(told.Probes), told.MoreProbes)
	}
	for i, e := range told.Probes {
		if e.Domain != "example.test" || e.Recipient != "b@example.test" || (e.Attempt != nil) != (i == mostProbes-1) {
			t.Errorf("probe %d: %+v", i, e)
		}
	}
}

// An alarm that is in the tree is found where a list is read without trees: one tree for each domain.
func TestAlarmsOfIncidentsReadFewTrees(t *testing.T) {
	b := new(book)
	for i := range 50 {
		b.write(greetedWith(time.Hour, "you@example.test", "00000000000"+string(rune('a'+i%20))+"0", 554))
	}
	waiting := []Destination{{Domain: "other.test", Messages: 3}, {Domain: "example.test", Messages: 10_000}}
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{destinations: waiting}, Journal: b, Judge: rulesOf(t)})
	var told IncidentList
	answered(t, client, "/v1/incidents", &told)
	if len(told.Incidents) != 1 || told.Incidents[0].Messages != 20 || told.Incidents[0].Waiting != 10_000 {
		t.Errorf("%+v", told.Incidents)
	}
	if len(told.Alarms) != 1 || told.Alarms[0].Waiting != 10_000 || told.Alarms[0].Events != 50 || told.Alarms[0].Kind != "refused-by-all" {
		t.Errorf("%+v", told.Alarms)
	}
	withTrees := 0
	for _, q := range b.queries {
		if !q.Brief {
			withTrees++
		}
	}
	if withTrees != 1 {
		t.Errorf("trees were read %d times", withTrees)
	}
}

// What is held is not told to wait, and what was removed has no fault.
func TestStandingOfWhatAPersonDid(t *testing.T) {
	w := Why{Message: &Message{ID: "0000000000007"}, Events: []Event{{Kind: "deferred", Recipient: "you@example.test", Verdict: Verdict{Category: "greylisted", Advice: "Wait."}}}}
	held := w.standing(Recipient{Recipient: "you@example.test", State: stateName(queue.Held), InDoubt: true})
	if !strings.Contains(held.Advice, "Ask the recipient whether it came. Release it with `sternpost queue release 0000000000007`") {
		t.Errorf("%+v", held)
	}
	if removed := w.standing(Recipient{Recipient: "you@example.test", State: stateName(queue.Removed)}); removed.Verdict != (Verdict{}) {
		t.Errorf("%+v", removed)
	}
}
