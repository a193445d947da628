package queue

import (
	"sternpost/bounce"
	"sternpost/mail"
)

// fare is what an attempt says of its destination, the best first.
type fare int

const (
	faredWell    fare = iota // mail was taken
	faredSo                  // a host answered, and did not take the mail
	faredBadly               // a host asks to slow down, or the conversation broke
	faredDead                // no address got as far as hello
	faredLocally             // nothing was learnt
)

// fared judges an attempt by its outcomes. It is a function of the attempt and of the rules alone.
func fared(a mail.Attempt, c *bounce.Classifier) fare {
	best := faredLocally
	for _, o := range a.Outcomes {
		best = min(best, faredOne(o, c))
	}
	return best
}

func faredOne(o mail.Outcome, c *bounce.Classifier) fare {
	switch {
	case o.Scope == mail.ScopeLocal:
		return faredLocally
	case o.Disposition == mail.Delivered:
		return faredWell
	case slowDown(o, c):
		return faredBadly
	case o.Disposition == mail.Failed:
		return faredSo
	}
	switch o.Stage {
	case mail.StageResolve, mail.StageConnect, mail.StageGreeting, mail.StageHello:
		return faredDead
	case mail.StageStartTLS:
		return faredBadly
	}
	if o.Reply.IsZero() {
		return faredBadly // the conversation broke
	}
	return faredSo
}

// slowDown finds replies that ask for fewer connections: 421, the statuses that say so (RFC 3463 s3.4, s3.5; 4.7.28 of RFC 7372 and the large providers), and
// texts that do. Greylisting does not, and too many recipients of one message (x.5.3) say nothing of the next.
func slowDown(o mail.Outcome, c *bounce.Classifier) bool {
	switch o.Status {
	case mail.Status{4, 3, 2}, mail.Status{4, 4, 5}, mail.Status{4, 7, 28}:
		return true
	case mail.Status{4, 5, 3}:
		return false
	}
	return o.Reply.Code == 421 || o.Reply.Transient() && c.Classify(bounce.FromOutcome(o)).Category == bounce.RateLimited
}

// busy says whether an attempt did not begin because we had no connection to spare: then it is tried again as soon as one ends, and nothing is recorded.
func busy(a mail.Attempt) bool {
	for _, o := range a.Outcomes {
		if o.Scope != mail.ScopeLocal || o.Stage != mail.StageConnect || o.InDoubt {
			return false
		}
	}
	return len(a.Outcomes) > 0
}
