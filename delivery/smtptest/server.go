package smtptest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// TB is what New and Network.Serve need of a *testing.T.
type TB interface {
	Helper()
	Cleanup(func())
	Fatal(...any)
}

// Server is a scripted SMTP server on one listener. All methods are safe for
// concurrent use. A server that is to run in a testing/synctest bubble is
// started in that bubble.
type Server struct {
	listener  net.Listener
	authority *Authority
	decide    func(Occasion) string
	observe   func(Event)
	history   int           // how many connections and transactions are remembered; 0: all
	stopped   chan struct{} // closed by Close; ends stalls and sleeps
	owned     sync.WaitGroup

	mu           sync.Mutex
	changed      *sync.Cond
	script       *Script
	certificate  tls.Certificate
	accepted     int // connections so far
	connections  []*Connection
	transactions []*Transaction
	open         map[net.Conn]bool
	closed       bool
}

// Option changes how a server starts.
type Option func(*Server)

// WithAuthority makes a issue the certificate, so that several servers have
// one root. Without it every server has an authority of its own.
func WithAuthority(a *Authority) Option { return func(s *Server) { s.authority = a } }

// New starts a server on a free port of the loopback address 127.0.0.1 and
// closes it when the test ends.
func New(t TB, script string, options ...Option) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, script, l, options)
}

// Serve starts a server at "ip:port" of the network and closes it when the
// test ends; in a testing/synctest bubble t is that of the bubble.
func (n *Network) Serve(t TB, addr, script string, options ...Option) *Server {
	t.Helper()
	l, err := n.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, script, l, options)
}

func serve(t TB, script string, l net.Listener, options []Option) *Server {
	t.Helper()
	s, err := Start(script, l, options...)
	if err != nil {
		t.Fatal(errors.Join(err, l.Close()))
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Start starts a server on l, which it owns from then on unless it returns an
// error. The caller closes the server.
func Start(script string, l net.Listener, options ...Option) (*Server, error) {
	parsed, err := ParseScript(script)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, script: parsed, stopped: make(chan struct{}), open: map[net.Conn]bool{}}
	s.changed = sync.NewCond(&s.mu)
	for _, option := range options {
		option(s)
	}
	if err := s.prepareTLS(); err != nil {
		return nil, err
	}
	s.owned.Go(s.accept)
	return s, nil
}

func (s *Server) prepareTLS() (err error) {
	if s.authority == nil {
		if s.authority, err = NewAuthority(); err != nil {
			return err
		}
	}
	s.certificate, err = s.issue(s.script)
	return err
}

// issue makes the certificate that the script asks for.
func (s *Server) issue(script *Script) (tls.Certificate, error) {
	names := script.settings.names
	if len(names) == 0 {
		names = []string{script.settings.name}
	}
	return s.authority.Issue(script.settings.certificate, names...)
}

// Addr returns the listener's address as "ip:port".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// AddrPort returns the listener's address.
func (s *Server) AddrPort() netip.AddrPort { return netip.MustParseAddrPort(s.Addr()) }

// Roots returns the pool that a client trusts when it is to believe the
// server's certificate.
func (s *Server) Roots() *x509.CertPool { return s.authority.Roots() }

// Certificate returns the server's own certificate.
func (s *Server) Certificate() *x509.Certificate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.certificate.Leaf
}

// SetScript changes the dialogue for connections from now on, as a server does
// that recovers or breaks. What was heard stays, and so does the certificate,
// unless the new script asks for another one.
func (s *Server) SetScript(script string) error {
	parsed, err := ParseScript(script)
	if err != nil {
		return err
	}
	s.mu.Lock()
	renew := !parsed.settings.sameCertificate(s.script.settings)
	certificate := s.certificate
	s.mu.Unlock()
	if renew {
		if certificate, err = s.issue(parsed); err != nil {
			return err
		}
	}
	s.note(func() { s.script, s.certificate = parsed, certificate })
	return nil
}

// Cut ends every open connection with a TCP reset, as a machine does that goes
// down and comes up. The server listens on.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		abort(c)
	}
}

// Close stops listening, ends every connection and waits until no goroutine of
// the server is left. What was heard stays readable.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.owned.Wait()
		return nil
	}
	s.closed = true
	close(s.stopped)
	err := s.listener.Close()
	for c := range s.open {
		c.Close() // it may be closed already
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	s.owned.Wait()
	if err != nil {
		return fmt.Errorf("smtptest: close: %w", err)
	}
	return nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		if c := s.admit(conn); c != nil {
			s.owned.Go(c.run)
		}
	}
}

// admit enters the connection into the books; nil when the server has closed.
func (s *Server) admit(conn net.Conn) *conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return nil
	}
	s.open[conn] = true
	s.accepted++
	heard := &Connection{
		Number: s.accepted, Local: conn.LocalAddr(), Remote: conn.RemoteAddr(), Began: time.Now(),
	}
	s.connections = append(s.connections, heard)
	s.forget()
	return newConversation(s, conn, heard, s.script)
}

// dismiss closes the connection and notes how it ended.
func (s *Server) dismiss(conn net.Conn, heard *Connection, end string) {
	conn.Close()
	s.note(func() {
		delete(s.open, conn)
		heard.Ended, heard.End = time.Now(), end
	})
}

func (s *Server) remember(t *Transaction) {
	s.note(func() {
		s.transactions = append(s.transactions, t)
		s.forget()
	})
}
