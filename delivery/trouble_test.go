package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/mail"
)

const fiveHosts = `
example.test.  MX 10 mx1.test.
example.test.  MX 20 mx2.test.
example.test.  MX 30 mx3.test.
example.test.  MX 40 mx4.test.
example.test.  MX 50 mx5.test.
mx1.test. A 192.0.2.1
mx2.test. A 192.0.2.2
mx3.test. A 192.0.2.3
mx4.test. A 192.0.2.4
mx5.test. A 192.0.2.5
us.test.  A 192.0.2.100
`

// dualPrimary has a primary with two addresses, and a backup.
const dualPrimary = `
example.test.  MX 10 mx1.test.
example.test.  MX 20 mx2.test.
mx1.test. AAAA 2001:db8::1
mx1.test. A 192.0.2.1
mx2.test. A 192.0.2.2
us.test.  A 192.0.2.100
`

// loopbackBackup has a backup that no mail may go to.
const loopbackBackup = `
example.test.  MX 10 mx1.test.
example.test.  MX 20 lo.test.
mx1.test. A 192.0.2.1
lo.test.  A 127.0.0.1
us.test.  A 192.0.2.100
`

// trouble is a world, what its hosts do by address, and what is to become of the recipients.
type trouble struct {
	name, zone string
	hosts      map[string]string
	to         string
	want       string
}

func (c trouble) run(t *testing.T) {
	t.Run(c.name, func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, c.zone)
			for ip, script := range c.hosts {
				w.serve(ip, script)
			}
			at := w.deliver(plain, strings.Fields(c.to)...)
			if got := summaries(at); got != c.want {
				t.Errorf("%s\nwant %s\n%s", got, c.want, story(at))
			}
		})
	})
}

const you = "you@example.test"

func TestTroubles(t *testing.T) {
	const limited = "offer PIPELINING / LIMITS RCPTMAX=2\nrcpt <bad@.*> 550 5.1.1 no such user\n"
	const chunking = "offer PIPELINING / CHUNKING\n"
	const three = "bad@example.test good@example.test third@example.test"
	small := "offer SIZE 10"
	for _, c := range []trouble{
		{"another's refusal is not inherited: lost at DATA", oneHost, map[string]string{"192.0.2.1": limited + "data close"}, three,
			"bounced/5.1.1@mx1.test deferred/4.4.2 deferred/4.4.2"},
		{"another's refusal is not inherited: lost at the dot", oneHost, map[string]string{"192.0.2.1": limited + "dot close"}, three,
			"bounced/5.1.1@mx1.test deferred/4.4.2? deferred/4.4.2"},
		{"another's refusal is not inherited: 250 to DATA", oneHost, map[string]string{"192.0.2.1": limited + "data 250 what"}, three,
			"bounced/5.1.1@mx1.test deferred/4.5.0 deferred/4.4.2"},
		{"success behind the 354", oneHost, map[string]string{"192.0.2.1": `data raw 354 go\r\n250 2.0.0 queued\r\n / stall`}, you, "deferred/4.5.0"},
		{"refusal behind the 354", oneHost, map[string]string{"192.0.2.1": `data raw 354 go\r\n552 5.3.4 too big\r\n / stall`}, you, "bounced/5.3.4@mx1.test"},
		{"two replies to MAIL, BDAT refused", oneHost, map[string]string{"192.0.2.1": chunking + `mail raw 250 ok\r\n250 ok again\r\n` + "\ndot 554 5.7.1 spam"}, you, "deferred/4.4.2?"},
		{"a reply behind EHLO's", oneHost, map[string]string{"192.0.2.1": `ehlo raw 250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n250 extra\r\n`}, you, "deferred/4.5.0"},
		{"two greetings", oneHost, map[string]string{"192.0.2.1": "banner 220 a / 220 b"}, you, "deferred/4.5.0"},
		{"250 to BDAT, and a goodbye behind it", oneHost, map[string]string{"192.0.2.1": chunking + "dot 250 2.0.0 ok / 421 4.3.2 bye / close"}, you, "sent@mx1.test"},
		{"354 to EHLO", oneHost, map[string]string{"192.0.2.1": "ehlo 354 what"}, you, "deferred/4.5.0"},
		{"354 to STARTTLS", oneHost, map[string]string{"192.0.2.1": "tls\nstarttls 354 what"}, you, "deferred/4.5.0"},
		{"SMTPUTF8 for one of two", oneHost, map[string]string{"192.0.2.1": "offer 8BITMIME"}, "gr\u00fcn@example.test ascii@example.test", "bounced/5.6.7@mx1.test sent@mx1.test"},
		{"five hosts, all too small", fiveHosts, map[string]string{"192.0.2.1": small, "192.0.2.2": small, "192.0.2.3": small, "192.0.2.4": small, "192.0.2.5": small},
			you, "bounced/5.3.4@mx1.test"},
		{"too small over two addresses, the backup is not", dualPrimary, map[string]string{"2001:db8::1": small, "192.0.2.1": small, "192.0.2.2": ""}, you, "sent@mx2.test"},
		{"one address down, the other too small", dual, map[string]string{"192.0.2.1": small}, you, "bounced/5.3.4@mx1.test"},
		{"the budget does not cut the wait after BDAT", twoHosts, map[string]string{"192.0.2.1": chunking + "mail sleep 4m / 250 ok\nrcpt sleep 4m / 250 ok", "192.0.2.2": ""},
			you, "sent@mx1.test"},
		{"a slow dot does not spend the next transaction's time", twoHosts, map[string]string{"192.0.2.1": "offer PIPELINING / LIMITS RCPTMAX=1\ndot sleep 8m / 250 ok"},
			"a@example.test b@example.test", "sent@mx1.test sent@mx1.test"},
		{"greylisting with CHUNKING sends no content", fiveHosts, map[string]string{"192.0.2.1": chunking + "rcpt 450 4.2.0 grey", "192.0.2.2": ""}, you, "sent@mx2.test"},
		{"a protocol error is the host's word", dualPrimary, map[string]string{"2001:db8::1": "data 250 what", "192.0.2.1": "", "192.0.2.2": ""}, you, "sent@mx2.test"},
		{"in doubt, and the same address under another name", "example.test. MX 10 mx1.test.\nexample.test. MX 20 mx2.test.\nmx1.test. A 192.0.2.1\nmx2.test. A 192.0.2.1\nus.test. A 192.0.2.100\n",
			map[string]string{"192.0.2.1": "connection #1\ndot close"}, you, "deferred/4.4.2?"},
		{"452 before any acceptance is an ordinary reply", oneHost, map[string]string{"192.0.2.1": "rcpt <bad@.*> 452 4.5.3 too many"}, "bad@example.test good@example.test",
			"deferred/4.5.3 sent@mx1.test"},
		{"250 to DATA for nobody", oneHost, map[string]string{"192.0.2.1": "rcpt 550 5.1.1 no\ndata 250 what"}, you, "bounced/5.1.1@mx1.test"},
		{"too small, and the other host is one that must not be used", loopbackBackup, map[string]string{"192.0.2.1": small}, you, "bounced/5.3.4@mx1.test"},
		{"no SMTPUTF8, and the other host is one that must not be used", loopbackBackup, map[string]string{"192.0.2.1": "offer 8BITMIME"}, "gr\u00fcn@example.test", "bounced/5.6.7@mx1.test"},
		{"MAILMAX of one", oneHost, map[string]string{"192.0.2.1": "offer PIPELINING / LIMITS MAILMAX=1 RCPTMAX=1\nmail #2+ 421 4.7.0 too many / close"},
			"a@example.test b@example.test", "sent@mx1.test sent@mx1.test"},
		{"MAILMAX of one, and more recipients than sessions", oneHost, map[string]string{"192.0.2.1": "offer PIPELINING / LIMITS MAILMAX=1 RCPTMAX=1"},
			"a@example.test b@example.test c@example.test d@example.test", "sent@mx1.test sent@mx1.test deferred/4.3.0 deferred/4.3.0"},
	} {
		c.run(t)
	}
}

// changing is content that is not the same at each reading.
type changing func(reading int32) (string, error)

type changingContent struct {
	read    changing
	opens   atomic.Int32
	claimed int64
}

func (c *changingContent) Size() int64 { return c.claimed }
func (c *changingContent) Open() (io.ReadCloser, error) {
	text, err := c.read(c.opens.Add(1))
	if err == nil {
		return io.NopCloser(strings.NewReader(text)), nil
	}
	return io.NopCloser(io.MultiReader(strings.NewReader(text), failing{err})), nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Content that cannot be read again, or is shorter than it was, never arrives cut short.
func TestContentThatChanges(t *testing.T) {
	for reading := int32(1); reading < 8; reading++ {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, twoHosts)
			w.serve("192.0.2.1", "offer PIPELINING")
			backup := w.serve("192.0.2.2", "offer PIPELINING")
			content := &changingContent{claimed: hello.Size(), read: func(n int32) (string, error) {
				if n == reading {
					return string(hello[:len(hello)-6]), errors.New("input/output error")
				}
				return string(hello), nil
			}}
			o := w.deliver(content, you).Outcomes[0]
			if o.Disposition != mail.Delivered && o.Scope != mail.ScopeLocal {
				t.Errorf("reading %d fails: %s, scope %s", reading, summary(o), o.Scope)
			}
			for _, m := range backup.Messages() {
				if !strings.HasSuffix(string(m.Content), "end\r\n") {
					t.Errorf("reading %d fails: the backup has %q", reading, m.Content)
				}
			}
		})
	}
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "")
		long := strings.Repeat("x\r\n", 100_000)
		content := &changingContent{claimed: int64(len(long)), read: func(n int32) (string, error) {
			if n > 1 {
				return "x\r\n", nil
			}
			return long, nil
		}}
		if o := w.deliver(content, you).Outcomes[0]; o.Scope != mail.ScopeLocal || len(s.Messages()) != 0 {
			t.Errorf("%s, scope %s, %d messages", summary(o), o.Scope, len(s.Messages()))
		}
	})
}

// A refusal in mid-content ends a write that waits for a remote which reads no more.
func TestRefusalWakesABlockedWrite(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "data 354 go / flush / sleep 5s / 552 5.3.4 too big / stop-reading")
		began := time.Now()
		at := w.deliver(text(strings.Repeat("a line of a large message\r\n", 100_000)), you)
		if took := time.Since(began); summaries(at) != "bounced/5.3.4@mx1.test" || took != 5*time.Second {
			t.Errorf("%s after %s", summaries(at), took)
		}
	})
}

// A line break in a parameter would be a command.
func TestEnvelopeThatInjects(t *testing.T) {
	for _, change := range []func(*mail.Envelope){
		func(e *mail.Envelope) { e.Return = "FULL\r\nRCPT TO:<evil@example.test>" },
		func(e *mail.Envelope) { e.Recipients[0].Notify = []string{"NEVER\r\nRCPT TO:<evil@example.test>"} },
		func(e *mail.Envelope) { e.Recipients[0].Original, e.Recipients[0].OriginalType = "x", "rfc822\r\nDATA" },
		func(e *mail.Envelope) { e.Recipients[0].Original = "x" },
		func(e *mail.Envelope) { e.Recipients[0].Address.Local = "a\r\nDATA\r\n" },
		func(e *mail.Envelope) { e.From.Domain = "us.test>\r\nDATA" },
	} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			s := w.serve("192.0.2.1", "")
			tr := transactionTo(t, plain, you)
			change(&tr.Envelope)
			if o := w.deliverTransaction(tr).Outcomes[0]; o.Scope != mail.ScopeLocal || len(s.Connections()) != 0 {
				t.Errorf("%s, scope %s, %d connections: %s", summary(o), o.Scope, len(s.Connections()), o.Reason)
			}
		})
	}
}

// withRelays sends everything to the smarthosts.
func withRelays(hosts ...Smarthost) func(*Config, *Deps) {
	return func(c *Config, _ *Deps) { c.Routes = []Route{{Domains: []string{"*"}, Smarthosts: hosts}} }
}

// clearRelay is a smarthost with credentials in clear, port 25.
func clearRelay(host string) Smarthost {
	return Smarthost{Host: host, Port: 25, Username: "u", Password: "secret", TLS: TLSNone, InsecureAuth: true}
}

const relays = `
relay1.test. AAAA 2001:db8::1
relay1.test. A 192.0.2.1
relay2.test. A 192.0.2.2
us.test.  A 192.0.2.100
`

// Credentials that one address of a smarthost refused are not shown to the other.
func TestRefusedCredentialsAreShownOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, relays, withRelays(clearRelay("relay1.test"), clearRelay("relay2.test")))
		v6 := w.serve("2001:db8::1", "offer AUTH PLAIN\nauth 535 5.7.8 no")
		v4 := w.serve("192.0.2.1", "offer AUTH PLAIN\nauth 535 5.7.8 no")
		w.serve("192.0.2.2", "offer AUTH PLAIN\nauth 235 ok")
		if got := summaries(w.deliver(plain, you)); got != "sent@relay2.test" {
			t.Error(got)
		}
		if n := len(v6.Connections()) + len(v4.Connections()); n != 1 {
			t.Errorf("%d connections to the first smarthost", n)
		}
	})
}

// A connection that ends in AUTH is no judgement on the credentials.
func TestAuthThatEndsIsNoRefusal(t *testing.T) {
	for _, script := range []string{"auth close", "auth 421 4.3.2 restarting / close", "auth stall"} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, relays, withRelays(clearRelay("relay2.test")))
			w.serve("192.0.2.2", "offer AUTH PLAIN\nauth 235 ok\nconnection #1\n"+script)
			if got := w.deliver(plain, you).Outcomes[0]; got.Disposition != mail.Deferred {
				t.Errorf("%s: %s", script, summary(got))
			}
			if got := summaries(w.deliver(plain, you)); got != "sent@relay2.test" {
				t.Errorf("the next message after %s: %s", script, got)
			}
		})
	}
}

// Two smarthosts of one name, on two ports, are two hosts.
func TestSmarthostsOfOneName(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, relays, withRelays(Smarthost{Host: "relay2.test", Port: 25, TLS: TLSNone}, Smarthost{Host: "relay2.test", Port: 26, TLS: TLSNone}))
		w.serve("192.0.2.2", "mail 451 4.3.0 busy")
		second := w.net.Serve(t, "192.0.2.2:26", "")
		if got := summaries(w.deliver(plain, you)); got != "sent@relay2.test" || len(second.Messages()) != 1 {
			t.Error(got)
		}
	})
}

// A smarthost that wants credentials where there are none raises one alarm, not one for each recipient.
func TestOneAlarm(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		core, log := observer.New(zap.ErrorLevel)
		w := newWorld(t, relays, withRelays(Smarthost{Host: "relay2.test", Port: 25, TLS: TLSNone}), func(_ *Config, d *Deps) { d.Log = zap.New(core) })
		w.serve("192.0.2.2", "rcpt 530 5.7.0 authentication required")
		w.deliver(plain, "a@example.test", "b@example.test", "c@example.test")
		if log.Len() != 1 || !strings.Contains(log.All()[0].Message, "wants credentials") {
			t.Errorf("%v", log.All())
		}
	})
}

// Another message's failed handshake never makes a smarthost get credentials in clear.
func TestClearMemoryIsNotForCredentials(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost+"relay.test. A 192.0.2.1\n", func(c *Config, _ *Deps) {
			relay := clearRelay("relay.test")
			relay.TLS = TLSOpportunistic
			c.Routes = []Route{{Domains: []string{"other.test"}, Smarthosts: []Smarthost{relay}}}
			c.SessionIdle = 0
		})
		s := w.serve("192.0.2.1", "tls\ncredentials u secret\nconnection #1\nstarttls 220 go / garbage 20 / close")
		w.deliver(plain, you)
		if got := summaries(w.deliver(plain, "you@other.test")); got != "sent@relay.test" {
			t.Error(got)
		}
		for _, c := range s.Connections() {
			if len(c.Auths) > 0 && c.TLS == nil {
				t.Error("the credentials went in clear")
			}
		}
	})
}

// A token that does not fit a command line is sent when the server asks for it.
func TestLongToken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		relay := clearRelay("relay2.test")
		relay.Mechanism, relay.Password = "XOAUTH2", strings.Repeat("t", 3000)
		w := newWorld(t, relays, withRelays(relay))
		s := w.serve("192.0.2.2", "credentials u "+relay.Password)
		if got := summaries(w.deliver(plain, you)); got != "sent@relay2.test" {
			t.Error(got)
		}
		if c := s.Connections()[0].Commands; c[1] != "AUTH XOAUTH2" {
			t.Errorf("%.100q", c)
		}
	})
}

// What the configuration writes in capitals, with a final dot or in Unicode is the same name.
func TestRoutePatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, domain string
		want            bool
	}{
		{"*", "example.org", true},
		{"example.org", "example.org", true},
		{"Example.ORG.", "example.org", true},
		{"example.org", "sub.example.org", false},
		{".example.org", "sub.example.org", true},
		{".example.org", "example.org", false},
		{".example.org.", "sub.example.org", true},
		{".b\u00fccher.example", "a.xn--bcher-kva.example", true},
		{"[192.0.2.1]", "[192.0.2.1]", true},
	} {
		routes := []Route{{Domains: []string{c.pattern}, Smarthosts: []Smarthost{{Host: "relay.test"}}}}
		if err := checkRoutes(routes); err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		if got := len(findRoute(canonicalRoutes(routes), mail.Domain(c.domain)).Smarthosts) > 0; got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.domain, got)
		}
	}
	for _, bad := range []Smarthost{{}, {Host: "not a host\r\n"}, {Host: "a.test", Port: 70000}, {Host: "a.test", TLS: "maybe"}, {Host: "a.test", Username: "u"},
		{Host: "a.test", Username: "u", Password: "p", TLS: TLSNone}, {Host: "a.test", Password: "p"}, {Host: "a.test", CAFile: "x", TLS: TLSNone}} {
		if bad.check("x") == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// Our shutdown while the DNS is asked is ours, whatever the DNS was about to say.
func TestShutdownInDNS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost+"; fault: example.test MX drop\n")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if o := w.agent.Deliver(ctx, transactionTo(t, plain, you)).Outcomes[0]; o.Scope != mail.ScopeLocal || o.Disposition != mail.Deferred {
			t.Errorf("%s, scope %s", summary(o), o.Scope)
		}
	})
}

// A refusal whose second opinion was not heard because we are stopped is asked again in the next attempt.
func TestShutdownBeforeTheSecondOpinion(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, dual)
		w.serve("2001:db8::1", "mail 550 5.7.1 no")
		w.serve("192.0.2.1", "banner stall")
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if o := w.agent.Deliver(ctx, transactionTo(t, plain, you)).Outcomes[0]; o.Disposition != mail.Deferred || o.Scope != mail.ScopeLocal {
			t.Errorf("%s, scope %s", summary(o), o.Scope)
		}
	})
}

// Called off in TLS, from another goroutine: the race detector watches.
func TestShutdownInTLS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "tls\nehlo in-tls stall")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if o := w.agent.Deliver(ctx, transactionTo(t, plain, you)).Outcomes[0]; o.Scope != mail.ScopeLocal {
			t.Errorf("%s, scope %s", summary(o), o.Scope)
		}
	})
}

// What hundreds of recipients are told at length is kept in short.
func TestTreeIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "rcpt endless-lines 15 550-{x*4000} / 550 x")
		var to []string
		for i := range 300 {
			to = append(to, fmt.Sprintf("u%d@example.test", i))
		}
		at := w.deliver(plain, to...)
		octets := 0
		for _, c := range at.Candidates {
			for _, s := range c.Stages {
				octets += len(strings.Join(s.Reply.Lines, ""))
			}
		}
		for _, o := range at.Outcomes {
			octets += len(o.Reason)
		}
		if octets > 1<<20 {
			t.Errorf("the tree holds %d octets", octets)
		}
	})
}

// The tree says how the last connection of a visit ended, not the first, and times the dot from the dot on.
func TestTreeTellsTheLastConnection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "connection #1\nmail #2 421 4.4.2 idle / close\nconnection #2\ndata 354 go / read 200 / sleep 60s")
		w.deliver(plain, you)
		at := w.deliver(text(strings.Repeat("a line of a large message\r\n", 10_000)), you)
		c := at.Candidates[0]
		if summaries(at) != "sent@mx1.test" || c.ClosedBy != "" || c.Reused {
			t.Errorf("%s, closed by %q, reused %v", summaries(at), c.ClosedBy, c.Reused)
		}
		if last := c.Stages[len(c.Stages)-1]; last.Stage != mail.StageDot || last.Took != 0 {
			t.Errorf("%s took %s", last.Stage, last.Took)
		}
	})
}

// A pretended refusal costs what a real one costs.
func TestPretendedIsAsReal(t *testing.T) {
	all := func(script string) string {
		var got string
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, fiveHosts)
			for i := 1; i <= 5; i++ {
				w.serve(fmt.Sprintf("192.0.2.%d", i), script)
			}
			got = story(w.deliver(plain, you))
		})
		return got
	}
	for effect, script := range map[string]string{"450": "rcpt 450 4.0.0 later", "451@dot": "dot 451 4.0.0 later", "421@greeting": "banner 421 4.0.0 no / close"} {
		want := all(script)
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, fiveHosts, func(_ *Config, d *Deps) {
				for i := 1; i <= 5; i++ {
					m, err := ParseMask(fmt.Sprintf("mx%d.test=%s", i, effect))
					if err != nil {
						t.Fatal(err)
					}
					d.Masks = append(d.Masks, m)
				}
			})
			if got := story(w.deliver(plain, you)); got != want {
				t.Errorf("%s: %s\nreal: %s", effect, got, want)
			}
		})
	}
}

// The loser of a race that was not let through frees nobody's probe.
func TestLoserFreesNoOthersProbe(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		addr := netip.MustParseAddrPort("192.0.2.1:25")
		for range 2 {
			w.agent.health.failed(addr, time.Now(), false)
		}
		<-time.After(2 * time.Minute)
		if probe, _ := w.agent.health.begin(addr, time.Now()); !probe {
			t.Fatal("no probe")
		}
		walk := w.agent.begin(context.Background(), transactionTo(t, plain, you))
		walk.giveBack(&candidate{target: target{addr: addr}})
		if _, reason := w.agent.health.begin(addr, time.Now()); reason == "" {
			t.Error("a second probe is let through")
		}
	})
}
