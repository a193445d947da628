package delivery

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"sternpost/mail"
)

// Outlook is the plan that an attempt for domain would have now: the answers of the DNS, and each host and address with why it would be skipped, or what is known against it: its health. Nothing
// is connected to. Where there is no way its one outcome says why. The policy is what a connection must prove, in words.
//
// It asks the DNS, and is bounded in time; most of the time the cache answers. Safe for concurrent use.
func (a *Agent) Outlook(ctx context.Context, domain mail.Domain) (plan mail.Attempt, policy string) {
	ctx, cancel := context.WithTimeout(ctx, siteLookup)
	defer cancel()
	w := a.begin(ctx, mail.Transaction{Domain: domain, Envelope: mail.Envelope{Recipients: []mail.Recipient{{Address: mail.Address{Domain: domain}}}}})
	route := findRoute(a.config.Routes, domain)
	terms, failure := w.lookUp(route, w.screen)
	w.plan = makePlan(terms)
	if failure != nil {
		w.leadNowhere(failure)
	} else {
		w.rcpts = nil
	}
	plan = w.finish()
	now := time.Now()
	for i := range plan.Candidates {
		c := &plan.Candidates[i]
		if faults := a.health.faults(netip.AddrPortFrom(c.Address, uint16(c.Port)), now); faults != "" && c.Verdict == mail.VerdictUnreached {
			c.Reason = strings.TrimPrefix(c.Reason+"; "+faults, "; ")
		}
	}
	for i := range plan.Outcomes {
		plan.Outcomes[i].Recipient = mail.Address{} // it is about all of the domain
	}
	return plan, route.policy()
}

// policy is what a route asks of its connections, in words.
func (r Route) policy() string {
	if len(r.Smarthosts) > 0 {
		return r.Smarthosts[0].level().words()
	}
	return r.level().words()
}

// words is the level for people.
func (l TLSLevel) words() string {
	switch l {
	case TLSNone:
		return "in clear, without TLS"
	case TLSStartTLS:
		return "TLS is required (STARTTLS)"
	case TLSImplicit:
		return "TLS is required, from the first octet"
	}
	return "TLS where the host offers it, without proof of who it is"
}
