package smtptest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestNetworkConnects(t *testing.T) {
	var n Network
	l, err := n.Listen("192.0.2.25:25")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Listen("192.0.2.25:25"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second listener: %v", err)
	}
	client, err := n.DialFrom(t.Context(), "tcp4", netip.MustParseAddr("198.51.100.7"), netip.MustParseAddrPort("192.0.2.25:25"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(client, "hello")
	client.Close()
	if got, err := io.ReadAll(server); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	if ip := server.RemoteAddr().(*net.TCPAddr).IP.String(); ip != "198.51.100.7" {
		t.Errorf("the server sees %s", ip)
	}
}

func TestNetworkClosedListener(t *testing.T) {
	var n Network
	l, err := n.Listen("[2001:db8::25]:25")
	if err != nil {
		t.Fatal(err)
	}
	client, err := n.Dial(t.Context(), "tcp6", "[2001:db8::25]:25")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("connection nobody accepted: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if _, err := n.Dial(t.Context(), "tcp", "[2001:db8::25]:25"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: %v", err)
	}
	if _, err := n.Listen("[2001:db8::25]:25"); err != nil {
		t.Errorf("listen again: %v", err)
	}
}

func TestNetworkRefusesWrongFamily(t *testing.T) {
	var n Network
	for network, addr := range map[string]string{"tcp4": "[2001:db8::25]:25", "tcp6": "192.0.2.25:25", "udp": "192.0.2.25:25", "tcp": "mx.test:25"} {
		_, err := n.Dial(t.Context(), network, addr)
		var op *net.OpError
		if !errors.As(err, &op) || errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s %s: %v", network, addr, err)
		}
	}
}

func TestNetworkFaults(t *testing.T) {
	const at = "192.0.2.25:25"
	for name, c := range map[string]struct {
		fault func(*Network)
		err   error
		took  time.Duration
	}{
		"none":           {func(*Network) {}, nil, 0},
		"black hole":     {func(n *Network) { n.Blackhole(at) }, context.DeadlineExceeded, 30 * time.Second},
		"whole host":     {func(n *Network) { n.Blackhole("192.0.2.25") }, context.DeadlineExceeded, 30 * time.Second},
		"unreachable":    {func(n *Network) { n.Unreachable(at) }, syscall.ENETUNREACH, 0},
		"slow":           {func(n *Network) { n.Delay(at, 10*time.Second) }, nil, 10 * time.Second},
		"too slow":       {func(n *Network) { n.Delay(at, time.Minute) }, context.DeadlineExceeded, 30 * time.Second},
		"port over host": {func(n *Network) { n.Unreachable("192.0.2.25"); n.Delay(at, time.Second) }, nil, time.Second},
		"restored":       {func(n *Network) { n.Unreachable(at); n.Restore(at) }, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n Network
				if _, err := n.Listen(at); err != nil {
					t.Fatal(err)
				}
				c.fault(&n)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				began := time.Now()
				_, err := n.Dial(ctx, "tcp", at)
				if !errors.Is(err, c.err) || time.Since(began) != c.took {
					t.Errorf("got %v after %v, want %v after %v", err, time.Since(began), c.err, c.took)
				}
				if d := n.Dials(); len(d) != 1 || d[0].Remote.String() != at || !d[0].At.Equal(began) {
					t.Errorf("dials: %v", d)
				}
			})
		})
	}
}
