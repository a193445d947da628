package delivery

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"sternpost/mail"
)

// result is what a transaction came to for one recipient.
type result struct {
	event *event     // nil: it was delivered
	reply mail.Reply // to the dot, where it was delivered
	dsn   bool       // the host that took it offers DSN, and was given the wishes of the sender
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
	return refused && len(t.accepted) > 0 && t.accepted[0] < n
}

// contentDeferred is the event of content that was refused for now; nil: it was not.
func (t *transaction) contentDeferred() *event {
	if len(t.accepted) == 0 {
		return nil
	}
	e := t.results[t.accepted[0]].event
	if e == nil || e.stage != mail.StageDot || e.cause != causeReply || !e.reply.Transient() {
		return nil
	}
	return e
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
		return t.unable(causeTooLarge, fmt.Errorf("the host takes %d octets, the message has %d", t.ext.size, t.payload.size))
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
	if t.rehearsal != nil {
		return steps
	}
	if chunk {
		return append(steps, step{stage: mail.StageDot, text: "BDAT " + strconv.Itoa(len(t.payload.small)) + " LAST"})
	}
	return append(steps, step{stage: mail.StageData, text: "DATA"})
}

// converse speaks the whole transaction. The event is for the recipients that have no result yet.
func (t *transaction) converse() *event {
	chunk := t.ext.chunking && t.config.Chunking && t.payload.small != nil && t.rehearsal == nil // RFC 3030 s2
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
	case len(t.accepted) == 0, t.rehearsal != nil:
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
	t.out = append(t.out, t.payload.small...)
}

// launch lets a flight go that holds the content. What the remote has said unasked would shift all its replies, and make a success of a refusal: it is looked for
// once more.
func (t *transaction) launch() *event {
	if e := t.unasked(mail.StageMail); e != nil {
		return e
	}
	t.setSending(true)
	e := t.flush(mail.StageMail)
	t.flightEnds = t.until.Add(t.config.Timeouts.Dot)
	return e
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
	var e *event
	if bdatAt >= 0 {
		t.appendChunk(bdatAt)
		e = t.launch()
	} else {
		e = t.flush(mail.StageMail)
	}
	if e != nil {
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
			t.beginContent()
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
	if st.stage == mail.StageDot && t.contentSince.IsZero() { // the envelope is answered
		t.beginContent()
	}
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
		if t.rehearsal != nil { // there is no dot whose reply would be the result
			t.results[i] = &result{reply: reply}
		}
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
		t.results[i] = &result{reply: reply, dsn: t.ext.dsn}
	}
	return nil
}
