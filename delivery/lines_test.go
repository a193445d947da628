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

// Idle sessions under other names give way to one that is wanted, and the longest idle first.
func TestIdleSessionsGiveWay(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, `
a.test.   MX 10 mxa.test.
b.test.   MX 10 mxb.test.
c.test.   MX 10 mxc.test.
mxa.test. A 192.0.2.1
mxb.test. A 192.0.2.1
mxc.test. A 192.0.2.1
us.test.  A 192.0.2.100
`, func(c *Config, _ *Deps) { c.MaxPerAddress = 2 })
		s := w.serve("192.0.2.1", "quit stall")
		for _, c := range []struct {
			to          string
			connections int
		}{{"x@a.test", 1}, {"x@b.test", 2}, {"x@c.test", 3}, {"x@b.test", 3}, {"x@a.test", 4}} {
			if got := summaries(w.deliver(plain, c.to)); !strings.HasPrefix(got, "sent@") {
				t.Errorf("%s: %s", c.to, got)
			}
			synctest.Wait()
			if n := len(s.Connections()); n != c.connections {
				t.Errorf("%s: %d connections, want %d", c.to, n, c.connections)
			}
			<-time.After(time.Second)
		}
	})
}

// What is not used again holds no place while it says QUIT: a second connection within one attempt finds one, at the limit too.
func TestPlacesAreFreeAtOnce(t *testing.T) {
	for _, c := range []struct {
		name, script string
		change       func(*Config, *Deps)
	}{
		{"a stale session", "connection #1\nmail #2 close", onePerAddress},
		{"a failed handshake", "tls\nstarttls 220 go / garbage", onePerAddress},
		{"a session that is used up", "quit stall", func(c *Config, _ *Deps) { c.MaxPerAddress, c.SessionUses = 1, 1 }},
		{"no idle sessions", "quit stall", func(c *Config, _ *Deps) { c.MaxPerAddress, c.SessionIdle = 1, 0 }},
		{"an idle session that expires", "quit stall", func(c *Config, _ *Deps) { c.MaxPerAddress, c.SessionIdle = 1, time.Nanosecond }},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 10 {
				inBubble(t, func(t *testing.T) {
					w := newWorld(t, oneHost, c.change)
					w.serve("192.0.2.1", c.script)
					for range 2 {
						if got := summaries(w.deliver(plain, "you@example.test")); got != "sent@mx1.test" {
							t.Error(got)
						}
						synctest.Wait()
					}
				})
			}
		})
	}
}
