package resolver

import (
	"errors"
	"testing"

	"github.com/miekg/dns"
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

// FuzzAccept: no packet crashes what reads replies, and what is accepted is a reply to the question.
func FuzzAccept(f *testing.F) {
	q := question{"example.test", dns.TypeMX}
	query := q.message(0x1234, true)
	for _, text := range []string{"example.test. 60 MX 10 mx1.example.test.", "example.test. CNAME example.test.", "example.test. 4294967295 MX 0 ."} {
		m := new(dns.Msg).SetReply(query)
		rr, err := dns.NewRR(text)
		if err != nil {
			f.Fatal(err)
		}
		m.Answer = []dns.RR{rr}
		packet, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		m, err := accept(query, packet)
		if err != nil {
			return
		}
		if m.Id != query.Id || !m.Response {
			t.Fatal("not a reply")
		}
		if m.Truncated || refusal("s", m) != nil {
			return
		}
		c := chain{question: q}
		c.follow(q.name, reply{message: m, trusted: true})
		a := c.answer()
		if a.Lookup.TTL < 0 || a.Lookup.RCode.Certain() && a.Lookup.Error != "" {
			t.Fatalf("got %+v", a)
		}
		listHosts("example.test", a)
	})
}
