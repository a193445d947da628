package submission

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-smtp"
	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// session is what go-smtp calls at MAIL, RCPT and DATA. It belongs to the goroutine of its connection.
type session struct {
	door     *door
	wire     *wire
	conn     *smtp.Conn
	open     bool // MAIL was accepted
	accepted int  // RCPT commands, as go-smtp counts them
	envelope mail.Envelope
	expanded []mail.Recipient
	wishes   wishes
	utf8     bool
	client   Client // as of the transaction
}

// maxEnvelopeID is the most that ENVID may have (RFC 3461 s4.4).
const maxEnvelopeID = 100

// Reset ends the transaction (RFC 5321 s4.1.1.5).
func (s *session) Reset() {
	s.open, s.utf8, s.accepted = false, false, 0
	s.wishes = wishes{}
	s.envelope, s.expanded = mail.Envelope{}, nil
}

// Logout has nothing to free.
func (s *session) Logout() error { return nil }

// Mail begins a transaction. The path that go-smtp has parsed is not used: see parsePath.
func (s *session) Mail(_ string, o *smtp.MailOptions) error {
	if s.open {
		return refusal(503, "5.5.1", "a transaction is under way; RSET ends it") // RFC 5321 s4.1.4: no nested MAIL
	}
	if refused := s.wire.mayMail(o); refused != nil {
		return refused
	}
	if err := s.door.deps.Intake.Ready(); err != nil {
		return s.trouble(err)
	}
	from, err := parsePath(string(s.wire.command), o.UTF8)
	if err != nil {
		return err
	}
	s.client = s.wire.client(s.conn.Hostname(), o.UTF8)
	if err := s.door.deps.Intake.Sender(s.client, from); err != nil {
		return s.answer(err)
	}
	s.open, s.utf8 = true, o.UTF8
	s.wishes = s.wire.wishes
	s.envelope = mail.Envelope{From: from, EnvelopeID: o.EnvelopeID, Return: string(o.Return)}
	return nil
}

// client is what is known of who sends the next message.
func (w *wire) client(helo string, utf8 bool) Client {
	c := Client{Door: DoorSMTP, User: w.user, UID: w.uid, Address: w.address, Helo: helo, Protocol: w.protocol(utf8)}
	if w.kind == kindSocket {
		c.Door = DoorSocket
	}
	return c
}

// protocol is the word behind "with" in the Received field (RFC 5321 s4.4, RFC 3848, RFC 6531 s4.3).
func (w *wire) protocol(utf8 bool) string {
	word := "SMTP"
	switch {
	case utf8:
		word = "UTF8SMTP"
	case w.extended:
		word = "ESMTP"
	default:
		return word
	}
	if w.secured {
		word += "S"
	}
	if w.user != "" {
		word += "A"
	}
	return word
}

// mayMail is the refusal of a client that may not begin a transaction, or of parameters that hold what no other door would take.
func (w *wire) mayMail(o *smtp.MailOptions) *smtp.SMTPError {
	switch {
	case !w.greeted:
		return refusal(503, "5.5.1", "EHLO comes first") // RFC 3207 s4.2: also again, behind STARTTLS
	case w.stranger() && !w.mayAuth():
		return refusal(530, "5.7.0", "authentication is needed, and STARTTLS before it") // RFC 4954 s6, RFC 3207 s4
	case w.stranger():
		return refusal(530, "5.7.0", "authentication is needed")
	case o.Auth != nil && mail.Escape(*o.Auth) != strings.ReplaceAll(*o.Auth, `\`, `\\`): // RFC 4954 s5; what it says is not believed
		return refusal(501, "5.5.4", "AUTH holds what cannot be printed")
	case len(o.EnvelopeID) > maxEnvelopeID:
		return refusal(501, "5.5.4", "ENVID is longer than 100 characters")
	}
	return nil
}

// Rcpt adds a recipient, or those that it stands for.
func (s *session) Rcpt(_ string, o *smtp.RcptOptions) error {
	to, err := parsePath(string(s.wire.command), s.utf8)
	if err != nil {
		return err
	}
	if to.IsNull() {
		return refusal(501, "5.1.3", "a recipient is needed")
	}
	r, err := recipient(to.Address, o)
	if err != nil {
		return err
	}
	e, err := s.door.deps.Intake.Recipient(s.client, s.envelope.From, r)
	if err != nil {
		return s.answer(err)
	}
	if len(s.envelope.Recipients)+len(e.Recipients) > maxLetter {
		return refusal(452, "4.5.3", "too many recipients") // RFC 5321 s4.5.3.1.10
	}
	s.envelope.Recipients = append(s.envelope.Recipients, e.Recipients...)
	s.expanded = append(s.expanded, e.Expanded...)
	s.accepted++
	return nil
}

// Data reads the content from the connection itself; the reader of go-smtp sees a dot and nothing else. It answers when the queue has taken the message, or
// not; whoever gets no well-formed end of the content loses the connection, so that nothing of it is taken for commands.
func (s *session) Data(io.Reader) error {
	c := s.wire.content(s.door.config)
	receipt, err := s.door.deps.Intake.Submit(s.door.submissions, s.letter(), c)
	c.drain()
	if err == nil {
		s.wire.useful()
		// go-smtp's own text for nil has no room for the id.
		reply := &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "queued as " + receipt.ID.String()}
		s.wire.finish(c, line(reply))
		return reply
	}
	reply := s.verdict(c, err)
	s.door.deps.Log.Info("message refused", zap.String("peer", s.wire.peer()), zap.Stringer("from", s.envelope.From),
		zap.Int("code", reply.Code), zap.String("reason", mail.Escape(reply.Message)), zap.String("error", mail.Escape(err.Error())))
	s.wire.finish(c, line(reply))
	return reply
}

// letter is the message without its content.
func (s *session) letter() Letter {
	l := Letter{Client: s.client, Envelope: s.envelope, Expanded: s.expanded, UTF8: s.utf8, SendAt: s.wishes.sendAt, Expires: s.wishes.expires}
	if s.door.config.EnvIDIsKey {
		l.Key = s.envelope.EnvelopeID
	}
	return l
}

// verdict is the reply to a message that was not accepted: what is wrong with the content comes before what the queue makes of it.
func (s *session) verdict(c *content, err error) *smtp.SMTPError {
	switch {
	case c.refused != nil:
		return c.refused
	case errors.Is(c.err, errAborted):
		return refusal(503, "5.5.1", errAborted.Error()) // nobody gets to see it
	case c.err != nil && isTimeout(c.err):
		return refusal(421, "4.4.2", "the message came too slowly")
	case c.err != nil && !errors.Is(c.err, io.EOF):
		return refusal(421, "4.4.2", "the connection failed within the message")
	}
	return s.answer(err)
}

// answer is the reply to what the intake does not take.
func (s *session) answer(err error) *smtp.SMTPError {
	if r := new(Refusal); errors.As(err, &r) {
		return &smtp.SMTPError{Code: r.Code, EnhancedCode: smtp.EnhancedCode(r.Status), Message: r.Text}
	}
	return s.trouble(err)
}

// trouble is the reply when the queue takes nothing. Its errors are for the log: they may name files.
func (s *session) trouble(err error) *smtp.SMTPError {
	s.door.deps.Log.Warn("mail is not accepted", zap.Error(err))
	if errors.Is(err, queue.ErrFull) {
		return refusal(452, "4.3.1", queue.ErrFull.Error())
	}
	return refusal(451, "4.3.0", "the queue takes no mail at the moment")
}

// line is a reply as it is written.
func line(e *smtp.SMTPError) string {
	return fmt.Sprintf("%d %s %s", e.Code, mail.Status(e.EnhancedCode), e.Message)
}
