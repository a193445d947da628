package delivery

import (
	"slices"
	"testing"
	"time"
)

// Where TLS is required a handshake that fails is never followed by clear text, with credentials or without.
func TestNoClearFallbackWhereTLSIsRequired(t *testing.T) {
	for _, level := range []TLSLevel{TLSStartTLS, TLSImplicit} {
		for _, script := range []string{"tls\nstarttls 220 go / garbage", "tls\nstarttls 220 go / close", "tls\nstarttls 220 go / 250 injected", "tls self-signed relay2.test"} {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, relays, withRelays(Smarthost{Host: "relay2.test", Port: 25, TLS: level}))
				s := w.serve("192.0.2.2", script)
				for range 2 { // the second with what the first may have made us remember
					if o := w.deliver(plain, you).Outcomes[0]; o.Status.String() != "4.7.5" {
						t.Errorf("%s, %s: %s", level, script, summary(o))
					}
				}
				for _, c := range s.Connections() {
					if slices.ContainsFunc(c.Commands, func(line string) bool { return len(line) > 4 && line[:4] == "MAIL" }) {
						t.Errorf("%s, %s: the mail went on: %q", level, script, c.Commands)
					}
				}
				if n := len(s.Connections()); n != 2 {
					t.Errorf("%s, %s: %d connections", level, script, n)
				}
			})
		}
	}
}

// 421 to STARTTLS is a goodbye and not a refusal: nothing more is said on that connection.
func TestGoodbyeToSTARTTLS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		s := w.serve("192.0.2.1", "tls\nstarttls 421 4.3.2 closing")
		w.serve("192.0.2.2", "")
		if got := summaries(w.deliver(plain, you)); got != "sent@mx2.test" {
			t.Error(got)
		}
		w.agent.Close()
		if got := verbs(s.Connections()[0].Commands); got != "EHLO us.test, STARTTLS" {
			t.Error(got)
		}
	})
}

// A greeting is 220 (RFC 5321 s4.2): another success is not one.
func TestGreetingIs220(t *testing.T) {
	for _, script := range []string{"banner 250 mx1.test", "banner 221 mx1.test", "banner 354 mx1.test"} {
		trouble{script, twoHosts, map[string]string{"192.0.2.1": script, "192.0.2.2": ""}, you, "sent@mx2.test"}.run(t)
		trouble{script, oneHost, map[string]string{"192.0.2.1": script}, you, "deferred/4.5.0"}.run(t)
	}
}

// An address whose handshake failed is spared another for an hour, and no longer.
func TestClearIsRememberedForAnHour(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost, func(c *Config, _ *Deps) { c.SessionIdle = 0 })
		s := w.serve("192.0.2.1", "tls\nconnection #1\nstarttls 220 go / garbage")
		for _, c := range []struct {
			wait time.Duration
			tls  bool
		}{{0, false}, {59 * time.Minute, false}, {2 * time.Minute, true}} {
			<-time.After(c.wait)
			w.deliver(plain, you)
			all := s.Messages()
			if got := all[len(all)-1].TLS; got != c.tls {
				t.Errorf("message %d: TLS %v", len(all), got)
			}
		}
	})
}

// A route may ask for no TLS at all.
func TestRouteWithoutTLS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost, func(c *Config, _ *Deps) { c.Routes = []Route{{Domains: []string{"example.test"}, TLS: TLSNone}} })
		s := w.serve("192.0.2.1", "tls")
		if got := summaries(w.deliver(plain, you)); got != "sent@mx1.test" || s.Messages()[0].TLS {
			t.Error(got)
		}
		if got := verbs(s.Connections()[0].Commands); got != "EHLO us.test, MAIL, RCPT, DATA" {
			t.Error(got)
		}
	})
}
