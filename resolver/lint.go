package resolver

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sternpost/mail"
)

// Level says how much a finding matters.
type Level string

// The levels.
const (
	LevelError   Level = "error"   // mail that goes there is lost or refused
	LevelWarning Level = "warning" // works now, but breaks a standard, or nothing helps when one thing fails
	LevelNotice  Level = "notice"  // worth knowing
)

// Finding is something that is wrong with the exchangers of a domain, for those who look after its DNS. Codes are stable; docs/json.md
// lists them. Text is one line for people; it may quote a stranger and is escaped.
type Finding struct {
	Level Level  `json:"level"`
	Code  string `json:"code"`
	Text  string `json:"text"`
}

// leastTTL is the TTL below which registrars and DNS providers refuse records; nor does our cache keep an answer for less.
const leastTTL = 60 * time.Second

// Lint looks for mistakes in what the DNS says about a domain: errors first, else in the order of the hosts. It is a pure function; x may have
// been screened or not.
func Lint(x Exchangers) []Finding {
	var found []Finding
	if x.NullBeside {
		found = append(found, finding(LevelWarning, "null-mx-beside-others",
			"A null MX (\"no mail here\") stands beside other MX records and is ignored; it must be the only one (RFC 7505 s3)."))
	}
	if x.Rule == mail.RuleMX || x.Rule == mail.RuleImplicit {
		found = append(found, lintTTL(x)...)
		for i, host := range x.Hosts {
			found = append(found, lintHost(x.Rule, host)...)
			found = append(found, lintAddresses(host)...)
			found = append(found, lintBackup(x.Hosts[:i], host)...)
		}
		found = append(found, lintList(x)...)
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Level.rank(), b.Level.rank()) })
	return found
}

func (l Level) rank() int { return slices.Index([]Level{LevelError, LevelWarning, LevelNotice}, l) }

func finding(level Level, code, format string, args ...any) Finding {
	return Finding{level, code, fmt.Sprintf(format, args...)}
}

// lintTTL looks at the MX records; a short TTL of addresses is told with the host.
func lintTTL(x Exchangers) []Finding {
	if x.Rule != mail.RuleMX || len(x.Hosts) == 0 {
		return nil
	}
	least := slices.MinFunc(x.Hosts, func(a, b Exchanger) int { return cmp.Compare(a.TTL, b.TTL) }).TTL
	return append(aliasTTL(string(x.Domain), x.CNAME, x.CNAMETTL, x.Authoritative),
		ttlFinding("The MX records of "+mail.Escape(string(x.Domain)), least, x.Authoritative)...)
}

func aliasTTL(name, canonical string, ttl time.Duration, authoritative bool) []Finding {
	if canonical == "" {
		return nil
	}
	return ttlFinding("The alias "+mail.Escape(name)+" of "+mail.Escape(canonical), ttl, authoritative)
}

// ttlFinding is a warning only where the number is that of the zone: a cache between us and the domain answers with what is left of it.
func ttlFinding(what string, ttl time.Duration, authoritative bool) []Finding {
	switch {
	case ttl >= leastTTL:
		return nil
	case authoritative:
		return []Finding{finding(LevelWarning, "ttl-below-60",
			"%s: the TTL is %d s. Registrars and DNS providers refuse a TTL below 60.", what, ttl/time.Second)}
	}
	return []Finding{finding(LevelNotice, "ttl-below-60",
		"%s: the TTL is %d s, or that is what a DNS cache has left of it. Registrars and DNS providers refuse a TTL below 60.", what, ttl/time.Second)}
}

// lintHost looks at one exchanger as a name.
func lintHost(rule mail.Rule, host Exchanger) []Finding {
	if rule != mail.RuleMX {
		return nil
	}
	found := lintName(host)
	if host.CNAME != "" {
		found = append(found, finding(LevelWarning, "mx-is-alias",
			"The MX %s is an alias (CNAME) of %s. An MX must have addresses of its own (RFC 2181 s10.3, RFC 5321 s5.1).", mail.Escape(host.Host), mail.Escape(host.CNAME)))
	}
	return found
}

// lintName says why no address belongs to the name of an exchanger. The cut at ourselves tells nothing about that.
func lintName(host Exchanger) []Finding {
	name, reason := mail.Escape(host.Host), host.Skipped
	switch {
	case !host.cut():
	case host.Unsure:
		reason = "DNS trouble"
	default:
		reason = reasonNone
	}
	switch wrong := notHostName(host.Host); {
	case wrong == reasonIP:
		return []Finding{finding(LevelError, "mx-is-address",
			"The MX %s is an IP address. An MX must be a host name (RFC 1035 s3.3.9): mail that goes there is lost.", name)}
	case wrong == reasonName:
		return []Finding{finding(LevelError, "mx-bad-name",
			"The MX %s is not a host name: mail that goes there is lost.", name)}
	case len(host.Addresses) > 0:
		return nil
	case host.Unsure:
		return []Finding{finding(LevelWarning, "mx-lookup-failed",
			"The addresses of the MX %s could not be looked up now: %s.", name, reason)}
	}
	return []Finding{finding(LevelError, "mx-no-address",
		"The MX %s %s: mail that goes there is lost. Give it an A or AAAA record, or remove the MX record.", name, cmp.Or(reason, reasonNone))}
}

// lintAddresses looks at the addresses of one host.
func lintAddresses(host Exchanger) []Finding {
	var found []Finding
	for _, a := range host.Addresses {
		who := fmt.Sprintf("The host %s has the address %s", mail.Escape(host.Host), a.IP)
		switch {
		case a.IP.IsLoopback():
			found = append(found, finding(LevelError, "loopback-address", "%s: every sender would talk to itself.", who))
		case isPrivate(a.IP):
			found = append(found, finding(LevelWarning, "private-address", "%s, which is private: it cannot be reached from the Internet.", who))
		default:
			if reason := (Screen{}).Refuse(a.IP); reason != "" {
				found = append(found, finding(LevelError, "unusable-address", "%s, which no sender can use: %s.", who, reason))
			}
		}
	}
	if len(host.Addresses) > 0 {
		least := slices.MinFunc(host.Addresses, func(a, b Address) int { return cmp.Compare(a.TTL, b.TTL) }).TTL
		found = append(found, ttlFinding("The addresses of "+mail.Escape(host.Host), least, host.Authoritative)...)
	}
	return append(found, aliasTTL(host.Host, host.CNAME, host.CNAMETTL, host.Authoritative)...)
}

// lintBackup compares a host with those before it: what stands on the same machine or line fails with it.
func lintBackup(before []Exchanger, host Exchanger) []Finding {
	for _, other := range before {
		if ip, ok := sharedAddress(host, other); ok {
			return []Finding{finding(LevelWarning, "backup-same-address",
				"%s and %s have the same address %s: if one is down, so is the other.", mail.Escape(host.Host), mail.Escape(other.Host), ip)}
		}
	}
	for _, other := range before {
		if sameNetworks(host, other) {
			return []Finding{finding(LevelWarning, "backup-same-network",
				"%s is in the same network as %s (%s): they may well be down together.", mail.Escape(host.Host), mail.Escape(other.Host),
				network(host.Addresses[0].IP))}
		}
	}
	return nil
}

func sharedAddress(host, other Exchanger) (netip.Addr, bool) {
	for _, a := range host.Addresses {
		if slices.ContainsFunc(other.Addresses, func(b Address) bool { return a.IP == b.IP }) {
			return a.IP, true
		}
	}
	return netip.Addr{}, false
}

// sameNetworks says whether every address of host has a neighbour in other.
func sameNetworks(host, other Exchanger) bool {
	for _, a := range host.Addresses {
		if !slices.ContainsFunc(other.Addresses, func(b Address) bool { return network(a.IP) == network(b.IP) }) {
			return false
		}
	}
	return len(host.Addresses) > 0
}

// network is what usually hangs on one line: a /24 of IPv4, a /48 of IPv6 (RFC 6177: the common size of a site).
func network(ip netip.Addr) netip.Prefix {
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

// lintList looks at all hosts together.
func lintList(x Exchangers) []Finding {
	return append(lintBackups(x.Hosts), lintFamilies(x.Hosts)...)
}

// lintBackups counts the hosts that a sender can reach: one without a usable address is no backup. Where a lookup failed there may be one more.
func lintBackups(hosts []Exchanger) []Finding {
	reachable := slices.DeleteFunc(slices.Clone(hosts), func(e Exchanger) bool { return !e.reachable() })
	unknown := slices.ContainsFunc(hosts, func(e Exchanger) bool { return e.Unsure && len(e.Addresses) == 0 })
	if len(reachable) != 1 || unknown {
		return nil
	}
	which := "the only exchanger"
	if len(hosts) > 1 {
		which += " that can be reached"
	}
	return []Finding{finding(LevelWarning, "single-exchanger",
		"%s is %s: while it is down there is no backup, and mail waits at its senders.", mail.Escape(reachable[0].Host), which)}
}

// reachable says whether a sender can use the host. Neither the cut at ourselves nor our own choice of families counts.
func (e Exchanger) reachable() bool {
	return (e.Skipped == "" || e.cut()) && notHostName(e.Host) == "" && slices.ContainsFunc(e.Addresses, func(a Address) bool {
		return a.Skipped == "" || a.Skipped == reasonNoIPv4 || a.Skipped == reasonNoIPv6
	})
}

// lintFamilies says nothing where a lookup failed: the family that is missing may be there.
func lintFamilies(hosts []Exchanger) []Finding {
	if slices.ContainsFunc(hosts, func(e Exchanger) bool { return e.Unsure }) {
		return nil
	}
	v4, v6 := hasFamily(hosts, netip.Addr.Is4), hasFamily(hosts, netip.Addr.Is6)
	switch {
	case v4 && !v6:
		return []Finding{finding(LevelNotice, "no-ipv6", "No exchanger has an IPv6 address.")}
	case v6 && !v4:
		return []Finding{finding(LevelWarning, "no-ipv4", "No exchanger has an IPv4 address: senders without IPv6 cannot reach it.")}
	}
	return nil
}

func hasFamily(hosts []Exchanger, is func(netip.Addr) bool) bool {
	return slices.ContainsFunc(hosts, func(e Exchanger) bool {
		return slices.ContainsFunc(e.Addresses, func(a Address) bool { return is(a.IP) })
	})
}
