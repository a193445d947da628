package console

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
)

// book is a journal that is written by hand.
type book struct {
	mu      sync.Mutex
	entries []journal.Entry
	queries []journal.Query
}

func (b *book) write(e ...journal.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, e...)
}

func (b *book) Find(_ context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	b.mu.Lock()
	list := slices.Clone(b.entries)
	b.queries = append(b.queries, q)
	b.mu.Unlock()
	if q.Newest {
		slices.Reverse(list)
	}
	return func(yield func(journal.Entry, error) bool) {
		left := q.Limit
		for _, e := range list {
			if e.Kind == "broken" {
				yield(journal.Entry{}, errors.New("the journal is broken"))
				return
			}
			if !selects(q, e) {
				continue
			}
			if q.Brief {
				e.Attempt = nil
			}
			if !yield(e, nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

func selects(q journal.Query, e journal.Entry) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	at := e.Cursor.Time
	behind := q.Newest || at.After(q.After.Time) || at.Equal(q.After.Time) && e.Cursor.Seq > q.After.Seq
	return behind && same(string(q.Kind), string(e.Kind)) && same(q.Message, e.Message) && same(q.Recipient, e.Recipient) && same(q.Sender, e.Sender) &&
		same(string(q.Domain), string(e.Domain)) && same(q.Host, e.Host) && (q.Code == 0 || q.Code == e.Code) && (q.Status.IsZero() || q.Status == e.Status) &&
		(q.Since.IsZero() || !at.Before(q.Since)) && (q.Until.IsZero() || at.Before(q.Until))
}

// failedAt is a failure of a recipient some time ago; its reply wants to be a terminal escape, and a line of its own.
func failedAt(ago time.Duration, recipient string, code int) journal.Entry {
	_, domain, _ := strings.Cut(recipient, "@")
	return journal.Entry{
		Cursor: journal.Cursor{Time: time.Now().Add(-ago)}, Kind: journal.Failed, Message: "0000000000007", Sender: "me@client.test", Recipient: recipient, Domain: mail.Domain(domain),
		Host: "mx." + domain, Code: code, Status: mail.Status{code / 100, 1, 1}, Stage: mail.StageRcpt, Scope: mail.ScopeRecipient,
		Reply: []string{"550 5.1.1 no\x1b[2J\r\nid: 1-1\r\n\r\ndata: {}"}, AttemptID: "a",
	}
}

// judgeByCode is a judge that tells 550 from all else.
func judgeByCode(e journal.Entry) bounce.Verdict {
	if e.Code == 550 {
		return bounce.Verdict{Category: "bad-mailbox", Hard: true, Permanent: true, Fault: "recipient", Sentence: "There is no such mailbox.", Action: "Check the address."}
	}
	return bounce.Verdict{Category: "greylisted", Fault: "their-policy", Sentence: "The host wants us to come back."}
}

// planFor is an outlook with one host that would be skipped.
func planFor(_ context.Context, domain mail.Domain) (mail.Attempt, string) {
	return mail.Attempt{Domain: domain, Rule: mail.RuleMX, Candidates: []mail.Candidate{{
		Host: "mx." + string(domain), Address: netip.MustParseAddr("192.0.2.1"), Verdict: mail.VerdictSkipped, Reason: "down",
	}}}, "TLS where the host offers it"
}

// lately is what happened of late: accepted, deferred and failed; the same in the period before; and something that went well.
func lately() *book {
	accepted := journal.Entry{Cursor: journal.Cursor{Time: time.Now().Add(-4 * time.Hour)}, Kind: journal.Accepted, Message: "0000000000007", Sender: "me@client.test", Reason: "me"}
	deferred := failedAt(30*time.Minute, "you@example.test", 450)
	deferred.Kind = journal.Deferred
	report := failedAt(20*time.Minute, "me@client.test", 550)
	report.Sender = ""
	delivered := failedAt(10*time.Minute, "them@example.test", 250)
	delivered.Kind = journal.Delivered
	before := failedAt(30*time.Hour, "before@other.test", 550)
	before.Message = "0000000000001"
	return &book{entries: []journal.Entry{
		before, accepted, failedAt(3*time.Hour, "one@example.test", 550), failedAt(2*time.Hour, "two@example.test", 554),
		failedAt(time.Hour, "three@other.test", 550), deferred, report, delivered,
	}}
}

// toldOf is all that a console can be handed.
func toldOf(q Queue) Deps {
	return Deps{Queue: q, Journal: lately(), Judge: judgeByCode, Outlook: planFor}
}
