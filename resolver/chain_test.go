package resolver

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

// ladder is n aliases from a0.test, with an address at the end.
func ladder(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d.test CNAME a%d.test\n", i, i+1)
	}
	fmt.Fprintf(&b, "a%d.test A 192.0.2.1\n", n)
	return b.String()
}

func TestChains(t *testing.T) {
	tests := []struct {
		name, zone string
		rcode      mail.RCode
		canonical  string
		aliases    int
	}{
		{"ten aliases", ladder(10), mail.RCodeSuccess, "a10.test", 10},
		{"eleven aliases", ladder(11), mail.RCodeLoop, "a10.test", 10},
		{"a circle", "a0.test CNAME a1.test\na1.test CNAME a0.test", mail.RCodeLoop, "a0.test", 10},
		{"itself", "a0.test CNAME a0.test", mail.RCodeLoop, "a0.test", 10},
		{"into nothing", "a0.test CNAME nx.test", mail.RCodeNXDomain, "nx.test", 1},
		{"to no address", "a0.test CNAME b.test\nb.test TXT x", mail.RCodeNoData, "b.test", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := dnstest.Memory(t, test.zone)
			a := over(t, server).Lookup(t.Context(), "a0.test", "A")
			if a.Lookup.RCode != test.rcode || a.Canonical != test.canonical || len(a.Lookup.Answers)-len(a.Addresses) != test.aliases {
				t.Errorf("got %+v", a)
			}
			if len(server.Questions()) != 1 {
				t.Errorf("asked %v", server.Questions())
			}
		})
	}
}

// message is a reply with the given records; those after the empty text are in the authority section.
func message(t *testing.T, texts ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	section := &m.Answer
	for _, text := range texts {
		if text == "" {
			section = &m.Ns
			continue
		}
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, rr)
	}
	return m
}

func TestFollow(t *testing.T) {
	nxdomain := func(m *dns.Msg) *dns.Msg { m.Rcode = dns.RcodeNameError; return m }
	stale := func(m *dns.Msg, code uint16) *dns.Msg {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: code}}
		return m
	}
	tests := []struct {
		name  string
		m     *dns.Msg
		next  string
		rcode mail.RCode
		ttl   uint32
		stale bool
	}{
		{"records", message(t, "q.test. 60 A 192.0.2.1"), "", mail.RCodeSuccess, 60, false},
		{"case does not count", message(t, "Q.TEST. 60 A 192.0.2.1"), "", mail.RCodeSuccess, 60, false},
		{"of another name only", message(t, "x.test. 60 A 192.0.2.1"), "", mail.RCodeNoData, 0, false},
		{"of another class only", message(t, "q.test. 60 CH A 192.0.2.1"), "", mail.RCodeNoData, 0, false},
		{"an alias that leaves the reply", message(t, "q.test. 60 CNAME x.test."), "x.test", "", 60, false},
		{"an alias to no data", message(t, "q.test. 60 CNAME x.test.", "", "test. 50 SOA a b 1 2 3 4 40"), "", mail.RCodeNoData, 40, false},
		{"an alias, and the SOA of another zone", message(t, "q.test. 60 CNAME x.example.", "", "test. 50 SOA a b 1 2 3 4 40"), "x.example", "", 60, false},
		{"nothing, and the SOA of another zone", nxdomain(message(t, "", "example. 50 SOA a b 1 2 3 4 40")), "", mail.RCodeNXDomain, 0, false},
		{"nothing, and two SOAs", nxdomain(message(t, "", "example. 50 SOA a b 1 2 3 4 40", "test. 90 SOA a b 1 2 3 4 80")), "", mail.RCodeNXDomain, 80, false},
		{"an alias to nothing", nxdomain(message(t, "q.test. 60 CNAME x.test.")), "", mail.RCodeNXDomain, 0, false},
		{"records that do not exist", nxdomain(message(t, "q.test. 60 A 192.0.2.1")), "", mail.RCodeInvalid, 60, false},
		{"a negative TTL", message(t, "q.test. 4294967295 A 192.0.2.1"), "", mail.RCodeSuccess, 0, false},
		{"served stale by the server", stale(message(t, "q.test. 30 A 192.0.2.1"), dns.ExtendedErrorCodeStaleAnswer), "", mail.RCodeSuccess, 30, true},
		{"NXDOMAIN served stale by the server", stale(nxdomain(message(t, "")), dns.ExtendedErrorCodeStaleNXDOMAINAnswer), "", mail.RCodeNXDomain, 0, true},
		{"another extended error", stale(message(t, "q.test. 30 A 192.0.2.1"), dns.ExtendedErrorCodeForgedAnswer), "", mail.RCodeSuccess, 30, false},
		{"a stale reply that makes no sense", stale(nxdomain(message(t, "q.test. 30 A 192.0.2.1")), dns.ExtendedErrorCodeStaleAnswer), "", mail.RCodeInvalid, 30, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := chain{question: question{"q.test", dns.TypeA}}
			next, more := c.follow("q.test", reply{message: test.m})
			if next != test.next || more != (next != "") || c.rcode != test.rcode || c.ttl != test.ttl || c.stale != test.stale {
				t.Errorf("next %q, got %+v", next, c)
			}
		})
	}
}

// TestAuthorityHoldsForTheWholeChain: one cache on the way, and a TTL may be what is left. The TTL of aliases is kept apart from that of what they lead to.
func TestAuthorityHoldsForTheWholeChain(t *testing.T) {
	for _, second := range []bool{true, false} {
		c := chain{question: question{"q.test", dns.TypeA}, aa: true}
		first := message(t, "q.test. 50 CNAME x.test.", "x.test. 30 CNAME y.test.")
		first.Authoritative = true
		next, _ := c.follow("q.test", reply{first, true})
		last := message(t, "y.test. 20 A 192.0.2.1")
		last.Authoritative = second
		c.follow(next, reply{last, true})
		if a := c.answer(); a.Authoritative != second || a.AliasTTL != 30*time.Second || a.Lookup.TTL != 20*time.Second {
			t.Errorf("got %+v", a)
		}
	}
}

// TestADHoldsForTheWholeChain: each reply on the way must be vouched for.
func TestADHoldsForTheWholeChain(t *testing.T) {
	for _, second := range []bool{true, false} {
		c := chain{question: question{"q.test", dns.TypeA}, ad: true}
		first := message(t, "q.test. 60 CNAME x.test.")
		first.AuthenticatedData = true
		next, _ := c.follow("q.test", reply{first, true})
		last := message(t, "x.test. 60 A 192.0.2.1")
		last.AuthenticatedData = second
		c.follow(next, reply{last, true})
		if a := c.answer(); a.Lookup.AD != second || a.Canonical != "x.test" || len(a.Addresses) != 1 {
			t.Errorf("got %+v", a)
		}
	}
}

// TestAddressesAreBounded: of a list without end the first addresses are kept; of exchangers all are, since the last one matters.
func TestAddressesAreBounded(t *testing.T) {
	var zone strings.Builder
	for i := range 3 * maxAddresses {
		fmt.Fprintf(&zone, "a.test A 192.0.2.%d\na.test AAAA 2001:db8::%d\na.test MX 10 h%d.test\n", i, i, i)
	}
	r := over(t, dnstest.Memory(t, zone.String()))
	for qtype, want := range map[string]int{"A": maxAddresses, "AAAA": maxAddresses, "MX": 3 * maxAddresses} {
		a := r.Lookup(t.Context(), "a.test", qtype)
		if got := len(a.Addresses) + len(a.MX); got != want || len(a.Lookup.Answers) != want {
			t.Errorf("%s: %d records, %d in text, want %d", qtype, got, len(a.Lookup.Answers), want)
		}
	}
}

func TestAnAliasOfTheRootIsNamed(t *testing.T) {
	r := over(t, dnstest.Memory(t, "a.test CNAME ."))
	if a := r.Lookup(t.Context(), "a.test", "A"); a.Lookup.RCode != mail.RCodeNoData || a.Lookup.Answers[0] != "CNAME ." {
		t.Errorf("got %+v", a)
	}
}

func TestOtherTypesAreToldInText(t *testing.T) {
	r := over(t, dnstest.Memory(t, "_25._tcp.a.test TLSA 3 1 1 "+strings.Repeat("ab", 32)+"\na.test CNAME b.test"))
	if a := r.Lookup(t.Context(), "_25._tcp.a.test", "TLSA"); a.Lookup.Answers[0] != "3 1 1 "+strings.Repeat("ab", 32) {
		t.Errorf("got %q", a.Lookup.Answers)
	}
	if a := r.Lookup(t.Context(), "a.test", "CNAME"); a.Lookup.RCode != mail.RCodeSuccess || a.Canonical != "" {
		t.Errorf("got %+v", a)
	}
}
