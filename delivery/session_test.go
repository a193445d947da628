package delivery

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

const fullOffer = "offer PIPELINING / SIZE 0 / 8BITMIME / SMTPUTF8 / DSN / ENHANCEDSTATUSCODES / CHUNKING\n"

// Round trips after EHLO: two with PIPELINING (envelope, content), one with CHUNKING for small messages; the same on a reused
// session.
func TestRoundTrips(t *testing.T) {
	large := plain + text(strings.Repeat("a line of the large message\r\n", 5000))
	for _, c := range []struct {
		name, script string
		content      text
		want         int
	}{
		{"PIPELINING", "offer PIPELINING / 8BITMIME", plain, 2},
		{"CHUNKING", fullOffer, plain, 1},
		{"CHUNKING, large", fullOffer, large, 2},
		{"neither", "offer 8BITMIME", plain, 4},
		{"CHUNKING alone", "offer CHUNKING / 8BITMIME", plain, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost)
				s := w.serve("192.0.2.1", c.script)
				for range 3 {
					if got := summaries(w.deliver(c.content, "you@example.test")); got != "sent@mx1.test" {
						t.Fatal(got)
					}
				}
				for i, m := range s.Messages() {
					if m.RoundTrips != c.want {
						t.Errorf("message %d: %d round trips, want %d", i+1, m.RoundTrips, c.want)
					}
					if string(m.Content) != string(c.content) {
						t.Errorf("message %d has %d octets, want %d", i+1, len(m.Content), len(c.content))
					}
				}
				if n := len(s.Connections()); n != 1 {
					t.Errorf("%d connections for three messages", n)
				}
				if commands := s.Connections()[0].Commands; slices.Contains(commands, "RSET") {
					t.Errorf("RSET without need: %v", commands)
				}
			})
		})
	}
}

// RSET comes before MAIL when the transaction before it was not ended.
func TestRSETWhenNeeded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "rcpt <no@.*> 550 5.1.1 no such user")
		w.deliver(plain, "no@example.test")
		if got := summaries(w.deliver(plain, "you@example.test")); got != "sent@mx1.test" {
			t.Error(got)
		}
		want := "EHLO us.test, MAIL, RCPT, DATA, RSET, MAIL, RCPT, DATA"
		if got := verbs(s.Connections()[0].Commands); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

func verbs(commands []string) string {
	var all []string
	for _, c := range commands {
		if verb, _, _ := strings.Cut(c, " "); verb != "EHLO" && verb != "HELO" {
			c = verb
		}
		all = append(all, c)
	}
	return strings.Join(all, ", ")
}

// A server that says 354 although it took no recipient gets a lone dot, and the session goes on.
func TestGoAheadWithoutRecipients(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "rcpt <no@.*> 550 5.1.1 no such user\ndata 354 go ahead")
		if got := summaries(w.deliver(plain, "no@example.test")); got != "bounced/5.1.1@mx1.test" {
			t.Error(got)
		}
		if got := summaries(w.deliver(plain, "you@example.test")); got != "sent@mx1.test" {
			t.Error(got)
		}
		for _, m := range s.Messages() {
			if len(m.To()) == 0 && len(m.Content) > 0 {
				t.Error("content was sent to nobody")
			}
		}
	})
}

// An idle session that has ended is no fault of the host: the same address takes the message on a new connection.
func TestStaleSession(t *testing.T) {
	for _, end := range []string{"mail #2 close", "mail #2 421 4.4.2 idle too long / close", "mail #2 reset", "rset close\nmail #2 close"} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			s := w.serve("192.0.2.1", "connection #1\n"+end)
			for range 2 {
				if got := summaries(w.deliver(plain, "you@example.test")); got != "sent@mx1.test" {
					t.Errorf("%s: %s", end, got)
				}
			}
			if n := len(s.Connections()); n != 2 {
				t.Errorf("%s: %d connections", end, n)
			}
			if len(w.agent.health.pulses) != 0 {
				t.Errorf("%s: the host is held at fault", end)
			}
		})
	}
}

// What the remote says unasked ends an idle session before it is taken again.
func TestIdleSessionThatCloses(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "connection #1\ndot 250 2.0.0 ok / sleep 2s / 421 4.4.2 bye / close")
		w.deliver(plain, "you@example.test")
		<-time.After(5 * time.Second)
		if w.agent.idleSession(target{host: "mx1.test", addr: netip.MustParseAddrPort("192.0.2.1:25"), level: TLSOpportunistic}) != nil {
			t.Error("the session is still kept")
		}
		w.deliver(plain, "you@example.test")
		if n := len(s.Connections()); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestIdleSessionEndsWithQuit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost, func(c *Config, _ *Deps) { c.SessionIdle = time.Minute })
		s := w.serve("192.0.2.1", "")
		w.deliver(plain, "you@example.test")
		<-time.After(61 * time.Second)
		if c := s.Connections()[0]; !c.Quit || c.Ended.Sub(c.Began) != time.Minute {
			t.Errorf("QUIT %v after %s", c.Quit, c.Ended.Sub(c.Began))
		}
	})
}

func TestSessionLimits(t *testing.T) {
	for _, c := range []struct {
		name, script string
		change       func(*Config, *Deps)
		connections  int
	}{
		{"two messages", "", func(c *Config, _ *Deps) { c.SessionUses = 2 }, 3},
		{"MAILMAX", "offer PIPELINING / LIMITS MAILMAX=3", func(*Config, *Deps) {}, 2},
		{"no idle sessions", "", func(c *Config, _ *Deps) { c.SessionIdle = 0 }, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost, c.change)
				s := w.serve("192.0.2.1", c.script)
				for range 5 {
					w.deliver(plain, "you@example.test")
				}
				if n := len(s.Connections()); n != c.connections {
					t.Errorf("%d connections, want %d", n, c.connections)
				}
			})
		})
	}
}

// LIMITS RCPTMAX and a hundred recipients split a transaction; so does 452 after the first was accepted.
func TestManyRecipients(t *testing.T) {
	for _, c := range []struct {
		name, script string
		n, messages  int
	}{
		{"a hundred", "", 250, 3},
		{"RCPTMAX", "offer PIPELINING / LIMITS RCPTMAX=10", 25, 3},
		{"452", "rcpt #8+ 452 4.5.3 too many recipients", 20, 3},
		{"552 without status", "rcpt #8+ 552 too many recipients", 20, 3},
		{"452 with CHUNKING", fullOffer + "rcpt #8+ 452 too many", 20, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost)
				s := w.serve("192.0.2.1", c.script)
				var to []string
				for i := range c.n {
					to = append(to, fmt.Sprintf("u%d@example.test", i))
				}
				at := w.deliver(plain, to...)
				for _, o := range at.Outcomes {
					if o.Disposition != mail.Delivered {
						t.Fatalf("%s: %s", o.Recipient, summary(o))
					}
				}
				var got []string
				for _, m := range s.Messages() {
					got = append(got, m.To()...)
				}
				if len(s.Messages()) != c.messages || !slices.Equal(got, to) {
					t.Errorf("%d messages to %d recipients", len(s.Messages()), len(got))
				}
			})
		})
	}
}

func TestParameters(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", fullOffer)
		tr := transactionTo(t, hello, `"a b> NOTIFY=NEVER"@example.test`)
		tr.Envelope.EnvelopeID, tr.Envelope.Return = "id +1", "HDRS"
		tr.Envelope.Recipients[0].Notify = []string{"FAILURE", "DELAY"}
		tr.Envelope.Recipients[0].OriginalType, tr.Envelope.Recipients[0].Original = "rfc822", "a=b@example.test"
		w.deliverTransaction(tr)
		commands := s.Connections()[0].Commands
		want := fmt.Sprintf("MAIL FROM:<me@us.test> SIZE=%d BODY=8BITMIME RET=HDRS ENVID=id+20+2B1", len(hello))
		if commands[1] != want {
			t.Errorf("%s\nwant %s", commands[1], want)
		}
		want = `RCPT TO:<"a b> NOTIFY=NEVER"@example.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+3Db@example.test`
		if commands[2] != want {
			t.Errorf("%s\nwant %s", commands[2], want)
		}
	})
}

func TestOriginalRecipientInUTF8(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", fullOffer)
		tr := transactionTo(t, plain, "you@example.test")
		tr.Envelope.Recipients[0].OriginalType, tr.Envelope.Recipients[0].Original = "utf-8", "j\u00f6r+g@example.test"
		w.deliverTransaction(tr)
		want := `RCPT TO:<you@example.test> ORCPT=utf-8;j\x{F6}r\x{2B}g@example.test`
		if commands := s.Connections()[0].Commands; commands[2] != want {
			t.Errorf("%s\nwant %s", commands[2], want)
		}
	})
}

func TestNullReversePathAndUTF8(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", fullOffer)
		tr := transactionTo(t, plain, "j\u00f6rg@example.test")
		tr.Envelope.From = mail.ReversePath{}
		w.deliverTransaction(tr)
		want := fmt.Sprintf("MAIL FROM:<> SIZE=%d SMTPUTF8", len(plain))
		if commands := s.Connections()[0].Commands; commands[1] != want || commands[2] != "RCPT TO:<j\u00f6rg@example.test>" {
			t.Errorf("%q", commands)
		}
	})
}

// A host without 8BITMIME gets seven bits, unless a signature covers the content.
func TestEightBitContent(t *testing.T) {
	signed := "DKIM-Signature: v=1; d=us.test\r\n" + hello
	for _, c := range []struct {
		name    string
		content text
		offer   string
		same    bool
	}{
		{"8BITMIME", hello, "offer PIPELINING / 8BITMIME", true},
		{"none", hello, "offer PIPELINING", false},
		{"none, CHUNKING", hello, "offer PIPELINING / CHUNKING", false},
		{"none, signed", signed, "offer PIPELINING", true},
		{"none, large", hello + text(strings.Repeat("Gr\u00fc\u00dfe\r\n", 20_000)), "offer PIPELINING / SIZE", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost)
				s := w.serve("192.0.2.1", c.offer)
				if got := summaries(w.deliver(c.content, "you@example.test")); got != "sent@mx1.test" {
					t.Fatal(got)
				}
				m := s.Messages()[0]
				if same := string(m.Content) == string(c.content); same != c.same {
					t.Errorf("arrived as it was: %v, want %v", same, c.same)
				}
				eight := slices.ContainsFunc(m.Content, func(b byte) bool { return b >= 0x80 })
				if eight != c.same {
					t.Errorf("holds eight bits: %v", eight)
				}
				if declared := strings.Contains(m.Mail, "BODY=8BITMIME"); declared != (c.name == "8BITMIME") {
					t.Errorf("%s", m.Mail)
				}
				if _, size, found := strings.Cut(m.Mail, "SIZE="); found && size != fmt.Sprint(m.Size) {
					t.Errorf("declared %s, sent %d", size, m.Size)
				}
			})
		})
	}
}

// Bare CR and bare LF never leave us.
func TestLineEnds(t *testing.T) {
	const messy text = "Subject: x\n\nbare LF\nbare CR\rend\r\n.\n.\r\n\r\r\nno end"
	for _, offer := range []string{"offer PIPELINING / 8BITMIME\n", fullOffer} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			s := w.serve("192.0.2.1", offer+"keep wire")
			if got := summaries(w.deliver(messy, "you@example.test")); got != "sent@mx1.test" {
				t.Fatal(got)
			}
			if n := len(s.Messages()); n != 1 {
				t.Errorf("%d messages", n)
			}
			rest := strings.ReplaceAll(string(s.Connections()[0].Wire), "\r\n", "")
			if strings.ContainsAny(rest, "\r\n") {
				t.Errorf("the wire has %q", s.Connections()[0].Wire)
			}
		})
	}
}

// A session under TLS is used again as one in clear is.
func TestTLSSessionIsReused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "tls valid mx1.test\noffer PIPELINING / CHUNKING / STARTTLS")
		for i := range 4 {
			at := w.deliver(plain, "you@example.test")
			if got := summaries(at); got != "sent@mx1.test" || at.Candidates[0].TLS == nil || at.Candidates[0].Reused != (i > 0) {
				t.Errorf("message %d: %s, %+v", i+1, got, at.Candidates[0])
			}
		}
		if n := len(s.Connections()); n != 1 {
			t.Errorf("%d connections", n)
		}
		for _, m := range s.Messages() {
			if m.RoundTrips != 1 {
				t.Errorf("%d round trips", m.RoundTrips)
			}
		}
	})
}

// The probe of an address that was down may need a second connection, when the handshake fails on the first.
func TestProbeFallsBackToClear(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.2", "")
		for range 2 {
			w.deliver(plain, "you@example.test")
		}
		w.serve("192.0.2.1", "tls\nstarttls 220 go / garbage")
		<-time.After(2 * time.Minute)
		if at := w.deliver(plain, "you@example.test"); summaries(at) != "sent@mx1.test" {
			t.Errorf("%s: %s", summaries(at), at.Candidates[0].Reason)
		}
	})
}

func TestOpportunisticTLS(t *testing.T) {
	for _, c := range []struct {
		name, script string
		tls          bool
		connections  int
	}{
		{"valid", "tls valid mx1.test", true, 1},
		{"self-signed", "tls self-signed", true, 1},
		{"expired", "tls expired", true, 1},
		{"refused with 454", "tls\nstarttls 454 4.7.0 not now", false, 1},
		{"garbage instead of TLS", "tls\nstarttls 220 go / garbage", false, 2},
		{"text behind the 220", "tls\nstarttls 220 go / 250 injected", false, 2},
		{"closes in the handshake", "tls\nstarttls 220 go / close", false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost)
				s := w.serve("192.0.2.1", c.script)
				at := w.deliver(plain, "you@example.test")
				if got := summaries(at); got != "sent@mx1.test" {
					t.Fatal(got, at.Outcomes[0].Reason)
				}
				if m := s.Messages()[0]; m.TLS != c.tls {
					t.Errorf("TLS %v", m.TLS)
				}
				if n := len(s.Connections()); n != c.connections {
					t.Errorf("%d connections, want %d", n, c.connections)
				}
				if got := at.Candidates[0].TLS; (got != nil) != c.tls || c.tls && (got.Version != "TLS 1.3" || got.Verified) {
					t.Errorf("the tree says %+v", got)
				}
			})
		})
	}
}

// The name in EHLO is ours before TLS too, and what was offered in clear is asked again inside.
func TestHelloBeforeAndAfterTLS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "tls\nehlo in-clear 250-mx / 250-STARTTLS / 250 SIZE 10\nehlo in-tls 250-mx / 250 PIPELINING")
		if got := summaries(w.deliver(plain, "you@example.test")); got != "sent@mx1.test" {
			t.Fatal(got)
		}
		if got := verbs(s.Connections()[0].Commands); !strings.HasPrefix(got, "EHLO us.test, STARTTLS, EHLO us.test, MAIL") {
			t.Error(got)
		}
	})
}

// An address whose handshake failed gets the next message in clear at once. A refusal for want of TLS is soft there.
func TestClearIsRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost, func(c *Config, _ *Deps) { c.SessionIdle = 0 })
		s := w.serve("192.0.2.1", "tls\nstarttls 220 go / garbage\nmail #1 250 ok\nconnection #3\nmail 530 5.7.0 must issue STARTTLS first\nconnection #4\nmail 550 5.7.10 encryption needed")
		for i, want := range []string{"sent@mx1.test", "deferred/4.7.0", "deferred/4.7.10"} {
			if got := summaries(w.deliver(plain, "you@example.test")); got != want {
				t.Errorf("message %d: %s, want %s", i+1, got, want)
			}
		}
		if n := len(s.Connections()); n != 4 {
			t.Errorf("%d connections", n)
		}
	})
}

// smarthostWorld has a route for everything to relay.test, port 587.
func smarthostWorld(t *testing.T, script string, change func(*Smarthost)) (*world, *smtptest.Server, *observer.ObservedLogs) {
	t.Helper()
	authority, err := smtptest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	var roots []byte
	host := Smarthost{Host: "relay.test", Username: "me", Password: "secret", CAFile: file}
	change(&host)
	core, log := observer.New(zap.ErrorLevel)
	w := newWorld(t, "relay.test. A 192.0.2.5\nus.test. A 192.0.2.100\n", func(c *Config, d *Deps) {
		c.Routes = []Route{{Domains: []string{"*"}, Smarthosts: []Smarthost{host}}}
		d.Log = zap.New(core)
	})
	addr := fmt.Sprintf("192.0.2.5:%d", host.port())
	s := w.net.Serve(t, addr, script, smtptest.WithAuthority(authority))
	roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root(authority)})
	if err := os.WriteFile(file, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	return w, s, log
}

// root is the authority's own certificate.
func root(a *smtptest.Authority) []byte {
	cert, err := a.Issue(smtptest.Valid, "x.test")
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		panic(err)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: a.Roots()})
	if err != nil {
		panic(err)
	}
	return chains[0][len(chains[0])-1].Raw
}

func TestSmarthost(t *testing.T) {
	const good = "tls valid relay.test\ncredentials me secret\n"
	for _, c := range []struct {
		name, script string
		change       func(*Smarthost)
		want         string
	}{
		{"PLAIN", good, func(*Smarthost) {}, "sent@relay.test"},
		{"LOGIN", good, func(s *Smarthost) { s.Mechanism = "login" }, "sent@relay.test"},
		{"XOAUTH2", good, func(s *Smarthost) { s.Mechanism = "XOAUTH2" }, "sent@relay.test"},
		{"OAUTHBEARER", good, func(s *Smarthost) { s.Mechanism = "OAUTHBEARER" }, "sent@relay.test"},
		{"implicit TLS", "implicit-tls valid relay.test\ncredentials me secret", func(s *Smarthost) { s.TLS = TLSImplicit }, "sent@relay.test"},
		{"wrong password", good, func(s *Smarthost) { s.Password = "guess" }, "deferred/4.7.8"},
		{"wrong token", good, func(s *Smarthost) { s.Mechanism, s.Password = "XOAUTH2", "old" }, "deferred/4.7.8"},
		{"454 to AUTH", good + "auth 454 4.7.0 later", func(*Smarthost) {}, "deferred/4.7.8"},
		{"no AUTH offered", "tls valid relay.test", func(*Smarthost) {}, "deferred/4.7.8"},
		{"530 at MAIL", good + "mail 530 5.7.0 authenticate first", func(*Smarthost) {}, "deferred/4.7.8"},
		{"no STARTTLS offered", "credentials me secret", func(*Smarthost) {}, "deferred/4.7.5"},
		{"STARTTLS refused", good + "starttls 454 4.7.0 not now", func(*Smarthost) {}, "deferred/4.7.5"},
		{"wrong certificate", "tls wrong-name\ncredentials me secret", func(*Smarthost) {}, "deferred/4.7.5"},
		{"self-signed certificate", "tls self-signed relay.test\ncredentials me secret", func(*Smarthost) {}, "deferred/4.7.5"},
		{"expired certificate", "tls expired relay.test\ncredentials me secret", func(*Smarthost) {}, "deferred/4.7.5"},
		{"wrong certificate, not verified", "tls wrong-name\ncredentials me secret", func(s *Smarthost) { no := false; s.Verify = &no }, "sent@relay.test"},
		{"in clear, told so", "credentials me secret", func(s *Smarthost) { s.TLS, s.InsecureAuth, s.CAFile = TLSNone, true, "" }, "sent@relay.test"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w, s, log := smarthostWorld(t, c.script, c.change)
				at := w.deliver(plain, "you@example.test")
				if got := summaries(at); got != c.want {
					t.Fatalf("%s, want %s: %s", got, c.want, at.Outcomes[0].Reason)
				}
				if alarmed := log.Len() > 0; alarmed != (c.want == "deferred/4.7.8") {
					t.Errorf("alarm: %v", log.All())
				}
				for _, connection := range s.Connections() {
					if connection.TLS == nil && len(connection.Auths) > 0 && !strings.HasPrefix(c.name, "in clear") {
						t.Error("credentials were sent in clear")
					}
				}
				for _, stage := range at.Candidates[0].Stages {
					if strings.Contains(fmt.Sprint(stage), "secret") {
						t.Errorf("the tree holds the password: %v", stage)
					}
				}
			})
		})
	}
}

// Refused credentials are not shown again for five minutes.
func TestCredentialsRest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w, s, _ := smarthostWorld(t, "tls valid relay.test\ncredentials me other", func(*Smarthost) {})
		for range 3 {
			if got := summaries(w.deliver(plain, "you@example.test")); got != "deferred/4.7.8" {
				t.Error(got)
			}
		}
		if n := len(s.Connections()); n != 1 {
			t.Errorf("%d connections while the credentials rest", n)
		}
		<-time.After(5*time.Minute + time.Second)
		w.deliver(plain, "you@example.test")
		if n := len(s.Connections()); n != 2 {
			t.Errorf("%d connections after the rest", n)
		}
	})
}

// An idle session without TLS is not taken where TLS is wanted, nor one of other credentials.
func TestIdleSessionsAreNotMixed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		to := target{host: "mx1.test", level: TLSOpportunistic}
		other := to
		other.level = TLSStartTLS
		other.smarthost = &Smarthost{Host: "mx1.test", Username: "me"}
		if w.agent.idleKey(to, false) == w.agent.idleKey(to, true) || w.agent.idleKey(to, true) == w.agent.idleKey(other, true) {
			t.Error("keys are equal")
		}
		third := other
		third.smarthost = &Smarthost{Host: "mx1.test", Username: "you"}
		if w.agent.idleKey(other, true) == w.agent.idleKey(third, true) {
			t.Error("credentials are mixed")
		}
	})
}
