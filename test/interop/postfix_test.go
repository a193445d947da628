//go:build interop

package interop

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// postfix starts a private Postfix with the listeners of testdata/postfix-master.cf.
func (w *world) postfix() *receiver {
	w.t.Helper()
	dir := w.folder("postfix")
	for _, folder := range []string{
		"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "public", "saved", "trace",
	} {
		w.owned("postfix/queue/"+folder, "postfix")
	}
	w.folder("postfix/queue/pid")
	w.owned("postfix/data", "postfix")
	w.owned("postfix/mail", postman)
	uid, gid := w.account(postman)
	w.render("postfix-main.cf", "postfix/main.cf", "@UID@", strconv.Itoa(uid), "@GID@", strconv.Itoa(gid))
	w.render("postfix-master.cf", "postfix/master.cf")
	for _, file := range []string{"domains", "mailboxes", "recipients", "senders", "headers", "transport"} {
		w.render("postfix-"+file, "postfix/"+file)
	}
	p := w.start("postfix", programs()["postfix"], "-c", dir, "-d")
	p.logs = append(p.logs, filepath.Join(dir, "log"))
	p.greets("127.0.0.11", "2001:db8::11", "127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.26", "127.0.0.27", "127.0.0.28")
	return &receiver{
		program: p, lineEnd: "\n",
		mailbox: func(address string) string { return filepath.Join(dir, "mail", address) },
	}
}

// commands waits until Postfix has logged the end of a session with our agent that has all these counts ("bdat=1").
func (r *receiver) commands(t *testing.T, counts ...string) {
	t.Helper()
	r.await(t, "a session with "+strings.Join(counts, " "), func() bool {
		log, _ := os.ReadFile(r.logs[1])
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, ": disconnect from ") && containsAll(line, counts) {
				return true
			}
		}
		return false
	})
}

func containsAll(line string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(line, " "+word) {
			return false
		}
	}
	return true
}

func TestPostfix(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	postfix := w.postfix()
	messages := append(everywhere(), longLines("lines10000", 10000))

	t.Run("with TLS and CHUNKING", func(t *testing.T) {
		arrive(t, a, postfix, "you@postfix.test", messages)
		postfix.commands(t, "ehlo=2", "starttls=1", "mail=1", "bdat=1")
	})
	t.Run("without", func(t *testing.T) {
		arrive(t, a, postfix, "you@data.postfix.test", messages)
		postfix.commands(t, "ehlo=1", "mail=1", "data=1")
	})
}

func TestPostfixTLS(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	postfix := w.postfix()

	for _, domain := range []string{"postfix.test", "tls.postfix.test"} {
		t.Run(domain, func(t *testing.T) {
			m := note("tls")
			r := a.pretend(t, "ipv6=down", m, "you@"+domain)
			r.delivered(t, "mx."+domain)
			c := r.tried(t, r.Recipients[0].Address)
			if c.TLS == nil || c.TLS.Version != "TLS 1.3" || c.TLS.Verified {
				t.Errorf("tls is %+v, want TLS 1.3 that is not verified, since the certificate has another name", c.TLS)
			}
			if before, _ := postfix.takes(t, "you@"+domain, m); !strings.Contains(before, "(using TLSv1.3 with cipher ") {
				t.Errorf("Postfix saw no TLS:\n%s", before)
			}
		})
	}
}

func TestPostfixFamilies(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	postfix := w.postfix()

	for mask, address := range map[string]string{"": "2001:db8::11", "ipv6=down": "127.0.0.11"} {
		m := note("family")
		r := a.pretend(t, mask, m, "you@postfix.test")
		r.delivered(t, "mx.postfix.test")
		if got := r.Recipients[0].Address; got != address {
			t.Errorf("pretending %q: delivered to %s, want %s", mask, got, address)
		}
		postfix.keeps(t, "you@postfix.test", m)
	}
}

// A server without 8BITMIME gets the text in quoted-printable: other octets, the same text.
func TestPostfixWithoutEightBit(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	postfix := w.postfix()

	t.Run("as it is", func(t *testing.T) {
		arrive(t, a, postfix, "you@old.postfix.test", []message{dots(), attachment()})
	})
	for _, m := range []message{eightBit(), longLines("lines998", 998)} {
		t.Run(m.name, func(t *testing.T) {
			a.deliver(t, m, "you@old.postfix.test").delivered(t, "mx.old.postfix.test")
			_, content := postfix.takes(t, "you@old.postfix.test", m)
			for i, octet := range content {
				if octet >= 0x80 {
					t.Fatalf("octet %#x at %d", octet, i)
				}
			}
			if got, sent := decoded(t, content), decoded(t, m.content); !bytes.Equal(got, sent) {
				at := firstDifference(sent, got)
				t.Errorf("the text differs at %d:\nsent %.60q\ngot  %.60q", at, sent[at:], got[at:])
			}
		})
	}
}

// decoded is the text of a message whatever its transfer encoding.
func decoded(t *testing.T, content []byte) []byte {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	body := m.Body
	switch encoding := m.Header.Get("Content-Transfer-Encoding"); encoding {
	case "8bit":
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	default:
		t.Fatalf("Content-Transfer-Encoding: %s", encoding)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPostfixRecipients(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	postfix := w.postfix()

	t.Run("one of three is unknown", func(t *testing.T) {
		m := note("three")
		r := a.deliver(t, m, "you@data.postfix.test", "nobody@data.postfix.test", "me@data.postfix.test")
		r.exits(t, exitFailed)
		r.refused(t, outcome{Recipient: "nobody@data.postfix.test", Disposition: "failed", Stage: "rcpt", Status: "5.1.1"}, 550)
		postfix.keeps(t, "you@data.postfix.test", m)
		postfix.keeps(t, "me@data.postfix.test", m)
		postfix.commands(t, "mail=1", "rcpt=2/3", "data=1")
	})
	t.Run("five where three are allowed", func(t *testing.T) {
		m := note("five")
		to := []string{"a@few.postfix.test", "b@few.postfix.test", "c@few.postfix.test", "d@few.postfix.test", "e@few.postfix.test"}
		a.deliver(t, m, to...).delivered(t, "mx.few.postfix.test")
		for _, address := range to {
			postfix.keeps(t, address, m)
		}
		postfix.commands(t, "mail=2", "bdat=2")
	})
}

func TestPostfixRefusals(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	w.postfix()

	cases := []struct {
		name    string
		message message
		want    outcome
		code    int
		exit    int
	}{
		{"access table", note("refusal"), outcome{Recipient: "refused@data.postfix.test", Disposition: "failed", Stage: "rcpt", Status: "5.7.1"}, 554, exitFailed},
		{"access table, in other words", note("refusal"), outcome{Recipient: "gone@data.postfix.test", Disposition: "failed", Stage: "rcpt", Status: "5.1.6"}, 551, exitFailed},
		{"later", note("refusal"), outcome{Recipient: "later@data.postfix.test", Disposition: "deferred", Stage: "rcpt", Status: "4.7.1"}, 450, exitAgain},
		{"closing", note("refusal"), outcome{Recipient: "closing@data.postfix.test", Disposition: "deferred", Stage: "rcpt", Status: "4.3.2"}, 421, exitAgain},
		{"unknown user", note("refusal"), outcome{Recipient: "nobody@data.postfix.test", Disposition: "failed", Stage: "rcpt", Status: "5.1.1"}, 550, exitFailed},
		{"relaying", note("refusal"), outcome{Recipient: "you@stranger.test", Disposition: "failed", Stage: "rcpt", Status: "5.7.1"}, 554, exitFailed},
		{"too big, by SIZE", attachment(), outcome{Recipient: "a@few.postfix.test", Disposition: "failed", Stage: "mail", Status: "5.3.4"}, 0, exitFailed},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := a.deliver(t, c.message, c.want.Recipient)
			r.refused(t, c.want, c.code)
			r.exits(t, c.exit)
		})
	}
}
