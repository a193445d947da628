package delivery

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"sternpost/mail"
)

// pending is one recipient of the attempt and what is known of it so far.
type pending struct {
	mail.Recipient
	outcome *mail.Outcome // the verdict; nil: it is kept for the next host
	// headline is the event that speaks for the recipient if no host takes it.
	headline *event
	inDoubt  bool
	// unable has, for each host that was asked, whether its last word was that it cannot take such a message at all.
	unable map[string]bool
	// refusal is a 5.7.x that the other address family of the host may still take back.
	refusal *event
}

// deliver notes that the remote took the message for p (RFC 5321 s6.1: it is theirs now).
func (p *pending) deliver(c *candidate, reply mail.Reply) {
	p.outcome = &mail.Outcome{
		Recipient: p.Address, Disposition: mail.Delivered, Stage: mail.StageDot, Reply: reply, Status: reply.Status(),
		Host: c.Host, IP: c.Address, Reason: "accepted: " + clip(reply.String()),
	}
}

// fail notes the verdict that no other host is asked about.
func (p *pending) fail(e *event, v verdict, c *candidate) {
	o := e.outcome(p.Address, v)
	o.Disposition, o.Host, o.IP = mail.Failed, c.Host, c.Address
	o.InDoubt = p.inDoubt
	p.outcome = &o
}

// hit notes an event after which the next host is tried. The best-ranked speaks for all.
func (p *pending) hit(e *event, v verdict, c *candidate) {
	if p.unable == nil {
		p.unable = make(map[string]bool)
	}
	p.unable[c.name()] = v.rank == rankCapability
	p.inDoubt = p.inDoubt || e.inDoubt
	if p.headline == nil || v.rank < classify(*p.headline).rank {
		p.headline = e.at(c)
	}
}

// at is a copy of e that knows where it happened.
func (e *event) at(c *candidate) *event {
	placed := *e
	placed.candidate = c
	return &placed
}

// outcome is e as the verdict on one recipient.
func (e *event) outcome(to mail.Address, v verdict) mail.Outcome {
	return mail.Outcome{
		Recipient: to, Disposition: v.disposition, InDoubt: e.inDoubt, Scope: v.scope, Stage: e.stage, Reply: e.reply, Status: v.status,
		Reason: e.reason(),
	}
}

// missed notes that c did not get as far as MAIL: all recipients go on to the next.
func (w *walk) missed(c *candidate, e *event) {
	if e.stage == mail.StagePolicy {
		c.skip(e.err.Error())
		return
	}
	c.Verdict = mail.VerdictDeferred
	e.smarthost = c.target.smarthost != nil
	v := classify(*e)
	switch {
	case v.scope == mail.ScopeLocal, errors.Is(e.err, syscall.ENETUNREACH): // our network, not the host
		w.giveBack(c)
	case e.refusesCredentials():
		w.health.succeeded(c.target.addr)
		w.answered[c.name()] = true
		w.alarm(c.target, e)
	default:
		w.health.failed(c.target.addr, time.Now())
	}
	if e.stage == mail.StageAuth {
		w.sessions++
	}
	for _, p := range w.owed() {
		p.hit(e, v, c)
	}
}

// judge gives each recipient its verdict, or keeps it for the next host.
func (w *walk) judge(c *candidate, results []*result) {
	owed := w.owed()
	w.chooseTwin(c, results)
	var delivered, failed, alarmed bool
	for i, r := range results {
		switch {
		case r == nil: // its turn did not come
			c.again = true
		case r.event == nil:
			delivered = true
			owed[i].deliver(c, r.reply)
		default:
			failed = w.judgeOne(c, owed[i], r.event) || failed
			if !alarmed && r.event.refusesCredentials() {
				alarmed = true
				w.alarm(c.target, r.event)
			}
		}
	}
	c.Verdict = verdictOf(delivered, failed)
}

func verdictOf(delivered, failed bool) mail.Verdict {
	switch {
	case delivered:
		return mail.VerdictDelivered
	case failed:
		return mail.VerdictFailed
	default:
		return mail.VerdictDeferred
	}
}

// judgeOne takes an event for one recipient and says whether it was a refusal for good. From MAIL on the word of a host stands for all its
// addresses.
func (w *walk) judgeOne(c *candidate, p *pending, e *event) bool {
	v := classify(*e)
	refused := v.disposition == mail.Failed
	if w.twin == nil && e.cause != causeLocal {
		w.answered[c.name()] = true
	}
	if e.inDoubt {
		w.doubted[c.target.addr] = true
	}
	switch {
	case w.twin != nil && w.twin != c:
		p.refusal = e.at(c)
	case refused && p.refusal == nil:
		p.fail(e, v, c)
	default:
		p.hit(e, v, c)
	}
	return refused
}

// halt keeps recipients, for whom c had no turn left, from standing without a reason.
func (w *walk) halt(c *candidate, reason string) {
	e := &event{stage: mail.StagePolicy, cause: causeLocal, err: errors.New(c.Host + " takes few messages a session, and " + reason)}
	for _, p := range w.owed() {
		if p.headline == nil {
			p.headline = e.at(c)
		}
	}
}

// chooseTwin finds the address of the other family that may take back a refusal by policy: large providers refuse one family of a sender and
// take the other. Only in the first attempt, only when all recipients were refused alike with 5.7.x, and only a 2xx counts.
func (w *walk) chooseTwin(c *candidate, results []*result) {
	if w.t.Attempt > 1 || w.twin != nil || w.sessions >= maxSessions || !refusedByPolicy(results) {
		return
	}
	for _, other := range w.plan {
		if other.open() && other.name() == c.name() && other.Address.Is4() != c.Address.Is4() && w.budget.share(true) > 0 {
			other.Reason = fmt.Sprintf("%s refused by policy over %s; tried once over the other address family", c.Host, family(c))
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

// endTwin is called when a visit is over: where it was the twin's, the refusals that it did not take back stand.
func (w *walk) endTwin() {
	if w.twin == nil || w.twin.open() {
		return
	}
	w.twin = nil
	w.refusalsStand()
}

func (w *walk) refusalsStand() {
	for _, p := range w.owed() {
		if p.refusal != nil {
			p.fail(p.refusal, classify(*p.refusal), p.refusal.candidate)
		}
	}
}

// conclude gives the recipients that no host took the verdict of their headline.
func (w *walk) conclude() {
	w.refusalsStand()
	for _, p := range w.owed() {
		e := w.headline(p)
		v := classify(*e)
		o := e.outcome(p.Address, v)
		o.InDoubt = p.inDoubt
		if e.candidate != nil {
			o.Host, o.IP = e.candidate.Host, e.candidate.Address
		}
		switch {
		case v.rank == rankCapability && w.nobodyCan(p):
			o.Disposition = mail.Failed
		case o.Status[0] == 5:
			o.Status[0] = 4
		}
		p.outcome = &o
	}
}

// headline is the event that speaks for p.
func (w *walk) headline(p *pending) *event {
	switch e := p.headline; {
	case w.interrupted && !p.inDoubt && (e == nil || e.cause != causeLocal):
		return &event{stage: mail.StagePolicy, cause: causeLocal, err: context.Cause(w.ctx)}
	case w.busy != nil && !p.inDoubt && (e == nil || classify(*e).rank > rankTransient):
		return busyEvent(w.busy)
	case e == nil:
		return w.nothingTried()
	default:
		return e
	}
}

// nobodyCan says whether every host that might take the message was asked, and said that it cannot.
func (w *walk) nobodyCan(p *pending) bool {
	for _, c := range w.plan {
		if c.possible && !p.unable[c.name()] {
			return false
		}
	}
	return true
}

// errNothingTried stands where the plan had no candidate that could be tried.
var errNothingTried = errors.New("no host could be tried now")

// nothingTried finds why there was no candidate: credentials that rest, or all addresses waiting for a probe.
func (w *walk) nothingTried() *event {
	e := &event{stage: mail.StagePolicy, cause: causeLocal, err: errNothingTried}
	for _, c := range w.plan {
		if c.resting {
			return &event{stage: mail.StageAuth, cause: causeAuth, err: errors.New(c.Reason), candidate: c}
		}
		if e.err == errNothingTried && c.Reason != "" {
			e.err = fmt.Errorf("%w: %s %s", errNothingTried, c.Host, c.Reason)
		}
	}
	return e
}
