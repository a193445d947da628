package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

// over makes a Resolver that reaches server within memory.
func over(t testing.TB, server *dnstest.Server, change ...func(*Config)) *Resolver {
	t.Helper()
	c := DefaultConfig()
	c.Servers = []string{server.Addr()}
	for _, f := range change {
		f(&c)
	}
	return made(t, c, server.Dial)
}

func made(t testing.TB, c Config, dial Dialer) *Resolver {
	t.Helper()
	r, err := build(c, environment{dial: dial, random: rand.NewPCG(1, 2), conf: strings.NewReader("")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

const plainZone = `
example.test      MX 10 mx1.example.test
mx1.example.test  A  192.0.2.1
`

// TestExchange: what the server does at "example.test MX", and what comes of it.
func TestExchange(t *testing.T) {
	big := strings.Repeat("example.test MX 20 a-host-with-a-long-name-to-fill-the-packet.example.test\n", 1)
	for i := range 60 {
		big += "example.test MX 30 h" + strings.Repeat("x", 40) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".example.test\n"
	}
	tests := []struct {
		name  string
		fault string
		zone  string
		rcode mail.RCode
		took  time.Duration
		asked int // of which the last over TCP where tcp
		tcp   bool
	}{
		{name: "plain", rcode: mail.RCodeSuccess, asked: 1},
		{name: "strays come first", fault: "stray", rcode: mail.RCodeSuccess, asked: 1},
		{name: "no EDNS", fault: "no-edns", rcode: mail.RCodeSuccess, asked: 2},
		{name: "truncated", fault: "truncate", rcode: mail.RCodeSuccess, asked: 2, tcp: true},
		{name: "too big for UDP", zone: big, rcode: mail.RCodeSuccess, asked: 2, tcp: true},
		{name: "truncated and TCP closes", fault: "truncate close-tcp", rcode: mail.RCodeTimeout, asked: 6, tcp: true},
		{name: "silent", fault: "drop", rcode: mail.RCodeTimeout, took: 7 * time.Second, asked: 3},
		{name: "late by less than a round", fault: "delay=900ms", rcode: mail.RCodeSuccess, took: 900 * time.Millisecond, asked: 1},
		{name: "late by more than a round", fault: "delay=1500ms", rcode: mail.RCodeSuccess, took: 2500 * time.Millisecond, asked: 2},
		{name: "only another id", fault: "wrong-id", rcode: mail.RCodeTimeout, took: 7 * time.Second, asked: 3},
		{name: "only another question", fault: "wrong-question", rcode: mail.RCodeInvalid, took: time.Second, asked: 1},
		{name: "records promised, none sent", fault: "empty", rcode: mail.RCodeTimeout, took: 7 * time.Second, asked: 3},
		{name: "SERVFAIL", fault: "SERVFAIL", rcode: mail.RCodeServFail, asked: 1},
		{name: "REFUSED", fault: "REFUSED", rcode: mail.RCodeRefused, asked: 1},
		{name: "NOTIMP", fault: "NOTIMP", rcode: mail.RCodeServFail, asked: 2},
		{name: "FORMERR in any case", fault: "FORMERR", rcode: mail.RCodeServFail, asked: 2},
		{name: "bogus", fault: "bogus", rcode: mail.RCodeBogus, asked: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := dnstest.Memory(t, plainZone+test.zone)
				fault, err := dnstest.ParseFault(strings.Fields(test.fault)...)
				if err != nil {
					t.Fatal(err)
				}
				server.Fault("example.test", "MX", fault)
				start := time.Now()
				a := over(t, server).Lookup(t.Context(), "Example.Test.", "MX")
				if a.Lookup.RCode != test.rcode || time.Since(start) != test.took {
					t.Errorf("%s after %s, want %s after %s (%s)", a.Lookup.RCode, time.Since(start), test.rcode, test.took, a.Lookup.Error)
				}
				if ok := a.Lookup.RCode == mail.RCodeSuccess; ok != (a.Lookup.Error == "") || ok != (len(a.MX) > 0) {
					t.Errorf("got %+v", a)
				}
				questions := server.Questions()
				if len(questions) != test.asked || (questions[len(questions)-1].Network == "tcp") != test.tcp {
					t.Errorf("asked %v, want %d", questions, test.asked)
				}
			})
		})
	}
}

// split dials one of several servers by its address.
func split(servers map[string]Dialer) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return servers[address](ctx, network, address)
	}
}

func refused(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

func TestFailover(t *testing.T) {
	tests := []struct {
		fault string // of the first server
		took  time.Duration
		again int // how often the first server is asked for a second name
	}{
		{"drop", time.Second, 0},
		{"SERVFAIL", 0, 1},
		{"REFUSED", 0, 1},
		{"wrong-question", time.Second, 0},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first := dnstest.Memory(t, plainZone+"; fault: * * "+test.fault)
				second := dnstest.Memory(t, plainZone+"; fault: * * delay=5ms")
				c := DefaultConfig()
				c.Servers = []string{"192.0.2.53", "192.0.2.54"}
				r := made(t, c, split(map[string]Dialer{"192.0.2.53:53": first.Dial, "192.0.2.54:53": second.Dial}))
				start := time.Now()
				if a := r.Lookup(t.Context(), "example.test", "MX"); a.Lookup.RCode != mail.RCodeSuccess {
					t.Fatalf("got %+v", a)
				}
				if took := time.Since(start).Truncate(time.Second); took != test.took {
					t.Errorf("took %s", took)
				}
				r.Lookup(t.Context(), "mx1.example.test", "A")
				if got := first.Asked("mx1.example.test", "A"); got != test.again {
					t.Errorf("the first server was asked %d times for the second name", got)
				}
			})
		})
	}
}

func TestBestServerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := dnstest.Memory(t, "; fault: * * delay=200ms")
		fast := dnstest.Memory(t, "; fault: * * delay=10ms")
		c := DefaultConfig()
		c.Servers = []string{"192.0.2.53", "192.0.2.54"}
		r := made(t, c, split(map[string]Dialer{"192.0.2.53:53": slow.Dial, "192.0.2.54:53": fast.Dial}))
		for _, name := range []string{"a.test", "b.test", "c.test", "d.test"} {
			r.Lookup(t.Context(), name, "A")
		}
		if s, f := len(slow.Questions()), len(fast.Questions()); s != 1 || f != 3 {
			t.Errorf("slow was asked %d times, fast %d", s, f)
		}
		time.Sleep(rttAge)
		r.Lookup(t.Context(), "e.test", "A")
		if got := len(slow.Questions()); got != 2 {
			t.Errorf("slow was asked %d times: it was not tried again", got)
		}
	})
}

func TestDeadServersCostNoTime(t *testing.T) {
	c := DefaultConfig()
	c.Servers = []string{"192.0.2.53"}
	a := made(t, c, refused).Lookup(t.Context(), "example.test", "MX")
	if a.Lookup.RCode != mail.RCodeTimeout || !strings.Contains(a.Lookup.Error, "refused") {
		t.Errorf("got %+v", a.Lookup)
	}
}

// TestRefusedByAValidatingServer: what a validating server could not validate is asked of others that validate, and of no one else.
func TestRefusedByAValidatingServer(t *testing.T) {
	tests := []struct {
		fault, second string
		want          mail.RCode
	}{
		{"bogus", "192.0.2.54", mail.RCodeBogus},
		{"SERVFAIL", "192.0.2.54", mail.RCodeServFail},
		{"SERVFAIL", "127.0.0.2", mail.RCodeSuccess},
		{"REFUSED", "192.0.2.54", mail.RCodeSuccess},
	}
	for _, test := range tests {
		first := dnstest.Memory(t, plainZone+"; fault: * * "+test.fault)
		second := dnstest.Memory(t, plainZone)
		c := DefaultConfig()
		c.Servers = []string{"127.0.0.1", test.second}
		r := made(t, c, split(map[string]Dialer{"127.0.0.1:53": first.Dial, test.second + ":53": second.Dial}))
		if a := r.Lookup(t.Context(), "example.test", "MX"); a.Lookup.RCode != test.want {
			t.Errorf("%+v: got %+v", test, a.Lookup)
		}
	}
}

func TestADIsBelievedFromValidatingServersOnly(t *testing.T) {
	tests := []struct {
		server     string
		validating []string
		fault      string
		want       bool
	}{
		{"127.0.0.1", []string{"auto"}, "ad", true},
		{"[::1]:5300", []string{"auto"}, "ad", true},
		{"127.0.0.1", []string{"auto"}, "stray", false},
		{"127.0.0.1", nil, "ad", false},
		{"192.0.2.53", []string{"auto"}, "ad", false},
		{"192.0.2.53", []string{"192.0.2.53"}, "ad", true},
		{"192.0.2.53", []string{"192.0.2.53:54"}, "ad", false},
	}
	for _, test := range tests {
		server := dnstest.Memory(t, plainZone+"; fault: * * "+test.fault)
		r := over(t, server, func(c *Config) { c.Servers, c.Validating = []string{test.server}, test.validating })
		if a := r.Lookup(t.Context(), "example.test", "MX"); a.Lookup.AD != test.want {
			t.Errorf("%+v: AD is %t", test, a.Lookup.AD)
		}
	}
}

func TestQueryIDsAndPortsAreFresh(t *testing.T) {
	server := dnstest.Memory(t, plainZone)
	var ids []uint16
	dials := 0
	r := over(t, server)
	next := r.upstream.transport.ids
	r.upstream.transport.ids = func() uint16 { ids = append(ids, next()); return ids[len(ids)-1] }
	r.upstream.transport.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return server.Dial(ctx, network, address)
	}
	for _, name := range []string{"a.test", "b.test", "c.test"} {
		r.Lookup(t.Context(), name, "A")
	}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 3 || dials != 3 {
		t.Errorf("ids %v over %d sockets", ids, dials)
	}
}

func TestLoopbackSockets(t *testing.T) {
	server := dnstest.New(t, plainZone+"; fault: * * truncate ad")
	c := DefaultConfig()
	c.Servers = []string{server.Addr()}
	r, err := New(c, new(net.Dialer).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if a := r.Lookup(t.Context(), "example.test", "MX"); !a.Lookup.AD || len(a.MX) != 1 {
		t.Errorf("got %+v", a)
	}
}

func TestReferralIsNoAnswer(t *testing.T) {
	ns, _ := dns.NewRR("example.test. NS ns.example.test.")
	soa, _ := dns.NewRR("example.test. SOA ns h 1 2 3 4 5")
	tests := []struct {
		name string
		m    dns.Msg
		want bool
	}{
		{"NS alone", dns.Msg{Ns: []dns.RR{ns}}, true},
		{"NS and SOA", dns.Msg{Ns: []dns.RR{ns, soa}}, false},
		{"NS, authoritative", dns.Msg{MsgHdr: dns.MsgHdr{Authoritative: true}, Ns: []dns.RR{ns}}, false},
		{"NS beside an answer", dns.Msg{Answer: []dns.RR{soa}, Ns: []dns.RR{ns}}, false},
		{"nothing", dns.Msg{}, false},
	}
	for _, test := range tests {
		if got := refusal("s", &test.m) != nil; got != test.want {
			t.Errorf("%s: refused is %t", test.name, got)
		}
	}
}

func TestExtendedErrors(t *testing.T) {
	tests := []struct {
		code uint16
		want mail.RCode
	}{
		{dns.ExtendedErrorCodeDNSSECIndeterminate, mail.RCodeServFail},
		{dns.ExtendedErrorCodeDNSBogus, mail.RCodeBogus},
		{dns.ExtendedErrorCodeSignatureExpired, mail.RCodeBogus},
		{dns.ExtendedErrorCodeNSECMissing, mail.RCodeBogus},
		{dns.ExtendedErrorCodeCachedError, mail.RCodeServFail},
		{dns.ExtendedErrorCodeNoReachableAuthority, mail.RCodeServFail},
	}
	for _, test := range tests {
		m := new(dns.Msg)
		m.Rcode = dns.RcodeServerFailure
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: test.code, ExtraText: "see\x1b[2J" + strings.Repeat("x", 60_000)}}
		f := refusal("192.0.2.53:53", m)
		if f.rcode != test.want || strings.ContainsRune(f.text, '\x1b') || len(f.text) > 400 {
			t.Errorf("%d: got %+v", test.code, f)
		}
	}
}

// A reply over TCP that is truncated is no answer, and says so: half a list of exchangers is a wrong list.
func TestTruncatedOverTCP(t *testing.T) {
	query := question{"example.test", dns.TypeMX}.message(7, true)
	for truncated, want := range map[bool]error{true: errTruncated, false: nil} {
		m := new(dns.Msg).SetReply(query)
		m.Truncated = truncated
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			_, _ = theirs.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)) // who reads says what is wrong
		}()
		if _, err := readTCP(ours, query); !errors.Is(err, want) {
			t.Errorf("truncated %v: %v, want %v", truncated, err, want)
		}
		ours.Close()
	}
	if f := (leg{network: "tcp", address: "192.0.2.53:53"}).failed(t.Context(), errTruncated); f.rcode != mail.RCodeInvalid {
		t.Errorf("got %+v", f)
	}
}

// What a failed dial says is what the kernel said, once, and what to do about it while no server has ever answered.
func TestRefusedConnection(t *testing.T) {
	reason := &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	server := dnstest.Memory(t, plainZone)
	r := over(t, server)
	dial := r.upstream.transport.dial
	r.upstream.transport.dial = func(context.Context, string, string) (net.Conn, error) { return nil, reason }
	const said = "192.0.2.53:53 over udp: connection refused"
	if a := r.Lookup(t.Context(), "a.test", "A"); a.Lookup.RCode != mail.RCodeTimeout || !strings.HasPrefix(a.Lookup.Error, said+"; no DNS server has ever answered") {
		t.Errorf("got %+v", a.Lookup)
	}
	r.upstream.transport.dial = dial
	r.Lookup(t.Context(), "b.test", "A")
	r.upstream.transport.dial = func(context.Context, string, string) (net.Conn, error) { return nil, reason }
	if a := r.Lookup(t.Context(), "c.test", "A"); a.Lookup.Error != said {
		t.Errorf("later: got %+v", a.Lookup)
	}
}
