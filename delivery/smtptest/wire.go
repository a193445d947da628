package smtptest

import (
	"bufio"
	"net"
	"strings"
	"time"
)

// wireBuffer holds a whole group of pipelined commands, so that one write of
// the client is one flight here; it is no larger because a test may have
// hundreds of servers and a limit on memory.
const wireBuffer = 16 << 10

// wire reads and writes one connection. Replies are held back until the input
// is drained, as RFC 2920 section 3.2 asks of a server, unless each is flushed.
type wire struct {
	conn    net.Conn
	in      *bufio.Reader
	out     *bufio.Writer
	heard   func(change func(c *Connection)) // changes the connection's record under the lock
	keep    bool                             // record all input
	spoke   bool                             // something was said since the client's last flight
	inChunk bool                             // the octets awaited belong to a BDAT chunk
	drip    time.Duration                    // pause before each octet; 0: none
	sleep   func(time.Duration) error
}

// attach makes the wire use conn and forgets what was buffered: after STARTTLS
// nothing said in clear may count (RFC 3207 section 4.2).
func (w *wire) attach(conn net.Conn) {
	w.conn = conn
	w.in = bufio.NewReaderSize(flushingReader{w}, wireBuffer)
	w.out = bufio.NewWriter(conn)
}

// flushingReader reads the connection, and before it waits sends what is held
// back. A wait at the beginning of something new ends a flight.
type flushingReader struct{ w *wire }

func (r flushingReader) Read(p []byte) (int, error) {
	w := r.w
	if err := w.out.Flush(); err != nil {
		return 0, err
	}
	if w.spoke && !w.inChunk && w.in.Buffered() == 0 {
		w.spoke = false
		w.heard(func(c *Connection) { c.Flights++ })
	}
	n, err := w.conn.Read(p)
	if w.keep && n > 0 {
		w.heard(func(c *Connection) { c.Wire = append(c.Wire, p[:n]...) })
	}
	return n, err
}

// line reads one line and returns it without its end.
func (w *wire) line() (string, error) {
	s, err := w.in.ReadString('\n')
	if err != nil {
		return s, err
	}
	s = s[:len(s)-1]
	stripped, ended := strings.CutSuffix(s, "\r")
	if !ended {
		w.heard(func(c *Connection) { c.BareLF = true })
	}
	return stripped, nil
}

// Write sends p, at once or as slowly as the drip wants.
func (w *wire) Write(p []byte) (int, error) {
	w.spoke = true
	if w.drip == 0 {
		return w.out.Write(p)
	}
	if err := w.out.Flush(); err != nil {
		return 0, err
	}
	for i := range p {
		if err := w.sleep(w.drip); err != nil {
			return i, err
		}
		if _, err := w.conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}
