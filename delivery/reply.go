package delivery

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"sternpost/mail"
)

// What a reply may cost us. A remote that goes beyond is cut off: without limits an endless line fills the memory.
const (
	maxReplyLine   = 4096     // octets a line, its end included; RFC 5321 s4.5.3.1.5 asks for 512
	maxReplyLines  = 100      // lines a reply
	maxReplyOctets = 64 << 10 // octets a reply
)

// protocolError is a remote that does not speak SMTP. It proves neither success nor a permanent failure.
type protocolError string

func (e protocolError) Error() string { return string(e) }

// newReplyReader makes the buffer that readReply needs: its size is the limit of a line.
func newReplyReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxReplyLine) }

// readReply reads one reply with all its lines (RFC 5321 s4.2.1). A line may end in a bare LF. What is not a reply is a
// protocolError: a code out of range, other codes within one reply, a line without a code, too much of anything.
func readReply(r *bufio.Reader) (mail.Reply, error) {
	var reply mail.Reply
	octets := 0
	for {
		line, err := readReplyLine(r)
		if err != nil {
			return reply, err
		}
		code, last, err := parseReplyLine(line)
		if err != nil {
			return reply, err
		}
		if reply.Code != 0 && code != reply.Code {
			return reply, protocolError(fmt.Sprintf("the codes %d and %d stand in one reply", reply.Code, code))
		}
		octets += len(line) + len("\r\n")
		reply.Code, reply.Lines = code, append(reply.Lines, line)
		switch {
		case octets > maxReplyOctets:
			return reply, protocolError(fmt.Sprintf("the reply is longer than %d octets", maxReplyOctets))
		case last:
			return reply, nil
		case len(reply.Lines) == maxReplyLines:
			return reply, protocolError(fmt.Sprintf("the reply has more than %d lines", maxReplyLines))
		}
	}
}

func readReplyLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", protocolError(fmt.Sprintf("a reply line is longer than %d octets", maxReplyLine))
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	return strings.TrimSuffix(string(line[:len(line)-1]), "\r"), nil
}

// parseReplyLine reads the code and whether this is the last line: 250-text goes on, 250 text and 250 end it.
func parseReplyLine(line string) (code int, last bool, err error) {
	malformed := len(line) < 3
	for i := 0; i < 3 && !malformed; i++ {
		malformed = line[i] < '0' || line[i] > '9'
		code = code*10 + int(line[i]-'0')
	}
	if malformed || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, false, protocolError("a line is not an SMTP reply: " + quote(line))
	}
	if code < 200 || code > 599 { // RFC 5321 s4.2: the first digit is 2 to 5
		return 0, false, protocolError("a reply has a code out of range: " + quote(line))
	}
	return code, len(line) == 3 || line[3] == ' ', nil
}

// quote is text from a stranger, short and safe to print.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		text = text[:most] + "..."
	}
	return `"` + mail.Escape(text) + `"`
}
