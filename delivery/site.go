package delivery

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sternpost/mail"
)

// idleKey is what an idle session must have in common with what is wanted: host and address, our own address, the credentials, and the TLS that
// was required and reached. A session that went in clear is never taken where TLS is wanted.
type idleKey struct {
	host        string
	addr        netip.AddrPort
	source      netip.Addr
	credentials credentialKey
	level       TLSLevel
	verify      bool
	caFile      string
	tls         bool
}

func (a *Agent) idleKey(t target, tls bool) idleKey {
	k := idleKey{host: t.host, addr: t.addr, source: a.source(t.addr.Addr()), level: t.level, tls: tls}
	if t.smarthost != nil {
		k.verify, k.caFile = t.smarthost.verify(), t.smarthost.CAFile
	}
	if t.credentials() {
		k.credentials = t.smarthost.credentialKey()
	}
	return k
}

// idleSession takes an idle session for the target, or nil. One under TLS is better than one in clear.
func (a *Agent) idleSession(t target) *session {
	for _, tls := range []bool{true, false} {
		for s := a.idle.take(a.idleKey(t, tls)); s != nil; s = a.idle.take(a.idleKey(t, tls)) {
			if !a.old(s) {
				s.reused = true
				return s
			}
			s.uncount()
			a.ending.Go(s.quit)
		}
	}
	return nil
}

// old says whether a session is not to be used for another message.
func (a *Agent) old(s *session) bool { return time.Since(s.born) > a.config.SessionAge }

// idle keeps sessions that have work behind them and may get more, each for a while. Safe for concurrent use.
type idle struct {
	limit  int
	wait   time.Duration
	mu     sync.Mutex
	closed bool
	byKey  map[idleKey][]idleSession // the longest idle first
	count  int
	sweep  *time.Timer    // not nil while there are sessions: one timer for all, since each message may put and take one
	gone   sync.WaitGroup // sessions that say QUIT
}

// idleSession is a session, and since when it is idle. Whoever takes it out of byKey owns the session.
type idleSession struct {
	*session
	since time.Time
}

func newIdle(limit int, wait time.Duration) *idle {
	return &idle{limit: limit, wait: wait, byKey: make(map[idleKey][]idleSession)}
}

// maxIdleBuffer is how much memory for commands an idle session may keep.
const maxIdleBuffer = 16 << 10

// put keeps s for the next message, and returns false where there is no place for it.
func (i *idle) put(k idleKey, s *session) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || i.wait <= 0 || i.count >= i.limit {
		return false
	}
	if cap(s.out) > maxIdleBuffer {
		s.out = nil
	}
	s.visit = visit{} // the tree of the attempt is not kept alive
	i.byKey[k] = append(i.byKey[k], idleSession{s, time.Now()})
	i.count++
	if i.sweep == nil {
		i.sweep = time.AfterFunc(i.wait, i.expire)
	}
	return true
}

// expire ends the sessions that nobody has taken for long enough, and comes back for the next.
func (i *idle) expire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sweep = nil
	next := i.wait
	for k, list := range i.byKey {
		kept := slices.DeleteFunc(list, func(s idleSession) bool {
			age := time.Since(s.since)
			if age < i.wait {
				next = min(next, i.wait-age)
				return false
			}
			i.count--
			s.uncount()
			i.gone.Go(s.quit)
			return true
		})
		i.keep(k, kept)
	}
	if i.count > 0 && !i.closed {
		i.sweep = time.AfterFunc(next, i.expire)
	}
}

func (i *idle) keep(k idleKey, list []idleSession) {
	if len(list) == 0 {
		delete(i.byKey, k)
		return
	}
	i.byKey[k] = list
}

// take returns the session that was used last and still stands, or nil. What a remote says unasked (421, or the end of the connection) ends a
// session before it is used again.
func (i *idle) take(k idleKey) *session {
	for {
		s := i.pop(k)
		if s == nil || s.quiet() {
			return s
		}
		s.broken = true
		s.quit()
	}
}

func (i *idle) pop(k idleKey) *session {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.byKey[k]
	if len(list) == 0 {
		return nil
	}
	last := len(list) - 1
	s := list[last].session
	list[last] = idleSession{}
	i.count--
	i.keep(k, list[:last])
	return s
}

// evict takes out the session with addr that is idle for longest, or returns nil: it holds a connection that somebody else needs.
func (i *idle) evict(addr netip.AddrPort) *session {
	i.mu.Lock()
	defer i.mu.Unlock()
	var from idleKey
	var oldest idleSession
	for k, list := range i.byKey {
		if k.addr == addr && (oldest.session == nil || list[0].since.Before(oldest.since)) {
			from, oldest = k, list[0]
		}
	}
	if oldest.session != nil {
		i.count--
		i.keep(from, slices.Delete(i.byKey[from], 0, 1))
	}
	return oldest.session
}

// close says QUIT on all idle sessions and waits until they are gone.
func (i *idle) close() {
	i.mu.Lock()
	i.closed = true
	if i.sweep != nil {
		i.sweep.Stop()
	}
	for _, list := range i.byKey {
		for _, s := range list {
			i.gone.Go(s.quit)
		}
	}
	clear(i.byKey)
	i.mu.Unlock()
	i.gone.Wait()
}

// quiet says whether the connection stands and the remote has said nothing: all that can come on an idle session is its end.
func (s *session) quiet() bool {
	if s.r.Buffered() > 0 {
		return false
	}
	raw := s.raw
	if counted, ok := raw.(*line); ok {
		raw = counted.Conn
	}
	if raw, ok := raw.(syscall.Conn); ok {
		return nothingToRead(raw)
	}
	// A connection in memory has no file to ask; it is given a moment.
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	_, err := s.r.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// unasked finds what the remote has said, or that it has gone, before a flight is let go whose replies must not be mistaken; nil: it is quiet.
func (s *session) unasked(stage mail.Stage) *event {
	if s.quiet() {
		return nil
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return s.fail(stage, err)
	}
	switch _, err := s.r.Peek(1); {
	case errors.Is(err, os.ErrDeadlineExceeded): // TLS below said something, and SMTP did not
		return nil
	case err != nil:
		return s.fail(stage, err)
	default:
		return s.fail(stage, protocolError("a reply came that nobody had asked for: "+s.unread()))
	}
}

// nothingToRead asks the kernel, without waiting. The end of the connection is something to read.
func nothingToRead(conn syscall.Conn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Control(func(fd uintptr) {
		ask := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		n, err := unix.Poll(ask, 0)
		quiet = err == nil && n == 0
	})
	return err == nil && quiet
}
