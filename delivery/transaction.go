package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sternpost/mail"
)

// maxTransactionRecipients is how many recipients share a transaction at most: what every server must take (RFC 5321
// s4.5.3.1.8).
const maxTransactionRecipients = 100

// result is what a transaction came to for one recipient.
type result struct {
	event *event     // nil: it was delivered
	reply mail.Reply // to the dot, where it was delivered
}

// carriage takes one message to recipients over one session, in as many transactions as the host wants.
type carriage struct {
	*session
	message  *message
	envelope mail.Envelope
	rcpts    []mail.Recipient
	results  []*result // one for each recipient; nil: no transaction was begun for it
}

// carry returns one result for each recipient. Nil is one whose turn did not come, because the host takes no further transaction on this session
// (RFC 9422 s4.1).
func (s *session) carry(m *message, envelope mail.Envelope, rcpts []mail.Recipient) []*result {
	c := &carriage{session: s, message: m, envelope: envelope, rcpts: rcpts, results: make([]*result, len(rcpts))}
	for rest := c.able(); len(rest) > 0 && !s.spent() && s.ctx.Err() == nil; {
		rest = c.next(rest)
	}
	return c.results
}

// spent says whether the host takes no further transaction on this session.
func (s *session) spent() bool { return s.ext.limits.mail > 0 && s.uses >= s.ext.limits.mail }

// able lists the recipients that the host can take at all: without SMTPUTF8 the others have their result (RFC 6531 s3.4).
func (c *carriage) able() []int {
	var able []int
	for i, r := range c.rcpts {
		if r.Address.NeedsUTF8() && !c.ext.utf8 {
			c.results[i] = &result{event: c.noUTF8("the address")}
		} else {
			able = append(able, i)
		}
	}
	return able
}

func (c *carriage) noUTF8(what string) *event {
	return c.mark(&event{stage: mail.StageMail, cause: causeNoUTF8, err: errors.New(what + " needs SMTPUTF8, which the host does not offer")})
}

// next runs one transaction with the first of rest and returns those that want another one: what went beyond the limit, and
// what was answered with "too many recipients" although one was accepted before.
func (c *carriage) next(rest []int) []int {
	now := rest[:min(len(rest), c.batch(rest))]
	later := rest[len(now):]
	t := &transaction{carriage: c, results: make([]*result, len(now)), bdatAt: -1}
	for _, i := range now {
		t.rcpts = append(t.rcpts, c.rcpts[i])
	}
	t.run()
	var again []int
	for n, i := range now {
		c.results[i] = t.results[n]
		if t.tooMany(n) {
			again = append(again, i)
		}
	}
	if !c.broken {
		return append(again, later...)
	}
	for _, i := range later {
		c.results[i] = &result{event: c.endedBeforeTurn()}
	}
	return nil
}

// endedBeforeTurn is the event of recipients for whom nothing was said: what others were answered is not about them.
func (c *carriage) endedBeforeTurn() *event {
	e := &event{stage: mail.StageMail, cause: causeClosed, err: errors.New("the session ended before their turn")}
	if c.ctx.Err() != nil {
		e.cause, e.err = endCause(c.ctx)
	}
	return c.mark(e)
}

// batch is how many of rest go into the next transaction. LIMITS may allow fewer than a hundred, and fewer domains (RFC 9422 s4).
func (c *carriage) batch(rest []int) int {
	most := maxTransactionRecipients
	if n := c.ext.limits.rcpt; n > 0 {
		most = min(most, n)
	}
	if c.ext.limits.rcptDomain == 0 {
		return most
	}
	var domains []mail.Domain
	for n, i := range rest {
		if d := c.rcpts[i].Address.Domain; !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
		if len(domains) > c.ext.limits.rcptDomain {
			return min(n, most)
		}
	}
	return most
}

// transaction is MAIL to dot for some recipients over one session (RFC 5321 s3.3).
type transaction struct {
	*carriage
	payload  *payload
	rcpts    []mail.Recipient
	results  []*result // one for each recipient; nil: not known yet
	accepted []int     // the recipients that the remote took, in their order
	failure  *event    // MAIL was refused
	goAhead  mail.Reply
	final    mail.Reply
	bdatAt   int64 // s.handed before the octets of the last BDAT; -1: there is none on the way
}

// tooMany says whether recipient n was refused only because the transaction was full.
func (t *transaction) tooMany(n int) bool {
	e := t.results[n].event
	refused := e != nil && e.stage == mail.StageRcpt && e.cause == causeReply && tooManyRecipients(e.reply)
	return refused && !t.broken && len(t.accepted) > 0 && t.accepted[0] < n
}

// run makes sure that every recipient has a result.
func (t *transaction) run() {
	e := t.prepare()
	if e == nil {
		t.uses++
		e = t.converse()
	}
	if e == nil {
		return
	}
	for i := range t.results {
		if t.results[i] == nil {
			t.results[i] = &result{event: e}
		}
	}
}

// prepare chooses the form of the content, and finds what makes the host useless for this message before MAIL is said.
func (t *transaction) prepare() *event {
	var err error
	if t.payload, err = t.message.payloadFor(t.ext); err != nil {
		return t.mark(&event{stage: mail.StageContent, cause: causeLocal, err: err})
	}
	if t.ext.size > 0 && t.payload.size > t.ext.size { // RFC 1870 s6.1
		return t.mark(&event{stage: mail.StageMail, cause: causeTooLarge,
			err: fmt.Errorf("the host takes %d octets, the message has %d", t.ext.size, t.payload.size)})
	}
	if t.message.utf8 && !t.ext.utf8 { // RFC 6531 s3.4
		return t.noUTF8("the message")
	}
	return nil
}

// needsUTF8 says whether this transaction must be marked with SMTPUTF8.
func (t *transaction) needsUTF8() bool {
	return t.message.utf8 || slices.ContainsFunc(t.rcpts, func(r mail.Recipient) bool { return r.Address.NeedsUTF8() })
}

// step is one command of the envelope.
type step struct {
	stage mail.Stage
	rcpt  int // of StageRcpt
	text  string
	reset bool // the RSET before MAIL, whose reply decides nothing
}

// steps lists the commands before the content. chunk says that the content comes behind them as one BDAT.
func (t *transaction) steps(chunk bool) []step {
	steps := make([]step, 0, len(t.rcpts)+3)
	if t.dirty {
		steps = append(steps, step{stage: mail.StageMail, text: "RSET", reset: true})
	}
	steps = append(steps, step{stage: mail.StageMail, text: mailCommand(t.envelope.From, t.mailOptions(), t.ext)})
	for i, r := range t.rcpts {
		steps = append(steps, step{stage: mail.StageRcpt, rcpt: i, text: rcptCommand(r.Address, t.rcptOptions(r))})
	}
	if chunk {
		return append(steps, step{stage: mail.StageDot, text: "BDAT " + strconv.Itoa(len(t.payload.small)) + " LAST"})
	}
	return append(steps, step{stage: mail.StageData, text: "DATA"})
}

// converse speaks the whole transaction. The event is for the recipients that have no result yet.
func (t *transaction) converse() *event {
	chunk := t.ext.chunking && t.config.Chunking && t.payload.small != nil // RFC 3030 s2
	exchange := t.inTurn
	if t.ext.pipelining {
		exchange = t.pipeline
	}
	e := exchange(t.steps(chunk))
	t.endContent()
	switch {
	case e != nil:
		return e
	case t.failure != nil:
		return t.failure
	case len(t.accepted) == 0:
		return nil
	case chunk:
		return t.chunkAnswered()
	case t.goAhead.Code != 354: // RFC 5321 s4.3.2
		return t.refuse(mail.StageData, t.goAhead)
	default:
		return t.sendContent()
	}
}

// appendChunk puts the content behind its BDAT. From the moment that it is handed over the remote may take it.
func (t *transaction) appendChunk(at int64) {
	t.bdatAt = at
	t.beginContent()
	t.out = append(t.out, t.payload.small...)
}

// pipeline sends all commands in one flight and matches the replies strictly by their order (RFC 2920 s3.1).
func (t *transaction) pipeline(steps []step) *event {
	sent := time.Now()
	bdatAt := int64(-1)
	for _, st := range steps {
		if st.stage == mail.StageDot {
			bdatAt = t.handed + int64(len(t.out))
		}
		t.write(st.text)
	}
	if bdatAt >= 0 {
		t.appendChunk(bdatAt)
	}
	if e := t.flush(mail.StageMail); e != nil {
		return t.noteFailure(mail.StageMail, sent, t.lost(e))
	}
	for _, st := range steps {
		if e := t.next(st, sent); e != nil {
			return e
		}
	}
	if len(t.accepted) == 0 && bdatAt < 0 {
		t.sendNothing()
	}
	return nil
}

// sendNothing ends the DATA of a server that took no recipient and said 354 all the same, by a lone dot (RFC 2920 s3.1). What it answers is
// about no mail.
func (t *transaction) sendNothing() {
	switch {
	case t.goAhead.Code == 354:
		_, _ = t.command(mail.StageDot, ".") // an error has broken the session
	case t.goAhead.Positive():
		t.broken = true
	}
}

// inTurn waits for each reply before the next command, and stops where going on is useless.
func (t *transaction) inTurn(steps []step) *event {
	for _, st := range steps {
		if t.failure != nil || len(t.accepted) == 0 && (st.stage == mail.StageData || st.stage == mail.StageDot) {
			return nil
		}
		sent := time.Now()
		at := t.handed
		t.write(st.text)
		if st.stage == mail.StageDot {
			t.appendChunk(at)
		}
		if e := t.flush(st.stage); e != nil {
			return t.noteFailure(st.stage, sent, t.lost(e))
		}
		if e := t.next(st, sent); e != nil {
			return e
		}
	}
	return nil
}

// next reads the reply to one step. A returned event has ended the session.
func (t *transaction) next(st step, sent time.Time) *event {
	reply, e := t.read(st.stage, sent)
	if e != nil {
		return t.lost(e)
	}
	if st.stage == mail.StageDot && len(t.accepted) > 0 {
		t.final = reply // the judgement on the content, a 421 included
		return nil
	}
	if t.broken { // 421
		return t.lost(t.refuse(st.stage, reply))
	}
	switch st.stage {
	case mail.StageMail:
		return t.heardMail(st, reply)
	case mail.StageRcpt:
		return t.heardRcpt(st.rcpt, reply)
	case mail.StageData:
		t.goAhead = reply
	}
	return nil
}

// heardMail takes the reply to MAIL, or to the RSET before it, which decides nothing.
func (t *transaction) heardMail(st step, reply mail.Reply) *event {
	switch {
	case st.reset:
		t.dirty = !reply.Positive()
		return nil
	case reply.Positive():
		t.dirty = true
		return nil
	}
	e := t.refuse(mail.StageMail, reply)
	if t.broken { // a reply that does not belong there
		return t.lost(e)
	}
	t.failure = e
	return nil
}

func (t *transaction) heardRcpt(i int, reply mail.Reply) *event {
	if t.failure != nil { // MAIL has decided already
		return nil
	}
	if reply.Positive() {
		t.accepted = append(t.accepted, i)
		return nil
	}
	e := t.refuse(mail.StageRcpt, reply)
	if t.broken {
		return t.lost(e)
	}
	t.results[i] = &result{event: e}
	return nil
}

// lost makes e, which ended the session, the event of the recipients without a result. What MAIL was answered stands. When octets of a last
// BDAT are with the kernel and no well-formed reply ended the session, the remote may have taken the message.
func (t *transaction) lost(e *event) *event {
	if t.failure != nil {
		return t.failure
	}
	if t.bdatAt >= 0 && t.handed > t.bdatAt && e.cause != causeReply {
		e.stage, e.inDoubt = mail.StageDot, true
		t.transmitted = true
	}
	return e
}

// chunkAnswered judges the reply to the last BDAT. Where more replies follow than commands went out, none of them is known to be the
// answer to the content; a 421 alone is a goodbye.
func (t *transaction) chunkAnswered() *event {
	t.transmitted = true
	if octets, _ := t.r.Peek(min(t.r.Buffered(), 3)); len(octets) > 0 && string(octets) != "421" {
		return t.lost(t.fail(mail.StageDot, protocolError("more replies came than commands went out: "+t.unread())))
	}
	e := t.judgeContent(t.final)
	t.dirty = e != nil // RFC 3030 s2: after a refused BDAT only RSET makes the state known
	return e
}

// judgeContent gives the accepted recipients the verdict of the reply to the dot.
func (t *transaction) judgeContent(reply mail.Reply) *event {
	if !reply.Positive() {
		e := t.refuse(mail.StageDot, reply)
		e.inDoubt = e.cause == causeProtocol // a well-formed reply, but none that tells what became of the content
		return e
	}
	for _, i := range t.accepted {
		t.results[i] = &result{reply: reply}
	}
	return nil
}
