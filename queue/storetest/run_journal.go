package storetest

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func journalTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"entries of a commit": testAcceptedEntry,
		"each field":          testJournalFields,
		"an entry is kept":    testJournalEntry,
		"after a cursor":      testJournalAfter,
		"newest":              testJournalNewest,
		"since and until":     testJournalTimes,
		"within a sequence":   testJournalWithin,
	}
}

func testAcceptedEntry(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example"), "", journal.Entry{Kind: journal.Accepted, Sender: "a@a.example"})
	found := r.entries(journal.Query{Message: work[0].ID.String()})
	if len(found) != 1 {
		r.Fatalf("the id, which the caller could not know, is filled in: %+v", r.entries(journal.Query{}))
	}
	expect(r, "kind", found[0].Kind, journal.Accepted)
	expect(r, "time of the commit", found[0].Cursor.Time.IsZero(), false)
	draft, err := r.store.Begin(r.Context())
	if err != nil {
		r.Fatalf("Begin: %v", err)
	}
	draft.Abort()
	expect(r, "entries", len(r.entries(journal.Query{})), 1)
}

// story is six entries of three messages.
func story() []journal.Entry {
	return []journal.Entry{
		{Kind: journal.Accepted, Message: "1", Sender: "a@a.example", MessageID: "1@us.example"},
		{Kind: journal.Deferred, Message: "1", Sender: "a@a.example", Recipient: "b@b.example", Domain: "b.example", Host: "mx.b.example", Code: 451},
		{Kind: journal.Deferred, Message: "4", Domain: "b.example", Host: "mx.b.example"},
		{Kind: journal.Delivered, Message: "1", Sender: "a@a.example", Recipient: "b@b.example", Domain: "b.example", Host: "mx.b.example", Code: 250},
		{Kind: journal.Failed, Message: "2", Recipient: "c@c.example", Domain: "c.example", Host: "mx.c.example", Code: 550, Status: mail.Status{5, 1, 1}, MessageID: "2@us.example"},
		{Kind: journal.Removed, Message: "3", Sender: "x@x.example", Recipient: "b@b.example", Domain: "b.example"},
	}
}

// tell writes entries, so many in one commit.
func (r *trial) tell(entries []journal.Entry, each int) {
	r.Helper()
	for len(entries) > 0 {
		work := r.accept(letter("a@a.example", "b@b.example"), "")
		settlement := all(work[0], delivered())
		settlement.Entries = entries[:min(each, len(entries))]
		entries = entries[len(settlement.Entries):]
		r.settle(settlement)
	}
}

func testJournalFields(r *trial) {
	r.tell(story(), 2)
	for _, test := range []struct {
		query journal.Query
		want  []int
	}{
		{journal.Query{}, []int{0, 1, 2, 3, 4, 5}},
		{journal.Query{Kind: journal.Failed}, []int{4}},
		{journal.Query{Kind: journal.Changed}, nil},
		{journal.Query{Message: "1"}, []int{0, 1, 3}},
		{journal.Query{Sender: "a@a.example"}, []int{0, 1, 3}},
		{journal.Query{Recipient: "b@b.example"}, []int{1, 3, 5}},
		{journal.Query{Recipient: "b@b.exampl"}, nil},
		{journal.Query{Domain: "b.example"}, []int{1, 2, 3, 5}},
		{journal.Query{Host: "mx.b.example"}, []int{1, 2, 3}},
		{journal.Query{MessageID: "2@us.example"}, []int{4}},
		{journal.Query{Code: 550}, []int{4}},
		{journal.Query{Code: 45}, nil},
		{journal.Query{Status: mail.Status{5, 1, 1}}, []int{4}},
		{journal.Query{Status: mail.Status{5, 1, 0}}, nil},
		{journal.Query{Kind: journal.Failed, Status: mail.Status{5, 1, 1}}, []int{4}},
		{journal.Query{Kind: journal.Deferred, Domain: "b.example"}, []int{1, 2}},
		{journal.Query{Recipient: "b@b.example", Kind: journal.Delivered}, []int{3}},
		{journal.Query{Message: "1", Domain: "b.example", Code: 451}, []int{1}},
		{journal.Query{Message: "2", Domain: "b.example"}, nil},
		{journal.Query{Limit: 2}, []int{0, 1}},
		{journal.Query{Domain: "b.example", Limit: 2}, []int{1, 2}},
		{journal.Query{Domain: "b.example", Limit: 9}, []int{1, 2, 3, 5}},
	} {
		r.expectStory(fmt.Sprintf("%+v", test.query), r.entries(test.query), test.want...)
	}
}

func (r *trial) expectStory(what string, entries []journal.Entry, want ...int) {
	r.Helper()
	var got, wanted []journal.Entry
	for _, e := range entries {
		e.Cursor = journal.Cursor{}
		got = append(got, e)
	}
	for _, i := range want {
		wanted = append(wanted, story()[i])
	}
	expect(r, what, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", wanted))
}

func testJournalEntry(r *trial) {
	want := journal.Entry{
		Kind: journal.Failed, Message: "1", Sender: "a\x00@a.example", Recipient: "例@b.example", Domain: "b.example", MessageID: "<\xff>",
		Host: "mx.b.example", Code: 550, Status: mail.Status{5, 1, 1}, Stage: mail.StageRcpt, Scope: mail.ScopeRecipient, InDoubt: true,
		Reply: []string{"550-5.1.1 \x1b[2J", "550 5.1.1 \xff"}, Reason: "no such user", AttemptID: "7", Attempt: tree(),
	}
	r.tell([]journal.Entry{want, {Kind: journal.Failed, Recipient: "例@b.example\x00"}}, 2)
	found := r.entries(journal.Query{Recipient: want.Recipient, Sender: want.Sender, MessageID: want.MessageID})
	if len(found) != 1 {
		r.Fatalf("got %+v", found)
	}
	found[0].Cursor = journal.Cursor{}
	got, _ := json.Marshal(found[0].Attempt) // a tree always has its JSON
	kept, _ := json.Marshal(want.Attempt)
	expect(r, "tree", string(got), string(kept))
	brief := r.entries(journal.Query{Recipient: want.Recipient, Brief: true})
	brief[0].Cursor = journal.Cursor{}
	found[0].Attempt, want.Attempt = nil, nil
	expect(r, "entry", fmt.Sprintf("%+v", found[0]), fmt.Sprintf("%+v", want))
	expect(r, "entry without its tree", fmt.Sprintf("%+v", brief), fmt.Sprintf("%+v", found))
}

// tree is an attempt with a value in every field.
func tree() *mail.Attempt {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	ip := netip.MustParseAddr("2001:db8::1")
	reply := mail.Reply{Code: 250, Lines: []string{"250-mx", "250 \xff\x1b"}}
	return &mail.Attempt{
		ID: "1/b.example/2", Message: "1", Number: 2, Domain: "b.example", Started: at, Ended: at.Add(time.Minute), Rule: mail.RuleMX,
		Budget: 15 * time.Minute, Used: time.Millisecond, Pretended: []string{"mx=down"},
		DNS: []mail.Lookup{
			{Name: "b.example", Type: "MX", RCode: mail.RCodeSuccess, TTL: time.Hour, AD: true, Stale: true, Answers: []string{"10 mx.b.example"}},
			{Name: "mx.b.example", Type: "A", RCode: mail.RCodeTimeout, Error: "nobody answered"},
		},
		Candidates: []mail.Candidate{
			{Host: "mx.b.example", Preference: 10, Address: ip, Port: 25, Verdict: mail.VerdictDeferred, Reason: "first", Reused: true, ClosedBy: "us",
				Stages: []mail.StageRecord{
					{Stage: mail.StageMail, At: at.Add(-time.Second), Took: time.Microsecond, Reply: reply},
					{Stage: "of tomorrow", Error: "what is that"},
				},
				TLS: &mail.TLS{Version: "TLS 1.3", Cipher: "AES", Verified: true, Error: "no", Names: []string{"mx"}, Issuer: "CA", Expires: at}},
			{Host: "mx2.b.example", Verdict: mail.VerdictUnreached},
		},
		Outcomes: []mail.Outcome{{
			Recipient: mail.Address{Local: "you", Domain: "b.example"}, Disposition: mail.Failed, InDoubt: true, Scope: mail.ScopeRecipient,
			Stage: mail.StageRcpt, Reply: reply, Status: mail.Status{5, 1, 1}, Host: "mx.b.example", IP: ip, Reason: "no",
		}},
	}
}

// long is a journal of many entries.
func (r *trial) long() []journal.Entry {
	r.Helper()
	var entries []journal.Entry
	for i := range 30 {
		entries = append(entries, journal.Entry{Kind: journal.Delivered, Message: fmt.Sprint(i % 2), Reason: fmt.Sprint(i)})
	}
	r.tell(entries, 4)
	found := r.entries(journal.Query{})
	if len(found) != len(entries) {
		r.Fatalf("%d of %d entries", len(found), len(entries))
	}
	for i, e := range found {
		expect(r, "in the order of writing", e.Reason, fmt.Sprint(i))
		expect(r, "cursors increase", i == 0 || compareCursors(found[i-1].Cursor, e.Cursor) < 0, true)
	}
	return found
}

func testJournalAfter(r *trial) {
	entries := r.long()
	for _, q := range []journal.Query{{Limit: 7}, {Limit: 3, Message: "1"}, {Limit: 1, Kind: journal.Delivered}} {
		step := 1
		if q.Message != "" {
			step = 2
		}
		at := step - 1
		for page := r.entries(q); len(page) > 0; page = r.entries(q) {
			for _, e := range page {
				expect(r, "page", e.Reason, fmt.Sprint(at))
				at += step
			}
			q.After = page[len(page)-1].Cursor
		}
		expect(r, "all pages", at, len(entries)+step-1)
	}
	expect(r, "behind the last", len(r.entries(journal.Query{After: entries[len(entries)-1].Cursor})), 0)
}

func testJournalNewest(r *trial) {
	entries := r.long()
	found := r.entries(journal.Query{Newest: true})
	expect(r, "entries", len(found), len(entries))
	for i, e := range found {
		expect(r, "newest first", e.Reason, fmt.Sprint(len(entries)-1-i))
	}
	found = r.entries(journal.Query{Newest: true, Limit: 2, Message: "0", After: entries[20].Cursor})
	if len(found) != 2 || found[0].Reason != "28" || found[1].Reason != "26" {
		r.Errorf("two of a message: %+v", found)
	}
}

func testJournalTimes(r *trial) {
	entries := r.long()
	within := func(q journal.Query) int {
		count := 0
		for _, e := range entries {
			before, behind := e.Cursor.Time.Before(q.Since), !q.Until.IsZero() && e.Cursor.Time.Compare(q.Until) >= 0
			if !before && !behind && (q.Message == "" || q.Message == e.Message) {
				count++
			}
		}
		return count
	}
	for _, i := range []int{0, 9, 29} {
		at := entries[i].Cursor.Time
		for _, q := range []journal.Query{
			{Since: at}, {Until: at}, {Since: at, Until: at.Add(1)}, {Since: at.Add(time.Hour)}, {Until: at.Add(-time.Hour)}, {Since: at, Newest: true},
			{Until: at, Newest: true},
		} {
			expect(r, fmt.Sprintf("%+v", q), len(r.entries(q)), within(q))
			q.Message = "1"
			expect(r, fmt.Sprintf("%+v", q), len(r.entries(q)), within(q))
		}
	}
}

func testJournalWithin(r *trial) {
	r.tell(story(), 6)
	seen := 0
	for _, err := range r.store.Journal().Find(r.Context(), journal.Query{}) {
		if err != nil {
			r.Fatalf("Find: %v", err)
		}
		if seen++; seen == 2 {
			break
		}
		r.waiting(letter("a@a.example", "b@b.example"))
		expect(r, "messages", len(r.messages(queue.Query{})), 1)
	}
}
