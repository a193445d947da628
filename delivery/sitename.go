package delivery

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/resolver"
)

// Bounds of what is said about a site.
const (
	siteForGood   = time.Hour       // where nothing expires: smarthosts and address literals
	siteUnknown   = time.Minute     // where nothing could be learnt
	longestSite   = 200             // octets of a name; the list of a stranger may be long
	siteSeparator = ", "            // between hosts
	siteSmarthost = "smarthost "    // before one
	siteLookup    = 1 * time.Minute // for the questions
)

// Site names the set of exchangers that mail for domain goes to now, and says until when that is so. Domains with one name share their
// hosts, so connection limits belong to it. The name is the sorted list of usable hosts with their preferences, "10 mx1.example.org, 20 mx2.example.org",
// or the smarthosts of the route with their users; a long one is cut and ends in its hash. A domain that leads nowhere is its own site. Names may
// quote the DNS: they are escaped.
//
// It asks the DNS, and is bounded in time; most of the time the cache answers. Safe for concurrent use.
func (a *Agent) Site(ctx context.Context, domain mail.Domain) (name string, until time.Time) {
	ctx, cancel := context.WithTimeout(ctx, siteLookup)
	defer cancel()
	if route := findRoute(a.config.Routes, domain); len(route.Smarthosts) > 0 {
		return smarthostSite(route), time.Now().Add(siteForGood)
	}
	x := a.screen.Apply(a.resolver.Exchangers(ctx, domain))
	return exchangerSite(x), siteUntil(x, time.Now())
}

// smarthostSite names the smarthosts of a route: the same hosts under another user are another site.
func smarthostSite(route Route) string {
	var hosts []string
	for _, s := range route.Smarthosts {
		host := siteSmarthost + net.JoinHostPort(s.Host, strconv.Itoa(s.port()))
		if s.Username != "" {
			host += " as " + s.Username
		}
		hosts = append(hosts, host)
	}
	return boundedSite(hosts) // their order is a choice of the configuration
}

// exchangerSite names the hosts of x that mail may go to.
func exchangerSite(x resolver.Exchangers) string {
	var hosts []string
	for _, e := range x.Hosts {
		if e.Unsure || mayTake(e) { // a host whose address is not known just now is still one of the set
			hosts = append(hosts, strconv.Itoa(e.Preference)+" "+e.Host)
		}
	}
	if x.Failure != nil || len(hosts) == 0 {
		return boundedSite([]string{string(x.Domain)})
	}
	return boundedSite(hosts) // resolver lists them by preference, then by name
}

func mayTake(e resolver.Exchanger) bool {
	return e.Skipped == "" && slices.ContainsFunc(e.Addresses, func(a resolver.Address) bool { return a.Skipped == "" })
}

// siteUntil is when the answers expire that x was made of.
func siteUntil(x resolver.Exchangers, now time.Time) time.Time {
	switch {
	case x.Rule == mail.RuleLiteral:
		return now.Add(siteForGood)
	case x.Until.After(now):
		return x.Until
	}
	return now.Add(siteUnknown)
}

// boundedSite joins the hosts, escaped. The hash keeps names apart that are cut at the same place.
func boundedSite(hosts []string) string {
	name := mail.Escape(strings.Join(hosts, siteSeparator))
	if len(name) <= longestSite {
		return name
	}
	return fmt.Sprintf("%s... (%d hosts, %x)", name[:longestSite/2], len(hosts), sha256.Sum256([]byte(name)))
}
