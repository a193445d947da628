package resolver

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"sternpost/mail"
)

func TestAccept(t *testing.T) {
	query := question{"example.test", dns.TypeMX}.message(0x1234, true)
	reply := func(change func(*dns.Msg)) []byte {
		m := new(dns.Msg).SetReply(query)
		rr, _ := dns.NewRR("example.test. MX 10 mx1.example.test.")
		m.Answer = []dns.RR{rr}
		change(m)
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return packet
	}
	tests := []struct {
		name   string
		packet []byte
		want   error
	}{
		{"reply", reply(func(m *dns.Msg) {}), nil},
		{"another case", reply(func(m *dns.Msg) { m.Question[0].Name = "EXAMPLE.test." }), nil},
		{"another id", reply(func(m *dns.Msg) { m.Id++ }), errStray},
		{"a query", reply(func(m *dns.Msg) { m.Response = false }), errStray},
		{"another opcode", reply(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), errStray},
		{"another name", reply(func(m *dns.Msg) { m.Question[0].Name = "example.org." }), errOther},
		{"another type", reply(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }), errOther},
		{"another class", reply(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), errOther},
		{"two questions", reply(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), errOther},
		{"no question", reply(func(m *dns.Msg) { m.Question = nil }), errOther},
		{"no question, REFUSED", reply(func(m *dns.Msg) { m.Question, m.Answer, m.Rcode = nil, nil, dns.RcodeRefused }), nil},
		{"no question, NXDOMAIN", reply(func(m *dns.Msg) { m.Question, m.Answer, m.Rcode = nil, nil, dns.RcodeNameError }), errOther},
		{"cut within a record", cut(reply(func(*dns.Msg) {}), 4), errStray},
		{"cut before a record", reply(func(*dns.Msg) {})[:12+14+4], errStray},
		{"cut and TC", cut(reply(func(m *dns.Msg) { m.Truncated = true }), 4), nil},
		{"an MX without content", hollow(t, query, dns.TypeMX), errStray},
		{"an MX that ends behind its preference", hollow(t, query, dns.TypeMX, 0, 10), errStray},
		{"an alias without content", hollow(t, query, dns.TypeCNAME), errStray},
		{"an address without content", hollow(t, query, dns.TypeA), errStray},
		{"an IPv6 address without content", hollow(t, query, dns.TypeAAAA), errStray},
		{"a TXT without content", hollow(t, query, dns.TypeTXT), errStray},
		{"header alone", reply(func(*dns.Msg) {})[:12], errOther},
		{"part of a header", reply(func(*dns.Msg) {})[:11], errStray},
		{"empty", nil, errStray},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := accept(query, test.packet); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func cut(packet []byte, n int) []byte { return packet[:len(packet)-n] }

// hollow is a reply with one record of the type, whose content is the given octets.
func hollow(t *testing.T, query *dns.Msg, qtype uint16, content ...byte) []byte {
	t.Helper()
	packet, err := new(dns.Msg).SetReply(query).Pack()
	if err != nil {
		t.Fatal(err)
	}
	packet[7] = 1                              // ANCOUNT
	packet = append(packet, 0xc0, headerSize)  // the name of the question
	packet = append(packet, 0, byte(qtype))    // type
	packet = append(packet, 0, 1, 0, 0, 0, 60) // class and TTL
	packet = append(packet, 0, byte(len(content)))
	return append(packet, content...)
}

func TestRejectsEDNS(t *testing.T) {
	query := question{"example.test", dns.TypeMX}.message(0x1234, true)
	for rcode, want := range map[int]bool{
		dns.RcodeFormatError: true, dns.RcodeNotImplemented: true, dns.RcodeBadVers: true,
		dns.RcodeServerFailure: false, dns.RcodeRefused: false, dns.RcodeSuccess: false,
	} {
		m := new(dns.Msg).SetReply(query)
		m.SetEdns0(ednsSize, false)
		m.Rcode = rcode
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply, err := accept(query, packet)
		if err != nil || rejectsEDNS(reply) != want {
			t.Errorf("%s: %v, %v", dns.RcodeToString[rcode], reply, err)
		}
	}
}

func TestQuery(t *testing.T) {
	m := question{"example.test", dns.TypeMX}.message(7, true)
	opt := m.IsEdns0()
	if !m.AuthenticatedData || !m.RecursionDesired || m.Id != 7 || opt == nil || opt.UDPSize() != 1232 || opt.Do() {
		t.Errorf("got %v", m)
	}
	if m := (question{"example.test", dns.TypeMX}).message(7, false); m.IsEdns0() != nil {
		t.Errorf("got %v", m)
	}
}

func TestCanonical(t *testing.T) {
	for name, want := range map[string]string{
		"Example.Test.": "example.test", "example.test": "example.test", ".": "", "": "", `a\.`: `a\.`, `a\..`: `a\.`, `a\\.`: `a\\`,
	} {
		if got := canonical(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// FuzzAccept: no packet crashes what reads replies, what is accepted is a reply to the question, and nothing but a null MX in it makes one.
func FuzzAccept(f *testing.F) {
	types := []uint16{dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeCNAME}
	for i, qtype := range types {
		for _, text := range []string{
			"example.test. 60 MX 10 mx1.example.test.", "example.test. CNAME example.test.", "example.test. 4294967295 MX 0 .", "example.test. A 192.0.2.1",
			"example.test. AAAA ::ffff:192.0.2.1", "example.test. CNAME .",
		} {
			m := new(dns.Msg).SetReply(question{"example.test", qtype}.message(0x1234, true))
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = []dns.RR{rr}
			packet, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), packet)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, packet []byte) {
		q := question{"example.test", types[int(kind)%len(types)]}
		query := q.message(0x1234, true)
		m, err := accept(query, packet)
		if err != nil {
			return
		}
		checkAccepted(t, query, m)
		if m.Truncated || refusal("s", m) != nil {
			return
		}
		c := chain{question: q}
		c.follow(q.name, reply{message: m, trusted: true})
		a := c.answer()
		if a.Lookup.TTL < 0 || a.Lookup.RCode.Certain() && a.Lookup.Error != "" {
			t.Fatalf("got %+v", a)
		}
		for _, address := range a.Addresses {
			if !address.IP.IsValid() || address.IP.Is4In6() || address.IP.Is4() && q.qtype != dns.TypeA && !mapped(m) {
				t.Fatalf("got %+v", a)
			}
		}
		if q.qtype == dns.TypeMX && listHosts("example.test", a).Rule == mail.RuleNullMX && !slices.ContainsFunc(m.Answer, isRootMX) {
			t.Fatalf("a null MX is read from %v", m)
		}
	})
}

// checkAccepted: id, QR and the question are ours. Only a refusal may leave the question out.
func checkAccepted(t *testing.T, query, m *dns.Msg) {
	t.Helper()
	if m.Id != query.Id || !m.Response || m.Opcode != dns.OpcodeQuery {
		t.Fatal("not a reply")
	}
	if len(m.Question) == 0 && isRefusal(m.Rcode) {
		return
	}
	asked := query.Question[0]
	if len(m.Question) != 1 || !strings.EqualFold(m.Question[0].Name, asked.Name) || m.Question[0].Qtype != asked.Qtype || m.Question[0].Qclass != asked.Qclass {
		t.Fatalf("another question: %v", m.Question)
	}
}

func isRootMX(rr dns.RR) bool {
	mx, ok := rr.(*dns.MX)
	return ok && mx.Mx == "."
}

// mapped says whether m holds an IPv4 address within an IPv6 one.
func mapped(m *dns.Msg) bool {
	return slices.ContainsFunc(m.Answer, func(rr dns.RR) bool {
		aaaa, ok := rr.(*dns.AAAA)
		return ok && aaaa.AAAA.To4() != nil
	})
}
