package delivery

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
	"sternpost/resolver"
	"sternpost/resolver/dnstest"
)

// world is a fake internet in memory with an agent in it. It is made inside a synctest bubble where time matters.
type world struct {
	t     testing.TB
	net   *smtptest.Network
	dns   *dnstest.Server
	agent *Agent
}

// twoHosts is a domain with a primary and a backup.
const twoHosts = `
example.test.  MX 10 mx1.test.
example.test.  MX 20 mx2.test.
mx1.test.      A 192.0.2.1
mx2.test.      A 192.0.2.2
us.test.       A 192.0.2.100
`

// oneHost is a domain with one exchanger.
const oneHost = `
example.test.  MX 10 mx1.test.
mx1.test.      A 192.0.2.1
us.test.       A 192.0.2.100
`

func newWorld(t testing.TB, zone string, change ...func(*Config, *Deps)) *world {
	t.Helper()
	w := &world{t: t, net: &smtptest.Network{}, dns: dnstest.Memory(t, zone)}
	rc := resolver.DefaultConfig()
	rc.Servers = []string{dnstest.MemoryAddress}
	r, err := resolver.New(rc, w.dns.Dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	c, d := DefaultConfig(), Deps{Resolver: r, Dial: w.dial, Own: []netip.Addr{netip.MustParseAddr("192.0.2.100")}}
	c.Hostname = "us.test"
	for _, f := range change {
		f(&c, &d)
	}
	w.agent, err = New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.agent.Close() })
	return w
}

func (w *world) dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return w.net.DialFrom(ctx, "tcp", local, remote)
}

// serve starts a scripted server at ip, port 25.
func (w *world) serve(ip, script string) *smtptest.Server {
	w.t.Helper()
	return w.net.Serve(w.t, netip.AddrPortFrom(netip.MustParseAddr(ip), 25).String(), script)
}

// text is content in memory.
type text string

func (c text) Open() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(string(c))), nil }
func (c text) Size() int64                  { return int64(len(c)) }

// hello is a short message with 8-bit text and a line that begins with a dot.
const hello text = "From: <me@us.test>\r\nSubject: hello\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Transfer-Encoding: 8bit\r\n\r\nGr\u00fc\u00dfe\r\n.dot\r\nend\r\n"

// plain is a short message in seven bits.
const plain text = "From: <me@us.test>\r\nSubject: hello\r\n\r\n.dot\r\nend\r\n"

func transactionTo(t testing.TB, content mail.Content, to ...string) mail.Transaction {
	t.Helper()
	from, err := mail.ParseReversePath("me@us.test")
	if err != nil {
		t.Fatal(err)
	}
	tr := mail.Transaction{Message: "m1", Attempt: 1, Envelope: mail.Envelope{From: from}, Content: content}
	for _, address := range to {
		a, err := mail.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		tr.Domain = a.Domain
		tr.Envelope.Recipients = append(tr.Envelope.Recipients, mail.Recipient{Address: a})
	}
	return tr
}

func (w *world) deliver(content mail.Content, to ...string) mail.Attempt {
	w.t.Helper()
	return w.deliverTransaction(transactionTo(w.t, content, to...))
}

func (w *world) deliverTransaction(tr mail.Transaction) mail.Attempt {
	w.t.Helper()
	at := w.agent.Deliver(context.Background(), tr)
	if len(at.Outcomes) != len(tr.Envelope.Recipients) {
		w.t.Fatalf("%d outcomes for %d recipients", len(at.Outcomes), len(tr.Envelope.Recipients))
	}
	return at
}

// summary is an outcome in short: "sent@mx1.test", "bounced/5.1.1@mx1.test", "deferred/4.4.1", "deferred/4.4.2?" in doubt.
func summary(o mail.Outcome) string {
	switch o.Disposition {
	case mail.Delivered:
		return "sent@" + o.Host
	case mail.Failed:
		if o.Host == "" {
			return "bounced/" + o.Status.String()
		}
		return "bounced/" + o.Status.String() + "@" + o.Host
	default:
		s := "deferred/" + o.Status.String()
		if o.InDoubt {
			s += "?"
		}
		return s
	}
}

func summaries(at mail.Attempt) string {
	var all []string
	for _, o := range at.Outcomes {
		all = append(all, summary(o))
	}
	return strings.Join(all, " ")
}

// story lists the candidates in short: "mx1.test deferred, mx2.test delivered".
func story(at mail.Attempt) string {
	var all []string
	for _, c := range at.Candidates {
		all = append(all, c.Host+" "+string(c.Verdict))
	}
	return strings.Join(all, ", ")
}
