package smtptest

import (
	"net"
	"slices"
	"time"
)

// Kind is what an Event is about.
type Kind string

// The kinds of event, in the order in which a connection has them.
const (
	Connected Kind = "connected"
	Secured   Kind = "secured"   // a TLS handshake is done; Line is its version
	Unsecured Kind = "unsecured" // a TLS handshake failed; Line says why
	Heard     Kind = "heard"     // Line is the command
	Judged    Kind = "judged"    // of RCPT: Recipient says what is about to be replied
	Received  Kind = "received"  // Transaction has its content whole; the reply is not said yet
	Said      Kind = "said"      // Line is a line of a reply, its first 512 octets
	Ended     Kind = "ended"     // Line is the End of the Connection
)

// Event is one thing that happened on a connection.
type Event struct {
	At          time.Time
	Kind        Kind
	Connection  int // its Number
	Local       net.Addr
	Remote      net.Addr
	Line        string
	Recipient   Recipient   // of Judged
	Transaction Transaction // of Judged: as far as it has come, without content; of Received: whole
}

// WithObserver tells a function what happens, while it happens. The events of
// one connection come in order; those of several come several at a time. The
// connection waits for the function, which must not call the server.
func WithObserver(observe func(Event)) Option {
	return func(s *Server) { s.observe = observe }
}

// WithHistory makes the server remember the last n connections and the last n
// transactions only, so that one that runs for days does not grow.
func WithHistory(n int) Option { return func(s *Server) { s.history = n } }

func (c *conversation) tell(e Event) {
	if c.server.observe == nil {
		return
	}
	e.At, e.Connection, e.Local, e.Remote = time.Now(), c.heard.Number, c.heard.Local, c.heard.Remote
	c.server.observe(e)
}

func (c *conversation) tellLine(kind Kind, line string) { c.tell(Event{Kind: kind, Line: line}) }

func (c *conversation) tellTransaction(kind Kind, t *Transaction, r Recipient) {
	if c.server.observe == nil {
		return
	}
	e := Event{Kind: kind, Transaction: *t, Recipient: r}
	e.Transaction.Recipients = slices.Clone(t.Recipients)
	e.Transaction.Chunks = slices.Clone(t.Chunks)
	c.tell(e)
}

// forget drops the oldest of what was heard. The caller holds the lock.
func (s *Server) forget() {
	if s.history <= 0 {
		return
	}
	if extra := len(s.connections) - s.history; extra > 0 {
		s.connections = slices.Delete(s.connections, 0, extra)
	}
	if extra := len(s.transactions) - s.history; extra > 0 {
		s.transactions = slices.Delete(s.transactions, 0, extra)
	}
}
