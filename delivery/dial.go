package delivery

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"sternpost/mail"
)

// Dialer opens a connection from local (the zero value: the system chooses) to remote.
type Dialer func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)

// dialTCP is the Dialer of the real network.
func dialTCP(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	if local.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()}
	}
	return d.DialContext(ctx, "tcp", remote.String())
}

// dial connects to the target within the stage's deadline. Addresses that must not be used are refused here once more, so that no way
// around the plan leads to them.
func (a *Agent) dial(ctx context.Context, t target) (net.Conn, *event) {
	if reason := a.screen.Refuse(t.addr.Addr()); reason != "" && t.smarthost == nil {
		return nil, &event{stage: mail.StageConnect, cause: causeLocal, err: errors.New(reason)}
	}
	if !a.line(t.addr) {
		return nil, &event{stage: mail.StageConnect, cause: causeLocal, err: errBusy}
	}
	limited, cancel := context.WithTimeout(ctx, a.config.Timeouts.Connect)
	defer cancel()
	conn, err := a.dialer(limited, a.source(t.addr.Addr()), t.addr)
	if err == nil {
		return &line{Conn: conn, free: func() { a.lines.give(t.addr) }}, nil
	}
	a.lines.give(t.addr)
	return nil, dialEvent(ctx, err)
}

// bare is what the kernel said, without the addresses that stand beside it in the tree anyway.
func bare(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil { // without one it is an alert of TLS, whose first words matter
		return op.Err
	}
	return err
}

// dialEvent tells our own trouble from the remote's.
func dialEvent(ctx context.Context, err error) *event {
	e := &event{stage: mail.StageConnect, err: bare(err)}
	switch {
	case ctx.Err() != nil:
		e.cause, e.err = endCause(ctx)
	case isLocal(err):
		e.cause = causeLocal
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT):
		e.cause = causeTimeout
	default:
		e.cause = causeRefused
	}
	return e
}

// errBudget is the cause of a context that ended because a candidate's share of the attempt's time was used up.
var errBudget = errors.New("the share of the attempt's time is used up")

// endCause tells why a context ended: a used-up share is the remote's slowness, all else is our own doing.
func endCause(ctx context.Context) (cause, error) {
	if err := context.Cause(ctx); errors.Is(err, errBudget) {
		return causeTimeout, err
	}
	return causeLocal, context.Cause(ctx)
}

// isLocal finds the errors of connect(2) that say nothing about the remote.
func isLocal(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE,
		syscall.EPERM, syscall.EACCES,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// source is the address of ours that connections to ip come from.
func (a *Agent) source(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return a.config.SourceIPv4
	}
	return a.config.SourceIPv6
}
