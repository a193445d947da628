package submission

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// wishes are the parameters of MAIL that go-smtp does not know there: when a message is to be gone, and not before when (RFC 2852, RFC 4865).
type wishes struct {
	expires time.Time // BY in mode R: then it is returned; zero: the configuration decides
	by      bool
	sendAt  time.Time // HOLDFOR or HOLDUNTIL; zero: at once
	hold    bool
}

// takeWishes cuts the wishes out of a MAIL command, and gives what is left for go-smtp.
func takeWishes(line []byte, now time.Time, longest time.Duration) ([]byte, wishes, *smtp.SMTPError) {
	var w wishes
	if bytes.IndexByte(line, '=') < 0 {
		return line, w, nil
	}
	text := strings.TrimRight(string(line), "\r\n")
	end := pathEnd(text)
	kept := []string{text[:end]}
	for parameter := range strings.FieldsSeq(text[end:]) {
		name, value, _ := strings.Cut(parameter, "=")
		var refused *smtp.SMTPError
		switch strings.ToUpper(name) {
		case "BY":
			refused = w.deliverBy(value, now)
		case "HOLDFOR", "HOLDUNTIL":
			refused = w.release(strings.ToUpper(name), value, release{now, longest})
		default:
			kept = append(kept, parameter)
		}
		if refused != nil {
			return nil, w, refused
		}
	}
	if !w.expires.IsZero() && w.expires.Before(w.sendAt) {
		return nil, w, refusal(501, "5.5.4", "the message would be returned before it may be sent")
	}
	return append([]byte(strings.Join(kept, " ")), "\r\n"...), w, nil
}

// pathEnd is where the parameters of a MAIL or RCPT command begin.
func pathEnd(command string) int {
	begin := strings.IndexByte(command, ':') + 1
	for begin < len(command) && (command[begin] == ' ' || command[begin] == '\t') {
		begin++
	}
	if begin < len(command) && command[begin] == '<' {
		return min(len(command), begin+unquotedIndex(command[begin:], ">")+1)
	}
	return begin + unquotedIndex(command[begin:], " \t")
}

// deliverBy reads BY=seconds;R or ;N, with a T behind where a trace is wanted (RFC 2852 s4). In mode N the message goes on after that time and its sender is told, which
// queue.delay_notice does anyway.
func (w *wishes) deliverBy(value string, now time.Time) *smtp.SMTPError {
	seconds, mode, found := strings.Cut(value, ";")
	mode = strings.TrimSuffix(strings.ToUpper(mode), "T")
	n, err := strconv.ParseInt(seconds, 10, 64)
	switch digits := strings.TrimLeft(seconds, "+-"); {
	case w.by || !found || err != nil || len(digits) > 9 || mode != "R" && mode != "N":
		return refusal(501, "5.5.4", "BY is a number of seconds, a semicolon, and R or N")
	case mode == "R" && n <= 0:
		return refusal(501, "5.5.4", "BY in mode R is in the future") // RFC 2852 s4
	case mode == "R":
		w.expires = now.Add(time.Duration(n) * time.Second)
	}
	w.by = true
	return nil
}

// release is what a future release is judged by.
type release struct {
	now     time.Time
	longest time.Duration
}

// release reads HOLDFOR, seconds, or HOLDUNTIL, a time in UTC (RFC 4865 s5). A time that has passed means now.
func (w *wishes) release(name, value string, r release) *smtp.SMTPError {
	if r.longest == 0 {
		return refusal(555, "5.5.4", name+" is not offered here")
	}
	if w.hold {
		return refusal(501, "5.5.4", "there is one HOLDFOR or HOLDUNTIL")
	}
	w.hold = true
	if name == "HOLDFOR" {
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || len(value) > 9 {
			return refusal(501, "5.5.4", "HOLDFOR is a number of seconds")
		}
		w.sendAt = r.now.Add(time.Duration(n) * time.Second)
	} else {
		at, err := time.Parse(time.RFC3339, strings.ToUpper(value))
		if err != nil {
			return refusal(501, "5.5.4", "HOLDUNTIL is a time such as 2030-01-31T12:00:00Z")
		}
		w.sendAt = at
	}
	if w.sendAt.After(r.now.Add(r.longest)) {
		return refusal(501, "5.5.4", "the message would be held for longer than is offered") // RFC 4865 s4
	}
	if !w.sendAt.After(r.now) {
		w.sendAt = time.Time{}
	}
	return nil
}
