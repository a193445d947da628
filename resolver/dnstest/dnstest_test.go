package dnstest_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"sternpost/resolver/dnstest"
)

const zone = `
$ORIGIN example.test.
@        SOA ns hostmaster 1 3600 600 86400 120
@        MX  10 mx1
mx1      A   192.0.2.1
www      CNAME mx1
one      CNAME two
two      CNAME one
*.wild   A   192.0.2.9
deep.er  60 A 192.0.2.2
; fault: sf.example.test A SERVFAIL
; fault: * TXT REFUSED
`

// ask sends one query over conn and returns the packets that come until the wait is over.
func ask(t *testing.T, conn net.Conn, query *dns.Msg, packets int) []*dns.Msg {
	t.Helper()
	out, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(out); err != nil {
		t.Fatal(err)
	}
	var got []*dns.Msg
	buffer := make([]byte, dns.MaxMsgSize)
	for range packets {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		m := new(dns.Msg)
		if m.Unpack(buffer[:n]) != nil {
			m = nil
		}
		got = append(got, m)
	}
	return got
}

func dial(t *testing.T, s *dnstest.Server, network string) net.Conn {
	t.Helper()
	conn, err := s.Dial(t.Context(), network, s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func query(name string, qtype uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, qtype) }

func TestAnswers(t *testing.T) {
	s := dnstest.Memory(t, zone)
	tests := []struct {
		name  string
		qtype uint16
		rcode int
		text  string // what the first record, or the SOA of a negative answer, holds
	}{
		{"example.test.", dns.TypeMX, dns.RcodeSuccess, "10 mx1.example.test."},
		{"EXAMPLE.test.", dns.TypeMX, dns.RcodeSuccess, "10 mx1.example.test."},
		{"example.test.", dns.TypeA, dns.RcodeSuccess, "ns.example.test."},
		{"www.example.test.", dns.TypeA, dns.RcodeSuccess, "CNAME\tmx1"},
		{"one.example.test.", dns.TypeA, dns.RcodeSuccess, "CNAME\ttwo"},
		{"any.wild.example.test.", dns.TypeA, dns.RcodeSuccess, "192.0.2.9"},
		{"er.example.test.", dns.TypeA, dns.RcodeSuccess, "ns.example.test."},
		{"nx.example.test.", dns.TypeA, dns.RcodeNameError, "ns.example.test."},
		{"elsewhere.invalid.", dns.TypeA, dns.RcodeNameError, "ns.invalid."},
		{"sf.example.test.", dns.TypeA, dns.RcodeServerFailure, ""},
		{"example.test.", dns.TypeTXT, dns.RcodeRefused, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := ask(t, dial(t, s, "udp"), query(test.name, test.qtype), 1)[0]
			records := slices.Concat(m.Answer, m.Ns)
			if m.Rcode != test.rcode || (len(records) == 0) != (test.text == "") {
				t.Fatalf("got %v", m)
			}
			if len(records) > 0 && !strings.Contains(records[0].String(), test.text) {
				t.Errorf("got %v, want %q in it", records[0], test.text)
			}
		})
	}
}

func TestLoopback(t *testing.T) {
	s := dnstest.New(t, zone)
	for _, network := range []string{"udp", "tcp"} {
		client := dns.Client{Net: network}
		m, _, err := client.ExchangeContext(t.Context(), query("mx1.example.test.", dns.TypeA), s.Addr())
		if err != nil || len(m.Answer) != 1 {
			t.Errorf("%s: %v, %v", network, m, err)
		}
	}
	if got := s.Asked("mx1.example.test", "A"); got != 2 {
		t.Errorf("asked %d times, want 2", got)
	}
	if got := s.Questions()[1].Network; got != "tcp" {
		t.Errorf("the second question came over %s", got)
	}
}

func TestFaults(t *testing.T) {
	s := dnstest.Memory(t, zone)
	plain := query("mx1.example.test.", dns.TypeA)
	plain.AuthenticatedData = true
	edns := plain.Copy()
	edns.SetEdns0(1232, false)
	tests := []struct {
		words string
		query *dns.Msg
		want  func(m *dns.Msg) bool
	}{
		{"no-edns", edns, func(m *dns.Msg) bool { return m.Rcode == dns.RcodeFormatError && len(m.Question) == 0 }},
		{"no-edns", plain, func(m *dns.Msg) bool { return len(m.Answer) == 1 }},
		{"truncate", plain, func(m *dns.Msg) bool { return m.Truncated && len(m.Answer) == 0 }},
		{"wrong-id", plain, func(m *dns.Msg) bool { return m.Id == plain.Id+1 }},
		{"wrong-question", plain, func(m *dns.Msg) bool { return m.Question[0].Name == "other.mx1.example.test." }},
		{"ad", plain, func(m *dns.Msg) bool { return m.AuthenticatedData }},
		{"bogus", edns, func(m *dns.Msg) bool {
			return m.IsEdns0().Option[0].(*dns.EDNS0_EDE).InfoCode == dns.ExtendedErrorCodeDNSBogus
		}},
		{"NOTIMP", plain, func(m *dns.Msg) bool { return m.Rcode == dns.RcodeNotImplemented }},
		{"empty", plain, func(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 && len(m.Ns) == 0 }},
	}
	for _, test := range tests {
		t.Run(test.words, func(t *testing.T) {
			f, err := dnstest.ParseFault(strings.Fields(test.words)...)
			if err != nil {
				t.Fatal(err)
			}
			s.Fault("mx1.example.test", "A", f)
			if m := ask(t, dial(t, s, "udp"), test.query, 1)[0]; !test.want(m) {
				t.Errorf("got %v", m)
			}
		})
	}
}

func TestStraysComeFirst(t *testing.T) {
	s := dnstest.Memory(t, zone)
	s.Fault("*", "*", dnstest.Fault{Stray: true})
	got := ask(t, dial(t, s, "udp"), query("mx1.example.test.", dns.TypeA), 4)
	if got[0] != nil || len(got[3].Answer) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestDelayAndDropPassInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dnstest.Memory(t, zone+"; fault: mx1.example.test A delay=3s\n; fault: example.test * drop\n")
		start := time.Now()
		ask(t, dial(t, s, "udp"), query("mx1.example.test.", dns.TypeA), 1)
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("took %s", got)
		}
		conn := dial(t, s, "udp")
		conn.SetDeadline(time.Now().Add(time.Minute))
		out, _ := query("example.test.", dns.TypeMX).Pack()
		conn.Write(out)
		if _, err := conn.Read(out); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCloseEndsLateReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := dnstest.Make("; fault: * * delay=1h")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := s.Dial(context.Background(), "udp", "")
		if err != nil {
			t.Fatal(err)
		}
		out, _ := query("example.test.", dns.TypeMX).Pack()
		conn.Write(out)
		synctest.Wait()
		start := time.Now()
		s.Close()
		if time.Since(start) != 0 {
			t.Error("Close waited for the reply")
		}
		conn.Close()
	})
}

func TestNothingBeginsAfterClose(t *testing.T) {
	s, err := dnstest.Make("")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Dial(t.Context(), "udp", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
	if err := s.Listen("127.0.0.1:0"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Listen: %v", err)
	}
}

func TestSetReplacesZoneAndFaults(t *testing.T) {
	s := dnstest.Memory(t, "; fault: * * SERVFAIL")
	if err := s.Set("mx1.example.test A 192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if m := ask(t, dial(t, s, "udp"), query("mx1.example.test.", dns.TypeA), 1)[0]; len(m.Answer) != 1 {
		t.Errorf("got %v", m)
	}
}

func TestBadText(t *testing.T) {
	for _, text := range []string{"example.test A not-an-address", "; fault: example.test", "; fault: a A fly", "; fault: a A delay=x"} {
		if _, err := dnstest.Make(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// FuzzZone: no text may crash the parser, and a server made from one answers.
func FuzzZone(f *testing.F) {
	f.Add(zone)
	f.Add("a A 192.0.2.1\n*. A 192.0.2.2\n")
	f.Add("; fault: * * drop")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := dnstest.Make(text)
		if err != nil {
			return
		}
		defer s.Close()
		s.Fault("*", "*", dnstest.Fault{})
		conn := dial(t, s, "udp")
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		if err := s.Set(text + "\n; fault: q.example.test A NOTIMP"); err != nil {
			return
		}
		if m := ask(t, conn, query("q.example.test.", dns.TypeA), 1)[0]; m == nil {
			t.Error("the reply cannot be read")
		}
	})
}

func TestHostsInTheOrderOfTheText(t *testing.T) {
	hosts, err := dnstest.Hosts("$ORIGIN example.test.\n@ MX 10 mx\nMX A 127.0.1.2\nmx AAAA ::1\n$TTL 5\na.test. A 127.0.1.1\n")
	want := []dnstest.Host{
		{"mx.example.test", netip.MustParseAddr("127.0.1.2")}, {"mx.example.test", netip.MustParseAddr("::1")}, {"a.test", netip.MustParseAddr("127.0.1.1")},
	}
	if err != nil || !slices.Equal(hosts, want) {
		t.Errorf("%v, %v; want %v", hosts, err, want)
	}
	if _, err := dnstest.Hosts("example.test. MX ten mx"); err == nil {
		t.Error("a zone that cannot be read has hosts")
	}
}

func TestObserverHearsAnswers(t *testing.T) {
	s, err := dnstest.Make("a.test. A 127.0.0.1\na.test. A 127.0.0.2\n; fault: b.test * drop\n")
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan dnstest.Answer, 3)
	s.Observe(func(a dnstest.Answer) { answers <- a })
	defer s.Close()
	if err := s.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	client := &dns.Client{Net: "udp"}
	for name, want := range map[string]dnstest.Answer{
		"A.test.": {dnstest.Question{"a.test", "A", "udp"}, "NOERROR", 2},
		"c.test.": {dnstest.Question{"c.test", "A", "udp"}, "NXDOMAIN", 0},
		"b.test.": {dnstest.Question{"b.test", "A", "udp"}, "", 0},
	} {
		client.Timeout = time.Minute
		if want.RCode == "" {
			client.Timeout = time.Millisecond
		}
		_, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), s.Addr())
		if (err == nil) != (want.RCode != "") {
			t.Errorf("%s: %v", name, err)
		}
		if got := <-answers; got != want {
			t.Errorf("%s: observed %+v, want %+v", name, got, want)
		}
	}
}
