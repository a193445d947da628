package smtptest

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipeBuffer is how many octets each direction of a Conn holds before the
// writer blocks. It stands for the send and receive buffers of two kernels.
const pipeBuffer = 64 << 10

// Conn is one end of an in-memory connection that behaves as a TCP connection
// does on Linux: it buffers 64 KiB each way and blocks the writer when that is
// full, what was written before Close or Reset can still be read, and errors
// are *net.OpError around the errno or os.ErrDeadlineExceeded. Deadlines may be
// set while a call blocks. Blocked calls are durably blocking in the sense of
// testing/synctest. All methods are safe for concurrent use.
type Conn struct {
	in, out       *stream
	local, remote *net.TCPAddr
}

// Pipe returns the two ends of an in-memory connection. The addresses are of
// the documentation range (RFC 5737): 192.0.2.1:49152 for the client and
// 192.0.2.25:25 for the server.
func Pipe() (client, server *Conn) {
	return connect(netip.MustParseAddrPort("192.0.2.1:49152"), netip.MustParseAddrPort("192.0.2.25:25"))
}

func connect(from, to netip.AddrPort) (client, server *Conn) {
	up, down := newStream(), newStream()
	a, b := net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to)
	return &Conn{in: down, out: up, local: a, remote: b}, &Conn{in: up, out: down, local: b, remote: a}
}

// Read returns what the peer wrote; io.EOF after the peer closed, ECONNRESET
// after it reset, both only when everything written before has been read.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// Write blocks until all of p is in the buffer. It fails with EPIPE after the
// peer closed and with ECONNRESET after it reset.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// Close ends both directions. The peer reads what is buffered, then io.EOF.
func (c *Conn) Close() error {
	c.out.endWriter(io.EOF)
	c.in.endReader(syscall.EPIPE)
	return nil
}

// CloseWrite ends the outgoing direction only; reading goes on.
func (c *Conn) CloseWrite() error {
	c.out.endWriter(io.EOF)
	return nil
}

// Reset ends the connection with a TCP reset: the peer reads what is buffered,
// then ECONNRESET, and its writes fail with ECONNRESET at once.
func (c *Conn) Reset() error {
	c.out.endWriter(syscall.ECONNRESET)
	c.in.endReader(syscall.ECONNRESET)
	return nil
}

// LocalAddr returns a *net.TCPAddr.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines. The zero time means none.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets when Read fails with os.ErrDeadlineExceeded. It acts on
// a Read that already blocks, too.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setDeadline(&c.in.readBy, t))
}

// SetWriteDeadline sets when Write fails with os.ErrDeadlineExceeded. It acts
// on a Write that already blocks, too.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.out.setDeadline(&c.out.writeBy, t))
}

// opError dresses err as package net does, so that code which looks into
// errors sees the same shapes as with a real socket.
func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// stream is one direction of a connection.
type stream struct {
	mu      sync.Mutex
	changed *sync.Cond
	buf     []byte

	readEnd  error // what the reader gets once buf is empty: the writer is gone
	writeEnd error // what the writer gets: the reader is gone
	readOff  bool  // the reader closed its own end
	writeOff bool  // the writer closed its own end

	readBy, writeBy deadline
}

// deadline is a timer with a memory of whether it has fired.
type deadline struct {
	timer  *time.Timer
	set    int // counts settings, so that a late timer of an earlier one is ignored
	passed bool
}

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readOff:
			return 0, net.ErrClosed
		case s.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(s.buf) > 0:
			n := copy(p, s.buf)
			s.buf = append(s.buf[:0], s.buf[n:]...)
			s.changed.Broadcast()
			return n, nil
		case s.readEnd != nil:
			return 0, s.readEnd
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := 0
	for {
		switch {
		case s.writeOff:
			return written, net.ErrClosed
		case s.writeBy.passed:
			return written, os.ErrDeadlineExceeded
		case s.writeEnd != nil:
			return written, s.writeEnd
		case written == len(p):
			return written, nil
		}
		if space := pipeBuffer - len(s.buf); space > 0 {
			n := min(space, len(p)-written)
			s.buf = append(s.buf, p[written:written+n]...)
			written += n
			s.changed.Broadcast()
			continue
		}
		s.changed.Wait()
	}
}

// endWriter takes the writer away; the reader gets end after the buffer.
func (s *stream) endWriter(end error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeOff = true
	if s.readEnd == nil {
		s.readEnd = end
	}
	s.writeBy.stop()
	s.changed.Broadcast()
}

// endReader takes the reader away; the writer gets end at once, and what was
// buffered is lost.
func (s *stream) endReader(end error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readOff = true
	s.buf = nil
	if s.writeEnd == nil {
		s.writeEnd = end
	}
	s.readBy.stop()
	s.changed.Broadcast()
}

// setDeadline arms d, which is one of the two deadlines of s.
func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off := s.readOff && d == &s.readBy || s.writeOff && d == &s.writeBy; off {
		return net.ErrClosed
	}
	d.stop()
	if wait := time.Until(t); !t.IsZero() && wait <= 0 {
		d.passed = true
	} else if !t.IsZero() {
		setting := d.set
		d.timer = time.AfterFunc(wait, func() { s.pass(d, setting) })
	}
	s.changed.Broadcast()
	return nil
}

func (s *stream) pass(d *deadline, setting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.set == setting {
		d.passed = true
		s.changed.Broadcast()
	}
}

func (d *deadline) stop() {
	d.set++
	d.passed = false
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
