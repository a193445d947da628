package submission

import (
	"context"
	"io"
	"net/netip"
	"strconv"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// Client is who brings mail: what the door that he came through has found out about him.
type Client struct {
	Door     string     // DoorSMTP, DoorSocket or DoorHTTP
	User     string     // who authenticated; empty: he was let in by his network, or as a local user
	UID      int        // of a local user, where Door is DoorSocket or a Unix socket; else -1
	Address  netip.Addr // zero: he did not come over TCP
	Helo     string     // the name that he gave; may be empty
	Protocol string     // behind "with" in the Received field (RFC 5321 s4.4, RFC 3848)
}

// The doors.
const (
	DoorSMTP   = "smtp"
	DoorSocket = "socket" // SMTP on the submission socket
	DoorHTTP   = "http"
)

// Peer is the client for people and for the journal.
func (c Client) Peer() string {
	switch {
	case c.User != "" && c.Address.IsValid():
		return c.User + " at " + c.Address.String()
	case c.User != "":
		return c.User
	case c.Address.IsValid():
		return c.Address.String()
	case c.UID >= 0:
		return "uid " + strconv.Itoa(c.UID)
	}
	return c.Door
}

// Letter is a message at a door, with what is wanted for it.
type Letter struct {
	Client   Client
	Envelope mail.Envelope
	Expanded []mail.Recipient // aliases that several recipients of the envelope take the place of
	UTF8     bool             // SMTPUTF8 was asked for (RFC 6531)
	Key      string           // the idempotency key that the door was given; empty: the header may have one
	SendAt   time.Time        // not before (RFC 4865); zero: at once
	Expires  time.Time        // the end of its lifetime, where the client sets one (RFC 2852); zero: the configuration decides
}

// Expansion is whom a recipient stands for.
type Expansion struct {
	Recipients []mail.Recipient
	// Expanded is the recipient itself, with its domain, where it is an alias of several: for Letter.Expanded.
	Expanded []mail.Recipient
}

// Receipt says that a message was taken over.
type Receipt struct {
	ID queue.ID
	// Repeated says that the same message came with the same key before: it was taken then, and this is its id.
	Repeated bool
}

// Refusal is a message, a sender or a recipient that is not taken, in the words of SMTP; the other doors translate it.
type Refusal struct {
	Code   int
	Status mail.Status
	Text   string // one line, for the client; nothing in it is secret
	cause  error
}

// Error implements error.
func (r *Refusal) Error() string {
	return strconv.Itoa(r.Code) + " " + r.Status.String() + " " + r.Text
}

// Unwrap leads to queue.ErrOtherContent, where a key came before with another message.
func (r *Refusal) Unwrap() error { return r.cause }

// refuse makes a Refusal. status is one that mail.ParseStatus reads.
func refuse(code int, status, text string) *Refusal {
	enhanced, err := mail.ParseStatus(status)
	if err != nil {
		enhanced = mail.Status{code / 100, 0, 0}
	}
	return &Refusal{Code: code, Status: enhanced, Text: text}
}

// Intake is what stands behind every door: the rules for senders and recipients, what is done to a header, and the queue. All doors give the same promise,
// since it is given here. Safe for concurrent use.
type Intake interface {
	// Sender says whether the client may send from this reverse-path. The error is a *Refusal. A local-part without a domain is as good as with submission.domain.
	Sender(c Client, from mail.ReversePath) error
	// Recipient gives the addresses that a recipient stands for: an alias may stand for several, and a local-part without a domain gets submission.domain. A recipient that a staging
	// guard, the user's limit or the suppression list forbids is refused; of those whom an alias stands for, the ones that are suppressed are left out while there are others. The error is a *Refusal.
	Recipient(c Client, from mail.ReversePath, r mail.Recipient) (Expansion, error)
	// Submit takes a message over: when it returns nil it would survive a crash (RFC 5321 s6.1). The recipients of the letter, and what was expanded, are what Recipient gave; whom it
	// names twice gets the message once. The errors are, perhaps wrapped, *Refusal, queue.ErrFull, queue.ErrStopped and those of content; then nothing was accepted.
	Submit(ctx context.Context, l Letter, content io.Reader) (Receipt, error)
	// Ready is nil while mail is accepted, and says otherwise why it is not.
	Ready() error
}
