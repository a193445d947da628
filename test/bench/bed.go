//go:build bench

package main

import (
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net"
	"os"
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

// Where they are. Sinks have the port of SMTP, since servers go to no other by MX. That of Debian listens on every address, so that each
// exchanger has its own; sinkHost is the address of the single domain.
const (
	dnsHost      = "127.0.0.1"
	sinkHost     = "127.0.0.25"
	sinkAddress  = sinkHost + ":25"
	everyAddress = "0.0.0.0:25"
	domain       = "example.test"
)

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

// bed is what all cases share: the DNS server, the message and, for the comparison, the sink.
type bed struct {
	options
	dir       string
	dns, sink *program
	message   string // its file
	small     string // the file of one of about 1 KB
}

// server is a mail server under test, or none.
type server struct {
	*program
	home    string // its directory
	address string
	// empty says whether no message is in the queue any more.
	empty func() (bool, error)
}

// none is the case without a mail server: the sender talks to the sink.
func none(b *bed, _ string) (*server, error) {
	return &server{address: sinkAddress}, nil
}

func newBed(dir string, o options) (*bed, error) {
	b := &bed{options: o, dir: dir, message: filepath.Join(dir, "message"), small: filepath.Join(dir, "small")}
	for name, text := range map[string]string{
		b.message: message(5000), b.small: message(750), filepath.Join(dir, "test.zone"): zone(o.tarpits),
		filepath.Join(dir, "nsd.conf"): strings.ReplaceAll(nsdConfig, "@DIR@", dir),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	var err error
	if b.dns, err = launch(dir, nsd, "-d", "-c", filepath.Join(dir, "nsd.conf")); err != nil {
		return nil, err
	}
	if err := b.resolves(); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// openSink starts Debian's sink. It counts into a file in memory, so that counting costs no disk. It has room for the sessions that a
// server keeps for a while with each of a thousand exchangers.
func (b *bed) openSink() (err error) {
	if b.sink, err = launch("/run", smtpSink, "-c", "-u", "root", "-m", "5000", everyAddress, "1000"); err != nil {
		return err
	}
	return b.sink.greets(sinkAddress)
}

func (b *bed) close() error {
	err := b.dns.stop()
	if b.sink != nil {
		err = errors.Join(err, b.sink.stop())
	}
	return err
}

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

// message has a body of so many octets in base64, which do not compress as the body of smtp-source itself would.
func message(size int) string {
	octets := make([]byte, size/4*3)
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
	return m.String()
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
