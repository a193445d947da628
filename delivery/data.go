package delivery

import (
	"errors"
	"os"
	"time"

	"sternpost/mail"
)

// lastWords is how long a remote that broke off the content is listened to: it may have said why.
const lastWords = 5 * time.Second

// contentReply is the reply to the content, whenever it comes.
type contentReply struct {
	reply mail.Reply
	err   error
}

// oneWrite is the size up to which content goes without a reader beside the writer: the send buffer takes it at once (Linux begins with 16 KiB),
// so there is no middle in which a refusal could be heard.
const oneWrite = 12 << 10

// upload is the content of one DATA on its way. Its reader waits for the reply from the first octet on, and stops the writing when one
// comes: a refusal in mid-content is heard before the rest is sent in vain. sendContent waits for the reader.
type upload struct {
	*transaction
	began   time.Time
	replies chan contentReply // nil without a reader
	early   *contentReply     // came before the dot was handed over
	dotAt   int64             // handed before the first octet of the dot; -1: not yet
}

// errEarly ends the content because the remote has answered already.
var errEarly = errors.New("the host answered before the end of the content")

// sendContent sends the content and the dot, and gives the accepted recipients the verdict.
func (t *transaction) sendContent() *event {
	t.beginContent()
	defer t.endContent()
	t.transmitted = true
	u := &upload{transaction: t, began: time.Now(), dotAt: -1}
	limit := t.deadline(mail.StageContent).Add(time.Duration(t.payload.size/t.config.MinRate) * time.Second)
	if err := t.conn.SetDeadline(limit); err != nil {
		return t.noteFailure(mail.StageContent, u.began, t.fail(mail.StageContent, err))
	}
	if t.r.Buffered() > 0 { // said behind the 354: no answer to a dot that it has not seen
		reply, err := readReply(t.r)
		u.early = &contentReply{reply, err}
		return u.answeredEarly()
	}
	if t.payload.size > oneWrite {
		u.replies = make(chan contentReply, 1)
		go u.listen()
	}
	err := u.send()
	sent := time.Now()
	if u.early == nil && err == nil {
		err = t.conn.SetReadDeadline(t.deadline(mail.StageDot))
	}
	switch {
	case u.early != nil:
		return u.answeredEarly()
	case err != nil:
		return u.brokenOff(err)
	}
	t.record(mail.StageRecord{Stage: mail.StageContent, At: u.began, Took: sent.Sub(u.began)})
	return u.dotAnswered(sent, u.answer())
}

// answer waits for the one reply.
func (u *upload) answer() contentReply {
	if u.replies != nil {
		return <-u.replies
	}
	reply, err := readReply(u.r)
	return contentReply{reply, err}
}

// listen reads one reply, and wakes a write that may wait for a remote which reads no more.
func (u *upload) listen() {
	reply, err := readReply(u.r)
	_ = u.conn.SetWriteDeadline(time.Unix(1, 0)) // the next flush sets its own
	u.replies <- contentReply{reply, err}
}

// send writes the content and the dot. Small content and its dot go in one write, so that they are one flight.
func (u *upload) send() error {
	if u.payload.small != nil {
		small := appender{u.out[:0]}
		if u.payload.flat {
			small.text = append(small.text, u.payload.small...)
		} else {
			_, _ = u.payload.writeTo(&small, true) // memory to memory
		}
		u.dotAt = u.handed + int64(len(small.text))
		text := append(small.text, ".\r\n"...)
		u.out = text[:0]
		_, err := u.Write(text)
		return err
	}
	if _, err := u.payload.writeTo(u, true); err != nil {
		return err
	}
	u.dotAt = u.handed
	_, err := u.Write([]byte(".\r\n"))
	return err
}

// Write hands octets to the kernel, unless the remote has answered already.
func (u *upload) Write(p []byte) (int, error) {
	select {
	case r := <-u.replies:
		u.early = &r
		return 0, errEarly
	default:
	}
	n, err := u.conn.Write(p)
	u.handed += int64(n)
	return n, err
}

// doubtful says whether an octet of the dot is with the kernel.
func (u *upload) doubtful() bool { return u.dotAt >= 0 && u.handed > u.dotAt }

// brokenOff judges a write that failed. The remote may have said why; trouble with our own content is ours.
func (u *upload) brokenOff(err error) *event {
	var unread *contentReadError
	local := errors.As(err, &unread)
	wait := lastWords
	if local || errors.Is(err, os.ErrDeadlineExceeded) {
		wait = 0
	}
	_ = u.conn.SetReadDeadline(time.Now().Add(wait)) // if this fails the read has failed too
	r := u.answer()
	if local {
		u.broken = true
		return u.noteFailure(mail.StageContent, u.began, u.mark(&event{stage: mail.StageContent, cause: causeLocal, err: err}))
	}
	woken := errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(r.err, os.ErrDeadlineExceeded) // by the reader
	if r.err == nil || woken {
		u.early = &r
		return u.answeredEarly()
	}
	e := u.fail(mail.StageContent, err)
	e.inDoubt = u.doubtful()
	return u.noteFailure(mail.StageContent, u.began, e)
}

// answeredEarly judges a reply in mid-content. The session cannot be used again: the remote still waits for the rest, or has gone.
func (u *upload) answeredEarly() *event {
	if u.doubtful() {
		return u.dotAnswered(u.began, *u.early)
	}
	reply, e := u.answered(mail.StageContent, u.began, u.early.reply, u.early.err)
	u.broken = true
	if e != nil {
		return e
	}
	return u.refuse(mail.StageContent, reply) // success, before the end of the content, does not belong there
}

// dotAnswered judges the reply to the dot. Without a well-formed one the recipients are in doubt (RFC 1047).
func (u *upload) dotAnswered(sent time.Time, r contentReply) *event {
	reply, e := u.answered(mail.StageDot, sent, r.reply, r.err)
	if e != nil {
		e.inDoubt = true
		return e
	}
	u.dirty = false // RFC 5321 s4.1.1.4: the end of the content clears the transaction, whatever the verdict
	return u.judgeContent(reply)
}
