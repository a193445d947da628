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
	// unheard is the trouble of ours that kept us from hearing it.
	unheard *event
}

// deliver notes that the remote took the message for p (RFC 5321 s6.1: it is theirs now).
func (p *pending) deliver(c *candidate, r *result) {
	p.outcome = &mail.Outcome{
		Recipient: p.Address, Disposition: mail.Delivered, Stage: mail.StageDot, Reply: r.reply, Status: r.reply.Status(),
		Host: c.Host, IP: c.Address, KeepsDSN: r.dsn, Reason: "accepted: " + clip(r.reply.String()),
	}
}

// fail notes the verdict that no other host is asked about.
func (p *pending) fail(e *event, v verdict, c *candidate) {
	o := e.outcome(p.Address, v)
	o.Disposition, o.Host, o.IP = mail.Failed, c.Host, c.Address
	o.InDoubt = p.inDoubt
	p.outcome = &o
}

// postpone notes the verdict that e comes to at its host, and asks no other.
func (p *pending) postpone(e *event) {
	o := e.outcome(p.Address, classify(*e))
	o.InDoubt = o.InDoubt || p.inDoubt
	if e.candidate != nil {
		o.Host, o.IP = e.candidate.Host, e.candidate.Address
	}
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
		c.unhealthy = true
		c.skip(e.err.Error())
		return
	}
	c.end(mail.VerdictDeferred)
	e.smarthost = c.target.smarthost != nil
	v := classify(*e)
	switch {
	case v.scope == mail.ScopeLocal, errors.Is(e.err, syscall.ENETUNREACH): // our network, not the host
		w.giveBack(c)
		if c == w.twin && v.scope == mail.ScopeLocal {
			w.unheard(e.at(c))
		}
	case e.refusesCredentials():
		w.health.succeeded(c.target.addr)
		w.answered[c.name()] = true
		w.alarm(c.target, e)
	default:
		w.health.failed(c.target.addr, time.Now(), c.probe)
	}
	c.probe = false
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
			owed[i].deliver(c, r)
		default:
			failed = w.judgeOne(c, owed[i], r.event) || failed
			if !alarmed && r.event.refusesCredentials() {
				alarmed = true
				w.alarm(c.target, r.event)
			}
		}
	}
	c.end(verdictOf(delivered, failed))
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
	case e.inDoubt && w.t.HoldInDoubt: // a person decides
		p.postpone(e.at(c))
	case w.twin != nil && w.twin != c:
		p.refusal = e.at(c)
	case w.twin == c && e.cause == causeLocal:
		p.unheard = e.at(c)
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

// conclude gives the recipients that no host took the verdict of their headline.
func (w *walk) conclude() {
	if w.interrupted {
		w.unheard(w.calledOff())
	}
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
		return w.calledOff()
	case w.busy != nil && !p.inDoubt && (e == nil || classify(*e).rank > rankTransient):
		return busyEvent(w.busy)
	case e == nil:
		return w.nothingTried()
	default:
		return e
	}
}

// calledOff is the event of an attempt that was stopped.
func (w *walk) calledOff() *event {
	return &event{stage: mail.StagePolicy, cause: causeLocal, err: context.Cause(w.ctx)}
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
