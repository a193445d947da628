package delivery

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"sternpost/mail"
)

// Reasons travel in reports: our own addresses have no place in them.
func TestReasonsWithoutAddresses(t *testing.T) {
	at := func(ip string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(ip)) }
	for _, err := range []error{
		&net.OpError{Op: "read", Net: "tcp", Source: at("10.1.2.3:4444"), Addr: at("192.0.2.1:25"), Err: os.ErrDeadlineExceeded},
		&net.OpError{Op: "dial", Net: "tcp", Source: at("10.1.2.3:0"), Addr: at("192.0.2.1:25"), Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)},
		&net.OpError{Op: "write", Net: "tcp", Source: at("10.1.2.3:4444"), Addr: at("192.0.2.1:25"), Err: net.ErrClosed},
	} {
		if got := bare(err).Error(); strings.Contains(got, "10.1.2.3") || got == "" {
			t.Errorf("%q", got)
		}
	}
	alert := &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}
	if got := bare(alert).Error(); got != "remote error: tls: handshake failure" {
		t.Errorf("an alert became %q", got)
	}
}

// dialing makes the world's connections fail with an error of the kernel.
func dialing(err error) func(*Config, *Deps) {
	return func(_ *Config, d *Deps) {
		d.Dial = func(_ context.Context, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: os.NewSyscallError("connect", err)}
		}
	}
}

// Want of file handles, memory or ports is ours: it proves nothing about the host.
func TestOwnTroubleAtConnect(t *testing.T) {
	for err, local := range map[syscall.Errno]bool{
		syscall.EMFILE: true, syscall.ENFILE: true, syscall.ENOBUFS: true, syscall.ENOMEM: true, syscall.EADDRNOTAVAIL: true, syscall.EADDRINUSE: true,
		syscall.EPERM: true, syscall.EACCES: true,
		syscall.ECONNREFUSED: false, syscall.EHOSTUNREACH: false, syscall.ETIMEDOUT: false, syscall.ECONNRESET: false,
	} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost, dialing(err))
			o := w.deliver(plain, you).Outcomes[0]
			if o.Disposition != mail.Deferred || (o.Scope == mail.ScopeLocal) != local {
				t.Errorf("%v: %s, scope %s", err, summary(o), o.Scope)
			}
			if fault := len(w.agent.health.pulses) > 0; fault == local {
				t.Errorf("%v: fault of the host: %v", err, fault)
			}
		})
	}
}

// An address that must not be used is refused at connect time as well, whatever the plan says. A smarthost of the configuration is exempt.
func TestAddressIsRefusedAtConnect(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		for _, ip := range []string{"127.0.0.1", "::1", "169.254.1.1", "224.0.0.1", "0.0.0.0"} {
			to := target{host: "mx1.test", addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 25)}
			conn, e := w.agent.dial(context.Background(), to)
			if conn != nil || e == nil || e.cause != causeLocal {
				t.Errorf("%s: %v", ip, e)
			}
		}
		if n := len(w.net.Dials()); n != 0 {
			t.Errorf("%d addresses were dialled", n)
		}
		relay := target{host: "relay.test", addr: netip.MustParseAddrPort("127.0.0.1:25"), smarthost: &Smarthost{Host: "relay.test"}}
		if _, e := w.agent.dial(context.Background(), relay); e == nil || e.cause != causeRefused || len(w.net.Dials()) != 1 {
			t.Errorf("the smarthost: %v", e)
		}
	})
}
