package submission

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

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
	envelope mail.Envelope
	utf8     bool
	protocol string // of the Received field
	head     []byte // the begin of the content; kept for the next message
}

// keptHead is how large a head a connection keeps while it does nothing.
const keptHead = 8 << 10

// Reset ends the transaction (RFC 5321 s4.1.1.5).
func (s *session) Reset() {
	s.open, s.utf8 = false, false
	s.envelope = mail.Envelope{}
	if cap(s.head) > keptHead {
		s.head = nil
	}
}

// Logout has nothing to free.
func (s *session) Logout() error { return nil }

// Mail begins a transaction. The path that go-smtp has parsed is not used: see parsePath.
func (s *session) Mail(_ string, o *smtp.MailOptions) error {
	if s.open {
		return refusal(503, "5.5.1", "a transaction is under way; RSET ends it") // RFC 5321 s4.1.4: no nested MAIL
	}
	if err := s.door.deps.Queue.Ready(); err != nil {
		return s.trouble(err)
	}
	from, err := parsePath(string(s.wire.command), o.UTF8)
	if err != nil {
		return err
	}
	s.open, s.utf8 = true, o.UTF8
	s.protocol = protocol(s.wire.extended, o.UTF8)
	s.envelope = mail.Envelope{From: from, EnvelopeID: o.EnvelopeID, Return: string(o.Return)}
	return nil
}

// protocol is the word behind "with" in the Received field (RFC 5321 s4.4, RFC 6531 s4.3).
func protocol(extended, utf8 bool) string {
	switch {
	case utf8:
		return "UTF8SMTP"
	case extended:
		return "ESMTP"
	}
	return "SMTP"
}

// Rcpt adds a recipient. One that is named twice gets the message once, with the wishes of the first time.
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
	same := func(other mail.Recipient) bool { return other.Address == r.Address }
	if !slices.ContainsFunc(s.envelope.Recipients, same) {
		s.envelope.Recipients = append(s.envelope.Recipients, r)
	}
	return nil
}

// Data reads the content from the connection itself; the reader of go-smtp sees a dot and nothing else. It answers when the queue has taken the message, or
// not; whoever gets no well-formed end of the content loses the connection, so that nothing of it is taken for commands.
func (s *session) Data(io.Reader) error {
	c := s.wire.content(s.door.config)
	id, err := s.submit(c)
	c.drain()
	if err == nil {
		// go-smtp's own text for nil has no room for the id.
		reply := &smtp.SMTPError{Code: 250, EnhancedCode: smtp.EnhancedCode{2, 0, 0}, Message: "queued as " + id.String()}
		s.wire.finish(c, line(reply))
		return reply
	}
	reply := s.verdict(c, err)
	s.door.deps.Log.Info("message refused", zap.Stringer("peer", s.wire.address), zap.Stringer("from", s.envelope.From),
		zap.Int("code", reply.Code), zap.String("reason", mail.Escape(reply.Message)), zap.String("error", mail.Escape(err.Error())))
	s.wire.finish(c, line(reply))
	return reply
}

// submit hands the message over, with the trace field before it.
func (s *session) submit(c *content) (queue.ID, error) {
	var h header
	now := time.Now()
	s.head = slices.Grow(s.head[:0], keptHead)
	s.head = append(s.head, s.received(now)...)
	var err error
	s.head, err = readHead(s.head, c, &h)
	if err != nil {
		return 0, err
	}
	accepted, err := s.door.deps.Queue.Submit(s.door.submissions, queue.Submission{
		Envelope:  s.envelope,
		Sender:    s.envelope.From.String(),
		Priority:  h.priority(),
		Received:  now,
		MessageID: h.messageID(),
		Peer:      s.wire.address.String(),
	}, newMessage(s.head, c, &h))
	return accepted.ID, err
}

// verdict is the reply to a message that was not accepted: what is wrong with the content comes before what the queue makes of it.
func (s *session) verdict(c *content, err error) *smtp.SMTPError {
	switch {
	case c.refused != nil:
		return c.refused
	case errors.Is(err, errLoop):
		return refusal(554, "5.4.6", errLoop.Error()) // RFC 5321 s6.3
	case c.err != nil && isTimeout(c.err):
		return refusal(421, "4.4.2", "the message came too slowly")
	case c.err != nil && !errors.Is(c.err, io.EOF):
		return refusal(421, "4.4.2", "the connection failed within the message")
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
