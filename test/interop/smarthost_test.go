//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"
)

// smarthost is a route for every domain: credentials, and the authority that signed the server's certificate.
func (w *world) smarthost(host, password, mechanism string) string {
	return fmt.Sprintf(`
[[delivery.routes]]
domains = ["*"]

[[delivery.routes.smarthosts]]
host = %q
port = %s
username = "sender"
password = %q
mechanism = %q
ca_file = %q
`, host, mailPort, password, mechanism, w.certificate)
}

func TestSmarthostExim(t *testing.T) {
	w := newWorld(t)
	dns := w.nsd()
	exim := w.exim()

	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		t.Run(mechanism, func(t *testing.T) {
			a := w.agent(dns, w.smarthost("smart.exim.test", "correct horse", mechanism))
			m := eightBit()
			r := a.deliver(t, m, "you@far.example")
			r.delivered(t, "smart.exim.test")
			if c := r.tried(t, "127.0.0.25"); c.TLS == nil || !c.TLS.Verified {
				t.Errorf("tls is %+v, want a verified one", c.TLS)
			}
			// The s is for TLS, and the a for AUTH (RFC 3848).
			if before, _ := exim.takes(t, "you@far.example", m); !strings.Contains(before, "esmtpsa ") {
				t.Errorf("Exim saw no authentication over TLS:\n%s", before)
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		a := w.agent(dns, w.smarthost("smart.exim.test", "battery staple", ""))
		r := a.deliver(t, note("wrong"), "you@far.example")
		r.exits(t, exitAgain)
		r.refused(t, outcome{Recipient: "you@far.example", Disposition: "deferred", Stage: "auth", Status: "4.7.8"}, 535)
	})
	t.Run("certificate of another", func(t *testing.T) {
		a := w.agent(dns, w.smarthost("mx.debian.exim.test", "correct horse", ""))
		r := a.deliver(t, note("other"), "you@far.example")
		r.exits(t, exitAgain)
		if stage := r.Recipients[0].Stage; stage != "starttls" {
			t.Errorf("stage %s, want starttls", stage)
		}
	})
}

func TestSmarthostAiosmtpd(t *testing.T) {
	w := newWorld(t)
	dns := w.nsd()
	aiosmtpd := w.aiosmtpd()

	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		t.Run(mechanism, func(t *testing.T) {
			a := w.agent(dns, w.smarthost("mx.aiosmtpd.test", "correct horse", mechanism))
			m := note("login")
			a.deliver(t, m, "you@far.example").delivered(t, "mx.aiosmtpd.test")
			if before, _ := aiosmtpd.takes(t, "you@far.example", m); !strings.Contains(before, "X-Login: "+mechanism+" sender\r\n") {
				t.Errorf("aiosmtpd saw no login by %s:\n%s", mechanism, before)
			}
		})
	}
}
