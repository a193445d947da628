package console

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// standing is where a recipient of the message stands, by the queue and by what happened.
func (w *Why) standing(r Recipient) Standing {
	s := Standing{Recipient: r.Recipient, State: r.State, Next: r.Next}
	last := w.last(r.Recipient)
	if last != nil {
		s.Verdict = last.Verdict
	} else if probe := w.probed(r.Domain); probe != nil && s.State == stateName(queue.Pending) {
		s.Verdict = probe.Verdict // what keeps all that waits keeps this one
	}
	switch {
	case r.State == stateName(queue.Removed):
		s.Verdict = Verdict{} // what an attempt came to is not why it is gone
	case r.State == stateName(queue.Delivered):
		s.Handover = w.handover(last)
	case r.State == stateName(queue.Held):
		s.NextReason = "it is held until somebody releases it"
		s.Advice = "Release it with `sternpost queue release " + w.Message.ID + "`, or take it out with `sternpost queue remove " + w.Message.ID + "`."
		if r.InDoubt {
			s.NextReason = "it is held until somebody releases it, since it may have been delivered already (queue.in_doubt)"
			s.Advice = "Ask the recipient whether it came. " + s.Advice
		}
	case r.State == stateName(queue.Pending):
		s.GivesUp = w.Message.Expires
		s.Next, s.NextReason = w.next(r, last)
	}
	return s
}

// last is the last outcome of a recipient; nil: there is none.
func (w *Why) last(recipient string) *Event {
	kinds := []string{string(journal.Delivered), string(journal.Deferred), string(journal.Failed)}
	for i := range slices.Backward(w.Events) {
		if e := &w.Events[i]; e.Recipient == recipient && slices.Contains(kinds, e.Kind) {
			return e
		}
	}
	return nil
}

// probed is the newest attempt with other mail that reached nobody at a domain; nil: there is none.
func (w *Why) probed(domain string) *Event {
	for i := range slices.Backward(w.Probes) {
		if w.Probes[i].Domain == domain {
			return &w.Probes[i]
		}
	}
	return nil
}

// handover is the proof that an outcome is; the tree is with the first entry of its attempt.
func (w *Why) handover(e *Event) *Handover {
	if e == nil {
		return nil
	}
	h := &Handover{At: e.Time, Host: e.Host, Address: e.Address, Reply: e.Reply}
	i := slices.IndexFunc(w.Events, func(other Event) bool { return other.Attempt != nil && other.AttemptID == e.AttemptID })
	if i < 0 {
		return h
	}
	tree := w.Events[i].Attempt
	for _, o := range tree.Outcomes {
		if o.Recipient.String() == e.Recipient && o.IP.IsValid() {
			h.Address = o.IP.String()
		}
	}
	for _, c := range tree.Candidates {
		if c.Host == h.Host && c.Address.String() == h.Address && c.TLS != nil {
			h.TLS, h.Verified = c.TLS.Version, c.TLS.Verified
		}
	}
	return h
}

// justBeforeTheEnd is how long before its end a message has its last attempt, at most: see queue.NextDue.
const justBeforeTheEnd = 16 * time.Minute

// next is when a pending recipient is tried next, and why then.
func (w *Why) next(r Recipient, last *Event) (*time.Time, string) {
	now := time.Now()
	i := slices.IndexFunc(w.Destinations, func(p Prospect) bool { return p.Domain == r.Domain })
	if i >= 0 && w.Destinations[i].Queued != nil {
		q := w.Destinations[i].Queued
		if q.Suspended != nil && q.Suspended.After(now) && (r.Next == nil || r.Next.Before(*q.Suspended)) {
			if w.Message.Expires != nil && w.Message.Expires.Before(*q.Suspended) {
				return nil, "its lifetime ends before the next probe of " + r.Domain + ", of which no host could be reached"
			}
			return q.Suspended, "no host of " + r.Domain + " could be reached by the last attempt; one message probes it then for all that wait, and the rest follow when a host answers"
		}
	}
	switch {
	case w.Message.SendAt != nil && w.Message.SendAt.After(now):
		return w.Message.SendAt, "it is not to be sent before (send_at)"
	case r.Next == nil || !r.Next.After(now):
		return r.Next, "it is due: it is being tried, or waits for a free place in the window of its site"
	case last == nil:
		return r.Next, "it was asked for by a person"
	}
	return r.Next, w.delay(r, last)
}

// delay says where the time to the next attempt comes from.
func (w *Why) delay(r Recipient, last *Event) string {
	wait := r.Next.Sub(last.Time)
	text := fmt.Sprintf("%s after attempt %d", spoken(wait), r.Attempts)
	hint := time.Duration(0)
	if last.Code != nil && *last.Code/100 == 4 {
		hint = queue.RetryHint(mail.Reply{Code: *last.Code, Lines: last.Reply}.Text())
	}
	expires := w.Message.Expires
	switch {
	case expires != nil && expires.Sub(*r.Next) <= justBeforeTheEnd:
		return "the last attempt, just before its lifetime ends"
	case hint > 0 && wait >= hint-time.Second && wait <= hint+hint/2+time.Second: // with the most jitter
		return text + "; the remote asked for " + spoken(hint)
	}
	return text + ", by queue.backoff"
}

// spoken is a duration as a person writes it: 15m and not 15m0s.
func spoken(d time.Duration) string {
	text := d.Round(time.Second).String()
	if short, whole := strings.CutSuffix(text, "m0s"); whole {
		text = short + "m"
	}
	if short, whole := strings.CutSuffix(text, "h0m"); whole {
		text = short + "h"
	}
	return text
}
