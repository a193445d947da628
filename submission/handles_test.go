package submission

import (
	"context"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/delivery/smtptest"
)

// starved is a listener for which the process has no file handle until a time.
type starved struct {
	net.Listener
	until time.Time
}

func (s starved) Accept() (net.Conn, error) {
	if time.Now().Before(s.until) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return s.Listener.Accept()
}

// A listener without file handles says so at error, once a minute, and goes on when there are some.
func TestNoFileHandles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, seen := observer.New(zapcore.InfoLevel)
		network := &smtptest.Network{}
		c := DefaultConfig()
		c.Listen, c.Networks = []string{address}, []string{"192.0.2.0/24"}
		s, err := New(c, Deps{Intake: newDesk(t, IntakeConfig{}, &drop{}), Hostname: hostname, Log: zap.New(core), Listen: func(_, at string) (net.Listener, error) {
			l, err := network.Listen(at)
			return starved{l, time.Now().Add(150 * time.Second)}, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx) }()
		time.Sleep(200 * time.Second)
		if n := seen.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 3 {
			t.Errorf("%d complaints in 150 seconds", n)
		}
		if n := seen.FilterMessage("SMTP server").Len(); n != 0 {
			t.Errorf("%d lines more", n)
		}
		conn, err := network.Dial(ctx, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		newClient(t, conn).expect("220 ")
		_ = conn.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}
