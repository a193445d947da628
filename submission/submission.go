// Package submission is how mail comes in: by SMTP over TCP, in clear and under TLS, and over a Unix socket for local users.
//
// The dialogue is that of go-smtp's server: it parses commands, keeps their order and writes replies. Everything that the queue must be protected from is
// caught before or after it:
//
//	listen.go       where clients connect: addresses, and the submission socket
//	gate.go         who may connect, and how often; who may submit at once, and who is a stranger until he has authenticated
//	wire.go         the connection as go-smtp sees it: one command line at a time, whole and clean; replies are gathered
//	command.go      what becomes of a command line: it goes to go-smtp, is answered in its place, or is refused
//	refusals.go     the end of the patience with clients that hand nothing over
//	starttls.go     STARTTLS and handshakes; certificate.go: with what; selfmade.go: when there is no certificate
//	auth.go         AUTH; accounts.go: whose password is right; tries.go: how often one may guess; password.go, usersfile.go: hashes and users
//	parameters.go   what a client may wish for at MAIL and go-smtp does not know
//	content.go      the content from 354 to the dot, read here and not by go-smtp: line ends, dots, size, pace
//	chunks.go       the content that comes by BDAT
//	path.go         addresses as the client wrote them, quotes included
//	session.go      one transaction after the other; ends in Intake.Submit
//	serve.go        the listeners, and an end in order
//
// Behind every door stands one Intake (letter.go), so that all of them give the same promise:
//
//	intake.go       what is done to a letter, in its order; ends in Acceptor.Submit
//	intakerules.go  what the configuration says about senders and recipients
//	aliases.go      whom a recipient stands for
//	users.go        from which addresses a user may send; hourly.go: to how many recipients
//	guard.go        whom a staging system may write to
//	header.go       the header: what is taken out, and what must be known of it before the message is accepted
//	trace.go        what is added to it
//	check.go        octets that no message may hold
//	key.go          what makes a message the same that came before
//	message.go      the message as the queue reads it
//
// The content that is handed over is the one that came, with these changes of the header: a Received field is put before it; Return-Path, Bcc, Resent-Bcc and Idempotency-Key are
// taken out; Date and Message-ID are added where they are missing, and so is the empty line behind the header.
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
	Submit(ctx context.Context, s queue.Submission, content io.Reader) (queue.Accepted, error)
	// Ready is nil while mail is accepted, and says otherwise why it is not.
	Ready() error
}

// Deps are the parts that a Server does not make itself.
type Deps struct {
	Intake Intake
	// Hostname is the name of this host, for the greeting.
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
	figures  figures
}

// New makes a Server. The error is that of Config.Check, or says what is missing from d.
func New(c Config, d Deps) (*Server, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if d.Intake == nil || d.Hostname == "" {
		return nil, fmt.Errorf("submission: an intake and a host name are needed")
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
