package delivery

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"sternpost/mail"
)

// target is what a session is made to: a host at one address, and what the connection must prove.
type target struct {
	host      string
	addr      netip.AddrPort
	level     TLSLevel
	smarthost *Smarthost // nil for an exchanger
}

// credentials says whether we authenticate to the target.
func (t target) credentials() bool { return t.smarthost != nil && t.smarthost.Username != "" }

// session is one connection, from its greeting on (RFC 5321 s3.1). It carries one transaction at a time, and belongs to one
// goroutine at a time.
type session struct {
	raw    net.Conn // the TCP connection: what others may close at any time
	conn   net.Conn // the same, or TLS over it
	r      *bufio.Reader
	out    []byte // commands that wait for flush
	handed int64  // octets handed to the kernel since the connection began

	target   target
	config   *Config
	ext      extensions
	tls      *mail.TLS
	afterTLS bool // in clear, because a handshake with this address had failed
	// rehearsal: of a probe, which stops before DATA; nil: mail is sent.
	rehearsal *rehearsal

	born     time.Time
	uses     int    // transactions begun
	dirty    bool   // a transaction was begun and not ended: RSET comes first
	broken   bool   // must not be used again
	reused   bool   // taken from the idle ones
	closedBy string // "us" or "remote"
	gate     gate
	secrets  secrets // that were sent to the host
	visit
}

// write queues a command; flush sends what is queued. Commands hold no CR or LF: Deliver has checked the envelope.
func (s *session) write(command string) { s.out = append(append(s.out, command...), "\r\n"...) }

// flush sends all queued commands in one write. A reply that came before the command is nobody's: to take it for the answer would shift
// all that follow.
func (s *session) flush(stage mail.Stage) *event {
	if s.r.Buffered() > 0 {
		return s.fail(stage, protocolError("a reply came that nobody had asked for: "+s.unread()))
	}
	if err := s.conn.SetWriteDeadline(s.deadline(stage)); err != nil {
		return s.fail(stage, err)
	}
	n, err := s.conn.Write(s.out)
	s.handed += int64(n)
	s.out = s.out[:0]
	if err != nil {
		return s.fail(stage, err)
	}
	return nil
}

// unread is what lies in the buffer, for people.
func (s *session) unread() string {
	octets, _ := s.r.Peek(s.r.Buffered()) // what is buffered can be had
	return quote(string(octets))
}

// deadline is when a stage that begins now must be over. Up to the content the share of the budget ends it too. A flight that holds the content has one deadline for
// all its replies: the share, which its envelope spends, and the wait after the dot.
func (s *session) deadline(stage mail.Stage) time.Time {
	limit, _ := s.config.Timeouts.of(stage)
	d := time.Now().Add(limit)
	switch {
	case !s.flightEnds.IsZero():
		return earlier(d, s.flightEnds)
	case s.contentSince.IsZero():
		return earlier(d, s.until)
	}
	return d
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// read reads the reply to a command of the stage that was sent at the given time, and keeps it in the tree. The whole reply has one
// absolute deadline. 421 ends the session wherever it comes (RFC 5321 s3.8).
func (s *session) read(stage mail.Stage, sent time.Time) (mail.Reply, *event) {
	if err := s.conn.SetReadDeadline(s.deadline(stage)); err != nil {
		return mail.Reply{}, s.fail(stage, err)
	}
	reply, err := readReply(s.r)
	return s.answered(stage, sent, reply, err)
}

// maxKept bounds what the tree keeps of one visit. Who talks more than that has the rest of its replies cut to their first lines.
const (
	maxKept    = 256 << 10 // octets
	maxKeptCut = 200       // octets of a line that is cut
)

// answered keeps a reply, or the error in its place, in the tree.
func (s *session) answered(stage mail.Stage, sent time.Time, reply mail.Reply, err error) (mail.Reply, *event) {
	rec := mail.StageRecord{Stage: stage, At: sent, Took: time.Since(sent)}
	defer func() { s.record(rec) }()
	if err != nil {
		e := s.fail(stage, err)
		rec.Error = e.reason()
		return mail.Reply{}, e
	}
	s.replies++
	reply.Lines = s.secrets.hideAll(reply.Lines)
	if s.kept > maxKept {
		line := reply.Lines[0]
		reply.Lines = []string{line[:min(len(line), maxKeptCut)]}
	}
	for _, line := range reply.Lines {
		s.kept += len(line)
	}
	rec.Reply = reply
	if reply.Code == 421 {
		s.broken, s.closedBy = true, "remote"
	}
	return reply, nil
}

// command sends one command and reads its reply.
func (s *session) command(stage mail.Stage, text string) (mail.Reply, *event) {
	sent := time.Now()
	s.write(text)
	if e := s.flush(stage); e != nil {
		return mail.Reply{}, s.noteFailure(stage, sent, e)
	}
	return s.read(stage, sent)
}

// noteFailure keeps in the tree a stage that came to nothing before its reply.
func (s *session) noteFailure(stage mail.Stage, sent time.Time, e *event) *event {
	s.record(mail.StageRecord{Stage: stage, At: sent, Took: time.Since(sent), Error: e.reason()})
	return e
}

// fail turns an error of the connection into an event. The session is not used again.
func (s *session) fail(stage mail.Stage, err error) *event {
	s.broken = true
	ctx := s.ctx
	if s.isSending() {
		ctx = s.cutoff
	}
	e := &event{stage: stage, err: s.secrets.hideIn(bare(err)), cause: causeClosed}
	switch {
	case ctx.Err() != nil:
		e.cause, e.err = endCause(ctx)
	case errors.Is(err, net.ErrClosed) && s.ctx.Err() != nil: // stop was faster than the content
		e.cause, e.err = endCause(s.ctx)
	case isProtocol(err):
		e.cause = causeProtocol
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.cause = causeTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		e.err, s.closedBy = errors.New("the remote closed the connection"), "remote"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.err, s.closedBy = errors.New("the remote reset the connection"), "remote"
	}
	return s.mark(e)
}

// refuse turns a reply that is not the one hoped for into an event: a refusal, or a reply that does not belong there.
func (s *session) refuse(stage mail.Stage, reply mail.Reply) *event {
	if reply.Transient() || reply.Permanent() {
		return s.mark(&event{stage: stage, cause: causeReply, reply: reply})
	}
	s.broken = true
	return s.mark(&event{stage: stage, cause: causeProtocol, err: protocolError("a reply that does not belong there: " + quote(reply.Lines[0]))})
}

// mark adds what the session knows and the judgement needs.
func (s *session) mark(e *event) *event {
	e.smarthost, e.afterTLS = s.target.smarthost != nil, s.afterTLS
	return e
}

// greet reads the greeting (RFC 5321 s4.3.1).
func (s *session) greet() *event {
	reply, e := s.read(mail.StageGreeting, time.Now())
	if e != nil {
		return e
	}
	if reply.Code != 220 {
		return s.refuse(mail.StageGreeting, reply)
	}
	return nil
}

// hello says EHLO, and HELO where that is refused for good (RFC 5321 s3.2).
func (s *session) hello(name string) *event {
	reply, e := s.command(mail.StageHello, "EHLO "+name)
	switch {
	case e != nil:
		return e
	case reply.Positive():
		s.ext = parseExtensions(reply)
		return nil
	case !reply.Permanent():
		return s.refuse(mail.StageHello, reply)
	}
	s.ext = extensions{}
	if reply, e = s.command(mail.StageHello, "HELO "+name); e != nil {
		return e
	}
	if !reply.Positive() {
		return s.refuse(mail.StageHello, reply)
	}
	return nil
}

// establish goes from the greeting to the point where MAIL may be said. A returned event has ended the session, but
// for a handshake that failed: that is the caller's to judge.
func (s *session) establish(name string, clear bool) *event {
	if e := s.hello(name); e != nil {
		return e
	}
	if s.tls == nil && !clear && s.target.level != TLSNone {
		secured, e := s.startTLS()
		if e != nil {
			return e
		}
		if secured { // what was offered before is forgotten (RFC 3207 s4.2)
			s.ext = extensions{}
			if e := s.hello(name); e != nil {
				return e
			}
		}
	}
	if s.target.credentials() {
		return s.authenticate()
	}
	return nil
}

// overtaken says whether a session that had idled ended before the remote had said anything to anybody.
func (s *session) overtaken(results []*result) bool {
	stale := false
	for _, r := range results {
		switch {
		case r == nil:
		case r.event == nil, r.event.inDoubt:
			return false
		default:
			stale = stale || s.stale(r.event)
		}
	}
	return stale
}

// stale says whether e is no more than the end of a session that had idled: the remote had said nothing yet, or only that it closes. That is no fault of
// the host, unless the content may have been taken.
func (s *session) stale(e *event) bool {
	if e == nil || !s.reused || e.inDoubt {
		return false
	}
	return s.replies == 0 && e.cause == causeClosed || s.replies == 1 && e.cause == causeReply && e.reply.Code == 421
}

// quit says goodbye and closes. Nothing hangs on its reply, which is waited for so that the remote does not see a
// reset (RFC 5321 s4.1.1.10).
func (s *session) quit() { s.leave(func(mail.StageRecord) {}) }

// leave is quit that keeps what was said. A probe takes its transaction back first.
func (s *session) leave(record func(mail.StageRecord)) {
	defer s.conn.Close()
	if s.broken {
		return
	}
	limit := time.Now().Add(s.config.Timeouts.Quit)
	s.take(context.Background(), limit, record)
	if s.rehearsal != nil && s.dirty {
		if _, e := s.command(mail.StageQuit, "RSET"); e != nil || s.broken {
			return
		}
	}
	_, _ = s.command(mail.StageQuit, "QUIT") // the transaction is over, whatever the remote answers
}
