package resolver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

// host builds an exchanger with a TTL of an hour.
func lintedHost(preference int, name string, ips ...string) Exchanger {
	e := Exchanger{Host: name, Preference: preference, TTL: time.Hour}
	for _, ip := range ips {
		e.Addresses = append(e.Addresses, Address{IP: netip.MustParseAddr(ip), TTL: time.Hour})
	}
	return e
}

func TestLint(t *testing.T) {
	skipped := func(e Exchanger, reason string) Exchanger { e.Skipped = reason; return e }
	unsure := func(e Exchanger) Exchanger { e.Unsure = true; return e }
	good := lintedHost(10, "mx1.test", "192.0.2.1", "2001:db8:1::1")
	far := lintedHost(20, "mx2.test", "198.51.100.1", "2001:db8:2::1")
	alias := lintedHost(20, "mx2.test", "198.51.100.1", "2001:db8:2::1")
	alias.CNAME, alias.CNAMETTL = "real.test", time.Hour
	shortAlias := alias
	shortAlias.CNAMETTL = 59 * time.Second
	v4off, us := far, skipped(far, reasonUs)
	v4off.Addresses = []Address{{IP: far.Addresses[0].IP, TTL: time.Hour, Skipped: reasonNoIPv4}, far.Addresses[1]}
	refused := lintedHost(20, "mx2.test", "127.0.0.1", "::1")
	refused.Addresses[0].Skipped, refused.Addresses[1].Skipped = "loopback", "loopback"
	shortMX, shortA := far, lintedHost(20, "mx2.test", "198.51.100.1", "2001:db8:2::1")
	shortMX.TTL = 59 * time.Second
	shortA.Addresses[0].TTL = 0

	for _, c := range []struct {
		name  string
		hosts []Exchanger
		want  string
	}{
		{"nothing is wrong", []Exchanger{good, far}, ""},
		{"a TTL of 60 is fine", []Exchanger{good, {Host: "mx2.test", Preference: 20, TTL: time.Minute, Addresses: far.Addresses}}, ""},
		{"short MX TTL", []Exchanger{good, shortMX}, "ttl-below-60"},
		{"short address TTL", []Exchanger{good, shortA}, "ttl-below-60"},
		{"only one exchanger", []Exchanger{good}, "single-exchanger"},
		{"short TTL of an alias", []Exchanger{good, shortAlias}, "mx-is-alias ttl-below-60"},
		{"a family that we do not use", []Exchanger{good, v4off}, ""},
		{"a backup that is us", []Exchanger{good, us}, ""},
		{"no address", []Exchanger{good, skipped(lintedHost(20, "mx2.test"), reasonNone)}, "mx-no-address single-exchanger"},
		{"no such host", []Exchanger{good, skipped(lintedHost(20, "mx2.test"), reasonNXDomain)}, "mx-no-address single-exchanger"},
		{"the backup's addresses are refused", []Exchanger{good, refused}, "loopback-address loopback-address single-exchanger"},
		{"no host has an address", []Exchanger{skipped(lintedHost(20, "mx2.test"), reasonNone)}, "mx-no-address"},
		{"one host, and its lookup failed", []Exchanger{unsure(skipped(lintedHost(20, "mx2.test"), "DNS trouble: SERVFAIL"))}, "mx-lookup-failed"},
		{"lookup failed", []Exchanger{good, unsure(skipped(lintedHost(20, "mx2.test"), "DNS trouble: SERVFAIL"))}, "mx-lookup-failed"},
		{"MX is an address", []Exchanger{good, skipped(lintedHost(20, "192.0.2.9"), reasonIP)}, "mx-is-address single-exchanger"},
		{"MX is no name", []Exchanger{good, skipped(lintedHost(20, "mx 2.test"), reasonName)}, "mx-bad-name single-exchanger"},
		{"MX is an alias", []Exchanger{good, alias}, "mx-is-alias"},
		{"same address", []Exchanger{good, lintedHost(20, "mx2.test", "192.0.2.1", "2001:db8:2::1")}, "backup-same-address"},
		{"same /24", []Exchanger{lintedHost(10, "mx1.test", "192.0.2.1", "2001:db8::1"), lintedHost(20, "mx2.test", "192.0.2.99")}, "backup-same-network"},
		{"same /48", []Exchanger{good, lintedHost(20, "mx2.test", "2001:db8:1:ff::1")}, "backup-same-network"},
		{"one line in common, one of its own", []Exchanger{good, lintedHost(20, "mx2.test", "192.0.2.2", "2001:db8:2::1")}, ""},
		{"private", []Exchanger{good, lintedHost(20, "mx2.test", "10.0.0.1")}, "private-address"},
		{"loopback", []Exchanger{good, lintedHost(20, "mx2.test", "127.0.0.1")}, "loopback-address"},
		{"link-local", []Exchanger{good, lintedHost(20, "mx2.test", "fe80::1")}, "unusable-address"},
		{"no IPv6", []Exchanger{lintedHost(10, "mx1.test", "192.0.2.1"), lintedHost(20, "mx2.test", "198.51.100.1")}, "no-ipv6"},
		{"no IPv6, or not known", []Exchanger{unsure(lintedHost(10, "mx1.test", "192.0.2.1")), lintedHost(20, "mx2.test", "198.51.100.1")}, ""},
		{"no IPv4", []Exchanger{lintedHost(10, "mx1.test", "2001:db8:1::1"), lintedHost(20, "mx2.test", "2001:db8:2::1")}, "no-ipv4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := Lint(Exchangers{Domain: "example.test", Rule: mail.RuleMX, Hosts: c.hosts})
			if got := codes(found); got != c.want {
				t.Errorf("codes %q, want %q: %+v", got, c.want, found)
			}
		})
	}
}

// TestLintOfShortTTLs: a cache tells what it has left, so only what the zone's own servers say is a warning. The domain may be an alias too.
func TestLintOfShortTTLs(t *testing.T) {
	x := Exchangers{
		Domain: "example.test", Rule: mail.RuleMX, CNAME: "real.test", CNAMETTL: 59 * time.Second,
		Hosts: []Exchanger{lintedHost(10, "mx1.test", "192.0.2.1", "2001:db8:1::1"), lintedHost(20, "mx2.test", "198.51.100.1", "2001:db8:2::1")},
	}
	for authoritative, want := range map[bool]Level{true: LevelWarning, false: LevelNotice} {
		x.Authoritative = authoritative
		found := Lint(x)
		if codes(found) != "ttl-below-60" || found[0].Level != want || !strings.HasPrefix(found[0].Text, "The alias example.test of real.test: the TTL is 59 s") {
			t.Errorf("authoritative %v: got %+v", authoritative, found)
		}
	}
}

func codes(found []Finding) string {
	var list []string
	for _, f := range found {
		list = append(list, f.Code)
	}
	return strings.Join(list, " ")
}

func TestLintTellsErrorsFirst(t *testing.T) {
	x := Exchangers{
		Domain: "example.test", Rule: mail.RuleMX, NullBeside: true,
		Hosts: []Exchanger{lintedHost(10, "mx1.test", "192.0.2.1"), lintedHost(20, "mx2.test")},
	}
	if got, want := codes(Lint(x)), "mx-no-address null-mx-beside-others single-exchanger no-ipv6"; got != want {
		t.Errorf("codes %q, want %q", got, want)
	}
}

// The implicit MX has no MX record whose TTL or name could be wrong, and a literal has no DNS at all.
func TestLintOfOtherRules(t *testing.T) {
	implicit := lintedHost(0, "example.test", "192.0.2.1", "2001:db8::1")
	implicit.TTL = 0
	for rule, want := range map[mail.Rule]string{
		mail.RuleImplicit: "single-exchanger", mail.RuleLiteral: "", mail.RuleNullMX: "", mail.RuleNone: "",
	} {
		got := codes(Lint(Exchangers{Domain: "example.test", Rule: rule, Hosts: []Exchanger{implicit}}))
		if got != want {
			t.Errorf("%s: codes %q, want %q", rule, got, want)
		}
	}
}

// TestLintAfterTheCut: that a host is us, or behind us, hides nothing of what is wrong with it, and is no mistake of the domain.
func TestLintAfterTheCut(t *testing.T) {
	x := Exchangers{Domain: "example.test", Rule: mail.RuleMX, Hosts: []Exchanger{
		lintedHost(10, "self.test", "192.0.2.99", "2001:db8:1::1"), lintedHost(20, "192.0.2.1"), lintedHost(20, "bare.test"),
		lintedHost(20, "sf.test"),
	}}
	x.Hosts[1].Skipped, x.Hosts[2].Skipped, x.Hosts[3].Skipped, x.Hosts[3].Unsure = reasonIP, reasonNXDomain, "DNS trouble: SERVFAIL", true
	found := Lint(ours().Apply(x))
	if got, want := codes(found), codes(Lint(x)); got != want || got != "mx-is-address mx-no-address mx-lookup-failed" {
		t.Errorf("codes %q, unscreened %q", got, want)
	}
	for _, f := range found {
		if strings.Contains(f.Text, reasonBehindUs) {
			t.Errorf("got %q", f.Text)
		}
	}
}

func TestLintEscapesStrangers(t *testing.T) {
	e := lintedHost(10, "mx\x1b[31m.test")
	e.Skipped = reasonName
	for _, f := range Lint(Exchangers{Domain: "example.test", Rule: mail.RuleMX, Hosts: []Exchanger{e}}) {
		if strings.ContainsRune(f.Text, '\x1b') {
			t.Errorf("not escaped: %q", f.Text)
		}
	}
	if !slices.IsSorted([]int{LevelError.rank(), LevelWarning.rank(), LevelNotice.rank()}) {
		t.Error("the levels are not in order")
	}
}

// What Lint says about TTLs comes from the answers: of the aliases the least, and authority where every answer has it.
func TestAnswersTellTheirTTLs(t *testing.T) {
	answer := func(canonical string, ttl time.Duration, authoritative bool) Answer {
		return Answer{
			Lookup: mail.Lookup{RCode: mail.RCodeNoData}, Canonical: canonical, AliasTTL: ttl, Authoritative: authoritative,
		}
	}
	for _, c := range []struct {
		v6, v4 Answer
		want   Exchanger
	}{
		{answer("b.test", 30, true), answer("b.test", 40, true), Exchanger{CNAME: "b.test", CNAMETTL: 30, Authoritative: true}},
		{answer("b.test", 40, true), answer("c.test", 30, false), Exchanger{CNAME: "c.test", CNAMETTL: 30}},
		{answer("", 0, false), answer("b.test", 30, true), Exchanger{CNAME: "b.test", CNAMETTL: 30}},
		{answer("b.test", 30, true), answer("", 0, true), Exchanger{CNAME: "b.test", CNAMETTL: 30, Authoritative: true}},
	} {
		got := withAddresses(Exchanger{}, c.v6, c.v4)
		if got.CNAME != c.want.CNAME || got.CNAMETTL != c.want.CNAMETTL || got.Authoritative != c.want.Authoritative {
			t.Errorf("got %+v, want %+v", got, c.want)
		}
	}
	if x := listHosts("a.test", answer("b.test", 30, true)); x.CNAME != "b.test" || x.CNAMETTL != 30 || !x.Authoritative {
		t.Errorf("got %+v", x)
	}
}
