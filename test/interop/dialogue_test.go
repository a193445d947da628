//go:build interop

package interop

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// dialogue is SMTP octet by octet, for what no decent client says.
type dialogue struct {
	net.Conn
	in *bufio.Reader
}

// dial connects from an address, or from any where it is empty, and hears the greeting.
func dial(t *testing.T, from, to string) *dialogue {
	t.Helper()
	d, err := connect(from, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.expect(t, "220")
	return d
}

func connect(from, to string) (*dialogue, error) {
	dialer := net.Dialer{Timeout: patience}
	if from != "" {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	}
	conn, err := dialer.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	return &dialogue{conn, bufio.NewReader(conn)}, conn.SetDeadline(time.Now().Add(patience))
}

// reply reads one reply with all its lines.
func (d *dialogue) reply() (string, error) {
	var all strings.Builder
	for {
		line, err := d.in.ReadString('\n')
		all.WriteString(line)
		if err != nil || len(line) < 4 || line[3] != '-' {
			return all.String(), err
		}
	}
}

// expect reads a reply and wants it to begin so.
func (d *dialogue) expect(t *testing.T, code string) string {
	t.Helper()
	reply, err := d.reply()
	if err != nil || !strings.HasPrefix(reply, code) {
		t.Fatalf("the reply is %q, %v, want %s", reply, err, code)
	}
	return reply
}

// say sends octets as they are.
func (d *dialogue) say(t *testing.T, octets string) {
	t.Helper()
	if _, err := io.WriteString(d, octets); err != nil {
		t.Fatal(err)
	}
}

// pour sends octets, and does not mind when the server has hung up.
func (d *dialogue) pour(octets string) { _, _ = io.WriteString(d, octets) }

// ask sends a line and wants the reply to begin so.
func (d *dialogue) ask(t *testing.T, line, code string) string {
	t.Helper()
	d.say(t, line+"\r\n")
	return d.expect(t, code)
}

// envelope says all that comes before the content.
func (d *dialogue) envelope(t *testing.T, from string) {
	t.Helper()
	d.ask(t, "EHLO client.test", "250")
	d.ask(t, "MAIL FROM:<"+from+">", "250")
	d.ask(t, "RCPT TO:<you@sink.test>", "250")
}

// rest reads replies until the server has none, or ends the connection.
func (d *dialogue) rest() []string {
	var list []string
	for {
		reply, err := d.reply()
		if reply != "" {
			list = append(list, strings.TrimSpace(reply))
		}
		if err != nil {
			return list
		}
	}
}

// encrypt makes the TLS handshake. The dialogue goes on within.
func (d *dialogue) encrypt(t *testing.T) (*dialogue, error) {
	t.Helper()
	inner := tls.Client(d.Conn, &tls.Config{InsecureSkipVerify: true}) // whose certificate it is does not matter here
	return &dialogue{inner, bufio.NewReader(inner)}, inner.HandshakeContext(t.Context())
}

// letter is a small message that is told by its subject.
func letter(subject string) string {
	return fmt.Sprintf("From: <me@client.test>\r\nTo: <you@sink.test>\r\nSubject: %s\r\n\r\nHello.\r\n", subject)
}
