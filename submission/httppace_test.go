package submission

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// onePipe is a listener with one connection.
type onePipe struct {
	conns chan net.Conn
	ended chan struct{}
}

func (l *onePipe) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.ended:
		return nil, net.ErrClosed
	}
}

func (l *onePipe) Close() error   { close(l.ended); return nil }
func (l *onePipe) Addr() net.Addr { return &net.UnixAddr{} }

// The server's own deadlines, which are for small bodies, neither cut a message that makes progress, nor does one that makes none live for long.
func TestUploadsAreGivenTheirTime(t *testing.T) {
	for name, c := range map[string]struct {
		piece  int // octets
		every  time.Duration
		pieces int
		status int
		within time.Duration // of the last octet
	}{
		"steady": {2000, time.Second, 1200, 202, time.Second},
		"slow":   {1, 10 * time.Second, 30, 408, 4 * time.Minute},
		"silent": {0, 0, 0, 408, 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeIntake{}
				door := newDoor(f)
				door.config.MaxSize = 10 << 20
				l := &onePipe{make(chan net.Conn, 1), make(chan struct{})}
				server := &http.Server{Handler: door, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute}
				go server.Serve(l)
				client, conn := net.Pipe()
				l.conns <- conn
				began := time.Now()
				written := make(chan struct{})
				go func() {
					defer close(written)
					fmt.Fprintf(client, "POST /v1/messages?from=&to=you@example.test HTTP/1.1\r\nHost: x\r\nContent-Type: message/rfc822\r\nContent-Length: %d\r\n\r\n", max(10, c.piece*c.pieces))
					for range c.pieces {
						time.Sleep(c.every)
						if _, err := client.Write(append(bytes.Repeat([]byte("x"), max(0, c.piece-1)), "\n"[:min(1, c.piece)]...)); err != nil {
							return
						}
					}
				}()
				response, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); response.StatusCode != c.status || (c.status == 202) != (f.accepted == 1) || took > time.Duration(c.pieces)*c.every+c.within {
					t.Errorf("%d after %s, %d accepted", response.StatusCode, took, f.accepted)
				}
				client.Close()
				server.Close()
				<-written
			})
		})
	}
}

// ofSize is a message of so many octets.
type ofSize struct{ left int }

func (e *ofSize) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	for i := range p[:n] {
		p[i] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"[(64-e.left%64+i)%64] // the size is a multiple of 64
	}
	e.left -= n
	return n, nil
}

// A large message is never in memory.
func TestLargeMIMEPassesThrough(t *testing.T) {
	const size = 100 << 20
	l := newLineReader(&ofSize{size}, Config{MaxSize: size + 2, MaxLine: 1000})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := io.Copy(io.Discard, struct{ io.Reader }{l})
	runtime.ReadMemStats(&after)
	if err != nil && !errors.Is(err, io.EOF) || n < size {
		t.Fatalf("%d octets, %v", n, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d octets of memory for %d octets of message", used, n)
	}
}
