//go:build interop

package interop

import (
	"encoding/base64"
	"net"
	"strings"
	"testing"
)

// What was sent in clear behind STARTTLS was sent by anybody. It is not executed after the handshake, whoever that was with (RFC 3207 s6; CVE-2011-0411 and those after it).
func TestCommandsBeforeTheHandshake(t *testing.T) {
	w := newWorld(t)
	s := w.documented()
	login := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00shop\x00"+password)) + "\r\n"
	for name, injected := range map[string]string{
		"a transaction":     "EHLO evil.test\r\n" + evil("evil@client.test"),
		"the begin of one":  "EHLO evil.test\r\nMAIL FROM:<evil@client.test>\r\n",
		"half a command":    "RSET",
		"a login":           "EHLO evil.test\r\n" + login,
		"another handshake": "STARTTLS\r\n",
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			d := dial(t, "", net.JoinHostPort(serviceHost, "587"))
			d.ask(t, "EHLO client.test", "250")
			d.say(t, "STARTTLS\r\n"+injected)
			reply, err := d.reply()
			if err != nil || !strings.HasPrefix(reply, "220") {
				t.Logf("the server hangs up: %q, %v", reply, err)
				return
			}
			if d.in.Buffered() > 0 {
				t.Fatal("something was answered before the handshake")
			}
			inner, err := d.encrypt(t)
			if err != nil {
				t.Logf("no handshake: %v", err)
				return
			}
			// The first reply within is to what is said within, and the state is new (RFC 3207 s4.2).
			inner.ask(t, "MAIL FROM:<me@client.test>", "503")
			inner.ask(t, "EHLO client.test", "250")
			inner.ask(t, "RCPT TO:<you@sink.test>", "503")
			inner.ask(t, "QUIT", "221")
		})
	}
	s.drained(t)
	if n := len(s.sink.Messages()); n > 0 {
		t.Errorf("%d messages arrived", n)
	}
}

// A password is not asked for in clear, and not taken, where it has to cross a network.
func TestNoPasswordInClear(t *testing.T) {
	w := newWorld(t)
	w.documented("[submission]\nlisten = [\"" + outsider + ":587\"]\n")
	d := dial(t, "", net.JoinHostPort(outsider, "587"))
	if offer := d.ask(t, "EHLO client.test", "250"); strings.Contains(offer, "AUTH") || !strings.Contains(offer, "STARTTLS") {
		t.Errorf("in clear it offers %q", offer)
	}
	d.ask(t, "AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00shop\x00"+password)), "5")
	d.ask(t, "STARTTLS", "220")
	inner, err := d.encrypt(t)
	if err != nil {
		t.Fatal(err)
	}
	if offer := inner.ask(t, "EHLO client.test", "250"); !strings.Contains(offer, "AUTH PLAIN LOGIN") && !strings.Contains(offer, "AUTH LOGIN PLAIN") || strings.Contains(offer, "STARTTLS") {
		t.Errorf("within TLS it offers %q", offer)
	}
}

// Whoever does not log in from outside of the networks may say hello, and no more.
func TestOutsiders(t *testing.T) {
	w := newWorld(t)
	s := w.documented("[submission]\nlisten = [\"" + outsider + ":587\"]\n")
	d, err := connect("", outsider+":587")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.pour("EHLO client.test\r\nMAIL FROM:<me@client.test>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\n" + letter("outside") + ".\r\nQUIT\r\n")
	replies := d.rest()
	t.Logf("%q", replies)
	if accepted(replies) {
		t.Error("a message was taken")
	}
	s.drained(t)
	if n := len(s.sink.Messages()); n > 0 {
		t.Errorf("%d messages arrived", n)
	}
}
