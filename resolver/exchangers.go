package resolver

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"sternpost/mail"
)

// Bounds of the work for one domain, whatever its list of exchangers is.
const (
	maxQuestions = 16              // on their way at once
	maxGathering = 2 * time.Minute // for the addresses of all hosts; what is missing then counts as trouble with the DNS
)

// Exchangers finds out where the mail of d goes: its exchangers (RFC 5321 s5.1), or the domain's own address where it has none, or the
// address of a literal. It does not judge addresses: Screen does. The result says so itself where there is no way.
func (r *Resolver) Exchangers(ctx context.Context, d mail.Domain) Exchangers {
	if ip, ok := d.Literal(); ok {
		return literalExchangers(d, ip)
	}
	x := listHosts(d, r.Lookup(ctx, string(d), "MX"))
	if len(x.Hosts) == 0 {
		return x
	}
	x.gather(r.addresses(ctx, x.Hosts))
	x.Failure = judge(x)
	return x
}

// Host looks up the addresses of a host that a route names; the text of an IP address is its own address. The host is not judged.
func (r *Resolver) Host(ctx context.Context, host string) (Exchanger, []mail.Lookup) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return Exchanger{Host: host, Addresses: []Address{{IP: ip.Unmap()}}}, nil
	}
	x := Exchangers{Hosts: []Exchanger{{Host: canonical(host)}}}
	x.gather(r.addresses(ctx, x.Hosts))
	return x.Hosts[0], x.Lookups
}

// pair is what was answered to the two questions for the addresses of one host.
type pair struct{ v6, v4 Answer }

// addresses answers both questions for every host that is not skipped already. Most of the time the cache has all of them: goroutines are only
// started where it has not.
func (r *Resolver) addresses(ctx context.Context, hosts []Exchanger) []pair {
	pairs := make([]pair, len(hosts))
	complete := true
	for i, host := range hosts {
		if host.Skipped == "" {
			var has6, has4 bool
			pairs[i].v6, has6 = r.cached(host.Host, "AAAA")
			pairs[i].v4, has4 = r.cached(host.Host, "A")
			complete = complete && has6 && has4
		}
	}
	if !complete {
		r.complete(ctx, hosts, pairs)
	}
	return pairs
}

// complete asks what is missing from pairs.
func (r *Resolver) complete(ctx context.Context, hosts []Exchanger, pairs []pair) {
	ctx, cancel := context.WithTimeout(ctx, maxGathering)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(maxQuestions)
	ask := func(into *Answer, host, qtype string) {
		if into.Lookup.RCode != "" {
			return
		}
		group.Go(func() error {
			*into = r.Lookup(ctx, host, qtype)
			return nil
		})
	}
	for i, host := range hosts {
		if host.Skipped == "" {
			ask(&pairs[i].v6, host.Host, "AAAA")
			ask(&pairs[i].v4, host.Host, "A")
		}
	}
	_ = group.Wait() // Lookup has no error: its answer tells
}

// gather puts the answers into the hosts that were asked for.
func (x *Exchangers) gather(pairs []pair) {
	x.Lookups = slices.Grow(x.Lookups, 2*len(pairs))
	for i, p := range pairs {
		if x.Hosts[i].Skipped != "" {
			continue
		}
		x.Hosts[i] = withAddresses(x.Hosts[i], p.v6, p.v4)
		x.Lookups = append(x.Lookups, p.v6.Lookup, p.v4.Lookup)
		x.Until = sooner(sooner(x.Until, p.v6.Expires), p.v4.Expires)
	}
}
