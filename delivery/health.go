package delivery

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// How the health of an address is judged (design section 4).
const (
	healthWindow   = 5 * time.Minute // two failures within it make an address down
	healthFailures = 2
	healthEntries  = 100_000 // addresses remembered at most
	healthSweep    = 1000    // entries looked at to make room, so that a full table does not slow each failure down
)

// probeDelay is the time to the n-th probe of an address that is down: 1m 2m 5m 10m, then 15m.
func probeDelay(n int) time.Duration {
	delays := [...]time.Duration{1, 2, 5, 10, 15}
	return delays[min(n, len(delays)-1)] * time.Minute
}

// pulse is what is known of one address. The zero value is an address without a fault.
type pulse struct {
	failures  int       // in a row, within the window
	last      time.Time // of the last failure
	down      bool
	probes    int       // failed since it is down
	nextProbe time.Time // when one attempt may try again
	probing   bool      // that attempt is under way
}

// failed returns p after one more failure; probe: of the attempt that was let through to an address that is down. The failures of others there began before it was down, or were last
// resorts: they prove nothing new, and do not put the probe off.
func (p pulse) failed(now time.Time, probe bool) pulse {
	if p.down && !probe {
		p.last = now
		return p
	}
	if now.Sub(p.last) > healthWindow && !p.down {
		p.failures = 0
	}
	p.failures++
	p.last, p.probing = now, false
	if p.down {
		p.probes++
	}
	if p.down || p.failures >= healthFailures {
		p.down, p.nextProbe = true, now.Add(probeDelay(p.probes))
	}
	return p
}

// skip says why an address is not to be tried now; empty: it may be.
func (p pulse) skip(now time.Time) string {
	switch {
	case !p.down:
		return ""
	case p.probing:
		return fmt.Sprintf("down since %s; a probe is under way", stamp(p.last))
	case now.Before(p.nextProbe):
		return fmt.Sprintf("down, failed %d times, last at %s; next probe at %s", p.failures, stamp(p.last), stamp(p.nextProbe))
	default:
		return ""
	}
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// health remembers addresses that failed to take a connection or to say hello, for all messages together. It lives in
// memory; a restart learns it again. Safe for concurrent use.
type health struct {
	mu     sync.Mutex
	pulses map[netip.AddrPort]pulse
}

func newHealth() *health { return &health{pulses: make(map[netip.AddrPort]pulse)} }

// skip says why the address is not to be tried at now; empty: it may be.
func (h *health) skip(addr netip.AddrPort, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pulses[addr].skip(now)
}

// faults says what is known against an address that may be tried; empty: nothing.
func (h *health) faults(addr netip.AddrPort, now time.Time) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.pulses[addr]
	switch {
	case p.failures == 0 || !p.down && now.Sub(p.last) > healthWindow:
		return ""
	case p.failures == 1:
		return "failed once, at " + stamp(p.last)
	}
	return fmt.Sprintf("failed %d times, last at %s", p.failures, stamp(p.last))
}

// begin is called before a connection, and answers with a reason where there should be none. Of an address that is down it lets one probe through
// at a time; who got it ends it by succeeded, failed or abandoned.
func (h *health) begin(addr netip.AddrPort, now time.Time) (probe bool, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, known := h.pulses[addr]
	if reason := p.skip(now); reason != "" || !known {
		return false, reason
	}
	p.probing = p.down
	h.pulses[addr] = p
	return p.probing, ""
}

// succeeded forgets the faults of an address.
func (h *health) succeeded(addr netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.pulses, addr)
}

// failed remembers a fault of an address; probe: begin has let this one through as its probe.
func (h *health) failed(addr netip.AddrPort, now time.Time, probe bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pulses) >= healthEntries {
		h.forget(now)
	}
	h.pulses[addr] = h.pulses[addr].failed(now, probe)
}

// abandoned ends a probe that proved nothing, as when the loser of a race is called off.
func (h *health) abandoned(addr netip.AddrPort) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, known := h.pulses[addr]; known {
		p.probing = false
		h.pulses[addr] = p
	}
}

// forget makes room: it drops what is old among some entries, and one of them in any case.
func (h *health) forget(now time.Time) {
	looked := 0
	for addr, p := range h.pulses {
		if looked++; looked > healthSweep {
			return
		}
		if now.Sub(p.last) > time.Hour || looked == 1 {
			delete(h.pulses, addr)
		}
	}
}
