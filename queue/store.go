package queue

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// ErrFull is the answer to Begin and Commit while the disk has too little space or too few inodes left. What was accepted is delivered meanwhile.
var ErrFull = errors.New("the disk of the queue is nearly full")

// ErrStopped is the answer to everything that writes after a commit has failed. Nothing is known of the disk then: nothing is accepted and
// nothing is settled until the process has started again and recovered.
var ErrStopped = errors.New("the store has stopped after a failed write")

// ErrNotFound is the answer to a question about a message that is not in the queue.
var ErrNotFound = errors.New("no such message in the queue")

// ErrOver is the answer to a message whose lifetime ends before it begins.
var ErrOver = errors.New("the lifetime of the message has ended already")

// ErrDamaged is what opening and reading a content come to that is missing, or is not what was accepted any more. Trying again does not help.
var ErrDamaged = errors.New("the content is not what was accepted")

// Draft is a message on its way in. It is written, then committed or aborted; one of them must be called. A Draft belongs to one goroutine.
type Draft interface {
	io.Writer
	// Commit makes the message durable, with the entries of the journal about it, and returns it leased: one Owed for each destination, in the order in
	// which the destinations stand in the envelope. When it returns nil the message survives a crash, and so do its Reports, which are not leased. After an error nothing was accepted.
	//
	// A submission with a key is accepted once: where a message of the same sender with the same key was accepted less than KeyLifetime before it, by the Received of the two,
	// the answer is a *RepeatedError if their digests are the same, else ErrOtherContent; whatever has become of that message meanwhile. The key is remembered in the commit
	// of its message, so there is never one without the other. Of several commits with the same key at the same time one goes ahead, and the others wait for what becomes of
	// it, or for the end of ctx: if it fails, the next goes ahead.
	Commit(ctx context.Context, s Submission, entries []journal.Entry) ([]Owed, error)
	// Abort forgets the draft. After Commit it does nothing.
	Abort()
}

// Store keeps the queue. It is made for batches and leases, so that one which several nodes share can take the place of the embedded one.
//
// All methods may be called concurrently. Times are those of the caller; the Store has no clock of its own but for the cursors of the journal.
type Store interface {
	// Begin starts a message. Its content may be of any size.
	Begin(ctx context.Context) (Draft, error)

	// Settle records what became of leased work, in one commit: states, journal, and the reports that failures owe. It is synced when it returns nil. The leases
	// of the settled work end. A message that nobody Waits for is removed.
	Settle(ctx context.Context, work []Settlement) error

	// Return gives leases back unchanged: the work is there to be leased again.
	Return(work []Owed)

	// Lease gives work that is due, and marks it as taken. Destinations come by their next due time; within one, senders take turns, and higher
	// priorities come first.
	Lease(ctx context.Context, w Want) ([]Owed, error)

	// Next is the earliest time at which Lease may have something that is not leased; false: there is nothing.
	Next(ctx context.Context) (time.Time, bool, error)

	// Suspend keeps the work of a destination from being leased before until, whether something waits there or not; the zero time lifts it. The empty
	// destination with the zero time lifts all suspensions at once. It costs the same however much waits. It survives a restart; a crash may undo what came
	// after the last synced commit, since a suspension is only what was learnt of a destination and is learnt again.
	Suspend(ctx context.Context, destination mail.Domain, until time.Time) error

	// Overdue leases work whose deadline (notice of delay, end of the lifetime) has passed, whether its destination is suspended or not.
	Overdue(ctx context.Context, now time.Time, most int) ([]Owed, error)

	// Reports leases the messages whose reports are owed (RecipientState.Owes) and due: nobody holds a lease of the message and all destinations that are
	// NextInTurn are suspended, or ReportDue has passed. Each is one Owed of
	// the destination ReportWork; its Indices are all recipients that are owed. next is when the earliest of the others is due; zero: there is none.
	Reports(ctx context.Context, now time.Time, most int) (work []Owed, next time.Time, err error)

	// Claim leases the work of a query that nobody holds, due or not, held or not, at most so much of it.
	Claim(ctx context.Context, q Query, most int) ([]Owed, error)

	// Content opens the content of a message that is in the queue.
	Content(ctx context.Context, id ID) (mail.Content, error)

	// Messages yields the messages of a query, oldest first.
	Messages(ctx context.Context, q Query) iter.Seq2[Message, error]

	// Destinations yields a summary of each destination that has something waiting.
	Destinations(ctx context.Context) iter.Seq2[Summary, error]

	// Change does what a person asked to all messages of a query that nobody holds a lease of, and returns how many recipients were changed.
	Change(ctx context.Context, q Query, a Action, now time.Time) (int, error)

	// Journal finds what happened.
	Journal() journal.Journal

	SuppressionList
	Bookmarks

	// Failed is closed when a commit has failed: see ErrStopped.
	Failed() <-chan struct{}

	// Close ends the store in order. Leases end with it.
	Close() error
}

// Bookmarks are how far readers of the journal have come.
type Bookmarks interface {
	// Bookmark finds where a reader stands; false: it has never said.
	Bookmark(ctx context.Context, reader string) (journal.Cursor, bool, error)
	// SetBookmark moves a reader to a place. It is synced when it returns nil.
	SetBookmark(ctx context.Context, reader string, at journal.Cursor) error
}

// Want says what Lease should give.
type Want struct {
	Now time.Time
	// Most is how much work at most, over all destinations; PerDestination how much of one, zero: no limit of its own.
	Most, PerDestination int
	// Room says how much of a destination at most, where that is less; with 0 it is passed over. Nil: nothing.
	Room func(destination mail.Domain) int
}

// Of is how much work of a destination is wanted at most.
func (w Want) Of(destination mail.Domain) int {
	most := w.Most
	if w.PerDestination > 0 {
		most = min(most, w.PerDestination)
	}
	if w.Room != nil {
		most = min(most, w.Room(destination))
	}
	return most
}

// Settlement is what became of one Owed.
type Settlement struct {
	ID          ID
	Destination mail.Domain
	// States are the new states of recipients, by their index in the envelope.
	States map[int]RecipientState
	// Deadline is when Overdue should give the message next; zero: at the end of its lifetime.
	Deadline time.Time
	Entries  []journal.Entry
	// Reports are messages of ours about this one, accepted in the same commit. They are not leased.
	Reports []Spawned
	// Suppress are failures that count for the suppression list, each as Suppression.After says. Where an address holds from then on and did not before, its Entry is written.
	Suppress []Suppression
	// Notice is the notice of delay. It is accepted too, unless a recipient of the message was Noticed before, in whatever commit; then all that wait are Noticed. So
	// there is one a message.
	Notice *Spawned
}

// Spawned is a message that is accepted within a Settlement.
type Spawned struct {
	Submission
	Content []byte
}

// Query selects messages; zero fields select all. All fields must fit.
type Query struct {
	ID             ID
	Sender         string // Submission.Sender, or the reverse-path
	Recipient      string
	Destination    mail.Domain
	ReceivedBefore time.Time
	Held           bool // only those with a held recipient
	Limit          int  // 0: all
}

// Action is what a person may ask for.
type Action string

// The actions.
const (
	Retry   Action = "retry"   // due now
	Hold    Action = "hold"    // wait for a person
	Release Action = "release" // end of hold; due now
	Remove  Action = "remove"  // out of the queue, without a report
)

// Summary is one destination and what waits for it.
type Summary struct {
	Destination mail.Domain
	Waiting     int       // messages that are not leased
	Leased      int       // messages that are under way
	Held        int       // messages with held recipients only
	Oldest      time.Time // Received of the oldest
	Next        time.Time // the next due time
	Suspended   time.Time // zero: it is not
	LastReason  string    // of the last deferral that was settled
}
