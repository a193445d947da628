package delivery

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"sternpost/mail"
)

func fourMinutes(c *Config, _ *Deps) { c.Timeouts.Attempt = 4 * time.Minute }

// The last candidate may use all that is left of the budget.
func TestBudgetOfTheLast(t *testing.T) {
	for _, zone := range []string{oneHost, twoHosts} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, zone, fourMinutes)
			w.serve("192.0.2.1", "banner stall")
			w.serve("192.0.2.2", "banner stall")
			began := time.Now()
			at := w.deliver(plain, you)
			if took := time.Since(began); took != 4*time.Minute || at.Used != 4*time.Minute {
				t.Errorf("took %s, used %s", took, at.Used)
			}
		})
	}
}

// Without time left nobody is connected to.
func TestNoBudgetLeft(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts, fourMinutes)
		first := w.serve("192.0.2.1", "")
		w.serve("192.0.2.2", "banner stall")
		for range 2 {
			w.agent.health.failed(netip.MustParseAddrPort("192.0.2.1:25"), time.Now().Add(2*time.Minute), false)
		}
		if got := story(w.deliver(plain, you)); got != "mx1.test skipped, mx2.test deferred" || len(first.Connections()) != 0 {
			t.Errorf("%s, %d connections", got, len(first.Connections()))
		}
	})
}

// Questions to the DNS have their share, as a candidate has.
func TestBudgetOfTheDNS(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost+"; fault: example.test MX drop\n", func(c *Config, _ *Deps) { c.Timeouts.Attempt = 2 * time.Second })
		began := time.Now()
		at := w.deliver(plain, you)
		if took := time.Since(began); took != time.Second || at.Used != time.Second || at.Outcomes[0].Disposition != mail.Deferred {
			t.Errorf("%s after %s, used %s", summaries(at), took, at.Used)
		}
	})
}

// A backup is not raced with: it is for when the primary has failed.
func TestNoRaceBetweenPreferences(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.net.Blackhole("192.0.2.1")
		w.serve("192.0.2.2", "")
		w.deliver(plain, you)
		dials := w.net.Dials()
		if len(dials) != 2 || dials[1].At.Sub(dials[0].At) != w.agent.config.Timeouts.Connect {
			t.Errorf("%+v", dials)
		}
	})
}

// A host that is pretended to be broken is not connected to beside another either.
func TestNoRaceWithTheMasked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, equals)
		w.net.Blackhole("192.0.2.1")
		w.net.Blackhole("192.0.2.2")
		host, other := "mx2.test", "192.0.2.2"
		if w.firstOf(t) == other {
			host, other = "mx1.test", "192.0.2.1"
		}
		w.net.Restore(other)
		s := w.serve(other, "")
		mask, err := ParseMask(host + "=450")
		if err != nil {
			t.Fatal(err)
		}
		w.agent.masks = []Mask{mask}
		if got := summaries(w.deliver(plain, you)); got != "deferred/4.0.0" || len(s.Connections()) != 0 {
			t.Errorf("%s, %d connections", got, len(s.Connections()))
		}
	})
}

// Deadlines that no reply ends: of the connection, of AUTH, of a handshake and of QUIT.
func TestFurtherDeadlines(t *testing.T) {
	limits := DefaultConfig().Timeouts
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.net.Blackhole("192.0.2.1")
		began := time.Now()
		if at := w.deliver(plain, you); summaries(at) != "deferred/4.4.1" || time.Since(began) != limits.Connect {
			t.Errorf("connect: %s after %s", summaries(at), time.Since(began))
		}
	})
	for _, script := range []string{"auth stall", "auth drip 1s / 235 {x*3000}"} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, relays, withRelays(clearRelay("relay2.test")))
			w.serve("192.0.2.2", "offer AUTH PLAIN\n"+script)
			began := time.Now()
			if at := w.deliver(plain, you); at.Outcomes[0].Disposition != mail.Deferred || time.Since(began) != limits.Auth {
				t.Errorf("%s: %s after %s", script, summaries(at), time.Since(began))
			}
		})
	}
	inBubble(t, func(t *testing.T) { // in clear after it
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "tls\nconnection #1\nstarttls 220 go / flush / read 1 / stall")
		began := time.Now()
		if at := w.deliver(plain, you); summaries(at) != "sent@mx1.test" || time.Since(began) != limits.StartTLS {
			t.Errorf("handshake: %s after %s", summaries(at), time.Since(began))
		}
	})
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "quit stall")
		w.deliver(plain, you)
		began := time.Now()
		w.agent.Close()
		if time.Since(began) != limits.Quit {
			t.Errorf("QUIT: %s", time.Since(began))
		}
	})
}

// The loser of a race that is called off while it connects has no fault.
func TestCalledOffIsNoFault(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.net.Blackhole("192.0.2.1")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		w.agent.Deliver(ctx, transactionTo(t, plain, you))
		if n := len(w.agent.health.pulses); n != 0 {
			t.Errorf("%d addresses have a fault", n)
		}
	})
}
