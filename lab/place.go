package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// Place is where a world stands: Loopback or Memory.
type Place interface {
	// settle makes the DNS server reachable and chooses the port.
	settle(dns *dnstest.Server) (port uint16, err error)
	// free says that another port is chosen at each try.
	free() bool
	// open lets connections to at come in; silence makes it swallow them. What they return is closed to end that.
	open(at netip.AddrPort) (net.Listener, error)
	silence(at netip.AddrPort) (func() error, error)
	network() *smtptest.Network
}

// Loopback is the machine's own addresses: the DNS server at dns ("127.0.0.1:5300"), and each address of the zone with an exchanger at port. A zero port, in
// dns too, is a free one.
func Loopback(port int, dns string) Place { return &loopback{port: port, dns: dns} }

// Memory is a network in memory, and the DNS server is reached by its Dial. The exchangers are at port.
func Memory(n *smtptest.Network, port int) Place { return &memory{n: n, port: port} }

type loopback struct {
	port int
	dns  string
}

func (l *loopback) settle(dns *dnstest.Server) (uint16, error) {
	if l.port < 0 || l.port > 65535 {
		return 0, fmt.Errorf("%d is no port", l.port)
	}
	if err := dns.Listen(l.dns); err != nil {
		return 0, inUse("the DNS server", err)
	}
	if l.port != 0 {
		return uint16(l.port), nil
	}
	// A port that is free for all addresses is free for each.
	probe, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return 0, err
	}
	port := probe.Addr().(*net.TCPAddr).AddrPort().Port()
	return port, probe.Close()
}

// inUse says what can be done where another program has the port, or the port is root's.
func inUse(what string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s cannot listen: %w; does another lab run? Choose other ports with --port and --dns", what, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s cannot listen: %w; ports below 1024 are for root. Choose others with --port and --dns", what, err)
	}
	return fmt.Errorf("%s cannot listen: %w", what, err)
}

func (l *loopback) open(at netip.AddrPort) (net.Listener, error) {
	return net.Listen("tcp", at.String())
}

func (l *loopback) free() bool { return l.port == 0 }

func (l *loopback) network() *smtptest.Network { return nil }

// silence listens with a queue for one connection, which it fills itself. The kernel drops every further SYN, so that a client's connect times out, as it
// does behind a firewall that drops.
func (l *loopback) silence(at netip.AddrPort) (func() error, error) {
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		return nil, err
	}
	var filler net.Conn
	if err = shortenQueue(listener.(*net.TCPListener)); err == nil {
		filler, err = net.Dial("tcp", at.String())
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return func() error { return errors.Join(filler.Close(), listener.Close()) }, nil
}

type memory struct {
	n    *smtptest.Network
	port int
}

func (m *memory) settle(*dnstest.Server) (uint16, error) {
	if m.port < 1 || m.port > 65535 {
		return 0, fmt.Errorf("%d is no port", m.port)
	}
	return uint16(m.port), nil
}

func (m *memory) open(at netip.AddrPort) (net.Listener, error) { return m.n.Listen(at.String()) }

func (m *memory) silence(at netip.AddrPort) (func() error, error) {
	m.n.Blackhole(at.String())
	return func() error {
		m.n.Restore(at.String())
		return nil
	}, nil
}

func (m *memory) free() bool { return false }

func (m *memory) network() *smtptest.Network { return m.n }
