package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
)

// answered is the answer to a question, read into v.
func answered(t *testing.T, client *http.Client, path string, v any) {
	t.Helper()
	response, text := ask(t, client, get(t, path))
	if err := json.Unmarshal([]byte(text), v); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s (%v)", path, response.StatusCode, text, err)
	}
}

func recipientsOf(list []Event) string {
	var names []string
	for _, e := range list {
		name, _, _ := strings.Cut(e.Recipient, "@")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestBouncesAreFound(t *testing.T) {
	_, client := startWith(t, DefaultConfig(), toldOf(&fakeQueue{}))
	today := time.Now().UTC().Add(24 * time.Hour).Format(time.DateOnly)
	for _, c := range []struct {
		query, want string
		more        bool
	}{
		{"", "one two three me", false},
		{"since=2d", "before one two three me", false},
		{"since=" + time.Now().Add(-90*time.Minute).UTC().Format(time.RFC3339), "three me", false},
		{"until=90m", "one two", false},
		{"since=" + today, "", false},
		{"limit=2", "three me", true},
		{"limit=4", "one two three me", false},
		{"domain=EXAMPLE.test", "one two", false},
		{"recipient=two@Example.test", "two", false},
		{"sender=me@client.test", "one two three", false},
		{"sender=%3C%3E", "me", false},
		{"host=MX.other.test", "three", false},
		{"code=554", "two", false},
		{"status=5.1.1&code=554", "two", false},
		{"status=5.1.2", "", false},
		{"category=bad-mailbox&limit=2", "three me", true},
		{"category=bad-mailbox&limit=3", "one three me", false},
		{"hard=true", "one three me", false},
		{"hard=false", "one two three me", false},
		{"kind=deferred", "you", false},
		{"kind=delivered", "them", false},
		{"message=0000000000008", "", false},
		{"message=0000000000001", "before", false}, // whenever it was
		{"message=0000000000001&since=1d", "", false},
	} {
		var list BounceList
		answered(t, client, "/v1/bounces?"+c.query, &list)
		if got := recipientsOf(list.Bounces); got != c.want || list.More != c.more {
			t.Errorf("%s: %q, more %v; want %q, %v", c.query, got, list.More, c.want, c.more)
		}
	}
}

func TestBouncesByLines(t *testing.T) {
	_, client := startWith(t, DefaultConfig(), toldOf(&fakeQueue{}))
	request := get(t, "/v1/bounces?category=bad-mailbox&limit=2")
	request.Header.Set("Accept", typeLines)
	_, text := ask(t, client, request)
	var list []Event
	for line := range strings.Lines(text) {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	if got := recipientsOf(list); got != "one three" {
		t.Errorf("the first two are %q", got)
	}
	if strings.ContainsRune(text, '\x1b') || list[0].Category != "bad-mailbox" || !list[0].Hard || *list[0].Code != 550 {
		t.Errorf("%s", text)
	}
}

func TestSummaryCounts(t *testing.T) {
	_, client := startWith(t, DefaultConfig(), toldOf(&fakeQueue{}))
	var told BounceSummary
	answered(t, client, "/v1/bounces/summary?limit=1", &told)
	if told.Count != 4 || told.Before != 1 || !told.BeforeSince.Equal(told.Since.Add(-24*time.Hour)) {
		t.Errorf("%+v", told)
	}
	text := func(list []Group) (s string) {
		for _, g := range list {
			s += fmt.Sprintf("%s %d %.2f %d; ", g.Name, g.Count, g.Share, g.Before)
		}
		return s
	}
	if got := text(told.Categories) + "/ " + text(told.Domains) + "/ " + text(told.Hosts); got !=
		"bad-mailbox 3 0.75 1; * 1 0.25 0; / example.test 2 0.50 0; * 2 0.50 1; / mx.example.test 2 0.50 0; * 2 0.50 1; " {
		t.Error(got)
	}
	if g := told.Domains[0]; g.Last.Sub(*g.First).Round(time.Minute) != time.Hour {
		t.Errorf("from %s to %s", g.First, g.Last)
	}
}

// Equal causes of several messages are one line, those that will not work are alarms; deferrals count, successes do not.
func TestIncidents(t *testing.T) {
	b := new(book)
	for i := range leastMessages {
		e := failedAt(time.Duration(5-i)*time.Minute, "you@example.test", 550)
		e.Message = fmt.Sprint(i)
		if i == 0 {
			e.Kind = journal.Deferred
		}
		delivered := e
		delivered.Kind, delivered.Message = journal.Delivered, fmt.Sprint(100+i)
		b.write(e, delivered)
	}
	typo := failedAt(time.Minute, "you@gmial.com", 0)
	typo.Status, typo.Reply, typo.Host, typo.Stage, typo.Reason = mail.Status{5, 1, 2}, nil, "", mail.StageResolve, "host unknown: gmial.com does not exist (NXDOMAIN)"
	b.write(typo, typo)
	rules, err := bounce.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Journal: b, Judge: func(e journal.Entry) bounce.Verdict { return rules.Classify(bounce.FromEntry(e)) }})
	var told IncidentList
	answered(t, client, "/v1/incidents?since=1h", &told)
	if len(told.Incidents) != 1 || told.Incidents[0].Messages != 3 || told.Incidents[0].Failed != 2 || told.Incidents[0].Deferred != 1 {
		t.Errorf("%+v", told.Incidents)
	}
	if len(told.Alarms) != 1 || told.Alarms[0].Events != 2 || told.Alarms[0].Suggestion != "gmail.com" {
		t.Errorf("%+v", told.Alarms)
	}
	var summary BounceSummary
	answered(t, client, "/v1/bounces/summary?since=1h", &summary)
	if len(summary.Incidents) != 1 || len(summary.Alarms) != 1 {
		t.Errorf("%+v", summary)
	}
	for query, want := range map[string][2]int{"category=bad-mailbox": {1, 0}, "category=bad-domain": {0, 1}, "category=spam": {0, 0}, "hard=true": {1, 1}, "sender=%3C%3E": {0, 0}} {
		for _, path := range []string{"/v1/incidents?since=1h&", "/v1/bounces/summary?since=1h&"} {
			told = IncidentList{}
			answered(t, client, path+query, &told)
			if got := [2]int{len(told.Incidents), len(told.Alarms)}; got != want {
				t.Errorf("%s%s: %d incidents and alarms, want %d", path, query, got, want)
			}
		}
	}
	b.write(journal.Entry{Kind: "broken"})
	if response, _ := ask(t, client, get(t, "/v1/incidents?since=1h")); response.StatusCode != http.StatusInternalServerError {
		t.Error(response.Status)
	}
}

// However many names strangers make up, a summary keeps some of them apart only.
func TestGroupsAreBounded(t *testing.T) {
	g := groups{}
	for i := range 3 * mostNames {
		g.count(fmt.Sprint(i), time.Now(), true)
	}
	if len(g) != mostNames+1 || g[othersName].Count != 2*mostNames {
		t.Errorf("%d groups, %+v", len(g), g[othersName])
	}
}

func TestWithoutAJournal(t *testing.T) {
	_, client := start(t, DefaultConfig(), &fakeQueue{})
	var list BounceList
	answered(t, client, "/v1/bounces", &list)
	var incidents IncidentList
	answered(t, client, "/v1/incidents", &incidents)
	if len(list.Bounces) != 0 || len(incidents.Incidents) != 0 {
		t.Errorf("%+v %+v", list, incidents)
	}
	if response, _ := ask(t, client, get(t, "/v1/events")); response.StatusCode != http.StatusServiceUnavailable {
		t.Error(response.Status)
	}
}

// What can be asked for at the command line is what is read here.
func TestSearchIsReadBack(t *testing.T) {
	want := Search{
		Since: "1h", Until: "2h", Kind: "failed", Message: "a", MessageID: "b", Sender: "c", Recipient: "d", Domain: "e", Host: "f", Code: 1, Status: "g", Category: "h",
		Hard: true, Limit: 2, After: "i",
	}
	got, err := searchOf(want.Values())
	if got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if text := (Search{}).Values().Encode(); text != "" {
		t.Errorf("a search for everything has parameters: %s", text)
	}
}
