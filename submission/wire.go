package submission

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

const (
	// maxCommand is the longest command line. RFC 5321 s4.5.3.1.4 has 512 octets, and extensions add to that: ORCPT 500 (RFC 3461 s5.1), SIZE, SMTPUTF8.
	maxCommand = 2048
	// inBuffer holds what the client has sent and nobody has read; a usual message fits.
	inBuffer = 16 << 10
)

// wire is the connection as go-smtp's server sees it. It gives out one command line at a time, so that nothing of the content ever sits in go-smtp's buffers, and
// it gathers replies until the client has to be waited for, so that a pipelined group costs one packet (RFC 2920 s3.2).
//
// Three commands are answered here and never reach go-smtp as they are: STARTTLS (starttls.go), AUTH (auth.go) and BDAT (chunks.go).
//
// All methods but dismiss and cut belong to the goroutine of the connection.
type wire struct {
	net.Conn                              // what is spoken over: raw, or TLS over it
	raw                          net.Conn // the connection itself
	door                         *door
	kind                         kind
	address                      netip.Addr // zero: it came over the socket
	uid                          int        // of the local user at the socket, else -1
	trusted                      bool       // may submit without AUTH
	user                         string     // who authenticated
	tls                          *tls.Config
	secured                      bool // by TLS
	session                      *session
	hostname                     string
	commandTimeout, writeTimeout time.Duration
	until                        time.Time // the end of the patience with a client that hands nothing over; zero: there is none
	in                           *bufio.Reader
	out                          *bufio.Writer
	command                      []byte // the line that go-smtp has read last
	rest                         []byte // what go-smtp has still to read
	left                         []byte // a line that ended a message in chunks; it is the next command
	mute                         int    // how many replies of go-smtp answer what the client did not send
	chunks                       *chunking
	wishes                       wishes // of the MAIL that go-smtp has read last
	greeted                      bool   // the client has said its name, and not before TLS
	extended                     bool   // with EHLO and not with HELO
	refused                      refusals
	denied                       int   // wrong passwords
	pace                         *pace // while content is read
	ended                        error // nothing more is read
	forget                       func()

	mu      sync.Mutex
	waiting bool // for a command
	closing bool // the server is
	closed  bool
}

// newWire is a connection that is let in.
func newWire(conn net.Conn, c Config) *wire {
	w := unopened(conn, c)
	w.open()
	return w
}

// unopened is a connection that may yet be turned away: it has no buffers.
func unopened(conn net.Conn, c Config) *wire {
	return &wire{Conn: conn, raw: conn, uid: -1, commandTimeout: c.CommandTimeout, writeTimeout: c.WriteTimeout}
}

func (w *wire) open() {
	w.in = bufio.NewReaderSize(clientReader{w}, inBuffer)
	w.out = bufio.NewWriter(clientWriter{w})
}

// clientReader is the lower end of wire.in. It is only called when everything that came has been read: then the client waits for its replies.
type clientReader struct{ w *wire }

func (r clientReader) Read(p []byte) (int, error) {
	w := r.w
	if err := w.out.Flush(); err != nil {
		return 0, err
	}
	if w.pace == nil {
		return w.Conn.Read(p) // go-smtp has set the deadline
	}
	began := time.Now()
	if err := w.Conn.SetReadDeadline(began.Add(w.pace.left())); err != nil {
		return 0, err
	}
	n, err := w.Conn.Read(p)
	w.pace.waited += time.Since(began)
	w.pace.received += int64(n)
	return n, err
}

// clientWriter is the lower end of wire.out.
type clientWriter struct{ w *wire }

func (o clientWriter) Write(p []byte) (int, error) {
	if err := o.w.Conn.SetWriteDeadline(time.Now().Add(o.w.writeTimeout)); err != nil {
		return 0, err
	}
	return o.w.Conn.Write(p)
}

// Read gives go-smtp the next command line, or the rest of one.
func (w *wire) Read(p []byte) (int, error) {
	for len(w.rest) == 0 {
		if w.ended != nil {
			return 0, w.ended
		}
		if err := w.next(); err != nil {
			w.ended = err
			return 0, err
		}
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

// next reads a line and makes it what go-smtp reads, if it may be a command.
func (w *wire) next() error {
	if w.kind == kindTLS && !w.secured {
		if err := w.shake(); err != nil {
			return err
		}
	}
	if w.tooManyErrors() {
		return w.hangUp("421 4.7.0 too many commands were refused")
	}
	if len(w.left) > 0 {
		line := w.left
		w.left = nil
		return w.offer(line)
	}
	line, err := w.line()
	if err != nil {
		return err
	}
	return w.offer(line)
}

// line waits for a line; the server may close meanwhile.
func (w *wire) line() ([]byte, error) {
	if !w.await() {
		return nil, w.goodbye()
	}
	line, err := w.in.ReadSlice('\n')
	if w.resume() {
		return nil, w.goodbye()
	}
	if errors.Is(err, bufio.ErrBufferFull) || len(line) > maxCommand {
		return nil, smtp.ErrTooLongLine // which go-smtp tells the client before it hangs up
	}
	return line, err
}

// Write takes a reply line of go-smtp, which writes each line with a call of its own.
func (w *wire) Write(p []byte) (int, error) {
	last := len(p) > 3 && p[3] == ' '
	if w.mute > 0 {
		if last {
			w.mute--
		}
		return len(p), nil
	}
	if last && p[0] >= '4' {
		w.refused.count()
	}
	if string(p) == "250-CHUNKING\r\n" {
		return len(p), w.extensions()
	}
	return w.out.Write(p)
}

// extensions says behind which keywords go-smtp's list is not complete: those that are ours.
func (w *wire) extensions() error {
	list := "250-CHUNKING\r\n250-DELIVERBY\r\n"
	if longest := w.door.config.MaxHold; longest > 0 {
		until := time.Now().Add(longest).UTC().Format(time.RFC3339)
		list += fmt.Sprintf("250-FUTURERELEASE %d %s\r\n", int64(longest.Seconds()), until) // RFC 4865 s3
	}
	if w.offersTLS() {
		list += "250-STARTTLS\r\n"
	}
	if w.kind != kindSocket && w.door.accounts.any() && w.mayAuth() {
		list += "250-AUTH PLAIN LOGIN\r\n"
	}
	_, err := w.out.WriteString(list)
	return err
}

// await notes that a command is waited for; false: the server closes.
func (w *wire) await() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = !w.closing
	return w.waiting
}

// resume ends await and says whether the server closes.
func (w *wire) resume() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
	return w.closing
}

// dismiss has the connection end with 421 as soon as it waits for a command; at once, if it does.
func (w *wire) dismiss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closing = true
	if w.waiting {
		_ = w.raw.SetReadDeadline(time.Unix(1, 0)) // an error is as good: the reading has ended then
	}
}

// cut ends the connection now.
func (w *wire) cut() { _ = w.raw.Close() }

// SetReadDeadline is what go-smtp calls before each command; the error ends its loop. A client that hands nothing over has no more than its time as a whole.
func (w *wire) SetReadDeadline(t time.Time) error {
	if w.isClosed() {
		return net.ErrClosed
	}
	if !w.until.IsZero() && t.After(w.until) {
		t = w.until
	}
	return w.raw.SetReadDeadline(t)
}

// patience is when the next command has to be here.
func (w *wire) patience() time.Time { return time.Now().Add(w.commandTimeout) }

func (w *wire) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// Close sends the replies that wait and closes. go-smtp calls it more than once.
func (w *wire) Close() error {
	w.mu.Lock()
	again := w.closed
	w.closed = true
	w.mu.Unlock()
	if again {
		return nil
	}
	defer w.forget()
	if w.ended == nil {
		w.ended = net.ErrClosed
	}
	return errors.Join(w.out.Flush(), w.Conn.Close())
}

// finish ends the reading of content. When its end was seen, go-smtp is shown a dot, behind which it goes on; otherwise what follows may be anything but commands,
// and the connection ends with reply.
func (w *wire) finish(c *content, reply string) {
	w.pace = nil
	if errors.Is(c.err, errAborted) {
		w.mute++ // the reply is to the command that gave the message up
		c.complete = true
	}
	if c.complete {
		w.rest = append(w.command[:0], ".\r\n"...)
		return
	}
	w.say(reply)
	w.ended = io.EOF
	_ = w.Close() // the client is gone or will see it
}

// isTimeout tells a client that is too slow from one that is gone.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
