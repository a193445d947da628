package smtptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Network is a fake internet in memory: listeners by address and port, and
// addresses that do not answer as they should. Its Dial fits where
// net.Dialer.DialContext does. The zero Network is ready for use; all methods
// are safe for concurrent use and work inside a testing/synctest bubble.
//
// Addresses of faults are "192.0.2.1:25" for one port or "192.0.2.1" for all
// ports of the host; a fault of one port wins.
type Network struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener
	faults    map[netip.AddrPort]fault // port 0: all ports
	dials     []Dial
	port      uint16 // the last client port given out
}

// Dial is one attempt to connect, as Network.Dials reports it.
type Dial struct {
	At     time.Time // when it began
	Local  netip.Addr
	Remote netip.AddrPort
}

type fault struct {
	blackhole   bool
	unreachable bool
	delay       time.Duration
}

// Listen opens a listener at "ip:port". It fails with EADDRINUSE while another
// is open there. Connections wait in a queue without limit until accepted.
func (n *Network) Listen(addr string) (net.Listener, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("smtptest: listen: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[at] != nil {
		return nil, opError("listen", at, os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	if n.listeners == nil {
		n.listeners = make(map[netip.AddrPort]*listener)
	}
	l := newListener(n, at)
	n.listeners[at] = l
	return l, nil
}

// Blackhole makes dials to addr wait until their context ends, as packets that
// a firewall drops do.
func (n *Network) Blackhole(addr string) { n.setFault(addr, fault{blackhole: true}) }

// Unreachable makes dials to addr fail at once with ENETUNREACH.
func (n *Network) Unreachable(addr string) { n.setFault(addr, fault{unreachable: true}) }

// Delay makes dials to addr take d before they succeed or are refused.
func (n *Network) Delay(addr string, d time.Duration) { n.setFault(addr, fault{delay: d}) }

// Restore takes the fault of addr away.
func (n *Network) Restore(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.faults, mustAddr(addr))
}

// Dials returns every dial so far in the order they began.
func (n *Network) Dials() []Dial {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Dial(nil), n.dials...)
}

// Dial connects to "ip:port"; network is tcp, tcp4 or tcp6. Where nobody
// listens it fails with ECONNREFUSED.
func (n *Network) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return n.DialFrom(ctx, network, netip.Addr{}, to)
}

// DialFrom is Dial from a chosen local address; the zero Addr leaves the choice
// to the network.
func (n *Network) DialFrom(ctx context.Context, network string, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	if err := checkFamily(network, local, remote.Addr()); err != nil {
		return nil, opError("dial", remote, err)
	}
	if !local.IsValid() {
		local = clientAddr(remote.Addr())
	}
	if err := n.travel(ctx, local, remote); err != nil {
		return nil, opError("dial", remote, err)
	}
	c, err := n.join(local, remote)
	if err != nil {
		return nil, opError("dial", remote, err)
	}
	return c, nil
}

// clientAddr is the local address for dials that do not choose one, from the
// documentation ranges of RFC 5737 and RFC 3849.
func clientAddr(remote netip.Addr) netip.Addr {
	if remote.Is6() {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1})
	}
	return netip.AddrFrom4([4]byte{192, 0, 2, 1})
}

func checkFamily(network string, local, remote netip.Addr) error {
	wanted := map[string]bool{"tcp": true, "tcp4": remote.Is4(), "tcp6": remote.Is6()}
	fits, known := wanted[network]
	switch {
	case !known:
		return net.UnknownNetworkError(network)
	case !fits || local.IsValid() && local.Is4() != remote.Is4():
		return &net.AddrError{Err: "no suitable address", Addr: remote.String()}
	}
	return nil
}

// travel is what a SYN meets on its way.
func (n *Network) travel(ctx context.Context, local netip.Addr, remote netip.AddrPort) error {
	f := n.depart(local, remote)
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.unreachable {
		return os.NewSyscallError("connect", syscall.ENETUNREACH)
	}
	if f.blackhole {
		<-ctx.Done()
		return ctx.Err()
	}
	if f.delay <= 0 {
		return nil
	}
	timer := time.NewTimer(f.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// depart notes the dial and returns the fault it will meet.
func (n *Network) depart(local netip.Addr, remote netip.AddrPort) fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials = append(n.dials, Dial{At: time.Now(), Local: local, Remote: remote})
	if f, ok := n.faults[remote]; ok {
		return f
	}
	return n.faults[netip.AddrPortFrom(remote.Addr(), 0)]
}

// join makes the connection and hands its far end to the listener.
func (n *Network) join(local netip.Addr, remote netip.AddrPort) (*Conn, error) {
	n.mu.Lock()
	l := n.listeners[remote]
	n.port = max(49152, n.port+1) // the ephemeral ports of RFC 6335 section 6
	port := n.port
	n.mu.Unlock()
	refused := os.NewSyscallError("connect", syscall.ECONNREFUSED)
	if l == nil {
		return nil, refused
	}
	client, server := connect(netip.AddrPortFrom(local, port), remote)
	if !l.offer(server) {
		return nil, refused
	}
	return client, nil
}

func (n *Network) setFault(addr string, f fault) {
	at := mustAddr(addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.faults == nil {
		n.faults = make(map[netip.AddrPort]fault)
	}
	n.faults[at] = f
}

func (n *Network) forget(l *listener) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[l.at] == l {
		delete(n.listeners, l.at)
	}
}

// mustAddr reads "ip:port" or "ip". It panics on anything else, because that is
// a mistake in the test itself.
func mustAddr(addr string) netip.AddrPort {
	if ip, err := netip.ParseAddr(strings.Trim(addr, "[]")); err == nil {
		return netip.AddrPortFrom(ip, 0)
	}
	return netip.MustParseAddrPort(addr)
}

func opError(op string, at netip.AddrPort, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(at), Err: err}
}

// listener is the far side of one address of a Network.
type listener struct {
	network *Network
	at      netip.AddrPort

	mu      sync.Mutex
	changed *sync.Cond
	waiting []*Conn
	closed  bool
}

func newListener(n *Network, at netip.AddrPort) *listener {
	l := &listener{network: n, at: at}
	l.changed = sync.NewCond(&l.mu)
	return l
}

func (l *listener) offer(c *Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.waiting = append(l.waiting, c)
	l.changed.Signal()
	return true
}

// Accept waits for the next connection.
func (l *listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.changed.Wait()
	}
	if l.closed {
		return nil, opError("accept", l.at, net.ErrClosed)
	}
	c := l.waiting[0]
	l.waiting = l.waiting[1:]
	return c, nil
}

// Close refuses further dials and resets the connections nobody accepted, as a
// kernel does with its backlog.
func (l *listener) Close() error {
	l.network.forget(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return opError("close", l.at, net.ErrClosed)
	}
	l.closed = true
	l.changed.Broadcast()
	var errs []error
	for _, c := range l.waiting {
		errs = append(errs, c.Reset())
	}
	l.waiting = nil
	return errors.Join(errs...)
}

// Addr returns a *net.TCPAddr.
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.at) }
