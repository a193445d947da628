//go:build interop

package interop

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

// aiosmtpd starts Debian's aiosmtpd, which stores what it takes with the line ends of the wire. Its second address has the
// library's own limit of a line.
func (w *world) aiosmtpd() *receiver {
	w.t.Helper()
	maildir := w.folder("aiosmtpd")
	p := w.start("python3-aiosmtpd", "/usr/bin/python3", "testdata/receiver.py", maildir, w.certificate, w.key,
		net.JoinHostPort("127.0.0.14", mailPort)+"=16384", net.JoinHostPort("127.0.0.15", mailPort)+"=0")
	p.greets("127.0.0.14", "127.0.0.15")
	return &receiver{program: p, mailbox: one(maildir), lineEnd: "\r\n"}
}

func TestAiosmtpd(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	aiosmtpd := w.aiosmtpd()

	t.Run("limit raised", func(t *testing.T) {
		arrive(t, a, aiosmtpd, "you@aiosmtpd.test", append(everywhere(), longLines("lines10000", 10000)))
	})
	t.Run("limit of the library", func(t *testing.T) {
		arrive(t, a, aiosmtpd, "you@strict.aiosmtpd.test", everywhere())
	})
	t.Run("over the limit of the library", func(t *testing.T) {
		r := a.deliver(t, longLines("lines10000", 10000), "you@strict.aiosmtpd.test")
		r.exits(t, exitFailed)
		r.refused(t, outcome{Recipient: "you@strict.aiosmtpd.test", Disposition: "failed", Stage: "dot", Status: "5.0.0"}, 500)
	})
	t.Run("address literal", func(t *testing.T) {
		m := note("literal")
		r := a.deliver(t, m, "you@[127.0.0.14]")
		r.exits(t, exitDone)
		if len(r.Attempts) != 1 || r.Attempts[0].Rule != "literal" {
			t.Errorf("attempts %+v, want one by the rule literal", r.Attempts)
		}
		if before, _ := aiosmtpd.takes(t, "you@[127.0.0.14]", m); !strings.Contains(before, "X-Recipient: you@[127.0.0.14]\r\n") {
			t.Errorf("aiosmtpd had other recipients:\n%s", before)
		}
	})
}

// A message from a file with the line ends of Unix arrives with those of the wire.
func TestAiosmtpdLineEnds(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	aiosmtpd := w.aiosmtpd()

	for _, m := range everywhere() {
		t.Run(m.name, func(t *testing.T) {
			file := message{m.name, bytes.ReplaceAll(m.content, []byte("\r\n"), []byte("\n"))}
			a.deliver(t, file, "you@aiosmtpd.test").delivered(t, "mx.aiosmtpd.test")
			aiosmtpd.keeps(t, "you@aiosmtpd.test", m)
		})
	}
}

func TestAiosmtpdSMTPUTF8(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	aiosmtpd := w.aiosmtpd()
	w.postfix()

	m := note("utf8")
	a.deliver(t, m, "grüße@aiosmtpd.test").delivered(t, "mx.aiosmtpd.test")
	before, content := aiosmtpd.takes(t, "grüße@aiosmtpd.test", m)
	if !strings.Contains(before, "X-Recipient: grüße@aiosmtpd.test\r\n") || !bytes.Equal(content, m.content) {
		t.Errorf("aiosmtpd has\n%s%s", before, content)
	}

	r := a.deliver(t, m, "grüße@old.postfix.test")
	r.exits(t, exitFailed)
	r.refused(t, outcome{Recipient: "grüße@old.postfix.test", Disposition: "failed", Stage: "mail", Status: "5.6.7"}, 0)
}
