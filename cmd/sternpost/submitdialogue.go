package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	"sternpost/mail"
)

const (
	// replyWait is how long the agent may take to reply to a command.
	replyWait = time.Minute
	// dotWait is how long it may take to reply to the dot (RFC 5321 s4.5.3.2.6): who waits less makes duplicates.
	dotWait = 10 * time.Minute
	// writeWait is how long it may take to read a block (RFC 5321 s4.5.3.2.5).
	writeWait = 3 * time.Minute
	// quitWait is how long the end of a conversation is waited for; its reply changes nothing.
	quitWait = 5 * time.Second
	// maxReply is the longest reply that is read.
	maxReply = 64 << 10
)

// dialogue is SMTP with the agent over its submission socket.
type dialogue struct {
	conn   net.Conn
	limit  *io.LimitedReader
	in     *textproto.Reader
	out    *textproto.Writer
	offers map[string]bool // the extensions, in upper case
	domain mail.Domain     // of addresses of the header that have none; empty: the name that the agent gives in its greeting
}

// patientWriter gives the other end a time for each block and not for all of them.
type patientWriter struct{ net.Conn }

func (w patientWriter) Write(p []byte) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

func newDialogue(conn net.Conn, domain mail.Domain) *dialogue {
	limit := &io.LimitedReader{R: conn}
	return &dialogue{
		conn: conn, limit: limit, in: textproto.NewReader(bufio.NewReader(limit)), offers: map[string]bool{}, domain: domain,
		out: textproto.NewWriter(bufio.NewWriterSize(patientWriter{conn}, 32<<10)),
	}
}

// submit hands l over and returns the reply of the agent that took it. When there is an error, nothing was accepted, unless it is one of inDoubt. The error knows its exit status.
func (d *dialogue) submit(l *letter, p *pointOfNoReturn) (string, error) {
	for _, step := range []func(*letter) error{d.hello, d.check, d.envelope} {
		if err := step(l); err != nil {
			return "", err
		}
	}
	text, err := d.content(l, p)
	if err == nil {
		_, _ = d.ask(quitWait, "QUIT") // the message is taken, whatever is said now
	}
	return text, err
}

// hello hears the greeting and asks for the extensions (RFC 5321 s4.1.1.1). The greeting names the agent (RFC 5321 s4.2): as good as submission.domain where that is not known.
func (d *dialogue) hello(l *letter) error {
	greeting, err := d.hear(replyWait)
	if err != nil {
		return err
	}
	if greeting.code != 220 {
		return greeting.refusal("the greeting")
	}
	if d.domain == "" {
		name, _, _ := strings.Cut(greeting.text, " ")
		d.domain, _ = mail.ParseDomain(name)
	}
	if d.domain != "" {
		l.complete(d.domain)
	}
	offered, err := d.ask(replyWait, "EHLO localhost")
	if err != nil {
		return err
	}
	if offered.code != 250 {
		return offered.refusal("EHLO")
	}
	for line := range lines(offered.text) {
		word, _, _ := strings.Cut(line, " ")
		d.offers[strings.ToUpper(word)] = true
	}
	return nil
}

// check finds what the letter needs and the agent does not offer.
func (d *dialogue) check(l *letter) error {
	for _, need := range []struct {
		needed    bool
		extension string
		what      string
	}{
		{l.needsUTF8(), "SMTPUTF8", "takes no addresses outside ASCII"},
		{!l.sendAt.IsZero(), "FUTURERELEASE", "does not keep mail for later"},
		{l.notify+l.ret+l.envid != "", "DSN", "takes no wishes about reports"},
	} {
		if need.needed && !d.offers[need.extension] {
			return withCode(exitFailed, fmt.Errorf("the agent %s: it does not offer %s", need.what, need.extension))
		}
	}
	return nil
}

// envelope says MAIL and RCPT. When one recipient is refused, the message is not sent to the others.
func (d *dialogue) envelope(l *letter) error {
	reply, err := d.ask(replyWait, "%s", d.mailCommand(l))
	if err != nil {
		return err
	}
	if reply.code != 250 {
		return reply.refusal("the sender <" + l.from.text + ">")
	}
	notify := ""
	if l.notify != "" {
		notify = " NOTIFY=" + l.notify
	}
	var refused refusals
	for _, m := range l.to {
		reply, err := d.ask(replyWait, "RCPT TO:<%s>%s", m.text, notify)
		if err != nil {
			return err
		}
		if reply.code/100 != 2 {
			refused.add(m, reply)
		}
		if reply.code == 421 { // RFC 5321 s3.8: the end of the connection
			break
		}
	}
	return refused.err(len(l.to))
}

// mailCommand is MAIL with the parameters that the letter needs.
func (d *dialogue) mailCommand(l *letter) string {
	command := "MAIL FROM:<" + l.from.text + ">"
	if l.eight && d.offers["8BITMIME"] { // RFC 6152 s3; without it the agent has to judge for itself
		command += " BODY=8BITMIME"
	}
	if l.needsUTF8() {
		command += " SMTPUTF8"
	}
	if l.ret != "" {
		command += " RET=" + l.ret
	}
	if l.envid != "" {
		command += " ENVID=" + mail.EncodeXtext(l.envid)
	}
	if !l.sendAt.IsZero() { // RFC 4865 s4
		command += " HOLDUNTIL=" + l.sendAt.UTC().Format(time.RFC3339)
	}
	return command
}

// content sends the message. From the dot on the agent may have it, whatever is heard.
func (d *dialogue) content(l *letter, p *pointOfNoReturn) (string, error) {
	reply, err := d.ask(replyWait, "DATA")
	if err != nil {
		return "", err
	}
	if reply.code != 354 {
		return "", reply.refusal("the message")
	}
	w := d.out.DotWriter() // RFC 5321 s4.5.2
	err = l.writeTo(w)
	if err == nil {
		err = d.out.W.Flush()
	}
	if err != nil {
		return "", d.brokenOff(err)
	}
	if !p.pass() {
		return "", errGivenUp
	}
	if err := w.Close(); err != nil {
		return "", inDoubt(err)
	}
	reply, err = d.hear(dotWait)
	switch {
	case err != nil:
		return "", inDoubt(err)
	case reply.code/100 != 2:
		return "", reply.refusal("the message")
	}
	return reply.text, nil
}

// brokenOff is the error of content that could not be sent to its end: the agent may have said why.
func (d *dialogue) brokenOff(err error) error {
	if network := new(net.OpError); errors.As(err, &network) {
		if reply, err := d.hear(quitWait); err == nil {
			return reply.refusal("the message")
		}
	}
	return silent(err)
}

// reply is what the agent said; text is without the code, its lines are joined by line breaks.
type reply struct {
	code int
	text string
}

// ask says a command and hears the reply.
func (d *dialogue) ask(wait time.Duration, format string, args ...any) (reply, error) {
	if err := d.out.PrintfLine(format, args...); err != nil {
		if reply, err := d.hear(quitWait); err == nil { // such as 421 before the end of the connection (RFC 5321 s3.8)
			return reply, nil
		}
		return reply{}, silent(err)
	}
	return d.hear(wait)
}

// hear waits for a reply.
func (d *dialogue) hear(wait time.Duration) (reply, error) {
	d.limit.N = maxReply
	if err := d.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return reply{}, silent(err)
	}
	code, text, err := d.in.ReadResponse(0)
	if err != nil {
		return reply{}, silent(err)
	}
	return reply{code, text}, nil
}

// silent is the error of an agent that stopped to answer, before anything was accepted.
func silent(err error) error {
	return withCode(exitAgain, fmt.Errorf("the agent broke off: %w; nothing was submitted, try again", err))
}

// refusal is the error of a reply that is none of success.
func (r reply) refusal(about string) error {
	return withCode(r.exitCode(), fmt.Errorf("%s was refused: %d %s", about, r.code, r.oneLine()))
}

func (r reply) oneLine() string { return strings.ReplaceAll(r.text, "\n", " / ") }

// exitCode tells what is refused for good from what may be tried again (RFC 5321 s4.2.1).
func (r reply) exitCode() int {
	if r.code/100 == 5 {
		return exitFailed
	}
	return exitAgain
}

// refusals are the recipients that were refused, and why.
type refusals struct {
	told []error
	code int
}

// tooMany says that no recipient more fits into the message (RFC 5321 s4.5.3.1.10, RFC 3463 s3.6): trying again changes nothing.
const tooMany = "4.5.3 "

func (r *refusals) add(m mailbox, said reply) {
	r.told = append(r.told, fmt.Errorf("%s: %d %s", m.text, said.code, said.oneLine()))
	code := said.exitCode()
	if strings.HasPrefix(said.text, tooMany) {
		code = exitFailed
	}
	if r.code != exitFailed {
		r.code = code
	}
}

// err is nil when none of the recipients was refused.
func (r *refusals) err(all int) error {
	switch {
	case len(r.told) == 0:
		return nil
	case all == 1:
		return withCode(r.code, fmt.Errorf("the recipient was refused: %w", r.told[0]))
	}
	first := fmt.Errorf("nothing was submitted, because %d of %d recipients were refused", len(r.told), all)
	return withCode(r.code, errors.Join(append([]error{first}, r.told...)...))
}
