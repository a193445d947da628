package resolver

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sternpost/mail"
)

// Exchanger is one host that may take the mail of a domain.
type Exchanger struct {
	// Host is an A-label name without trailing dot, or the text of the address for a literal.
	Host       string
	Preference int
	// TTL is that of the MX record as the server sent it; zero where there is none.
	TTL time.Duration
	// Addresses are those of the host, IPv6 and IPv4, each once.
	Addresses []Address
	// Skipped says why the host as a whole is not to be used ("does not exist (NXDOMAIN)"); empty: it may be.
	Skipped string
	// Unsure says that a look at the addresses failed in a way that may pass.
	Unsure bool
	// CNAME is the name that Host is an alias of; empty where it is none. RFC 5321 s5.1 forbids such exchangers; they exist, and work.
	CNAME string
	// CNAMETTL is the smallest TTL of the aliases, as the server sent them.
	CNAMETTL time.Duration
	// Authoritative says that the TTLs of the addresses are those of the zone, not what a cache had left.
	Authoritative bool
}

// Exchangers is what the DNS says about where the mail of a domain goes.
type Exchangers struct {
	Domain mail.Domain
	Rule   mail.Rule
	// Hosts ascend by preference, then by name. A host has one place, at its lowest preference.
	Hosts []Exchanger
	// Lookups are the questions asked: MX first, then the addresses host by host.
	Lookups []mail.Lookup
	// NullBeside says that a null MX stood beside others and was ignored.
	NullBeside bool
	// CNAME is the name that the domain is an alias of, and CNAMETTL the smallest TTL on the way there; empty where it is none.
	CNAME    string
	CNAMETTL time.Duration
	// Authoritative says that the TTLs of the MX records are those of the zone, not what a cache had left.
	Authoritative bool
	// Failure is not nil where no host can be tried, and says what follows.
	Failure *Failure
	// Until is when the first of the answers expires. Zero: none does, as for a literal.
	Until time.Time
}

// Failure is the verdict on a domain that leads nowhere. Reason is one line for people; it may quote a stranger and is escaped.
type Failure struct {
	Disposition mail.Disposition
	Status      mail.Status
	Reason      string
}

// Reasons why a host is skipped as a whole. The first two are the cut at ourselves.
const (
	reasonUs       = "this is us"
	reasonBehindUs = "behind us in the list"
	reasonIP       = "is an IP address, not a host name"
	reasonName     = "is not a host name"
	reasonNXDomain = "does not exist (NXDOMAIN)"
	reasonNone     = "has no address"
	reasonMany     = "was not looked up: the list is too long"
)

// maxHosts is how many exchangers of a domain have their addresses looked up. Large providers have about ten; the list of a
// stranger may have thousands, each of them a name whose servers are silent.
const maxHosts = 200

// literalExchangers is the list of an address literal: the address itself, without DNS (RFC 5321 s5.1).
func literalExchangers(d mail.Domain, ip netip.Addr) Exchangers {
	host := Exchanger{Host: ip.String(), Addresses: []Address{{IP: ip.Unmap()}}}
	return Exchangers{Domain: d, Rule: mail.RuleLiteral, Hosts: []Exchanger{host}}
}

// listHosts reads the answer to the MX question: a list of hosts whose addresses are not known yet, or a failure.
func listHosts(d mail.Domain, mx Answer) Exchangers {
	x := Exchangers{
		Domain: d, Rule: mail.RuleNone, Lookups: []mail.Lookup{mx.Lookup}, Until: mx.Expires,
		CNAME: mx.Canonical, CNAMETTL: mx.AliasTTL, Authoritative: mx.Authoritative,
	}
	switch {
	case !mx.certain() && mx.Lookup.RCode != mail.RCodeSuccess, mx.Lookup.Stale && isNullMX(mx.MX):
		// Never fall back to A: what we did not hear may be an MX (RFC 5321 s5.1).
		x.Failure = deferred("DNS trouble: the MX question for %s: %s", mail.Escape(string(d)), mx.trouble())
	case mx.Lookup.RCode == mail.RCodeNXDomain:
		x.Failure = failed(mail.Status{5, 1, 2}, "host unknown: %s", notExisting(string(d), mx.Canonical))
	case mx.Lookup.RCode == mail.RCodeNoData:
		x.Rule = mail.RuleImplicit
		x.Hosts = []Exchanger{{Host: string(d)}}
	case isNullMX(mx.MX):
		x.Rule = mail.RuleNullMX
		x.Failure = failed(mail.Status{5, 1, 10}, "%s takes no mail (null MX, RFC 7505)", mail.Escape(string(d)))
	default:
		x.Rule = mail.RuleMX
		x.Hosts, x.NullBeside = mergeMX(mx)
	}
	return x
}

// isNullMX says whether "." is the only exchanger (RFC 7505 s3).
func isNullMX(records []MX) bool {
	named := slices.ContainsFunc(records, func(m MX) bool { return m.Host != "" })
	return len(records) > 0 && !named
}

// mergeMX sorts the records and gives each host one place, its best. A null MX beside others is left out, and told of.
func mergeMX(mx Answer) (hosts []Exchanger, nullBeside bool) {
	records := slices.Clone(mx.MX)
	slices.SortFunc(records, func(a, b MX) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), strings.Compare(a.Host, b.Host))
	})
	seen := make(map[string]bool, len(records))
	hosts = make([]Exchanger, 0, len(records))
	for _, m := range records {
		if m.Host == "" {
			nullBeside = true
			continue
		}
		if seen[m.Host] {
			continue
		}
		seen[m.Host] = true
		// A list that had expired may hide the exchanger that works now: it never fails mail.
		host := Exchanger{Host: m.Host, Preference: m.Preference, TTL: m.TTL, Unsure: mx.Lookup.Stale}
		host.Skipped = notHostName(m.Host)
		hosts = append(hosts, host)
	}
	return skipBeyond(hosts), nullBeside
}

// notHostName says why name cannot be looked up as a host; empty: it can be.
func notHostName(name string) string {
	if isAddress(name) {
		return reasonIP
	}
	odd := func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_'
	}
	if strings.ContainsFunc(name, odd) {
		return reasonName
	}
	return ""
}

// isAddress is true of names that are the text of an IP address. Few others end in a digit or have a colon, and those are not parsed.
func isAddress(name string) bool {
	last := name[len(name)-1]
	if (last < '0' || last > '9') && !strings.Contains(name, ":") {
		return false
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}

// skipBeyond marks what is not looked up of a list that is too long. The least preferred host is always looked up.
func skipBeyond(hosts []Exchanger) []Exchanger {
	for i := maxHosts - 1; i < len(hosts)-1; i++ {
		if hosts[i].Skipped == "" {
			hosts[i].Skipped, hosts[i].Unsure = reasonMany, true
		}
	}
	return hosts
}

// withAddresses puts what was answered to the AAAA and the A question into host. One family is enough: trouble with the other
// only counts where no address is left.
func withAddresses(host Exchanger, v6, v4 Answer) Exchanger {
	host.Addresses = slices.Grow(host.Addresses, len(v6.Addresses)+len(v4.Addresses))
	for _, answer := range []Answer{v6, v4} {
		for _, a := range answer.Addresses {
			if !slices.ContainsFunc(host.Addresses, func(b Address) bool { return a.IP == b.IP }) {
				host.Addresses = append(host.Addresses, a)
			}
		}
	}
	host.CNAME, host.CNAMETTL = v6.Canonical, v6.AliasTTL
	if v4.Canonical != "" && (host.CNAME == "" || v4.AliasTTL < host.CNAMETTL) {
		host.CNAME, host.CNAMETTL = v4.Canonical, v4.AliasTTL
	}
	host.Authoritative = v6.Authoritative && v4.Authoritative
	host.Unsure = host.Unsure || !v6.certain() || !v4.certain()
	switch {
	case len(host.Addresses) > 0:
	case !v4.certain():
		host.Skipped = "DNS trouble: " + v4.trouble()
	case !v6.certain():
		host.Skipped = "DNS trouble: " + v6.trouble()
	case v6.Lookup.RCode == mail.RCodeNXDomain || v4.Lookup.RCode == mail.RCodeNXDomain:
		host.Skipped = behindAlias(host.CNAME, reasonNXDomain)
	default:
		host.Skipped = behindAlias(host.CNAME, reasonNone)
	}
	return host
}

// usable says whether host has an address that may be tried.
func (e Exchanger) usable() bool {
	return e.Skipped == "" && slices.ContainsFunc(e.Addresses, func(a Address) bool { return a.Skipped == "" })
}

// judge is the verdict on a list whose hosts are known, and nil where one of them can be tried.
func judge(x Exchangers) *Failure {
	if slices.ContainsFunc(x.Hosts, Exchanger.usable) {
		return nil
	}
	left := slices.DeleteFunc(slices.Clone(x.Hosts), Exchanger.cut)
	switch {
	case len(left) == 0 && slices.ContainsFunc(x.Lookups, func(l mail.Lookup) bool { return l.Stale }):
		return deferred("mail for %s leads back to us by answers that have expired: %s", mail.Escape(string(x.Domain)), why(x.Hosts))
	case len(left) == 0: // RFC 5321 s5.1: we are the best exchanger, so the mail should have been kept here
		return failed(mail.Status{5, 4, 6}, "mail for %s leads back to us: %s", mail.Escape(string(x.Domain)), why(x.Hosts))
	case slices.ContainsFunc(left, func(e Exchanger) bool { return e.Unsure }):
		return deferred("no exchanger of %s can be tried now: %s", mail.Escape(string(x.Domain)), why(left))
	case slices.ContainsFunc(left, Exchanger.switchedOff): // ours to change, so not for good
		return &Failure{mail.Deferred, mail.Status{4, 4, 4}, "no address family is left: " + why(left)}
	case slices.ContainsFunc(left, func(e Exchanger) bool { return len(e.Addresses) > 0 }):
		return failed(mail.Status{5, 4, 4}, "address refused: %s", why(left))
	case x.Rule == mail.RuleImplicit:
		return failed(mail.Status{5, 1, 2}, "host unknown: %s has neither an MX nor an address", mail.Escape(string(x.Domain)))
	}
	return failed(mail.Status{5, 4, 4}, "host unknown: %s", why(left))
}

// cut says whether the host went in the cut at ourselves.
func (e Exchanger) cut() bool { return e.Skipped == reasonUs || e.Skipped == reasonBehindUs }

// switchedOff says whether the host has an address that only our own choice of families keeps us from.
func (e Exchanger) switchedOff() bool {
	return slices.ContainsFunc(e.Addresses, func(a Address) bool { return a.Skipped == reasonNoIPv4 || a.Skipped == reasonNoIPv6 })
}

// why tells of each host, or of the first three, why it is not tried.
func why(hosts []Exchanger) string {
	const most = 3
	var parts []string
	for _, e := range hosts[:min(len(hosts), most)] {
		parts = append(parts, mail.Escape(e.Host)+" "+e.reason())
	}
	if len(hosts) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(hosts)-most))
	}
	return strings.Join(parts, "; ")
}

// reason is why the host is not tried, where it is not.
func (e Exchanger) reason() string {
	if e.Skipped != "" || len(e.Addresses) == 0 {
		return e.Skipped
	}
	first := e.Addresses[0]
	text := "has the address " + first.IP.String() + " (" + first.Skipped + ")"
	if e.Unsure {
		text += " and maybe others"
	}
	return text
}

// notExisting says which name it was that does not exist: the last one of the chain (RFC 6604 s3).
func notExisting(name, canonical string) string {
	return mail.Escape(name) + " " + behindAlias(canonical, reasonNXDomain)
}

// behindAlias says of a name what is wrong with the one that it is an alias of; canonical is empty where it is none.
func behindAlias(canonical, reason string) string {
	if canonical == "" {
		return reason
	}
	return "is an alias of " + mail.Escape(canonical) + ", which " + reason
}

func failed(status mail.Status, format string, args ...any) *Failure {
	return &Failure{mail.Failed, status, fmt.Sprintf(format, args...)}
}

// deferred is 4.4.3, directory server failure (RFC 3463 s3.5).
func deferred(format string, args ...any) *Failure {
	return &Failure{mail.Deferred, mail.Status{4, 4, 3}, fmt.Sprintf(format, args...)}
}

// sooner is the earlier of two times of expiry; zero means that there is none.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
