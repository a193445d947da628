package delivery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"sternpost/mail"
)

// lines counts the connections that are open to each address, over all sites. Safe for concurrent use.
type lines struct {
	limit int
	mu    sync.Mutex
	open  map[netip.AddrPort]int
}

func newLines(limit int) *lines { return &lines{limit: limit, open: make(map[netip.AddrPort]int)} }

// take asks for one more connection to an address.
func (l *lines) take(addr netip.AddrPort) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr] >= l.limit {
		return false
	}
	l.open[addr]++
	return true
}

func (l *lines) give(addr netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[addr]--; l.open[addr] <= 0 {
		delete(l.open, addr)
	}
}

// line is a connection that is counted until it is closed.
type line struct {
	net.Conn
	once sync.Once
	free func()
}

// Close closes the connection, and counts it no more.
func (l *line) Close() error {
	err := l.Conn.Close()
	l.leave()
	return err
}

// leave counts the connection no more.
func (l *line) leave() { l.once.Do(l.free) }

// uncount gives the place of a session back that has nothing to say any more but QUIT: nobody waits for the reply to that.
func (s *session) uncount() {
	if counted, ok := s.raw.(*line); ok {
		counted.leave()
	}
}

// line asks for one more connection to an address. An idle session there, of whatever name, makes room for it.
func (a *Agent) line(addr netip.AddrPort) bool {
	for !a.lines.take(addr) {
		s := a.idle.evict(addr)
		if s == nil {
			return false
		}
		s.uncount()
		a.ending.Go(s.quit)
	}
	return true
}

// errBusy says that as many connections to an address are open as may be. It is no fault of anybody: Deliver never waits for one to end, that is for the queue.
var errBusy = errors.New("as many connections to it are open as may be (delivery.max_per_address)")

// busyEvent is what an attempt comes to that had no connection to spare.
func busyEvent(c *candidate) *event {
	return &event{stage: mail.StageConnect, cause: causeLocal, err: fmt.Errorf("%s: %w", c.target.addr, errBusy), candidate: c}
}

// busyAt notes that c has no connection to spare. Others of its preference may; a backup is not for that.
func (w *walk) busyAt(c *candidate) {
	w.giveBack(c)
	if c.open() {
		c.skip(errBusy.Error())
	}
	if w.busy == nil {
		w.busy = c
	}
	if c == w.twin {
		w.unheard(busyEvent(c))
	}
}

// waits says whether the attempt has to wait for a connection rather than go on to c.
func (w *walk) waits(c *candidate) bool { return w.busy != nil && c.Preference != w.busy.Preference }
