package delivery

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sternpost/mail"
	"sternpost/resolver"
)

// candidate is one place of a plan: what the tree keeps of it, and what to connect to.
type candidate struct {
	mail.Candidate
	target target
	// lastResort: the address is down, and is tried because nothing else is left.
	lastResort bool
	// admitted: the health of the address has let this attempt through; probe: as its one probe.
	admitted, probe bool
	// again: the host takes more, over another session.
	again bool
	// resting: its credentials were refused a short while ago.
	resting bool
	// possible: the host might take the message, now or later.
	possible bool
	// unhealthy: it was skipped because its address is down.
	unhealthy bool
}

// open says whether c may still be tried.
func (c *candidate) open() bool { return c.Verdict == mail.VerdictUnreached }

// name tells hosts apart: two smarthosts may share a name, on other ports or with other credentials.
func (c *candidate) name() string {
	if c.target.smarthost == nil {
		return c.Host
	}
	k := c.target.smarthost.credentialKey()
	return k.username + "@" + k.endpoint
}

// note keeps a stage in the tree.
func (c *candidate) note(r mail.StageRecord) { c.Stages = append(c.Stages, r) }

// end notes what c came to. What was delivered stays so, whatever a further session with it comes to.
func (c *candidate) end(v mail.Verdict) {
	if c.Verdict != mail.VerdictDelivered {
		c.Verdict = v
	}
}

// skip takes c out of the plan for a reason.
func (c *candidate) skip(reason string) { c.Verdict, c.Reason = mail.VerdictSkipped, reason }

// reopen takes c, which was skipped, into the plan again; its health is not asked any more.
func (c *candidate) reopen(reason string) {
	c.Verdict, c.Reason, c.lastResort, c.unhealthy = mail.VerdictUnreached, reason, true, false
}

// outlook is what is known of a target before anything is tried.
type outlook struct {
	unhealthy string // why its address is not to be tried; empty: it may be
	resting   time.Time
}

// terms is all that a plan depends on. Plans are functions of their terms: no I/O, no clock, no chance but the seed.
type terms struct {
	hosts      []resolver.Exchanger // of the domain, screened; or the smarthosts, with their turn as preference
	smarthosts []Smarthost          // one for each host, or none
	port       int
	level      TLSLevel
	shuffle    resolver.Shuffle
	outlook    func(target) outlook
	// listed: equal hosts stand in the order of hosts, not shuffled.
	listed bool
}

// makePlan orders the candidates and gives each the reason why it is there or is skipped.
func makePlan(t terms) []*candidate {
	var plan []*candidate
	places := t.shuffle.Order(t.hosts)
	if t.listed {
		slices.SortStableFunc(places, func(a, b resolver.Place) int { return cmp.Compare(a.Host, b.Host) })
	}
	for _, place := range places {
		plan = append(plan, t.candidate(place))
	}
	t.skipUnhealthy(plan)
	giveReasons(plan)
	return plan
}

func (t terms) candidate(place resolver.Place) *candidate {
	host := t.hosts[place.Host]
	to := target{host: host.Host, addr: netip.AddrPortFrom(place.Address, uint16(t.port)), level: t.level}
	if len(t.smarthosts) > 0 {
		s := &t.smarthosts[place.Host]
		to.smarthost, to.level = s, s.level()
		to.addr = netip.AddrPortFrom(place.Address, uint16(s.port()))
	}
	c := &candidate{target: to, possible: couldTake(host, place.Address), Candidate: mail.Candidate{
		Host: host.Host, Preference: host.Preference, Address: place.Address, Port: int(to.addr.Port()),
		Verdict: mail.VerdictUnreached,
	}}
	if place.Skipped != "" {
		c.skip(place.Skipped)
	}
	return c
}

// couldTake says whether mail may ever go to the host over this address. One that is refused takes none, whatever the host can.
func couldTake(host resolver.Exchanger, ip netip.Addr) bool {
	refused := slices.ContainsFunc(host.Addresses, func(a resolver.Address) bool { return a.IP == ip && a.Skipped != "" })
	return host.Unsure || host.Skipped == "" && !refused
}

// skipUnhealthy passes over addresses that are down and credentials that rest. Where nothing else is left an address that is down is
// tried all the same: to wait would prove nothing. Credentials rest without exception.
func (t terms) skipUnhealthy(plan []*candidate) {
	healthy := false
	reasons := make([]string, len(plan))
	for i, c := range plan {
		if !c.open() {
			continue
		}
		o := t.outlook(c.target)
		if !o.resting.IsZero() {
			c.resting = true
			c.skip(restReason(o.resting))
			continue
		}
		reasons[i] = o.unhealthy
		healthy = healthy || o.unhealthy == ""
	}
	for i, c := range plan {
		if reasons[i] == "" {
			continue
		}
		c.lastResort = !healthy
		if healthy {
			c.unhealthy = true
			c.skip(reasons[i])
		}
	}
}

func restReason(until time.Time) string {
	return "its credentials were refused; they rest until " + stamp(until)
}

// giveReasons says of each open candidate why it stands where it does.
func giveReasons(plan []*candidate) {
	var first, previous *candidate
	for _, c := range plan {
		if !c.open() {
			continue
		}
		switch {
		case first == nil:
			first = c
			c.Reason = "first: the lowest preference that can be tried"
		case c.name() == previous.name():
			c.Reason = "another address of " + c.Host
		case c.Preference == previous.Preference:
			c.Reason = fmt.Sprintf("equal preference to %s, shuffled", previous.Host)
		default:
			c.Reason = fmt.Sprintf("backup: preference %d after %d", c.Preference, previous.Preference)
		}
		previous = c
	}
}

// reasonOnly begins the reason of hosts that were left out on request.
const reasonOnly = "only "

// only skips all hosts but one.
func only(plan []*candidate, host string) {
	for _, c := range plan {
		if c.Host != host && c.open() {
			c.skip(reasonOnly + host + " is asked")
		}
		c.possible = c.possible && c.Host == host
	}
}

// leastPreferred is the host that the last session and the last transmission of an attempt are kept for.
func leastPreferred(plan []*candidate) string {
	for i := len(plan) - 1; i >= 0; i-- {
		if plan[i].Verdict != mail.VerdictSkipped {
			return plan[i].name()
		}
	}
	return ""
}
