package main

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"sternpost/delivery"
	"sternpost/mail"
	"sternpost/resolver"
)

type resolveCommand struct {
	Domain string `arg:"" help:"A domain, or an address whose domain is meant."`
}

func (resolveCommand) Help() string {
	return `Asks the DNS and shows the hosts with their addresses and TTLs, the order in which a delivery would try them, and what is wrong with them. Nothing is connected to but DNS servers. Routes of the configuration are not considered: this is what the DNS says.

Exit status: 0 mail can go, 69 there is no way, 75 the DNS could not be asked.

Example:

    sternpost resolve example.org --json`
}

// resolution is the JSON of resolve, and what its story is told from.
type resolution struct {
	Domain   mail.Domain        `json:"domain"`
	Rule     mail.Rule          `json:"rule"`
	Hosts    []resolvedHost     `json:"hosts"`
	Order    []resolvedPlace    `json:"order"`
	Findings []resolver.Finding `json:"findings"`
	DNS      []mail.Lookup      `json:"dns"`
	Status   mail.Status        `json:"status"`
	Error    string             `json:"error"`
}

type resolvedHost struct {
	Preference int               `json:"preference"`
	Host       string            `json:"host"`
	TTL        int64             `json:"ttl"`
	Addresses  []resolvedAddress `json:"addresses"`
	Skipped    string            `json:"skipped"`
}

type resolvedAddress struct {
	IP      netip.Addr `json:"ip"`
	TTL     int64      `json:"ttl"`
	Skipped string     `json:"skipped"`
}

type resolvedPlace struct {
	Host    string     `json:"host"`
	Address netip.Addr `json:"address"`
	Skipped string     `json:"skipped"`
	Reason  string     `json:"reason"`
}

// Run shows where the mail of a domain goes.
func (r resolveCommand) Run(sh *shell) error {
	domain, err := parseTarget(r.Domain)
	if err != nil {
		return withCode(exitInput, err)
	}
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	rooms, err := openRooms(realWorld(), c, delivery.Deps{Log: newLog(sh.stderr, c)})
	if err != nil {
		return withCode(exitConfig, err)
	}
	x := rooms.agent.Screen().Apply(rooms.resolver.Exchangers(sh.ctx, domain))
	if err := rooms.Close(); err != nil {
		return err
	}
	shuffle := resolver.Shuffle{Seed: rand.Uint64(), Attempt: 1, Limit: c.Delivery.MaxAddresses}
	found := newResolution(x, shuffle.Order(x.Hosts))
	if sh.json {
		err = printJSON(sh.stdout, found)
	} else {
		story{w: sh.stdout, paint: paintFor(sh.stdout, sh.environ)}.resolution(found)
	}
	if err != nil {
		return err
	}
	return quietly(resolveCode(x.Failure))
}

// parseTarget reads a domain, or the domain of an address.
func parseTarget(text string) (mail.Domain, error) {
	if strings.Contains(text, "@") {
		a, err := mail.ParseAddress(text)
		return a.Domain, err
	}
	return mail.ParseDomain(text)
}

func resolveCode(f *resolver.Failure) int {
	switch {
	case f == nil:
		return exitDone
	case f.Disposition == mail.Failed:
		return exitFailed
	default:
		return exitAgain
	}
}

func newResolution(x resolver.Exchangers, places []resolver.Place) resolution {
	found := resolution{
		Domain: x.Domain, Rule: x.Rule, Hosts: []resolvedHost{}, Order: []resolvedPlace{},
		Findings: append([]resolver.Finding{}, resolver.Lint(x)...), DNS: append([]mail.Lookup{}, x.Lookups...),
	}
	if x.Failure != nil {
		found.Status, found.Error = x.Failure.Status, x.Failure.Reason
	}
	for _, e := range x.Hosts {
		host := resolvedHost{
			Preference: e.Preference, Host: e.Host, TTL: seconds(e.TTL), Addresses: []resolvedAddress{}, Skipped: e.Skipped,
		}
		for _, a := range e.Addresses {
			host.Addresses = append(host.Addresses, resolvedAddress{a.IP, seconds(a.TTL), a.Skipped})
		}
		found.Hosts = append(found.Hosts, host)
	}
	before := -1
	for _, p := range places {
		place := resolvedPlace{Host: x.Hosts[p.Host].Host, Address: p.Address, Skipped: p.Skipped}
		if p.Skipped == "" {
			place.Reason = orderReason(x, before, p.Host)
			before = p.Host
		}
		found.Order = append(found.Order, place)
	}
	return found
}

// orderReason says why a host has its place; before is the host that is tried before it, -1 for none.
func orderReason(x resolver.Exchangers, before, host int) string {
	switch {
	case before < 0 && x.Rule == mail.RuleMX:
		return "the lowest preference"
	case before < 0:
		return ""
	case before == host:
		return "another address of the same host"
	case x.Hosts[before].Preference == x.Hosts[host].Preference:
		return "the same preference: their order is drawn anew for each message"
	default:
		return "a backup: when all before it have failed"
	}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
