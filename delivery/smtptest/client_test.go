package smtptest

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
)

// client is a raw SMTP client that checks what the server says.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

const serverAddr = "192.0.2.25:25"

// inBubble runs test against a server in memory.
func inBubble(t *testing.T, script string, test func(t *testing.T, s *Server, c *client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &Network{}
		s := n.Serve(t, serverAddr, script)
		test(t, s, dial(t, n))
	})
}

func dial(t *testing.T, n *Network) *client {
	t.Helper()
	conn, err := n.Dial(t.Context(), "tcp", serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

func newClient(t *testing.T, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, conn: conn, in: bufio.NewReader(conn)}
}

// say writes lines in one write, each with CRLF.
func (c *client) say(lines ...string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, strings.Join(lines, "\r\n")+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads as many lines as are wanted and compares their beginnings.
func (c *client) hear(wants ...string) {
	c.t.Helper()
	for _, want := range wants {
		line, err := c.in.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			c.t.Fatalf("heard %.200q, %v, want %q", line, err, want)
		}
	}
}

// reply reads one reply and returns its lines.
func (c *client) reply() []string {
	c.t.Helper()
	var lines []string
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("after %q: %v", lines, err)
		}
		lines = append(lines, strings.TrimRight(line, "\r\n"))
		if len(line) < 4 || line[3] != '-' {
			return lines
		}
	}
}

// ask says one command and compares the beginning of the reply's last line.
func (c *client) ask(command, want string) {
	c.t.Helper()
	c.say(command)
	c.expect(want)
}

// expect reads a reply and compares the beginning of its last line.
func (c *client) expect(want string) {
	c.t.Helper()
	lines := c.reply()
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, want) {
		c.t.Fatalf("reply %q, want %q", lines, want)
	}
}

// greet reads the banner and says EHLO.
func (c *client) greet() {
	c.t.Helper()
	c.expect("220")
	c.ask("EHLO client.test", "250")
}

// ends checks that nothing more comes but the end.
func (c *client) ends(want error) {
	c.t.Helper()
	rest, err := io.ReadAll(c.in)
	if err == nil {
		err = io.EOF
	}
	if len(rest) > 0 || !isError(err, want) {
		c.t.Fatalf("heard %.100q, %v, want %v", rest, err, want)
	}
}

// secure does the client's half of the handshake.
func (c *client) secure(s *Server, name string) error {
	conn := tls.Client(c.conn, &tls.Config{RootCAs: s.Roots(), ServerName: name})
	if err := conn.Handshake(); err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
