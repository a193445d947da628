package submission

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"

	"sternpost/mail"
)

// door is a Server while it is open: the connections and what their sessions share.
type door struct {
	*Server
	// submissions is the context of Submit. It outlives the call for the end by Config.Drain.
	submissions context.Context

	mu      sync.Mutex
	open    map[*wire]bool
	from    map[netip.Addr]int // connections by address
	closing bool
}

func (s *Server) door(submissions context.Context) *door {
	return &door{Server: s, submissions: submissions, open: map[*wire]bool{}, from: map[netip.Addr]int{}}
}

// gate is a listener that lets in only those who may submit.
type gate struct {
	net.Listener
	door *door
	told *time.Time // when trouble was last logged; it belongs to the goroutine that accepts
}

// tellEvery is how often a listener that cannot accept is complained of. It is tried again many times a minute.
const tellEvery = time.Minute

// Accept waits for a client that is let in. The others are told why not.
func (g gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			g.complain(err)
			return nil, err
		}
		address := addressOf(conn)
		w, refusal := g.door.admit(conn, address)
		if refusal == "" {
			return w, nil
		}
		g.door.deps.Log.Info("connection turned away", zap.Stringer("peer", address), zap.String("reply", refusal))
		turnAway(conn, refusal)
	}
}

// complain logs that clients wait for whom we have no file handle. Other errors end the listener, and are told by its end.
func (g gate) complain(err error) {
	handles := errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
	if !handles || time.Since(*g.told) < tellEvery {
		return
	}
	*g.told = time.Now()
	g.door.deps.Log.Error("no client can be let in for now", zap.Stringer("address", g.Addr()), zap.Error(err))
}

// turnAway writes what the buffers of a new connection always have room for.
func turnAway(conn net.Conn, reply string) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = conn.Write([]byte(reply + "\r\n")) // that the client does not get to read it changes nothing
	_ = conn.Close()
}

// addressOf is the address of the client; the zero one for what is not TCP, which is in no network.
func addressOf(conn net.Conn) netip.Addr {
	remote, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return remote.AddrPort().Addr().Unmap().WithZone("")
}

// admit makes a connection one of ours, or says with which reply it is to be turned away (RFC 5321 s3.1).
func (d *door) admit(conn net.Conn, address netip.Addr) (*wire, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	within := func(network netip.Prefix) bool { return network.Contains(address) }
	switch {
	case !slices.ContainsFunc(d.networks, within):
		return nil, "554 5.7.1 " + d.deps.Hostname + " takes no mail from " + address.String()
	case d.closing:
		return nil, "421 4.3.2 " + d.deps.Hostname + " is shutting down"
	case len(d.open) >= d.config.MaxConnections:
		return nil, "421 4.7.0 " + d.deps.Hostname + " has too many connections"
	case d.from[address] >= d.config.MaxConnectionsPerAddress:
		return nil, "421 4.7.0 " + d.deps.Hostname + " has too many connections from " + address.String()
	}
	w := newWire(conn, d.config)
	w.address, w.hostname = address, d.deps.Hostname
	w.forget = func() { d.forget(w) }
	d.open[w] = true
	d.from[address]++
	return w, ""
}

func (d *door) forget(w *wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, w)
	d.from[w.address]--
	if d.from[w.address] == 0 {
		delete(d.from, w.address)
	}
}

// dismiss lets nobody in any more and ends the connections that wait for a command; the others when they do.
func (d *door) dismiss() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closing = true
	for w := range d.open {
		w.dismiss()
	}
}

// cut ends all connections now.
func (d *door) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.open {
		w.cut()
	}
}

// NewSession begins a session. go-smtp calls it at the first EHLO or HELO.
func (d *door) NewSession(c *smtp.Conn) (smtp.Session, error) {
	w, ok := c.Conn().(*wire)
	if !ok {
		return nil, refusal(451, "4.3.0", "not a connection of ours")
	}
	return &session{door: d, wire: w, conn: c}, nil
}

// refusal is a negative reply. status is one that mail.ParseStatus reads.
func refusal(code int, status, text string) *smtp.SMTPError {
	enhanced, err := mail.ParseStatus(status)
	if err != nil {
		enhanced = mail.Status{code / 100, 0, 0}
	}
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode(enhanced), Message: text}
}
