package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

// ours is the screen of a machine with one public address.
func ours() Screen {
	return Screen{OwnHosts: []string{"Self.Test"}, OwnAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.99")}, Port: 25}
}

// domains: what the DNS holds about example.test, and what follows. want lists the hosts that can be tried, in order, or is the verdict.
func domains() []struct{ name, zone, want, reason string } {
	const good = "good.test A 192.0.2.1\n"
	const self = "self.test A 192.0.2.99\n"
	return []struct{ name, zone, want, reason string }{
		{"nothing exists", ``, "failed 5.1.2", "host unknown: example.test does not exist (NXDOMAIN)"},
		{"only other records", `example.test TXT x`, "failed 5.1.2", "host unknown: example.test has neither an MX nor an address"},
		{"MX fails", "; fault: example.test MX SERVFAIL", "deferred 4.4.3", "SERVFAIL"},
		{"MX is not answered", "; fault: example.test MX drop", "deferred 4.4.3", "no answer (192.0.2.53:53 over udp: no reply in time; no DNS server has ever answered: set resolver.servers"},
		{"null MX", "example.test MX 0 .", "failed 5.1.10", "takes no mail"},
		{"null MX with another preference", "example.test MX 10 .\nexample.test A 192.0.2.1", "failed 5.1.10", "takes no mail"},
		{"the exchanger does not exist", "example.test MX 10 nx.test", "failed 5.4.4", "host unknown: nx.test does not exist (NXDOMAIN)"},
		{"the exchanger is an alias of nothing", "example.test MX 10 cn.test\ncn.test CNAME nx.test", "failed 5.4.4",
			"host unknown: cn.test is an alias of nx.test, which does not exist (NXDOMAIN)"},
		{"the exchanger is an alias of a name without address", "example.test MX 10 cn.test\ncn.test CNAME bare.test\nbare.test TXT x", "failed 5.4.4",
			"host unknown: cn.test is an alias of bare.test, which has no address"},
		{"the exchanger has no address", "example.test MX 10 bare.test\nbare.test TXT x", "failed 5.4.4", "host unknown: bare.test has no address"},
		{"the exchanger fails", "example.test MX 10 sf.test\n; fault: sf.test * SERVFAIL", "deferred 4.4.3", "sf.test DNS trouble: SERVFAIL"},
		{"one fails, one does not exist", "example.test MX 10 nx.test\nexample.test MX 20 sf.test\n; fault: sf.test A SERVFAIL", "deferred 4.4.3", "NXDOMAIN"},
		{"one does not exist, one is good", "example.test MX 10 nx.test\nexample.test MX 20 good.test\n" + good, "good.test", ""},
		{"one fails, one is good", "example.test MX 10 sf.test\nexample.test MX 20 good.test\n; fault: sf.test * SERVFAIL\n" + good, "good.test", ""},
		{"implicit", "example.test A 192.0.2.1", "example.test", ""},
		{"implicit, IPv6 fails", "example.test A 192.0.2.1\n; fault: example.test AAAA SERVFAIL", "example.test", ""},
		{"implicit, IPv4 fails and there is no IPv6", "example.test TXT x\n; fault: example.test A SERVFAIL", "deferred 4.4.3", "SERVFAIL"},
		{"MX fails beside an address", "example.test A 192.0.2.1\n; fault: example.test MX SERVFAIL", "deferred 4.4.3", "SERVFAIL"},
		{"alias of a domain with MX", "example.test CNAME real.test\nreal.test MX 10 good.test\n" + good, "good.test", ""},
		{"alias of nothing", "example.test CNAME nx.test", "failed 5.1.2", "host unknown: example.test is an alias of nx.test, which does not exist (NXDOMAIN)"},
		{"alias of an address", "example.test CNAME good.test\n" + good, "example.test", ""},
		{"aliases in a circle", "example.test CNAME b.test\nb.test CNAME example.test", "deferred 4.4.3", "LOOP"},
		{"the exchanger is an alias", "example.test MX 10 cn.test\ncn.test CNAME good.test\n" + good, "cn.test", ""},
		{"loopback", "example.test MX 10 lo.test\nlo.test A 127.0.0.1", "failed 5.4.4", "address refused: lo.test has the address 127.0.0.1 (loopback)"},
		{"loopback by NAT64", "example.test MX 10 lo.test\nlo.test AAAA 64:ff9b::7f00:1", "failed 5.4.4", "address refused"},
		{"unspecified", "example.test MX 10 zero.test\nzero.test A 0.0.0.0", "failed 5.4.4", "unspecified"},
		{"implicit loopback", "example.test A 127.0.0.1", "failed 5.4.4", "address refused"},
		{"loopback, the other family fails", "example.test MX 10 lo.test\nlo.test A 127.0.0.1\n; fault: lo.test AAAA SERVFAIL", "deferred 4.4.3", "loopback"},
		{"we are the only one", "example.test MX 10 self.test\n" + self, "failed 5.4.6", "leads back to us: self.test this is us"},
		{"we are the best", "example.test MX 10 self.test\nexample.test MX 20 good.test\n" + self + good, "failed 5.4.6", "good.test behind us in the list"},
		{"we are the best, by address alone", "example.test MX 10 alias.test\nexample.test MX 20 good.test\nalias.test A 192.0.2.99\n" + good, "failed 5.4.6", "alias.test"},
		{"we are among the best", "example.test MX 10 self.test\nexample.test MX 10 good.test\n" + self + good, "failed 5.4.6", ""},
		{"we are the backup", "example.test MX 10 good.test\nexample.test MX 20 self.test\nexample.test MX 30 good2.test\n" + self + good, "good.test", ""},
		{"we are the backup of one that does not exist", "example.test MX 10 nx.test\nexample.test MX 20 self.test\n" + self, "failed 5.4.4", "host unknown: nx.test"},
		{"truncated, and TCP closes", "example.test MX 10 good.test\n; fault: * * truncate close-tcp\n" + good, "deferred 4.4.3", "no answer (192.0.2.53:53 over tcp: EOF)"},
		{"the exchanger is an IP address", "example.test MX 10 192.0.2.250.\n*.250 A 192.0.2.250", "failed 5.4.4", "192.0.2.250 is an IP address, not a host name"},
		{"the exchanger is no host name", `example.test MX 10 a\032b.test`, "failed 5.4.4", "is not a host name"},
		{"null MX beside another", "example.test MX 0 .\nexample.test MX 10 good.test\n" + good, "good.test", ""},
		{"MX refused", "; fault: example.test MX REFUSED", "deferred 4.4.3", "REFUSED"},
		{"IPv6 only, then another", "example.test MX 10 six.test\nexample.test MX 20 good.test\nsix.test AAAA 2001:db8::1\n" + good, "six.test good.test", ""},
		{"the reply is to another question", "example.test MX 10 good.test\n; fault: * * wrong-question\n" + good, "deferred 4.4.3", "INVALID"},
		{"a TTL of zero", "example.test 0 MX 10 good.test\ngood.test 0 A 192.0.2.1", "good.test", ""},
		{"no EDNS", "example.test MX 10 good.test\n; fault: * * no-edns\n" + good, "good.test", ""},
		{"the same exchanger twice", "example.test MX 30 good.test\nexample.test MX 10 GOOD.test\nexample.test MX 20 good2.test\ngood2.test A 192.0.2.2\n" + good, "good.test good2.test", ""},
		{"private and link-local", "example.test MX 10 priv.test\npriv.test A 169.254.169.254\npriv.test A 10.1.2.3", "priv.test", ""},
		{"bogus", "; fault: example.test MX bogus", "deferred 4.4.3", "BOGUS"},
	}
}

func TestDomains(t *testing.T) {
	for _, test := range domains() {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := over(t, dnstest.Memory(t, test.zone))
				x := ours().Apply(r.Exchangers(t.Context(), "example.test"))
				if got := outcome(x); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if x.Failure != nil && !strings.Contains(x.Failure.Reason, test.reason) {
					t.Errorf("reason %q, want %q in it", x.Failure.Reason, test.reason)
				}
				if len(x.Lookups) == 0 || x.Until.IsZero() {
					t.Errorf("lookups %v until %s", x.Lookups, x.Until)
				}
			})
		})
	}
}

// outcome is the hosts that are tried, in order, or the verdict.
func outcome(x Exchangers) string {
	if x.Failure != nil {
		return string(x.Failure.Disposition) + " " + x.Failure.Status.String()
	}
	var hosts []string
	for _, p := range (Shuffle{Limit: 8}).Order(x.Hosts) {
		if p.Skipped == "" {
			hosts = append(hosts, x.Hosts[p.Host].Host)
		}
	}
	return strings.Join(slices.Compact(hosts), " ")
}

func TestTheLastOfTwoHundredIsReached(t *testing.T) {
	var zone strings.Builder
	for i := range 200 {
		fmt.Fprintf(&zone, "example.test MX %d h%d.test\nh%d.test A 198.51.100.%d\n", i, i, i, i)
	}
	server := dnstest.Memory(t, zone.String())
	x := ours().Apply(over(t, server).Exchangers(t.Context(), "example.test"))
	if got := outcome(x); got != "h0.test h1.test h2.test h3.test h4.test h5.test h6.test h199.test" {
		t.Errorf("got %q", got)
	}
	if q := server.Questions(); q[1].Network != "tcp" {
		t.Errorf("the list did not come over TCP: %v", q[:2])
	}
}

func TestTooLongAListIsNotLookedUpWhole(t *testing.T) {
	mx := Answer{Lookup: mail.Lookup{RCode: mail.RCodeSuccess}}
	for i := range 1000 {
		mx.MX = append(mx.MX, MX{Preference: i, Host: fmt.Sprintf("h%d.test", i)})
	}
	x := listHosts("example.test", mx)
	for i, e := range x.Hosts {
		if asked := i < maxHosts-1 || i == 999; asked != (e.Skipped == "") || asked == e.Unsure {
			t.Fatalf("%d: %+v", i, e)
		}
	}
	if f := judge(x); f == nil || f.Disposition != mail.Deferred {
		t.Errorf("got %+v", f)
	}
}

// TestStaleNeverFails: an answer that had expired and was served because no server answers does not fail mail.
func TestStaleNeverFails(t *testing.T) {
	stale := func(rcode mail.RCode, records ...MX) Answer {
		return Answer{Lookup: mail.Lookup{RCode: rcode, Stale: true, Error: "no reply"}, MX: records}
	}
	none := Answer{Lookup: mail.Lookup{RCode: mail.RCodeNXDomain}}
	for name, mx := range map[string]Answer{
		"NXDOMAIN": stale(mail.RCodeNXDomain),
		"NODATA":   stale(mail.RCodeNoData),
		"null MX":  stale(mail.RCodeSuccess, MX{}),
		"hosts":    stale(mail.RCodeSuccess, MX{Host: "nx.test"}),
	} {
		x := listHosts("example.test", mx)
		if len(x.Hosts) > 0 {
			x.gather([]pair{{none, none}})
			x.Failure = judge(x)
		}
		if got := outcome(x); got != "deferred 4.4.3" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	fresh := Answer{Lookup: mail.Lookup{RCode: mail.RCodeSuccess}, MX: []MX{{Host: "mx1.test"}}}
	x := listHosts("example.test", fresh)
	x.gather([]pair{{stale(mail.RCodeNXDomain), none}})
	if got := judge(x); got == nil || got.Disposition != mail.Deferred {
		t.Errorf("stale address: got %+v", got)
	}
}

// TestStaleLoopDefers: the list that was cut at us had expired, or the address by which we are in it.
func TestStaleLoopDefers(t *testing.T) {
	for _, name := range []string{"example.test", "alias.test"} {
		synctest.Test(t, func(t *testing.T) {
			const zone = "example.test MX 10 alias.test\nalias.test A 192.0.2.99\n"
			server := dnstest.Memory(t, zone)
			r := over(t, server)
			r.Exchangers(t.Context(), "example.test")
			if err := server.Set(zone + "; fault: " + name + " * drop"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if got := outcome(ours().Apply(r.Exchangers(t.Context(), "example.test"))); got != "deferred 4.4.3" {
				t.Errorf("%s: got %q", name, got)
			}
		})
	}
}

// TestWhatWasGivenUpIsNotKept: a list whose addresses nobody waited for is asked for again at once.
func TestWhatWasGivenUpIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := over(t, dnstest.Memory(t, "example.test MX 10 slow.test\n; fault: slow.test * drop"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if x := r.Exchangers(ctx, "example.test"); x.Failure == nil || !x.Until.Equal(time.Now()) {
			t.Errorf("until %s from now, %+v", time.Until(x.Until), x.Failure)
		}
	})
}

// TestOnlyWhatIsMissingIsAsked: what the cache has is taken from it, with a closed resolver too; the rest is asked.
func TestOnlyWhatIsMissingIsAsked(t *testing.T) {
	server := dnstest.Memory(t, "example.test MX 10 a.test\nexample.test MX 20 b.test\na.test A 192.0.2.1\nb.test A 192.0.2.2")
	r := over(t, server)
	r.Lookup(t.Context(), "a.test", "A")
	r.Lookup(t.Context(), "b.test", "AAAA")
	first := r.Exchangers(t.Context(), "example.test")
	if got := len(server.Questions()); got != 5 || outcome(first) != "a.test b.test" {
		t.Errorf("asked %v, got %+v", server.Questions(), first)
	}
	r.Close()
	if again := r.Exchangers(t.Context(), "example.test"); outcome(again) != "a.test b.test" || len(again.Lookups) != 5 || !again.Until.Equal(first.Until) {
		t.Errorf("got %+v", again)
	}
}

func TestRules(t *testing.T) {
	r := over(t, dnstest.Memory(t, `
mx.test    MX 10 a.mx.test
mx.test    MX 0  .
b.mx.test  A 192.0.2.1
b.mx.test  AAAA 2001:db8::1
b.mx.test  AAAA ::ffff:192.0.2.1
plain.test A 192.0.2.1
null.test  MX 0 .
a.mx.test  60 CNAME b.mx.test
`))
	rules := map[mail.Domain]mail.Rule{
		"mx.test": mail.RuleMX, "plain.test": mail.RuleImplicit, "null.test": mail.RuleNullMX, "none.test": mail.RuleNone,
		"[192.0.2.7]": mail.RuleLiteral, "[IPv6:2001:db8::7]": mail.RuleLiteral,
	}
	for d, want := range rules {
		if x := r.Exchangers(t.Context(), d); x.Rule != want || x.Domain != d {
			t.Errorf("%s: rule %q, want %q", d, x.Rule, want)
		}
	}
	x := r.Exchangers(t.Context(), "mx.test")
	h := x.Hosts[0]
	if !x.NullBeside || h.CNAME != "b.mx.test" || h.TTL != 5*time.Minute || len(x.Lookups) != 3 {
		t.Errorf("got %+v", x)
	}
	want := []Address{
		{IP: netip.MustParseAddr("2001:db8::1"), TTL: 5 * time.Minute}, {IP: netip.MustParseAddr("192.0.2.1"), TTL: 5 * time.Minute},
	}
	if !slices.Equal(h.Addresses, want) {
		t.Errorf("got %v, want %v", h.Addresses, want)
	}
	if got := x.Lookups[1]; got.TTL != time.Minute || !slices.Equal(got.Answers[:2], []string{"CNAME b.mx.test", "2001:db8::1"}) {
		t.Errorf("got %+v", got)
	}
	if got := x.Lookups[0].Answers; !slices.Equal(got, []string{"10 a.mx.test", "0 ."}) {
		t.Errorf("got %q", got)
	}
}

func TestNotHostName(t *testing.T) {
	for name, want := range map[string]string{
		"mx.test": "", "mx1": "", "1.2.3": "", "mx_1.test": "", "a": "", "192.0.2.1": reasonIP, "2001:db8::a": reasonIP, "::1": reasonIP,
		"fe80::1%eth0": reasonIP, "a:b.test": reasonName, `a\.b.test`: reasonName, "*.test": reasonName,
	} {
		if got := notHostName(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestLiteral(t *testing.T) {
	r := made(t, Config{Servers: []string{"192.0.2.53"}, Timeout: time.Second, CacheRecords: 1, MinTTL: time.Minute, MaxTTL: time.Hour}, refused)
	for d, want := range map[mail.Domain]string{
		"[192.0.2.7]": "192.0.2.7", "[IPv6:2001:db8::7]": "2001:db8::7", "[127.0.0.1]": "failed 5.4.4", "[192.0.2.99]": "failed 5.4.6",
	} {
		x := ours().Apply(r.Exchangers(t.Context(), d))
		if got := outcome(x); got != want || len(x.Lookups) != 0 || !x.Until.IsZero() {
			t.Errorf("%s: got %q, want %q", d, got, want)
		}
	}
}

func TestHost(t *testing.T) {
	r := over(t, dnstest.Memory(t, "relay.test A 192.0.2.1\n; fault: sf.test * SERVFAIL"))
	e, lookups := r.Host(t.Context(), "Relay.Test.")
	if e.Host != "relay.test" || len(e.Addresses) != 1 || len(lookups) != 2 || e.Skipped != "" {
		t.Errorf("got %+v, %v", e, lookups)
	}
	if e, lookups = r.Host(t.Context(), "2001:db8::1"); len(e.Addresses) != 1 || lookups != nil {
		t.Errorf("got %+v, %v", e, lookups)
	}
	if e, _ = r.Host(t.Context(), "nx.test"); e.Skipped != "does not exist (NXDOMAIN)" || e.Unsure {
		t.Errorf("got %+v", e)
	}
	if e, _ = r.Host(t.Context(), "sf.test"); !strings.HasPrefix(e.Skipped, "DNS trouble: SERVFAIL") || !e.Unsure {
		t.Errorf("got %+v", e)
	}
}
