package queue

import (
	"fmt"
	"math/rand/v2"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

// terms is what a verdict depends on besides the work and its outcomes.
type terms struct {
	config Config
	now    time.Time
	random float64 // from 0 to 1
}

// settlement says what an attempt comes to: for each recipient its new state, when the next attempt is, and what the journal keeps. The reports
// that failures owe are added by report.go. It is a function of its arguments.
func settlement(r result, t terms) Settlement {
	o, a := r.owed, r.attempt
	s := Settlement{ID: o.ID, Destination: o.Destination, States: make(map[int]RecipientState, len(o.Indices))}
	reached := reachedAny(a)
	for n, i := range o.Indices {
		state := o.Recipients[i]
		outcome := a.Outcomes[n]
		if r.damaged && outcome.Scope == mail.ScopeLocal {
			outcome = damagedOutcome(outcome)
		}
		state.Reached = state.Reached || reached
		state = t.next(o, state, outcome)
		s.States[i] = state
		if state.State == Pending && outcome.Scope == mail.ScopeLocal && !outcome.InDoubt {
			continue // it says nothing of the mail, and may come often
		}
		e := entry(o, i, outcome, state)
		e.AttemptID = a.ID
		if len(s.Entries) == 0 {
			e.Attempt = a
		}
		s.Entries = append(s.Entries, e)
	}
	s.Deadline = t.deadline(o, func(i int) RecipientState { return s.States[i] })
	return s
}

// damagedOutcome ends a message whose content is not what was accepted any more: it must not be sent, and does not get better.
func damagedOutcome(o mail.Outcome) mail.Outcome {
	o.Disposition, o.Status, o.Reason = mail.Failed, mail.Status{5, 3, 0}, "the message was damaged on our disk"
	return o
}

// next is the state of one recipient after an outcome.
func (t terms) next(o Owed, state RecipientState, outcome mail.Outcome) RecipientState {
	outcome.Recipient = mail.Address{}
	if outcome.Scope != mail.ScopeLocal || outcome.InDoubt {
		state.Tried = t.now
	}
	state.InDoubt = state.InDoubt || outcome.InDoubt
	switch {
	case outcome.Disposition == mail.Delivered:
		state.State, state.Last = Delivered, outcome
		return state
	case outcome.Disposition == mail.Failed:
		state.State, state.Last = Failed, outcome
		state.Last.InDoubt = state.InDoubt
		return state
	case outcome.Scope == mail.ScopeLocal && !outcome.InDoubt: // our own trouble counts against nobody
		state.Due = t.now.Add(localDelay)
		if state.Attempts == 0 {
			state.Last = outcome
		}
		return state
	}
	state.Attempts++
	state.Last = outcome
	if state.InDoubt && t.config.InDoubt == inDoubtHold {
		state.State = Held
		return state
	}
	past := Past{Attempts: state.Attempts, Ended: t.now, Begin: o.begin(), Expires: t.expires(o), Random: t.random}
	if outcome.Reply.Transient() {
		past.Hint = RetryHint(outcome.Reply.Text())
	}
	terms := t.config.forDestination(o.Destination)
	due, more := NextDue(terms.Backoff, terms.Jitter, past)
	if !more {
		return expired(state)
	}
	state.Due = due
	return state
}

// localDelay is how long work waits after trouble of our own: long enough not to spin, short because nobody else is to blame.
const localDelay = 30 * time.Second

// expired ends a recipient whose lifetime is over (RFC 5321 s4.5.4.1). Where no host ever took a connection it is told as host unknown.
func expired(state RecipientState) RecipientState {
	last := state.Last
	state.State = Failed
	last.Disposition, last.InDoubt = mail.Failed, state.InDoubt
	switch {
	case !state.Reached:
		last.Status = mail.Status{4, 4, 1}
		last.Reason = journal.NeverReached + "; the last attempt: " + last.Reason
	case last.Status.IsZero():
		last.Status = mail.Status{4, 4, 7}
		last.Reason = journal.LifetimeEnded
	default:
		last.Reason = journal.LifetimeEnded + "; the last attempt: " + last.Reason
	}
	state.Last = last
	return state
}

// reachedAny says whether a host took a connection.
func reachedAny(a *mail.Attempt) bool {
	for _, c := range a.Candidates {
		for _, s := range c.Stages {
			if s.Stage == mail.StageConnect && s.Error == "" || s.Stage != mail.StageConnect && !s.Reply.IsZero() {
				return true
			}
		}
	}
	return false
}

// expires is when the lifetime of o ends: that of the message, or that of its destination where it is shorter.
func (t terms) expires(o Owed) time.Time {
	if o.Envelope.From.IsNull() {
		return o.Expires
	}
	at := o.begin().Add(t.config.forDestination(o.Destination).Lifetime)
	if at.Before(o.Expires) {
		return at
	}
	return o.Expires
}

// begin is when the lifetime of a message begins.
func (s Submission) begin() time.Time {
	if s.SendAt.After(s.Received) {
		return s.SendAt
	}
	return s.Received
}

// notice is when the sender is told of the delay of a message; zero: never. It is told once, so the destination that has the shortest time decides.
func (t terms) notice(s Submission) time.Time {
	delay := time.Duration(0)
	for _, r := range s.Envelope.Recipients {
		if own := t.config.forDestination(r.Address.Domain).DelayNotice; delay == 0 || own > 0 && own < delay {
			delay = own
		}
	}
	at := s.begin().Add(delay)
	if delay == 0 || s.Envelope.From.IsNull() || !at.Before(s.Expires) {
		return time.Time{}
	}
	return at
}

// deadline is when a message must be looked at although no attempt is due.
func (t terms) deadline(o Owed, states func(i int) RecipientState) time.Time {
	at := t.expires(o)
	for _, i := range o.Indices {
		if s := states(i); s.State == Pending && !s.Noticed {
			if notice := t.notice(o.Submission); !notice.IsZero() && notice.Before(at) {
				return notice
			}
		}
	}
	return at
}

// overdue says what to do with work whose deadline has passed: the lifetime is over, or the sender is owed a notice. last is what was found out about
// its destination for all that wait.
func overdue(o Owed, last probe, t terms) Settlement {
	s := Settlement{ID: o.ID, Destination: o.Destination, States: make(map[int]RecipientState, len(o.Indices))}
	over := !t.now.Before(t.expires(o))
	for _, i := range o.Indices {
		state := o.Recipients[i].told(last)
		if !over {
			state.Noticed = true
			s.States[i] = state
			continue
		}
		state = expired(state)
		s.States[i] = state
		s.Entries = append(s.Entries, entry(o, i, state.Last, state))
	}
	s.Deadline = t.deadline(o, func(i int) RecipientState { return s.States[i] })
	return s
}

// told adds what a probe found out, where the recipient itself was not tried since.
func (s RecipientState) told(last probe) RecipientState {
	if last.at.IsZero() || !last.at.After(s.Tried) {
		return s
	}
	s.Tried = last.at
	s.Last = last.outcome
	s.Last.Recipient = mail.Address{}
	failed := fmt.Sprintf("failed %d times in a row, last", last.failed)
	if last.failed == 1 {
		failed = "failed once,"
	}
	s.Last.Reason = fmt.Sprintf("%s (for all mail to this domain, %s at %s)", last.outcome.Reason, failed, last.at.UTC().Format(time.RFC3339))
	return s
}

// entry is what the journal keeps of one recipient's outcome.
func entry(o Owed, i int, outcome mail.Outcome, state RecipientState) journal.Entry {
	e := journal.Entry{
		Kind: kindOf(state), Message: o.ID.String(), Sender: o.Envelope.From.String(), Recipient: o.Envelope.Recipients[i].Address.String(),
		Domain: o.Destination, MessageID: o.MessageID, Host: outcome.Host, Code: outcome.Reply.Code, Status: outcome.Status, Stage: outcome.Stage,
		Scope: outcome.Scope, InDoubt: outcome.InDoubt, Reply: outcome.Reply.Lines, Reason: outcome.Reason,
	}
	if state.State == Failed {
		e.Status, e.Reason = state.Last.Status, state.Last.Reason
	}
	return e
}

func kindOf(state RecipientState) journal.Kind {
	switch state.State {
	case Delivered:
		return journal.Delivered
	case Failed:
		return journal.Failed
	default:
		return journal.Deferred
	}
}

// random is the randomness of one attempt: derived, never shared, so that a run can be repeated.
func random(seed uint64, id ID, attempt int) float64 {
	return rand.New(rand.NewPCG(seed^uint64(id), uint64(attempt))).Float64()
}

// String is a state for people.
func (s State) String() string {
	names := [...]string{"pending", "held", "delivered", "failed", "removed"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}
