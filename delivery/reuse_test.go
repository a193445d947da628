package delivery

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// A session whose state is not known, or that the remote still waits on, is not used for the next message.
func TestSessionsThatAreNotUsedAgain(t *testing.T) {
	large := text(plain + text(strings.Repeat("a line of a large message\r\n", 20_000)))
	for _, c := range []struct {
		name, script string
		first        text
		connections  int
	}{
		{"250 to DATA for nobody", "connection #1\nrcpt 550 5.1.1 no\ndata 250 what", plain, 2},
		{"503 to DATA for nobody", "connection #1\nrcpt #1 550 5.1.1 no\ndata 503 5.5.1 no valid recipients\nconnection #2\nmail 451 second", plain, 1},
		{"a reply in mid-content", "connection #1\ndata 354 go / flush / read 200 / 552 5.3.4 too big / stop-reading", large, 2},
		{"a 4xx in mid-content", "connection #1\ndata 354 go / flush / read 200 / 452 4.3.1 full / stop-reading", large, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost)
				s := w.serve("192.0.2.1", c.script)
				w.deliver(c.first, you)
				w.deliver(plain, you)
				if n := len(s.Connections()); n != c.connections {
					t.Errorf("%d connections, want %d", n, c.connections)
				}
			})
		})
	}
}

// After a refused BDAT only RSET makes the state known (RFC 3030 s2).
func TestRSETAfterARefusedBDAT(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "offer PIPELINING / CHUNKING\ndot #1 554 5.7.1 spam")
		for _, want := range []string{"bounced/5.7.1@mx1.test", "sent@mx1.test", "sent@mx1.test"} {
			if got := summaries(w.deliver(plain, you)); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		want := "EHLO us.test, MAIL, RCPT, BDAT, RSET, MAIL, RCPT, BDAT, MAIL, RCPT, BDAT"
		if got := verbs(s.Connections()[0].Commands); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

// delivery.chunking = false switches BDAT off.
func TestChunkingSwitchedOff(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost, func(c *Config, _ *Deps) { c.Chunking = false })
		s := w.serve("192.0.2.1", fullOffer)
		w.deliver(plain, you)
		if got := verbs(s.Connections()[0].Commands); got != "EHLO us.test, MAIL, RCPT, DATA" {
			t.Error(got)
		}
	})
}

// A limit is what may still be sent (RFC 1870 s4).
func TestSizeThatJustFits(t *testing.T) {
	for more, want := range map[int]string{-1: "bounced/5.3.4@mx1.test", 0: "sent@mx1.test", 1: "sent@mx1.test"} {
		trouble{fmt.Sprint(more), oneHost, map[string]string{"192.0.2.1": fmt.Sprintf("offer SIZE %d", len(plain)+more)}, you, want}.run(t)
	}
}

// A session carries no message beyond its age, although it was younger when the last one was done.
func TestSessionAge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost, func(c *Config, _ *Deps) { c.SessionAge, c.SessionIdle = time.Minute, time.Hour })
		s := w.serve("192.0.2.1", "")
		for _, c := range []struct {
			wait        time.Duration
			connections int
		}{{0, 1}, {40 * time.Second, 1}, {40 * time.Second, 2}} {
			<-time.After(c.wait)
			w.deliver(plain, you)
			if n := len(s.Connections()); n != c.connections {
				t.Errorf("%d connections, want %d", n, c.connections)
			}
		}
		synctest.Wait()
		if !s.Connections()[0].Quit {
			t.Error("the old session got no QUIT")
		}
	})
}

// No more sessions idle than may be, over all sites, and Close says QUIT on them.
func TestIdleSessionsInAll(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, "a.test. MX 10 mxa.test.\nb.test. MX 10 mxb.test.\nmxa.test. A 192.0.2.1\nmxb.test. A 192.0.2.2\nus.test. A 192.0.2.100\n",
			func(c *Config, _ *Deps) { c.MaxIdle = 1 })
		a, b := w.serve("192.0.2.1", ""), w.serve("192.0.2.2", "")
		w.deliver(plain, "you@a.test")
		w.deliver(plain, "you@b.test")
		synctest.Wait()
		if a.Connections()[0].Quit || !b.Connections()[0].Quit {
			t.Errorf("QUIT: %v, %v", a.Connections()[0].Quit, b.Connections()[0].Quit)
		}
		w.agent.Close()
		synctest.Wait()
		if !a.Connections()[0].Quit {
			t.Error("the idle session got no QUIT")
		}
	})
}

// A session from another address of ours is another session; of two with the same host the one under TLS is taken.
func TestWhichIdleSessionIsTaken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		to := target{host: "mx1.test", addr: netip.MustParseAddrPort("192.0.2.1:25"), level: TLSOpportunistic}
		keep := func(secured bool) *session {
			client, server := smtptest.Pipe()
			t.Cleanup(func() { server.Close() })
			s := &session{raw: client, conn: client, r: newReplyReader(client), target: to, config: &w.agent.config, born: time.Now(), broken: true}
			if secured {
				s.tls = &mail.TLS{}
			}
			if !w.agent.idle.put(w.agent.idleKey(to, secured), s) {
				t.Fatal("not kept")
			}
			return s
		}
		secured := keep(true)
		keep(false)
		w.agent.config.SourceIPv4 = netip.MustParseAddr("192.0.2.77")
		if w.agent.idleSession(to) != nil {
			t.Error("a session from another address is taken")
		}
		w.agent.config.SourceIPv4 = netip.Addr{}
		if w.agent.idleSession(to) != secured {
			t.Error("the session in clear is taken first")
		}
		if w.agent.idleSession(to) == nil {
			t.Error("the session in clear is lost")
		}
	})
}

// An idle session that has ended is found out also when the first recipient is one that the host cannot take at all.
func TestStaleSessionAndARecipientOutOfReach(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "offer PIPELINING / 8BITMIME\nconnection #1\nmail #2 close")
		w.deliver(plain, "you@example.test")
		if got := summaries(w.deliver(plain, "gr\u00fcn@example.test", "b@example.test")); got != "bounced/5.6.7@mx1.test sent@mx1.test" {
			t.Error(got)
		}
		if n := len(s.Connections()); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
}

// An idle session holds on to nothing of the attempt that used it.
func TestIdleSessionForgetsItsAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "")
		w.deliver(plain, "you@example.test")
		for _, list := range w.agent.idle.byKey {
			for _, s := range list {
				if s.ctx != nil || s.cutoff != nil || s.record != nil {
					t.Error("the visit is kept")
				}
			}
		}
	})
}

// A session that had idled and ends behind its BDAT is no stale one for those whose turn had not come: others are in doubt, and the content stays where it is.
func TestIdleSessionThatEndsInDoubt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		s := w.serve("192.0.2.1", "offer PIPELINING / CHUNKING / LIMITS RCPTMAX=1\nconnection #1\nmail #2 close")
		w.deliver(plain, you)
		if got := summaries(w.deliver(plain, "a@example.test", "b@example.test")); got != "deferred/4.4.2? deferred/4.4.2" {
			t.Error(got)
		}
		if n := len(s.Connections()); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}
