// Package submission is how mail comes in. What is here now is an SMTP listener for named networks, loopback by default.
//
// The dialogue is that of go-smtp's server: it parses commands, keeps their order and writes replies. Everything that the queue must be protected from is
// caught before or after it:
//
//	gate.go     who may connect, and how often
//	wire.go     the connection as go-smtp sees it: one command line at a time, whole and clean; replies are gathered
//	content.go  the content from 354 to the dot, read here and not by go-smtp: line ends, dots, size, pace
//	path.go     addresses as the client wrote them, quotes included
//	header.go   what must be known of the header before the message is accepted
//	message.go  the head that was read for it, and the rest as it comes in
//	session.go  one transaction after the other; ends in Acceptor.Submit
//	serve.go    the listeners, and an end in order
//
// The content that is handed over has a Received field more than the one that came, and is unchanged otherwise. A Date or Message-ID that is missing is not added, and Bcc and
// Return-Path are not removed.
package submission

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"

	"go.uber.org/zap"

	"sternpost/queue"
)

// Acceptor takes responsibility for mail. Package queue has one.
type Acceptor interface {
	// Submit reads content to its end and returns nil only when the message would survive a crash (RFC 5321 s6.1). When content cannot be read to its
	// end, nothing is accepted.
	Submit(ctx context.Context, s queue.Submission, content io.Reader) (queue.ID, error)
	// Ready is nil while mail is accepted, and says otherwise why it is not.
	Ready() error
}

// Deps are the parts that a Server does not make itself.
type Deps struct {
	Queue Acceptor
	// Hostname is the name of this host, for the greeting and the Received field.
	Hostname string
	// Log may be nil.
	Log *zap.Logger
	// Directory is that of the queue: the submission socket and a certificate of our own making are in it where the configuration says nothing else. Empty: there is neither.
	Directory string
	// Listen opens a listener; nil is Listen.
	Listen func(network, address string) (net.Listener, error)
}

// Server accepts mail by SMTP. Its Serve may be called more than once, also concurrently, as long as the addresses are free.
type Server struct {
	config   Config
	deps     Deps
	networks []netip.Prefix
	accounts *accounts
	tries    *tries
	tls      *tls.Config // nil: there is no certificate
}

// New makes a Server. The error is that of Config.Check, or says what is missing from d.
func New(c Config, d Deps) (*Server, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if d.Queue == nil || d.Hostname == "" {
		return nil, fmt.Errorf("submission: a queue and a host name are needed")
	}
	if d.Log == nil {
		d.Log = zap.NewNop()
	}
	if d.Listen == nil {
		d.Listen = Listen
	}
	users, err := LoadUsers(c)
	if err != nil {
		return nil, err
	}
	s := &Server{config: c, deps: d, accounts: newAccounts(), tries: &tries{}}
	s.accounts.set(users)
	for _, text := range c.Networks {
		network, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("submission.networks: %w", err)
		}
		s.networks = append(s.networks, network)
	}
	return s, s.openTLS()
}

// SetUsers puts other users in the place of those that were, as LoadUsers gives them. Who is logged in stays so until his connection ends.
func (s *Server) SetUsers(users []User) { s.accounts.set(users) }
