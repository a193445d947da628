package delivery

import (
	"errors"
	"fmt"

	"sternpost/mail"
)

// chooseTwin finds the address of the other family that may take back a refusal by policy: large providers refuse one family of a sender and
// take the other. Only in the first attempt, only when all recipients were refused alike with 5.7.x, and only a 2xx counts. An address that is down is asked too: there is
// no other that could take the refusal back.
func (w *walk) chooseTwin(c *candidate, results []*result) {
	if w.t.Attempt > 1 || w.twin != nil || w.sessions >= maxSessions || !refusedByPolicy(results) {
		return
	}
	for _, other := range w.plan {
		fits := other.name() == c.name() && other.Address.Is4() != c.Address.Is4() && !w.doubted[other.target.addr]
		if fits && (other.open() || other.unhealthy) && w.budget.share(true) > 0 {
			other.reopen(fmt.Sprintf("%s refused by policy over %s; tried once over the other address family", c.Host, family(c)))
			w.twin = other
			return
		}
	}
}

func family(c *candidate) string {
	if c.Address.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// refusedByPolicy says whether all were refused with 5.7.x at MAIL, or all at RCPT.
func refusedByPolicy(results []*result) bool {
	for _, r := range results {
		if r == nil || r.event == nil || !r.event.policyRefusal() || r.event.stage != results[0].event.stage {
			return false
		}
	}
	return true
}

func (e *event) policyRefusal() bool {
	early := e.stage == mail.StageMail || e.stage == mail.StageRcpt
	return early && e.cause == causeReply && classify(*e).disposition == mail.Failed && e.reply.Status()[1] == 7
}

// endTwin is called when a visit is over: where it was the twin's, the refusals that it did not take back stand. One that takes few messages a session gets another.
func (w *walk) endTwin() {
	if w.twin == nil || w.twin.open() {
		return
	}
	if w.twin.again {
		if w.sessions < maxSessions && w.contents < maxContents {
			return
		}
		w.twin.again = false
		w.unheard(&event{stage: mail.StagePolicy, cause: causeLocal, err: errors.New(w.twin.Host + " takes few messages a session, and this attempt has done enough")})
	}
	w.twin = nil
	w.refusalsStand()
}

// unheard notes the trouble of ours that keeps the other address family from taking refusals back.
func (w *walk) unheard(e *event) {
	for _, p := range w.owed() {
		if p.refusal != nil && p.unheard == nil {
			p.unheard = e
		}
	}
}

// refusalsStand ends the recipients whose refusal was not taken back. What we did not hear out for a reason of our own is asked again in the next attempt.
func (w *walk) refusalsStand() {
	for _, p := range w.owed() {
		switch {
		case p.refusal == nil:
		case p.unheard != nil:
			p.postpone(p.unheard)
		default:
			p.fail(p.refusal, classify(*p.refusal), p.refusal.candidate)
		}
	}
}
