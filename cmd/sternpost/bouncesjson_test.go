package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sternpost/console"
	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// diary is a journal of some entries.
type diary []journal.Entry

func (d diary) Find(_ context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		list := slices.Clone(d)
		if q.Newest {
			slices.Reverse(list)
		}
		for _, e := range list {
			if (q.Kind == "" || q.Kind == e.Kind) && (q.Message == "" || q.Message == e.Message) &&
				(q.Domain == "" || q.Domain == e.Domain) && (q.Recipient == "" || q.Recipient == e.Recipient) && !yield(e, nil) {
				return
			}
		}
	}
}

// diaryOf has a message with a whole tree, and failures of which one wants to be a formula and a terminal escape.
func diaryOf(t *testing.T) diary {
	t.Helper()
	now, ip := time.Now(), netip.MustParseAddr("192.0.2.1")
	to := mail.Address{Local: "you", Domain: "example.test"}
	outcome := mail.Outcome{
		Recipient: to, Disposition: mail.Delivered, Stage: mail.StageDot, Reply: mail.Reply{Code: 250, Lines: []string{"250 queued as 4XyZ"}}, Host: "mx.example.test", IP: ip,
	}
	tree := mail.Attempt{
		ID: "a", Number: 1, Domain: "example.test", Rule: mail.RuleMX, Started: now, Ended: now, DNS: []mail.Lookup{{Name: "example.test", Type: "MX", RCode: mail.RCodeSuccess}},
		Candidates: []mail.Candidate{{
			Host: "mx.example.test", Address: ip, Port: 25, Verdict: mail.VerdictDelivered, TLS: &mail.TLS{Version: "TLS 1.3", Verified: true},
			Stages: []mail.StageRecord{{Stage: mail.StageDot, At: now, Reply: outcome.Reply}},
		}},
		Outcomes: []mail.Outcome{outcome},
	}
	failed := journal.Entry{
		Kind: journal.Failed, Message: "0000000000002", Recipient: "=cmd@a-domain-that-is-longer-than-its-column.example.test", Domain: "example.test", Code: 550, Status: mail.Status{5, 1, 1},
		Stage: mail.StageRcpt, Host: "a-host-that-is-longer-than-its-column.example.test", Reply: []string{"550 5.1.1 no\x1b[2J, such \"user\"\r\n"}, Reason: "refused",
	}
	list := diary{
		{Kind: journal.Accepted, Message: "0000000000001", Reason: "me"},
		{Kind: journal.Delivered, Message: "0000000000001", Recipient: to.String(), Domain: to.Domain, Code: 250, Host: "mx.example.test", Reply: outcome.Reply.Lines, AttemptID: "a", Attempt: &tree},
		failed, {Kind: journal.Failed, Message: "0000000000002", Recipient: "me@unknown.test", Domain: "unknown.test", Status: mail.Status{5, 1, 2}, Stage: mail.StageResolve, Reason: "host unknown"},
	}
	for i := range 3 {
		list = append(list, journal.Entry{
			Kind: journal.Deferred, Message: fmt.Sprint(i), Recipient: "me@listed.test", Domain: "listed.test", Code: 421, Status: mail.Status{4, 7, 0}, Stage: mail.StageGreeting, Host: "mx.listed.test",
			Reply: []string{"421 4.7.0 203.0.113.9 is listed at a block list"},
		})
	}
	list = append(list, journal.Entry{
		Kind: journal.Failed, Message: "0000000000003", Recipient: "me@gmial.com", Domain: "gmial.com", AttemptID: "g", Status: mail.Status{5, 1, 2}, Stage: mail.StageResolve, Reason: "host unknown: gmial.com does not exist (NXDOMAIN)",
	})
	for i := range list {
		list[i].Cursor.Time = now.Add(time.Duration(i-10) * time.Minute)
	}
	return list
}

// tellingAgent answers why and bounces.
func tellingAgent(t *testing.T) []string {
	t.Helper()
	told := new(judge)
	j, err := openJudge(&shell{ctx: t.Context()})
	if err != nil {
		t.Fatal(err)
	}
	told.rules.Store(j.rules.Load())
	return agentWith(t, console.Deps{
		Queue: smallQueue{queue.Message{
			ID: 1, Submission: queue.Submission{Envelope: mail.Envelope{Recipients: []mail.Recipient{{Address: mail.Address{Local: "you", Domain: "example.test"}}}}},
			Recipients: []queue.RecipientState{{State: queue.Delivered}},
		}},
		Journal: diaryOf(t), Judge: told.entry, Suppressions: oneSuppressed{},
		Outlook: func(context.Context, mail.Domain) (mail.Attempt, string) { return mail.Attempt{}, "in clear" },
	})
}

func ran(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	var out, said bytes.Buffer
	if code := run(args, &shell{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &said, environ: environ}); code != 0 {
		t.Fatalf("%q: exit status %d\n%s\n%s", args, code, out.Bytes(), said.Bytes())
	}
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("%q prints a terminal escape", args)
	}
	return out.String()
}

func TestBouncesJSONHasTheDocumentedKeys(t *testing.T) {
	environ := tellingAgent(t)
	why := map[string]string{
		"": "why", "message": "Message", "message.recipients[]": "Recipient", "standing[]": "Standing", "standing[].handover": "Handover", "events[]": "Event",
		"events[].attempt": "Attempt", "events[].attempt.dns[]": "Lookup", "events[].attempt.outcomes[]": "Outcome", "events[].attempt.candidates[]": "Candidate",
		"events[].attempt.candidates[].stages[]": "Stage", "events[].attempt.candidates[].tls": "TLS",
	}
	for _, c := range []struct {
		args   []string
		tables map[string]string // heading by place
	}{
		{[]string{"why", "0000000000001"}, why},
		{[]string{"why", "example.test"}, map[string]string{"": "why", "events[]": "Event", "destinations[]": "Prospect", "destinations[].queued": "Destination", "destinations[].plan": "Attempt"}},
		{[]string{"why", "me@gmial.com"}, map[string]string{"": "why", "events[]": "Event", "suppression": "Suppression", "alarms[]": "Alarm", "destinations[]": "Prospect", "destinations[].plan": "Attempt"}},
		{[]string{"bounces"}, map[string]string{"": "bounces", "bounces[]": "Event"}},
		{[]string{"bounces", "summary"}, map[string]string{"": "bounces summary", "categories[]": "Group", "domains[]": "Group", "hosts[]": "Group", "incidents[]": "Incident", "alarms[]": "Alarm"}},
		{[]string{"bounces", "parse", "../../dsn/testdata/" + aReport(t)}, map[string]string{"": "bounces parse", "bounces[]": "Event"}},
	} {
		var v any
		if err := json.Unmarshal([]byte(ran(t, environ, append(c.args, "--json")...)), &v); err != nil {
			t.Fatalf("%q: %v", c.args, err)
		}
		found := map[string][]string{}
		places(v, "", found)
		compareKeys(t, found, c.tables)
	}
}

// aReport is a report of a stranger.
func aReport(t *testing.T) string {
	t.Helper()
	list, err := os.ReadDir("../../dsn/testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		if strings.HasSuffix(entry.Name(), ".eml") {
			return entry.Name()
		}
	}
	t.Fatal("there is none in dsn/testdata")
	return ""
}

func TestBouncesCSV(t *testing.T) {
	table, err := csv.NewReader(strings.NewReader(ran(t, tellingAgent(t), "bounces", "--since", "2h", "--csv", "--category", "bad-mailbox"))).ReadAll()
	if err != nil || len(table) != 2 || len(table[0]) != len(csvNames()) {
		t.Fatalf("%v %q", err, table)
	}
	row := map[string]string{}
	for i, name := range table[0] {
		row[name] = table[1][i]
	}
	for name, want := range map[string]string{
		"recipient": "'=cmd@a-domain-that-is-longer-than-its-column.example.test", "code": "550", "status": "5.1.1", "hard": "true", "category": "bad-mailbox",
		"reply": `550 5.1.1 no\x1b[2J, such "user"\r\n`, "message": "0000000000002",
	} {
		if row[name] != want {
			t.Errorf("%s is %q, want %q", name, row[name], want)
		}
	}
}

// Only what a remote said may be wider than a terminal.
func TestStoriesForPeople(t *testing.T) {
	environ := tellingAgent(t)
	for _, c := range []struct{ args, want []string }{
		{[]string{"bounces"}, []string{"TIME (UTC)", "bad-mailbox, hard: ", "550 5.1.1", "-   5.1.2", "bad-domain, hard: "}},
		{[]string{"bounces", "summary"}, []string{"! 3 messages ", "203.0.113.9", "! gmial.com does not exist; gmail.com may be meant.", " failures from", "#####"}},
		{[]string{"why", "0000000000001"}, []string{"attempt 1\n", "taken by    mx.example.test [192.0.2.1]", "over        TLS 1.3, certificate verified", "answer      250 queued as 4XyZ"}},
		{[]string{"why", "you@example.test"}, []string{"1 message for example.test", "What happened of late", "delivered"}},
		{[]string{"why", "example.test"}, []string{"dead: no host", "policy      in clear"}},
	} {
		out := ran(t, environ, c.args...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%q: no %q in\n%s", c.args, want, out)
			}
		}
		for line := range lines(out) {
			if utf8.RuneCountInString(line) > columns {
				t.Errorf("%q: wider than %d: %s", c.args, columns, line)
			}
		}
	}
}
