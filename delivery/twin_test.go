package delivery

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

func onePerAddress(c *Config, _ *Deps) { c.MaxPerAddress = 1 }

// A refusal by policy whose second opinion we could not hear, for trouble of our own, is no verdict: the next attempt asks again.
func TestSecondOpinionThatWeCouldNotHear(t *testing.T) {
	const refuses = "mail 550 5.7.1 no"
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, dual, onePerAddress)
		w.serve("2001:db8::1", refuses)
		w.serve("192.0.2.1", "")
		w.agent.lines.take(netip.MustParseAddrPort("192.0.2.1:25"))
		o := w.deliver(plain, you).Outcomes[0]
		if o.Disposition != mail.Deferred || o.Scope != mail.ScopeLocal || o.Stage != mail.StageConnect || !strings.Contains(o.Reason, "max_per_address") {
			t.Errorf("%s, scope %s: %s", summary(o), o.Scope, o.Reason)
		}
	})
	inBubble(t, func(t *testing.T) { // down in memory, and not in fact: it is asked, since no other can take the refusal back
		w := newWorld(t, dual)
		w.serve("2001:db8::1", refuses)
		w.serve("192.0.2.1", "")
		for range 2 {
			w.agent.health.failed(netip.MustParseAddrPort("192.0.2.1:25"), time.Now(), false)
		}
		if got := summaries(w.deliver(plain, you)); got != "sent@mx1.test" {
			t.Error(got)
		}
	})
	inBubble(t, func(t *testing.T) { // the content cannot be read a second time
		w := newWorld(t, dual)
		w.serve("2001:db8::1", refuses)
		w.serve("192.0.2.1", "")
		content := text("Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 100_000))
		changed := &changingContent{claimed: content.Size(), read: func(n int32) (string, error) {
			if n > 1 {
				return "x\r\n", nil
			}
			return string(content), nil
		}}
		if o := w.deliver(changed, you).Outcomes[0]; o.Disposition != mail.Deferred || o.Scope != mail.ScopeLocal {
			t.Errorf("%s, scope %s", summary(o), o.Scope)
		}
	})
}

// The rules of the second opinion.
func TestSecondOpinionRules(t *testing.T) {
	const refuses = "mail 550 5.7.1 no"
	two := "a@example.test b@example.test"
	for _, c := range []trouble{
		{"refused at MAIL, and some at RCPT there", dual, map[string]string{"2001:db8::1": refuses, "192.0.2.1": "rcpt <a@.*> 550 5.1.1 no"}, two,
			"bounced/5.7.1@mx1.test sent@mx1.test"},
		{"few messages a session", dual, map[string]string{"2001:db8::1": refuses, "192.0.2.1": "offer PIPELINING / LIMITS MAILMAX=1 RCPTMAX=1"}, two,
			"sent@mx1.test sent@mx1.test"},
		{"5.7.x at the dot is no policy of a network", dual, map[string]string{"2001:db8::1": "dot 550 5.7.1 spam", "192.0.2.1": ""}, you, "bounced/5.7.1@mx1.test"},
		{"in doubt there", dual, map[string]string{"2001:db8::1": refuses, "192.0.2.1": "dot close"}, you, "bounced/5.7.1@mx1.test"},
		{"no backup is asked", dualPrimary, map[string]string{"2001:db8::1": refuses, "192.0.2.1": "mail 451 4.3.0 later", "192.0.2.2": ""}, you, "bounced/5.7.1@mx1.test"},
		{"a connection refused there", dual, map[string]string{"2001:db8::1": refuses}, you, "bounced/5.7.1@mx1.test"},
		{"not at different stages", dual, map[string]string{"2001:db8::1": "offer PIPELINING / LIMITS RCPTMAX=1\nmail #2 550 5.7.1 no\nrcpt <a@.*> 550 5.7.1 no", "192.0.2.1": ""}, two,
			"bounced/5.7.1@mx1.test bounced/5.7.1@mx1.test"},
	} {
		c.run(t)
	}
}

// The second opinion is no fourth session.
func TestSecondOpinionIsWithinTheLimits(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, `
example.test.  MX 10 mx1.test.
example.test.  MX 20 mx2.test.
example.test.  MX 30 mx3.test.
mx1.test. A 192.0.2.1
mx2.test. A 192.0.2.2
mx3.test. AAAA 2001:db8::3
mx3.test. A 192.0.2.3
us.test.  A 192.0.2.100
`)
		w.serve("192.0.2.1", "mail 451 4.3.0 later")
		w.serve("192.0.2.2", "mail 451 4.3.0 later")
		w.serve("2001:db8::3", "mail 550 5.7.1 no")
		v4 := w.serve("192.0.2.3", "")
		if got := summaries(w.deliver(plain, you)); got != "bounced/5.7.1@mx3.test" || len(v4.Connections()) != 0 {
			t.Errorf("%s, %d connections", got, len(v4.Connections()))
		}
	})
}
