// Package journal is what happened: the entries that say what became of every message, and how they are found again.
//
// What is promised: an entry is written in the same commit as the state that it explains, so there is never one without the other. Entries
// are never changed. They are kept for a time and up to a size, and the oldest days go first.
//
// A Journal may be used by any number of goroutines.
package journal

import (
	"context"
	"iter"
	"strings"
	"time"

	"sternpost/mail"
)

// Kind is what an entry tells of.
type Kind string

// The kinds. Outcomes of recipients have the kind of their disposition.
const (
	Accepted  Kind = "accepted"  // a message was taken over
	Delivered Kind = "delivered" // a recipient's message was handed over
	Deferred  Kind = "deferred"  // a recipient waits for the next attempt
	Failed    Kind = "failed"    // a recipient failed for good; Reason says whether the lifetime had ended
	Removed   Kind = "removed"   // a person took it out
	Changed   Kind = "changed"   // a person held, released or hurried it
	Lost      Kind = "lost"      // it is missing since the files of the queue were damaged
	// Suppressed: from then on mail to the recipient is refused; Message is the one that failed last, and empty where a person said so.
	Suppressed Kind = "suppressed"
)

// Cursor is the place of an entry in the journal: entries are ordered by it, and later ones have greater ones. The zero Cursor stands before all.
type Cursor struct {
	Time time.Time // of the commit, to the nanosecond
	Seq  uint32    // among the entries of one nanosecond
}

// Entry is one thing that happened. Texts may quote a stranger and are verbatim: print them through mail.Escape.
type Entry struct {
	Cursor    Cursor // set by the store
	Kind      Kind
	Message   string // our id of the message
	Sender    string // reverse-path
	Recipient string // empty where it is about the whole message
	Domain    mail.Domain
	MessageID string // the header field, without its brackets
	Host      string
	Code      int
	Status    mail.Status
	Stage     mail.Stage
	Scope     mail.Scope
	InDoubt   bool
	Reply     []string
	Reason    string
	AttemptID string
	Attempt   *mail.Attempt // the tree; only at the first entry of an attempt, the others share its AttemptID
}

// LifetimeEnded is what the reason of a failure says when it is the end of the message's lifetime.
const LifetimeEnded = "the lifetime of the message ended"

// NeverReached is the same where no host ever took a connection.
const NeverReached = "host unknown: no host took a connection until " + LifetimeEnded

// Returned is what the reason of a failure says that a person has ordered.
const Returned = "returned to the sender by the operator"

// ReportsAbout is how the reason begins where an Accepted entry tells of a report of ours; the id of the message that it is about follows.
const ReportsAbout = "reports about "

// Expired says whether a failure is the end of the message's lifetime.
func (e Entry) Expired() bool {
	return e.Kind == Failed && (strings.HasPrefix(e.Reason, LifetimeEnded) || strings.HasPrefix(e.Reason, NeverReached))
}

// ReachedNobody says whether e is of an attempt in which no host got as far as EHLO: it says the same of all mail to its domain, and is a probe for what waits there.
func (e Entry) ReachedNobody() bool {
	switch e.Stage {
	case mail.StageResolve, mail.StageConnect, mail.StageGreeting, mail.StageHello:
		return e.Scope != mail.ScopeLocal && (e.Kind == Deferred || e.Expired())
	}
	return false
}

// Query selects entries; zero fields select all. All fields must fit. The category of a failure is none of them: it is judged when it is read, by the rules of that day, so that
// a rule which was mended tells the right thing of old failures too.
type Query struct {
	Since, Until time.Time // Until is exclusive
	After        Cursor    // only entries behind it
	Kind         Kind
	Message      string
	Sender       string
	Recipient    string
	Domain       mail.Domain
	Host         string
	MessageID    string
	Code         int
	Status       mail.Status
	Newest       bool // newest first; After is not used then
	Brief        bool // without the trees of attempts, which cost most of a reading
	Limit        int  // 0: all
}

// Journal finds entries.
type Journal interface {
	// Find yields the entries of a query in their order. An error ends the sequence.
	Find(ctx context.Context, q Query) iter.Seq2[Entry, error]
}
