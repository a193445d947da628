package delivery

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// Where as many connections are open as may be, an attempt comes back as busy: counted against nobody, and not sent to the backup.
func TestConnectionsToOneAddress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts, func(c *Config, _ *Deps) { c.MaxPerAddress = 2 })
		w.serve("192.0.2.1", "dot sleep 10s / 250 ok")
		backup := w.serve("192.0.2.2", "")
		var wait sync.WaitGroup
		for i := range 2 {
			wait.Go(func() {
				if got := summaries(w.deliver(plain, fmt.Sprintf("u%d@example.test", i))); got != "sent@mx1.test" {
					t.Error(got)
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		o := w.deliver(plain, "you@example.test").Outcomes[0]
		if o.Disposition != mail.Deferred || o.Scope != mail.ScopeLocal || o.Stage != mail.StageConnect || !strings.Contains(o.Reason, "max_per_address") {
			t.Errorf("%+v", o)
		}
		if time.Since(began) != 0 {
			t.Errorf("it waited for %s", time.Since(began))
		}
		if n := len(backup.Messages()); n != 0 {
			t.Errorf("the backup has %d messages", n)
		}
		wait.Wait()
		if got := summaries(w.deliver(plain, "you@example.test")); got != "sent@mx1.test" {
			t.Errorf("with the connections idle: %s", got)
		}
	})
}

// What is closed is not counted any more, however it ended.
func TestConnectionsAreCountedDown(t *testing.T) {
	for _, script := range []string{"", "banner close", "banner 554 no / close", "ehlo close", "rcpt 450 later", "dot close"} {
		t.Run(script, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost)
				w.serve("192.0.2.1", script)
				w.deliver(plain, "you@example.test")
				w.agent.Close()
				if n := len(w.agent.lines.open); n != 0 {
					t.Errorf("connections to %d addresses are counted", n)
				}
			})
		})
	}
}

// While there is work, sessions are used up before new ones are made, whichever of the equal hosts they are with.
func TestIdleSessionsOfEqualHosts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, `
example.test.  MX 10 mx1.test.
example.test.  MX 10 mx2.test.
example.test.  MX 10 mx3.test.
mx1.test.      A 192.0.2.1
mx2.test.      A 192.0.2.2
mx3.test.      A 192.0.2.3
us.test.       A 192.0.2.100
`)
		var servers []*smtptest.Server
		for i := range 3 {
			servers = append(servers, w.serve(fmt.Sprintf("192.0.2.%d", i+1), ""))
		}
		for i := range 20 {
			tr := transactionTo(t, plain, "you@example.test")
			tr.Message = fmt.Sprint(i)
			if got := summaries(w.deliverTransaction(tr)); !strings.HasPrefix(got, "sent@") {
				t.Error(got)
			}
		}
		sessions := 0
		for _, s := range servers {
			sessions += len(s.Connections())
		}
		if sessions != 1 {
			t.Errorf("%d sessions for 20 messages one after another", sessions)
		}
	})
}
