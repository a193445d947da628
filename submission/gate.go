package submission

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
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
	// serving ends when the server begins to end.
	serving context.Context
	turned  sparing // of the lines about connections that were turned away

	mu        sync.Mutex
	open      map[*wire]bool
	from      map[origin]int // connections by where they come from
	strangers int            // connections that have still to authenticate
	closing   bool
}

// origin is the unit in which connections are limited: an address, or a local user.
type origin struct {
	address netip.Addr
	uid     int
}

// kind says how a listener is spoken to.
type kind uint8

// The kinds.
const (
	kindPlain  kind = iota // SMTP, and TLS by STARTTLS
	kindTLS                // TLS from the first octet on (RFC 8314 s3.3)
	kindSocket             // the submission socket
)

func (s *Server) door(submissions, serving context.Context) *door {
	return &door{Server: s, submissions: submissions, serving: serving, open: map[*wire]bool{}, from: map[origin]int{}}
}

// gate is a listener that lets in only those who may submit.
type gate struct {
	net.Listener
	door *door
	kind kind
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
		w := g.wire(conn)
		refusal := g.door.admit(w)
		if refusal == "" {
			return w, nil
		}
		if unsaid, may := g.door.turned.speak(); may {
			g.door.deps.Log.Info("connection turned away", zap.String("peer", w.peer()), zap.String("reply", refusal), zap.Int("unsaid", unsaid))
		}
		g.door.figures.turnedAway.Add(1)
		turnAway(w, refusal)
	}
}

// wire is conn with what can be seen of the client.
func (g gate) wire(conn net.Conn) *wire {
	d := g.door
	w := unopened(conn, d.config)
	w.door, w.kind, w.hostname = d, g.kind, d.deps.Hostname
	if g.kind == kindSocket {
		w.uid = uidOf(conn)
		w.trusted = w.uid >= 0
		return w
	}
	w.address = addressOf(conn)
	w.trusted = slices.ContainsFunc(d.networks, func(network netip.Prefix) bool { return network.Contains(w.address) })
	w.tls = d.tls
	return w
}

// peer is the client for the log.
func (w *wire) peer() string {
	switch {
	case w.address.IsValid():
		return w.address.String()
	case w.uid >= 0:
		return "uid " + strconv.Itoa(w.uid)
	}
	return "unknown"
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
func turnAway(w *wire, reply string) {
	if w.kind != kindTLS { // there it would be read as TLS
		_ = w.raw.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = w.raw.Write([]byte(reply + "\r\n")) // that the client does not get to read it changes nothing
	}
	_ = w.raw.Close()
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
func (d *door) admit(w *wire) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	from := origin{w.address, w.uid}
	switch {
	case !w.trusted && !d.mayAuthenticate(w):
		return "554 5.7.1 " + d.deps.Hostname + " takes no mail from " + w.peer()
	case d.closing:
		return "421 4.3.2 " + d.deps.Hostname + " is shutting down"
	case len(d.open) >= d.config.MaxConnections, w.stranger() && d.strangers >= (d.config.MaxConnections+1)/2: // strangers do not take the place of those we know
		return "421 4.7.0 " + d.deps.Hostname + " has too many connections"
	case d.from[from] >= d.config.MaxConnectionsPerAddress:
		return "421 4.7.0 " + d.deps.Hostname + " has too many connections from " + w.peer()
	}
	w.open()
	w.forget = func() { d.forget(w) }
	w.extend()
	d.open[w] = true
	d.figures.connections.Add(1)
	d.from[from]++
	if w.stranger() {
		d.strangers++
	}
	return ""
}

// mayAuthenticate says whether a stranger can become somebody here.
func (d *door) mayAuthenticate(w *wire) bool {
	return w.kind != kindSocket && w.address.IsValid() && d.accounts.any() && (w.tls != nil || w.mayAuth())
}

// welcome notes that a stranger has shown who he is.
func (d *door) welcome(w *wire, user string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.stranger() {
		d.strangers--
	}
	w.user = user
	w.extend()
}

func (d *door) forget(w *wire) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, w)
	d.figures.connections.Add(-1)
	if w.stranger() {
		d.strangers--
	}
	from := origin{w.address, w.uid}
	d.from[from]--
	if d.from[from] == 0 {
		delete(d.from, from)
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
	w.session = &session{door: d, wire: w, conn: c}
	return w.session, nil
}

// refusal is a negative reply. status is one that mail.ParseStatus reads.
func refusal(code int, status, text string) *smtp.SMTPError {
	enhanced, err := mail.ParseStatus(status)
	if err != nil {
		enhanced = mail.Status{code / 100, 0, 0}
	}
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode(enhanced), Message: text}
}
