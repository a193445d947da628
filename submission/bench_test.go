package submission

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sync/errgroup"

	"sternpost/queue"
)

// sink is an Acceptor that discards.
type sink struct{}

func (sink) Ready() error { return nil }

func (sink) Submit(_ context.Context, _ queue.Submission, content io.Reader) (queue.Accepted, error) {
	_, err := io.Copy(io.Discard, content)
	return queue.Accepted{ID: 1}, err
}

// plain is a backend of go-smtp that discards: what there would be without us.
type plain struct{}

func (plain) NewSession(*smtp.Conn) (smtp.Session, error) { return plain{}, nil }
func (plain) Reset()                                      {}
func (plain) Logout() error                               { return nil }
func (plain) Mail(string, *smtp.MailOptions) error        { return nil }
func (plain) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (plain) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// BenchmarkAccept sends b.N messages of 5,000 octets over 50 connections to a Server, then to go-smtp alone, over real sockets. The
// times and CPU-seconds hold the client too. Run it with -benchtime=50000x.
func BenchmarkAccept(b *testing.B) {
	ours, theirs := startServer(b), startPlain(b)
	flood(b, ours, 500) // connections, pages and the garbage collector warm up
	flood(b, theirs, 500)
	b.ResetTimer()
	first := measure(b, ours)
	second := measure(b, theirs)
	b.ReportMetric(first.rate, "msgs/s")
	b.ReportMetric(second.rate, "plain-msgs/s")
	b.ReportMetric(first.rate/second.rate, "ratio")
	b.ReportMetric(first.cpu, "cpu-us/msg")
	b.ReportMetric(second.cpu, "plain-cpu-us/msg")
	b.ReportMetric(0, "ns/op")
}

type measured struct{ rate, cpu float64 }

func measure(b *testing.B, at string) measured {
	began, busy := time.Now(), cpuTime(b)
	flood(b, at, b.N)
	took := time.Since(began)
	return measured{float64(b.N) / took.Seconds(), float64((cpuTime(b) - busy).Microseconds()) / float64(b.N)}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func startServer(b *testing.B) string {
	bound := make(chan string, 1)
	config := DefaultConfig()
	config.Listen = []string{"127.0.0.1:0"}
	s, err := New(config, Deps{Intake: newDesk(b, IntakeConfig{}, sink{}), Hostname: hostname, Listen: func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err == nil {
			bound <- l.Addr().String()
		}
		return l, err
	}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return <-bound
}

func startPlain(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := smtp.NewServer(plain{})
	server.Domain = hostname
	server.MaxMessageBytes = DefaultConfig().MaxSize
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	b.Cleanup(func() {
		_ = server.Close()
		if err := <-served; err != nil {
			b.Error(err)
		}
	})
	return l.Addr().String()
}

// flood sends n messages in lockstep, without pipelining, as smtp-source -d does.
func flood(b *testing.B, at string, n int) {
	const connections = 50
	body := "Subject: x\r\nMessage-ID: <a@example.org>\r\n\r\n" + strings.Repeat(strings.Repeat("A", 76)+"\r\n", 5000/78) + ".\r\n"
	var group errgroup.Group
	for i := range connections {
		share := n / connections
		if i < n%connections {
			share++
		}
		group.Go(func() error { return converse(at, body, share) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func converse(at, body string, n int) error {
	conn, err := net.Dial("tcp", at)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	if err := step(conn, in, nil, '2'); err != nil {
		return err
	}
	if err := step(conn, in, []byte("EHLO client.example\r\n"), '2'); err != nil {
		return err
	}
	lines := [][]byte{[]byte("MAIL FROM:<a@example.org>\r\n"), []byte("RCPT TO:<b@example.net>\r\n"), []byte("DATA\r\n"), []byte(body)}
	for range n {
		for i, line := range lines {
			if err := step(conn, in, line, "2232"[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func step(conn net.Conn, in *bufio.Reader, text []byte, class byte) error {
	if _, err := conn.Write(text); err != nil {
		return err
	}
	for {
		reply, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if reply[0] != class {
			return fmt.Errorf("reply %q", reply)
		}
		if reply[3] == ' ' {
			return nil
		}
	}
}

// BenchmarkIntake is what a message of 5,000 octets costs between a door and the queue: as it comes by SMTP, by another door, and with a key.
func BenchmarkIntake(b *testing.B) {
	content := "Subject: x\r\nFrom: a@example.org\r\nTo: b@example.net\r\nDate: Sat, 01 Jan 2000 00:00:00 +0000\r\nMessage-ID: <a@example.org>\r\nBcc: c@example.net\r\n\r\n" +
		strings.Repeat(strings.Repeat("A", 76)+"\r\n", 5000/78)
	for name, key := range map[string]string{"proven": "", "other": "", "key": "k"} {
		b.Run(name, func(b *testing.B) {
			desk := newDesk(b, IntakeConfig{}, sink{})
			l := letter(b, "", "a@example.org", "b@example.net")
			l.Key = key
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				var c io.Reader = strings.NewReader(content)
				if name == "proven" {
					c = clean{c}
				}
				if _, err := desk.Submit(b.Context(), l, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// clean is content that its door has looked through.
type clean struct{ io.Reader }

func (clean) proven() {}
