package delivery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
	"sternpost/resolver"
	"sternpost/resolver/dnstest"
)

// benchContent is a message of 5 KB.
var benchContent = text("From: <me@us.test>\r\nSubject: bench\r\n\r\n" + strings.Repeat("a line of text that is as long as such lines are\r\n", 100))

// BenchmarkSessions measures messages per second over loopback, one recipient each, sessions reused, over 1 and 64 sessions: with CHUNKING,
// with PIPELINING alone, and with neither. The measure beside it, in the same run against the same server, is go-smtp's client, which
// waits for every reply: x-go-smtp is how many times as many messages we send. round-trip adds a delay of 1 ms to each flight,
// as a network would; there the round trips decide.
func BenchmarkSessions(b *testing.B) {
	for _, delay := range []time.Duration{0, time.Millisecond} {
		for _, c := range []struct{ name, offer string }{
			{"chunking", "offer PIPELINING / 8BITMIME / CHUNKING"},
			{"pipelining", "offer PIPELINING / 8BITMIME"},
			{"neither", "offer 8BITMIME"},
		} {
			for _, sessions := range []int{1, 64} {
				b.Run(fmt.Sprintf("round-trip=%s/%s/sessions=%d", delay, c.name, sessions), func(b *testing.B) {
					s := benchServer(b, c.offer)
					us := benchAgent(b, s, sessions, delay)
					them := benchGoSMTP(b, s, sessions, delay)
					b.ReportMetric(us, "msgs/s")
					b.ReportMetric(us/them, "x-go-smtp")
				})
			}
		}
	}
}

func benchServer(b *testing.B, script string) *smtptest.Server {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s, err := smtptest.Start(script+"\nkeep no-content", l)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// slowConn adds a delay before the first octets that answer what was written: a round trip.
type slowConn struct {
	net.Conn
	delay time.Duration
	wrote atomic.Bool
}

func (c *slowConn) Write(p []byte) (int, error) {
	c.wrote.Store(true)
	return c.Conn.Write(p)
}

func (c *slowConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.wrote.Swap(false) {
		<-time.After(c.delay)
	}
	return n, err
}

// SyscallConn lets the agent ask the kernel about an idle session, as it does of the connection below.
func (c *slowConn) SyscallConn() (syscall.RawConn, error) {
	return c.Conn.(syscall.Conn).SyscallConn()
}

func slow(conn net.Conn, delay time.Duration) net.Conn {
	if delay == 0 {
		return conn
	}
	return &slowConn{Conn: conn, delay: delay}
}

// benchAgent returns messages per second, and counts allocations for b.
func benchAgent(b *testing.B, s *smtptest.Server, sessions int, delay time.Duration) float64 {
	b.Helper()
	dns := dnstest.Memory(b, "bench.test. MX 10 mx.test.\nmx.test. A 127.0.0.1\n")
	rc := resolver.DefaultConfig()
	rc.Servers = []string{dnstest.MemoryAddress}
	r, err := resolver.New(rc, dns.Dial)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	c := DefaultConfig()
	c.Hostname, c.Port, c.SessionUses = "us.test", int(s.AddrPort().Port()), 1<<30
	c.MaxPerAddress = 64 // as many as the most sessions
	c.AllowAddresses = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	a, err := New(c, Deps{Resolver: r, Dial: func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
		conn, err := dialTCP(ctx, local, remote)
		if err != nil {
			return nil, err
		}
		return slow(conn, delay), nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	tr := transactionTo(b, benchContent, "you@bench.test")
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	share(b.N, sessions, func(int) {
		if o := a.Deliver(b.Context(), tr).Outcomes[0]; o.Disposition != mail.Delivered {
			b.Error(o.Reason)
		}
	})
	b.StopTimer()
	return float64(b.N) / time.Since(began).Seconds()
}

// benchGoSMTP is the same work by go-smtp's client.
func benchGoSMTP(b *testing.B, s *smtptest.Server, sessions int, delay time.Duration) float64 {
	b.Helper()
	clients := make([]*smtp.Client, sessions)
	for i := range clients {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			b.Fatal(err)
		}
		clients[i] = smtp.NewClient(slow(conn, delay))
		if err := clients[i].Hello("us.test"); err != nil {
			b.Fatal(err)
		}
	}
	n := max(b.N, 2*sessions)
	began := time.Now()
	share(n, sessions, func(i int) {
		if err := clients[i].SendMail("me@us.test", []string{"you@bench.test"}, strings.NewReader(string(benchContent))); err != nil {
			b.Error(err)
		}
	})
	rate := float64(n) / time.Since(began).Seconds()
	for _, c := range clients {
		if err := c.Quit(); err != nil {
			b.Error(err)
		}
	}
	return rate
}

// share lets that many goroutines do f, n times in all.
func share(n, goroutines int, f func(goroutine int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for next.Add(1) <= int64(n) {
				f(g)
			}
		})
	}
	wg.Wait()
}
