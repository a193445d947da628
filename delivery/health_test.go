package delivery

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

// Twenty attempts that fail at once are one failure of the address, and not twenty: it is tried again a minute later.
func TestBurstOfFailures(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.2", "")
		w.net.Delay("192.0.2.1", time.Second)
		s := w.serve("192.0.2.1", "banner 421 restarting / close")
		done := make(chan mail.Attempt, 20)
		for range cap(done) {
			go func() { done <- w.agent.Deliver(context.Background(), transactionTo(t, plain, you)) }()
		}
		for range cap(done) {
			<-done
		}
		if err := s.SetScript(""); err != nil {
			t.Fatal(err)
		}
		if got := story(w.deliver(plain, you)); got != "mx1.test skipped, mx2.test delivered" {
			t.Errorf("at once: %s", got)
		}
		<-time.After(time.Minute)
		if got := story(w.deliver(plain, you)); got != "mx1.test delivered, mx2.test unreached" {
			t.Errorf("a minute later: %s", got)
		}
	})
}

// Who tries an address that is down because nothing else is left ends nobody's probe, and puts none off.
func TestLastResortsBesideAProbe(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	h, addr := newHealth(), netip.MustParseAddrPort("192.0.2.1:25")
	h.failed(addr, now, false)
	h.failed(addr, now, false)
	now = now.Add(time.Minute)
	if probe, _ := h.begin(addr, now); !probe {
		t.Fatal("no probe")
	}
	for range 10 {
		h.failed(addr, now, false)
	}
	if probe, reason := h.begin(addr, now); probe || !strings.Contains(reason, "a probe is under way") {
		t.Errorf("a second probe: %q", reason)
	}
	h.failed(addr, now, true)
	if got := h.pulses[addr].nextProbe; got != now.Add(2*time.Minute) {
		t.Errorf("the next probe is %s after the first", got.Sub(now))
	}
	h.abandoned(addr)
	if got := h.pulses[addr].failures; got != 3 {
		t.Errorf("%d failures", got)
	}
}

// What was skipped for its health is tried when everything else has come to nothing.
func TestDownAddressIsTheLastResort(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		w.serve("192.0.2.2", "connection #2\nmail 451 4.3.0 later")
		for range 2 {
			w.deliver(plain, you)
		}
		w.serve("192.0.2.1", "")
		w.agent.idle.close()
		at := w.deliver(plain, you)
		if got := story(at); got != "mx1.test delivered, mx2.test deferred" {
			t.Errorf("%s: %s", got, at.Candidates[0].Reason)
		}
		if !strings.Contains(at.Candidates[0].Reason, "nothing else is left") {
			t.Errorf("the reason is %q", at.Candidates[0].Reason)
		}
	})
}

// An address that is down is not reopened where its host has answered over another.
func TestLastResortOfAHostThatAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, dual)
		w.serve("2001:db8::1", "mail 451 4.3.0 later")
		v4 := w.serve("192.0.2.1", "")
		for range 2 {
			w.agent.health.failed(netip.MustParseAddrPort("192.0.2.1:25"), time.Now(), false)
		}
		if got := story(w.deliver(plain, you)); got != "mx1.test deferred, mx1.test skipped" || len(v4.Connections()) != 0 {
			t.Errorf("%s, %d connections", got, len(v4.Connections()))
		}
	})
}

// A candidate that is skipped is not the one that the last session of an attempt is kept for.
func TestLeastPreferredIsOneThatIsTried(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, fiveHosts)
		for i, script := range []string{"mail 451 a", "mail 451 b", "", "", ""} {
			w.serve("192.0.2."+string(rune('1'+i)), script)
		}
		for _, down := range []string{"192.0.2.4:25", "192.0.2.5:25"} {
			for range 2 {
				w.agent.health.failed(netip.MustParseAddrPort(down), time.Now(), false)
			}
		}
		want := "mx1.test deferred, mx2.test deferred, mx3.test delivered, mx4.test skipped, mx5.test skipped"
		if got := story(w.deliver(plain, you)); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}
