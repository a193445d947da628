package queue

import (
	"slices"
	"time"

	"sternpost/mail"
)

// Priority orders what waits for one destination.
type Priority uint8

// The priorities. Reports of our own and bulk mail stand behind the rest.
const (
	Normal Priority = iota
	Bulk
	Report
)

// Submission is what a message is accepted with, apart from its content.
type Submission struct {
	Envelope mail.Envelope
	// Sender is the unit of fairness: the authenticated user, else the reverse-path.
	Sender   string
	Priority Priority
	Received time.Time
	SendAt   time.Time // not before; zero: at once. Its lifetime begins then
	Expires  time.Time // the end of its lifetime
	// Key makes sure that the message is accepted once, however often its sender hands it in: see Draft.Commit and CheckKey. Empty: it has none. Digest tells it from other
	// messages with the same key. Both are not kept with the message.
	Key    string
	Digest [32]byte
	// Notice is when Overdue gives the message first, though its lifetime goes on: for the notice of delay. Zero: it does not. It is not kept; each
	// Settlement says anew when that is.
	Notice time.Time
	// Expanded are aliases of several addresses that the sender wrote to, with his wishes: the envelope has those addresses instead. See expanded.go. Not kept.
	Expanded []mail.Recipient
	// Reports makes the messages of ours about this one that are accepted in its own commit, once it has an id; nil: there are none. Not kept.
	Reports func(id ID) []Spawned
	// MessageID is the header field without its brackets, for the journal.
	MessageID string
	// Peer says who handed it in, for people: an address, a local user.
	Peer string
	// Origin is the message that this one reports about; zero for all others. A report is never reported about.
	Origin ID
}

// State is where a recipient stands. States are a closed list; Pending and Held are the only ones that change.
type State uint8

// The states.
const (
	Pending   State = iota // waits for its next attempt
	Held                   // waits for a person
	Delivered              // handed over
	Failed                 // failed for good, or its lifetime ended
	Removed                // taken out by a person
)

// Final says whether nothing will happen to the recipient any more.
func (s State) Final() bool { return s >= Delivered }

// RecipientState is what is kept of one recipient from its first deferral on. The zero value is one that was not tried yet.
type RecipientState struct {
	State    State
	Attempts int       // that counted
	Due      time.Time // of the next attempt
	Tried    time.Time // when the last attempt ended that was not cut short by trouble of our own
	InDoubt  bool      // the content may have been taken in an earlier attempt
	Noticed  bool      // the notice of delay was sent
	Reported bool      // the report of how it ended was accepted, or none is owed
	ReportBy time.Time // when the report of how it ended goes at the latest; zero: none is owed
	Reached  bool      // some host of the destination took a connection in some attempt
	// Last is the verdict of the last attempt, for lists; its Recipient is empty.
	Last mail.Outcome
}

// Owes says whether the sender is still owed a report of how the recipient ended.
func (s RecipientState) Owes() bool { return s.State.Final() && !s.ReportBy.IsZero() }

// ReportDue is when the report about recipients is due at the latest; zero: none is owed.
func ReportDue(states []RecipientState) time.Time {
	var due time.Time
	for _, s := range states {
		if s.Owes() && (due.IsZero() || s.ReportBy.Before(due)) {
			due = s.ReportBy
		}
	}
	return due
}

// Waits says whether a message is still needed: somebody waits for it, or for the report about it.
func Waits(states []RecipientState) bool {
	return slices.ContainsFunc(states, func(s RecipientState) bool { return !s.State.Final() || s.Owes() })
}

// NextInTurn lists the destinations where a recipient waits for its turn, and not for a later attempt nor for a person.
func NextInTurn(s Submission, states []RecipientState, now time.Time) []mail.Domain {
	var list []mail.Domain
	for i, state := range states {
		due := state.Due
		if due.IsZero() {
			due = s.begin()
		}
		if d := s.Envelope.Recipients[i].Address.Domain; state.State == Pending && !due.After(now) && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// ReportWork is the destination of work that is no attempt but a report to be written: see Store.Reports.
const ReportWork mail.Domain = ""

// Message is a message in the queue.
type Message struct {
	ID ID
	Submission
	Size       int64            // of the content, in octets
	Recipients []RecipientState // one for each of Envelope.Recipients
}

// Destination is the unit of queueing of recipient i: its domain.
func (m Message) Destination(i int) mail.Domain { return m.Envelope.Recipients[i].Address.Domain }

// Owed is work: a message and those of its recipients that wait for one destination. Its receiver holds the lease: nobody else gets the same work until it is
// settled or returned. A lease ends with the process.
type Owed struct {
	Message
	Destination mail.Domain
	Indices     []int // into Envelope.Recipients
	Due         time.Time
	// Content is the message itself. It stays readable while the lease is held.
	Content mail.Content
}
