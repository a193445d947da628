package submission

import (
	"bytes"
	"fmt"
	"io"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"

	"sternpost/mail"
)

// verbOf is the first word of a command in capital letters.
func verbOf(line []byte) []byte {
	verb, _, _ := bytes.Cut(line, []byte(" "))
	return bytes.ToUpper(bytes.TrimRight(verb, "\r\n"))
}

// offer gives line to go-smtp, answers it in its place, or refuses it.
func (w *wire) offer(line []byte) error {
	verb := verbOf(line)
	switch {
	case !isCommand(line):
		return w.refuse("500 5.5.2 a command is UTF-8 without control characters and ends in CRLF")
	case isForeign(string(verb)):
		return w.hangUp("521 5.5.1 this is SMTP, not HTTP")
	}
	w.refused.recipient = false
	switch string(verb) {
	case "STARTTLS":
		return w.contained(w.startTLS, line)
	case "AUTH":
		return w.contained(w.auth, line)
	case "BDAT":
		return w.bdat(line)
	case "EHLO", "HELO":
		w.extended = string(verb) == "EHLO"
		w.greeted = len(bytes.TrimSpace(line)) > len("EHLO") // go-smtp refuses it otherwise
	case "MAIL":
		return w.mail(line)
	case "RCPT":
		w.refused.recipient = true
	}
	w.give(line)
	return nil
}

// contained answers a command as go-smtp answers its own: a mistake of ours costs the connection and not the server.
func (w *wire) contained(answer func(line []byte) error, line []byte) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			w.door.deps.Log.Error("panic in a session", zap.String("peer", w.peer()), zap.String("panic", mail.Escape(fmt.Sprint(cause))), zap.Stack("stack"))
			err = w.hangUp("421 4.3.0 internal error")
		}
	}()
	return answer(line)
}

// give makes line what go-smtp reads next.
func (w *wire) give(line []byte) {
	w.command = append(w.command[:0], line...)
	w.rest = withDomain(w.command)
}

// mail gives MAIL to go-smtp without the parameters that it does not know there.
func (w *wire) mail(command []byte) error {
	command, wishes, refused := takeWishes(command, time.Now(), w.door.config.MaxHold)
	if refused != nil {
		return w.decline(line(refused))
	}
	w.wishes = wishes
	w.give(command)
	return nil
}

// isCommand says whether line may be a command (RFC 5321 s4.1.1, RFC 6531 s3.3): a bare LF or CR, a NUL or a terminal escape has no place in one.
func isCommand(line []byte) bool {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	control := func(c rune) bool { return unicode.IsControl(c) && c != '\t' } // those of C1 too (U+0080 to U+009F), which some terminals obey
	return ok && bytes.IndexFunc(text, control) < 0 && utf8.Valid(text)
}

// isForeign finds a browser that was made to talk to us: its request carries what a stranger wrote, and its address is one of our networks.
func isForeign(verb string) bool {
	switch verb {
	case "GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "DELETE", "CONNECT", "TRACE", "PRI", "HOST:":
		return true
	}
	return false
}

// withDomain gives a path that has no domain one, which nobody reads: go-smtp refuses it otherwise. What the client wrote is in command.
func withDomain(line []byte) []byte {
	verb := line[:max(0, bytes.IndexByte(line, ':'))]
	if !bytes.EqualFold(verb, []byte("MAIL FROM")) && !bytes.EqualFold(verb, []byte("RCPT TO")) {
		return line
	}
	begin := len(verb) + 1
	bare := path(string(line))
	if bare == "" || unquotedIndex(bare, "@") < len(bare) {
		return line
	}
	at := begin + bytes.Index(line[begin:], []byte(bare)) + len(bare)
	return fmt.Appendf(nil, "%s@localhost%s", line[:at], line[at:])
}

// refuse answers a line that go-smtp does not get to see; a client that goes on like that is hung up on.
func (w *wire) refuse(reply string) error {
	w.refused.offences++
	if w.refused.offences > maxOffences {
		return w.hangUp("421 4.7.0 too many lines that are no commands")
	}
	return w.decline(reply)
}

// decline answers a command in go-smtp's place, with a negative reply.
func (w *wire) decline(reply string) error {
	w.refused.count()
	w.say(reply)
	return nil
}

// hangUp says why and lets go-smtp close the connection.
func (w *wire) hangUp(reply string) error {
	w.say(reply)
	return io.EOF
}

// goodbye may stand in the place of every reply (RFC 5321 s3.8).
func (w *wire) goodbye() error { return w.hangUp("421 4.3.2 " + w.hostname + " is shutting down") }

// say puts a reply behind those that wait. That it does not reach the client shows at the next reading.
func (w *wire) say(reply string) { _, _ = w.out.WriteString(reply + "\r\n") }
