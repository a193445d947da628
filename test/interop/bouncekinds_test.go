//go:build interop

package interop

import (
	"cmp"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sternpost/delivery/smtptest"
)

// failing is one way in which mail fails, made with a real Postfix, with a scripted exchanger, or with the DNS.
type failing struct {
	name string
	to   string // empty: you@NAME.kinds.test
	// zone has the records of NAME.kinds.test beside its MX, which is mx.NAME.kinds.test. "none": there is none of all this.
	zone   string
	script string // of the exchanger; empty: nobody listens there
	header string // a field in the place of the usual subject
	body   string // behind a few words
	// What the journal must say.
	code     int
	status   string
	category string
	cause    string // the category of what kept it, where its lifetime ended
}

// short are the domains in which a message lives for two seconds only.
const short = ".short.kinds.test"

func (f failing) recipient() string {
	if f.to != "" {
		return f.to
	}
	return "you@" + f.domain()
}

func (f failing) domain() string {
	if f.category == "expired" {
		return f.name + short
	}
	return f.name + ".kinds.test"
}

func (f failing) sender() string {
	if f.name == "rejected-sender" {
		return "barred@sink.test"
	}
	return f.name + "@sink.test"
}

// hostileReply has all that a terminal, a table, a log, a spreadsheet and HTML might trip over.
const hostileReply = `550-5.1.1 =cmd|'/c calc'!A1,"a quote",\x1b[31mred\x1b]0;title\x07 / 550-5.1.1 <b>bold</b>; to=<x>, status=sent\x00\x7f\xff / 550 5.1.1 user unknown ` +
	"\u202e" + `txt.exe {B*300}`

// failings are all of them.
func failings() []failing {
	big := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\r\n", 2000)
	return []failing{
		// Postfix, with the listeners and tables of testdata.
		{name: "unknown-user", to: "nobody@data.postfix.test", code: 550, status: "5.1.1", category: "bad-mailbox"},
		{name: "moved", to: "gone@data.postfix.test", code: 551, status: "5.1.6", category: "bad-mailbox"},
		{name: "mailbox-full", to: "full@data.postfix.test", code: 552, status: "5.2.2", category: "mailbox-full"},
		{name: "relay-denied", to: "you@stranger.test", code: 554, status: "5.7.1", category: "relay-denied"},
		{name: "too-large-by-size", to: "a@few.postfix.test", body: big, status: "5.3.4", category: "too-large"},
		{name: "too-large", to: "you@silent.postfix.test", body: big, code: 552, status: "5.3.4", category: "too-large"},
		{name: "rejected-sender", to: "you@data.postfix.test", code: 554, status: "5.7.1", category: "rejected-sender"},
		{name: "spam", to: "me@data.postfix.test", header: "Subject: win a lottery", code: 550, status: "5.7.1", category: "spam"},
		{name: "greylisted", to: "grey@short.postfix.test", code: 450, status: "4.7.1", category: "expired", cause: "greylisted"},
		// Scripted exchangers.
		{name: "blocklist", script: "rcpt 554 5.7.1 Service unavailable; Client host [127.0.0.60] blocked using zen.example.net", code: 554, status: "5.7.1", category: "reputation"},
		{name: "authentication", script: "dot 550 5.7.26 This message does not pass authentication checks (SPF and DKIM)", code: 550, status: "5.7.26", category: "authentication"},
		{name: "disabled", script: "rcpt 550 5.2.1 The email account that you tried to reach is disabled", code: 550, status: "5.2.1", category: "inactive"},
		{name: "virus", script: "dot 554 5.7.0 Your message was rejected because it contains a virus (Eicar-Signature)", code: 554, status: "5.7.0", category: "content"},
		{name: "hostile", script: "rcpt " + hostileReply, code: 550, status: "5.1.1", category: "bad-mailbox"},
		{name: "rate-limited", script: "banner 421 4.7.0 mx.test Error: too many connections from 127.0.0.1 / close", code: 421, status: "4.7.0", category: "expired", cause: "rate-limited"},
		{name: "system", script: "mail 452 4.3.1 Insufficient system storage", code: 452, status: "4.3.1", category: "expired", cause: "system"},
		{name: "in-doubt", script: "dot close", status: "4.4.2", category: "expired", cause: "network"},
		{name: "tls-required", script: "tls self-signed", status: "4.7.5", category: "expired", cause: "tls"},
		{name: "no-smtputf8", script: "offer PIPELINING / 8BITMIME", header: "Cc: <grün@sink.test>", status: "5.6.7", category: "protocol"},
		{name: "by-operator", script: "rcpt 450 4.2.0 mailbox busy", code: 450, status: "5.0.0", category: "system"},
		// The DNS, and hosts that are not there.
		{name: "host-unknown", zone: "none", status: "5.1.2", category: "bad-domain"},
		{name: "null-mx", zone: "none", status: "5.1.10", category: "bad-domain"},
		{name: "exchangers-without-address", zone: "none", status: "5.4.4", category: "bad-domain"},
		{name: "loopback", zone: "AAAA ::1", status: "5.4.4", category: "dns"},
		{name: "loop", zone: "none", status: "5.4.6", category: "network"},
		{name: "dead", status: "4.4.1", category: "expired", cause: "network"},
		{name: "dns", zone: "none", status: "4.4.1", category: "expired", cause: "dns"},
	}
}

// kindZone are the records for all of them. Those of Postfix are as in testdata/test.zone.
func kindZone() string {
	var zone strings.Builder
	zone.WriteString(`
data.postfix.test.   MX 10 mx.data.postfix.test.
short.postfix.test.  MX 10 mx.data.postfix.test.
stranger.test.       MX 10 mx.data.postfix.test.
few.postfix.test.    MX 10 mx.few.postfix.test.
silent.postfix.test. MX 10 mx.silent.postfix.test.
mx.data.postfix.test.   A 127.0.0.21
mx.few.postfix.test.    A 127.0.0.23
mx.silent.postfix.test. A 127.0.0.27
null-mx.kinds.test.                    MX 0 .
exchangers-without-address.kinds.test. MX 10 nowhere.kinds.test.
loop.kinds.test.                       MX 10 agent.test.
; fault: dns.short.kinds.test MX REFUSED
`)
	for i, f := range append(failings(), waiting()) {
		if f.to != "" || f.zone == "none" {
			continue
		}
		fmt.Fprintf(&zone, "%s. MX 10 mx.%s.\n", f.domain(), f.domain())
		if f.zone == "" {
			fmt.Fprintf(&zone, "mx.%s. A %s\n", f.domain(), kindHost(i))
		} else {
			fmt.Fprintf(&zone, "mx.%s. %s\n", f.domain(), f.zone)
		}
	}
	return zone.String()
}

func kindHost(i int) string { return fmt.Sprintf("127.0.1.%d", i+1) }

const kindConfig = `
[submission]
listen = ["` + serviceHost + ":" + servicePort + `"]
[delivery]
ipv6 = true
[[delivery.routes]]
domains = ["tls-required.short.kinds.test"]
[[delivery.routes.smarthosts]]
host = "mx.tls-required.short.kinds.test"
port = ` + mailPort + `
tls = "starttls"
[[queue.destinations]]
domains = ["` + short + `", "short.postfix.test"]
lifetime = "2s"
backoff = ["1s"]
`

// failAll starts an agent and all its exchangers, hands it a message for each kind of failure, and returns when each sender has his report.
func (w *world) failAll(t *testing.T) (*service, map[string]smtptest.Transaction) {
	t.Helper()
	w.zone = kindZone()
	w.postfix()
	for i, f := range failings() {
		if f.script != "" {
			w.exchanger(kindHost(i), f.script)
		}
	}
	s := w.serveBy(w.folder("queue"), kindConfig)
	for _, f := range failings() {
		s.submit(t, f)
	}
	s.await(t, "a first attempt", func() bool { return strings.Contains(s.runs(t, "why", "you@by-operator.kinds.test"), "mailbox busy") })
	s.runs(t, "queue", "fail", "--recipient", "you@by-operator.kinds.test", "--yes")
	reports := map[string]smtptest.Transaction{}
	s.await(t, "a report of each failure", func() bool {
		for _, m := range s.sink.Messages() {
			reports[m.To()[0]] = m
		}
		return len(reports) == len(failings())
	})
	return s, reports
}

func (s *service) submit(t *testing.T, f failing) {
	t.Helper()
	text := "From: <" + f.sender() + ">\r\nTo: <" + f.recipient() + ">\r\nMessage-ID: <" + f.name + "@client.test>\r\n" + cmp.Or(f.header, "Subject: Lunch") +
		"\r\n\r\nHello.\r\n" + f.body
	if err := smtp.SendMail(serviceHost+":"+servicePort, nil, f.sender(), []string{f.recipient()}, []byte(text)); err != nil {
		t.Fatalf("%s: %v", f.name, err)
	}
}

// exchanger starts a scripted exchanger.
func (w *world) exchanger(host, script string) *smtptest.Server {
	w.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, mailPort))
	if err != nil {
		w.t.Fatal(err)
	}
	server, err := smtptest.Start(script, l)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { server.Close() })
	return server
}

// runs a command of the agent's to its end, and returns its standard output.
func (s *service) runs(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Getenv(binaryVariable), append(args, "--config", s.config)...)
	var said strings.Builder
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		t.Fatalf("sternpost %q: %v: %s", args, err, said.String())
	}
	return string(out)
}
