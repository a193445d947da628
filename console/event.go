package console

import (
	"strconv"
	"strings"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
)

// Event is an entry of the journal as callers see it. Of an entry that tells of no failure, the keys from category to link say nothing.
type Event struct {
	// Cursor is its place in the journal, for Last-Event-ID and after.
	Cursor    string        `json:"cursor"`
	Time      time.Time     `json:"time"`
	Kind      string        `json:"kind"`
	Message   string        `json:"message"`
	Sender    string        `json:"sender"`
	Recipient string        `json:"recipient"`
	Domain    string        `json:"domain"`
	MessageID string        `json:"message_id"`
	Host      string        `json:"host"`
	Address   string        `json:"address"` // of the host, where the entry has the tree
	Code      *int          `json:"code"`
	Status    string        `json:"status"`
	Reply     []string      `json:"reply"`
	Scope     string        `json:"scope"`
	Stage     string        `json:"stage"`
	InDoubt   bool          `json:"in_doubt"`
	Reason    string        `json:"reason"`
	AttemptID string        `json:"attempt_id"`
	Attempt   *mail.Attempt `json:"attempt"` // the tree, at the first entry of its attempt; null in lists
	Verdict
}

// Verdict is what a failure means.
type Verdict struct {
	Category  string `json:"category"`
	Hard      bool   `json:"hard"`      // the address or the domain itself is dead
	Permanent bool   `json:"permanent"` // this message will not go
	Cause     string `json:"cause"`     // the category of what kept it, where the lifetime ended
	Fault     string `json:"fault"`
	Sentence  string `json:"sentence"`
	Advice    string `json:"advice"`
	Link      string `json:"link"` // a page of the provider about it, where one is known
}

// eventOf is e as callers see it, judged.
func (c *Console) eventOf(e journal.Entry) Event { return EventOf(e, c.judge) }

// EventOf is e as callers see it. Judge says what a failure or a deferral means; nil: nobody does.
func EventOf(e journal.Entry, judge func(journal.Entry) bounce.Verdict) Event {
	told := Event{
		Cursor: cursorText(e.Cursor), Time: e.Cursor.Time.UTC(), Kind: string(e.Kind), Message: e.Message, Sender: e.Sender, Recipient: e.Recipient, Domain: string(e.Domain),
		MessageID: e.MessageID, Host: e.Host, Address: remoteOf(e), Status: e.Status.String(), Reply: e.Reply, Scope: string(e.Scope), Stage: string(e.Stage),
		InDoubt: e.InDoubt, Reason: e.Reason, AttemptID: e.AttemptID, Attempt: e.Attempt, Verdict: verdictOn(e, judge),
	}
	if told.Reply == nil {
		told.Reply = []string{}
	}
	if e.Code != 0 {
		told.Code = &e.Code
	}
	return told
}

// verdictOn judges an entry that tells of a failure.
func verdictOn(e journal.Entry, judge func(journal.Entry) bounce.Verdict) Verdict {
	if e.Kind != journal.Failed && e.Kind != journal.Deferred {
		return Verdict{}
	}
	if judge == nil {
		return Verdict{Permanent: e.Code/100 == 5}
	}
	return VerdictOf(judge(e))
}

// VerdictOf is v as callers see it.
func VerdictOf(v bounce.Verdict) Verdict {
	return Verdict{
		Category: string(v.Category), Hard: v.Hard, Permanent: v.Permanent, Cause: string(v.Cause), Fault: string(v.Fault),
		Sentence: v.Sentence, Advice: v.Action, Link: v.Link,
	}
}

func cursorText(c journal.Cursor) string {
	return strconv.FormatInt(c.Time.UnixNano(), 10) + "-" + strconv.FormatUint(uint64(c.Seq), 10)
}

// parseCursor reads what cursorText wrote.
func parseCursor(text string) (journal.Cursor, error) {
	at, seq, found := strings.Cut(text, "-")
	nanoseconds, err := strconv.ParseInt(at, 10, 64)
	place, failure := strconv.ParseUint(seq, 10, 32)
	if !found || err != nil || failure != nil || nanoseconds < 0 {
		return journal.Cursor{}, refuse("%q is not the cursor of an event", text)
	}
	return journal.Cursor{Time: time.Unix(0, nanoseconds), Seq: uint32(place)}, nil
}
