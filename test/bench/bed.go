//go:build bench

package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The programs of Debian that send, take and answer for DNS.
const (
	smtpSource = "/usr/sbin/smtp-source"
	smtpSink   = "/usr/sbin/smtp-sink"
	nsd        = "/usr/sbin/nsd"
)

// Where they are. The sink has the port of SMTP, since servers go to no other by MX.
const (
	dnsHost     = "127.0.0.1"
	sinkAddress = "127.0.0.25:25"
	domain      = "example.test"
)

const zone = `$ORIGIN test.
$TTL 3600
@	SOA	ns hostmaster 1 3600 600 86400 60
	NS	ns
ns	A	127.0.0.1
bench	A	127.0.0.1
example	MX	10 mx.example
mx.example	A	127.0.0.25
`

const nsdConfig = `server:
	ip-address: ` + dnsHost + `
	username: ""
	chroot: ""
	zonesdir: "@DIR@"
	pidfile: "@DIR@/nsd.pid"
	database: ""
	xfrdfile: "@DIR@/xfrd.state"
	xfrdir: "@DIR@"
	zonelistfile: "@DIR@/zone.list"
	server-count: 1
	rrl-ratelimit: 0
	rrl-whitelist-ratelimit: 0
remote-control:
	control-enable: no
zone:
	name: test
	zonefile: test.zone
`

// bed is what all cases share: the sink, the DNS server and the message.
type bed struct {
	options
	dns, sink *program
	message   string // its file
}

// server is a mail server under test, or none.
type server struct {
	*program
	address string
	// empty says whether no message is in the queue any more.
	empty func() (bool, error)
}

// none is the case without a mail server: the sender talks to the sink.
func none(b *bed, _ string) (*server, error) {
	return &server{address: sinkAddress}, nil
}

func newBed(dir string, o options) (*bed, error) {
	b := &bed{options: o, message: filepath.Join(dir, "message")}
	if err := os.WriteFile(b.message, message(), 0o644); err != nil {
		return nil, err
	}
	config := strings.ReplaceAll(nsdConfig, "@DIR@", dir)
	for name, text := range map[string]string{"test.zone": zone, "nsd.conf": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	var err error
	// The sink counts into a file in memory, so that counting costs no disk.
	if b.sink, err = launch("/run", smtpSink, "-c", "-u", "root", sinkAddress, "1000"); err != nil {
		return nil, err
	}
	if b.dns, err = launch(dir, nsd, "-d", "-c", filepath.Join(dir, "nsd.conf")); err != nil {
		return nil, errors.Join(err, b.sink.stop())
	}
	if err := errors.Join(b.sink.greets(sinkAddress), b.resolves()); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bed) close() error { return errors.Join(b.sink.stop(), b.dns.stop()) }

// resolves waits until the DNS server knows the zone.
func (b *bed) resolves() error {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(dnsHost, "53"))
	}}
	return b.dns.await("an answer", func() (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		exchangers, err := resolver.LookupMX(ctx, domain+".")
		return err == nil && len(exchangers) == 1, nil
	})
}

// message has a body of 5,000 octets in base64, which do not compress as the body of smtp-source itself would.
func message() []byte {
	octets := make([]byte, 5000/4*3)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(octets) // it never fails
	body := base64.StdEncoding.EncodeToString(octets)
	var m strings.Builder
	m.WriteString("From: Sender <sender@bench.test>\nTo: you@" + domain + "\nSubject: bench\nDate: Mon, 05 Jan 2026 10:00:00 +0000\n" +
		"Message-ID: <1@bench.test>\nMIME-Version: 1.0\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n")
	for len(body) > 76 {
		m.WriteString(body[:76] + "\n")
		body = body[76:]
	}
	m.WriteString(body + "\n")
	return []byte(m.String())
}

// counted is how many messages the sink has taken so far. It writes the count again and again, each time over the one before.
func (b *bed) counted() (int, error) {
	file, err := os.Open(b.sink.said)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return 0, err
	}
	text := make([]byte, min(stat.Size(), 200))
	if _, err := file.ReadAt(text, stat.Size()-int64(len(text))); err != nil {
		return 0, err
	}
	_, last, found := cutLast(string(text[:strings.LastIndexByte(string(text), '\r')+1]), "mesg=")
	if !found {
		return 0, nil
	}
	return strconv.Atoi(strings.TrimSpace(last))
}

func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

// send sends messages to the server and returns when the sink has counted them all: how long that took from the start of the sender.
func (b *bed) send(s *server, messages, sessions int) (time.Duration, error) {
	before, err := b.counted()
	if err != nil {
		return 0, err
	}
	source := exec.Command(smtpSource, "-d", "-s", strconv.Itoa(sessions), "-m", strconv.Itoa(messages), "-F", b.message,
		"-M", "bench.test", "-f", "sender@bench.test", "-t", "you@"+domain, s.address)
	source.Stdout, source.Stderr = os.Stderr, os.Stderr
	start := time.Now()
	if err := source.Start(); err != nil {
		return 0, err
	}
	last := start
	for reached, moved := before, start; reached < before+messages; {
		time.Sleep(2 * time.Millisecond)
		last = time.Now()
		now, err := b.counted()
		if err != nil {
			return 0, errors.Join(err, source.Process.Kill(), source.Wait())
		}
		if now != reached {
			reached, moved = now, last
		} else if last.Sub(moved) > patience {
			err = fmt.Errorf("the sink counts %d of %d messages, and no more for %v", reached-before, messages, patience)
			return 0, errors.Join(err, source.Process.Kill(), source.Wait())
		}
	}
	return last.Sub(start), source.Wait()
}

// run measures one case, in a directory of its own.
func (b *bed) run(c one, dir string) (r result, err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return r, err
	}
	s, err := c.start(b, dir)
	if err != nil {
		return r, err
	}
	if s.program != nil {
		defer func() { err = errors.Join(err, s.stop()) }()
	}
	// Postfix starts its processes now, and everybody knows the DNS answers afterwards.
	if _, err := b.send(s, 10*c.sessions, c.sessions); err != nil {
		return r, err
	}
	if err := s.drained(); err != nil {
		return r, err
	}
	return b.measured(c, s)
}

// measured is the run itself, after all is warm.
func (b *bed) measured(c one, s *server) (result, error) {
	r := result{name: c.name, messages: b.messages}
	counted, err := b.counted()
	if err != nil {
		return r, err
	}
	before, err := s.usage()
	if err != nil {
		return r, err
	}
	if r.took, err = b.send(s, b.messages, c.sessions); err != nil {
		return r, err
	}
	if err := s.drained(); err != nil {
		return r, err
	}
	after, err := s.usage()
	if err != nil {
		return r, err
	}
	r.cpu, r.memory = after.cpu-before.cpu, after.memory
	now, err := b.counted()
	if err == nil && now-counted != b.messages {
		err = fmt.Errorf("the sink counts %d messages for %d", now-counted, b.messages)
	}
	return r, err
}

// drained waits until the queue is empty.
func (s *server) drained() error {
	if s.program == nil {
		return nil
	}
	return s.await("an empty queue", s.empty)
}
