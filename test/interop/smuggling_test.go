//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// ends are the sequences that one server or another takes, or once took, for the end of the content: those of "SMTP Smuggling" (SEC Consult, 2023: CVE-2023-51764 of Postfix,
// 51765 of Sendmail, 51766 of Exim), and what was found after it.
func ends() []string {
	return []string{
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r.\n", "\n.\r",
		"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n\x00\r\n.\n", "\x00.\r\n",
		"\r\r\n.\r\r\n", "\r\r\n.\n\r\n", "\n\n.\r\n", "\r\n.\r\r\n", "\r\n..\n.\n", "\r\n .\r\n\n.\n",
	}
}

// evil is a whole transaction, to be executed by a server that takes what stood before it for the end of the content.
func evil(sender string) string {
	return "MAIL FROM:<" + sender + ">\r\nRCPT TO:<you@sink.test>\r\nDATA\r\n" + letter("smuggled") + ".\r\n"
}

// Whatever is hidden in a message, the server behind us gets that one message or none.
func TestSmuggling(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	address := net.JoinHostPort(serviceHost, servicePort)
	taken := map[string]bool{}
	for i, end := range ends() {
		for _, way := range []string{"data", "bdat", "chunks", "rcpt-refused"} {
			name := fmt.Sprintf("%s-%d", way, i)
			t.Run(name, func(t *testing.T) {
				d := dial(t, "", address)
				replies := d.smuggle(t, way, name, letter("outer-"+name)+"body"+end, evil("evil-"+name+"@client.test"))
				taken[name] = accepted(replies)
				if testing.Verbose() && i == 0 {
					t.Logf("%q: %q", end, replies)
				}
			})
		}
	}
	d := dial(t, "", address)
	d.envelope(t, "last@client.test")
	d.ask(t, "DATA", "354")
	d.ask(t, letter("last")+".", "250")
	s.arrives(t, "last")
	s.drained(t)
	for name, was := range taken {
		if n := len(s.from(name + "@client.test")); n > 1 || (n == 1) != was {
			t.Errorf("%s: the sink has it %d times, and it was accepted: %t", name, n, was)
		}
	}
	if extra := len(s.sink.Messages()) - 1; extra != count(taken) {
		t.Errorf("the sink has %d messages beside the last, and %d were accepted", extra, count(taken))
	}
	s.cleanOnTheWire(t)
}

// accepted says whether the content was: its reply has an id.
func accepted(replies []string) bool {
	return strings.Contains(strings.Join(replies, "\n"), "250 2.0.0 queued as ")
}

func count(set map[string]bool) int {
	n := 0
	for _, yes := range set {
		if yes {
			n++
		}
	}
	return n
}

// smuggle sends one message with another hidden in it, and returns all replies from the content on.
func (d *dialogue) smuggle(t *testing.T, way, name, outer, inner string) []string {
	t.Helper()
	if way == "rcpt-refused" { // RFC 2920 s3.1: the content follows though nobody is to have it
		d.pour("EHLO client.test\r\nMAIL FROM:<" + name + "@client.test>\r\nRCPT TO:<no address>\r\nDATA\r\n" + outer + inner + "QUIT\r\n")
		return d.rest()
	}
	d.envelope(t, name+"@client.test")
	switch way {
	case "data":
		d.ask(t, "DATA", "354")
		d.pour(outer + inner + ".\r\n")
	case "bdat":
		d.pour(fmt.Sprintf("BDAT %d LAST\r\n%s", len(outer+inner), outer+inner))
	case "chunks": // the boundary lies within the sequence
		at := len(outer) - 1
		d.pour(fmt.Sprintf("BDAT %d\r\n%s", at, outer[:at]))
		d.pour(fmt.Sprintf("BDAT %d LAST\r\n%s", len(outer+inner)-at, outer[at:]+inner))
	}
	d.pour("QUIT\r\n")
	return d.rest()
}

// anyDot is the end of the content to the most lenient server.
var anyDot = regexp.MustCompile(`[\r\n\x00]+\.[\r\n\x00]+`)

// cleanOnTheWire checks all that the agent sent to the sink: no bare CR, no bare LF, no NUL, and one dot alone on a line for each message, whatever a server takes for one.
func (s *service) cleanOnTheWire(t *testing.T) {
	t.Helper()
	for _, c := range s.sink.Connections() {
		bare := bytes.ReplaceAll(c.Wire, []byte("\r\n"), nil)
		if at := bytes.IndexAny(bare, "\r\n\x00"); at >= 0 {
			t.Errorf("connection %d: a bare %q on the wire: %q", c.Number, bare[at], bare[max(0, at-60):min(len(bare), at+60)])
		}
		messages := 0
		for _, m := range s.sink.Messages() {
			if m.Connection == c.Number {
				messages++
			}
		}
		if dots := len(anyDot.FindAll(c.Wire, -1)); dots != messages {
			t.Errorf("connection %d: %d dots alone on a line for %d messages", c.Number, dots, messages)
		}
	}
}

// The octets that BDAT announces are never commands, whatever is answered to it.
func TestSmugglingByBDATThatIsRefused(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	body := evil("evil@client.test")
	for name, begin := range map[string]string{
		"before EHLO":      fmt.Sprintf("BDAT %d LAST\r\n", len(body)),
		"before MAIL":      fmt.Sprintf("EHLO client.test\r\nBDAT %d LAST\r\n", len(body)),
		"without RCPT":     fmt.Sprintf("EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nBDAT %d LAST\r\n", len(body)),
		"negative":         "EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<you@sink.test>\r\nBDAT -1 LAST\r\n",
		"no number":        "EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<you@sink.test>\r\nBDAT x LAST\r\n",
		"more than 64 bit": "EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<you@sink.test>\r\nBDAT 18446744073709551617 LAST\r\n",
		"odd word":         fmt.Sprintf("EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<you@sink.test>\r\nBDAT %d FIRST\r\n", len(body)),
		"too large":        "EHLO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<you@sink.test>\r\nBDAT 99999999999 LAST\r\n",
		"after HELO":       fmt.Sprintf("HELO client.test\r\nMAIL FROM:<a@client.test>\r\nRCPT TO:<you@sink.test>\r\nBDAT %d LAST\r\n", len(body)),
	} {
		t.Run(name, func(t *testing.T) {
			d := dial(t, "", net.JoinHostPort(serviceHost, servicePort))
			d.pour(begin + body + "QUIT\r\n")
			if tcp, ok := d.Conn.(*net.TCPConn); ok {
				tcp.CloseWrite()
			}
			t.Logf("%q", d.rest())
		})
	}
	s.drained(t)
	if got := s.from("evil@client.test"); len(got) > 0 {
		t.Errorf("%d messages were smuggled", len(got))
	}
}

// Where a message is not ended by a dot, a dot on a line of its own is content, with whatever stands behind it; on the way out it must not become an end.
func TestDotsThatAreContent(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	hidden := "\r\n.\r\n" + evil("evil@client.test") + ".\r\n.\r\n..\r\n"
	t.Run("BDAT", func(t *testing.T) {
		content := letter("by-bdat") + hidden
		for _, at := range []int{0, len(letter("by-bdat")) + 2, len(letter("by-bdat")) + 3} { // one chunk, and a boundary on each side of the dot
			d := dial(t, "", net.JoinHostPort(serviceHost, servicePort))
			d.envelope(t, fmt.Sprintf("bdat-%d@client.test", at))
			if at > 0 {
				d.say(t, fmt.Sprintf("BDAT %d\r\n%s", at, content[:at]))
				d.expect(t, "250")
			}
			d.say(t, fmt.Sprintf("BDAT %d LAST\r\n%s", len(content)-at, content[at:]))
			d.expect(t, "250")
		}
	})
	t.Run("HTTP", func(t *testing.T) {
		answer, err := s.console().Post("http://agent/v1/messages?from=http@client.test&to=you@sink.test", "message/rfc822", strings.NewReader(letter("by-http")+hidden))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted {
			t.Error(answer.Status)
		}
	})
	t.Run("command", func(t *testing.T) {
		if r := w.sends(t, s, letter("by-command")+hidden, "-i", "-f", "command@client.test", "you@sink.test"); r.exit != 0 {
			t.Errorf("exit status %d: %s", r.exit, r.said)
		}
	})
	s.drained(t)
	messages := s.sink.Messages()
	if len(messages) != 5 {
		t.Errorf("the sink has %d messages, want 5", len(messages))
	}
	for _, m := range messages {
		if !bytes.HasSuffix(m.Content, []byte(hidden)) {
			t.Errorf("%s did not arrive as it was sent:\n%q", m.From(), m.Content)
		}
	}
	s.cleanOnTheWire(t)
}
