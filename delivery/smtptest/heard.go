package smtptest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"time"
)

// Connection is what a server heard on one connection. Values that methods of
// Server return are copies, except that octets are shared: do not change them.
type Connection struct {
	Number       int // from 1, in the order of accepting
	Local        net.Addr
	Remote       net.Addr
	Began        time.Time
	Ended        time.Time            // zero while it is open
	End          string               // how it ended: "quit", "closed by client", "closed by script" ...; "" while open
	Commands     []string             // every command line without its line end, in order
	BareLF       bool                 // a command line ended in LF without CR (RFC 5321 section 2.3.8 forbids it)
	TLS          *tls.ConnectionState // nil: in clear
	HandshakeErr error                // why a TLS handshake failed, as the server sees it
	Auths        []Auth
	Quit         bool // QUIT was said
	// Flights is how often the server, having said something, had to wait for
	// the client to begin a new command or the content: the number of round
	// trips. Waiting for the rest of a command or of a BDAT chunk is none, so
	// a client that is to be counted well sends a group of commands in one write.
	Flights int
	Wire    []byte // all octets of the client after decryption; only with "keep wire"
}

// Auth is one AUTH exchange (RFC 4954).
type Auth struct {
	Mechanism string
	Authzid   string // the identity to act as, "" when not given
	User      string
	Secret    string   // password or token
	Responses []string // the client's lines as sent, the initial response first
	TLS       bool
	Accepted  bool
}

// Transaction is what a server heard from one MAIL command on.
type Transaction struct {
	Connection int    // its Number
	Mail       string // the command line as sent
	Reply      string // the last line of the reply to MAIL
	Accepted   bool   // MAIL was accepted
	Recipients []Recipient
	TLS        bool
	User       string // who had authenticated, "" for nobody

	// Content is what arrived, without dot-stuffing and without the final dot;
	// its size is Size even where "keep no-content" drops it.
	Content  []byte
	Size     int64
	Chunks   []int64 // sizes of the BDAT chunks, nil with DATA (RFC 3030)
	Complete bool    // the end of the content arrived

	ContentReply    string // the last line of the reply to the content; "" when there was none
	ContentAccepted bool   // that reply was 2xx
	// RoundTrips is how often the client had to wait for the server from MAIL
	// to the reply to the content, by the same measure as Connection.Flights.
	RoundTrips int
}

// Recipient is one RCPT command.
type Recipient struct {
	Line     string // the command line as sent
	Address  string // what stood between the angle brackets
	Accepted bool
	Reply    string // the last line of the reply
}

// From returns what stood between the angle brackets of MAIL.
func (t Transaction) From() string { return path(t.Mail) }

// To returns the addresses of the recipients that were accepted.
func (t Transaction) To() []string {
	var to []string
	for _, r := range t.Recipients {
		if r.Accepted {
			to = append(to, r.Address)
		}
	}
	return to
}

// Connections returns all connections so far, open ones included.
func (s *Server) Connections() []Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := make([]Connection, len(s.connections))
	for i, c := range s.connections {
		heard[i] = *c
		heard[i].Commands = slices.Clone(c.Commands)
		heard[i].Auths = slices.Clone(c.Auths)
	}
	return heard
}

// Transactions returns every transaction so far, refused and unfinished ones
// included, in the order of their MAIL commands.
func (s *Server) Transactions() []Transaction {
	return s.transactionsIf(func(*Transaction) bool { return true })
}

// Messages returns the transactions whose content arrived to its end. One is
// there before the server replies to the end of the content.
func (s *Server) Messages() []Transaction {
	return s.transactionsIf(func(t *Transaction) bool { return t.Complete })
}

func (s *Server) transactionsIf(wanted func(*Transaction) bool) []Transaction {
	s.mu.Lock()
	defer s.mu.Unlock()
	var heard []Transaction
	for _, t := range s.transactions {
		if wanted(t) {
			clone := *t
			clone.Recipients = slices.Clone(t.Recipients)
			clone.Chunks = slices.Clone(t.Chunks)
			heard = append(heard, clone)
		}
	}
	return heard
}

// WaitMessages waits until at least n messages arrived to their end and
// returns all of them. It fails when ctx ends or the server is closed first.
func (s *Server) WaitMessages(ctx context.Context, n int) ([]Transaction, error) {
	err := s.wait(ctx, func() bool {
		complete := 0
		for _, t := range s.transactions {
			if t.Complete {
				complete++
			}
		}
		return complete >= n
	})
	return s.Messages(), err
}

// WaitConnections waits until at least n connections have ended and returns
// all connections. It fails when ctx ends or the server is closed first.
func (s *Server) WaitConnections(ctx context.Context, n int) ([]Connection, error) {
	err := s.wait(ctx, func() bool {
		ended := 0
		for _, c := range s.connections {
			if c.End != "" {
				ended++
			}
		}
		return ended >= n
	})
	return s.Connections(), err
}

// wait blocks until ready, which is called under the lock, returns true.
func (s *Server) wait(ctx context.Context, ready func() bool) error {
	stop := context.AfterFunc(ctx, func() { s.note(func() {}) })
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !ready() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.closed {
			return errors.New("smtptest: the server was closed")
		}
		s.changed.Wait()
	}
	return nil
}

// note changes what was heard and wakes those who wait for it.
func (s *Server) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}
