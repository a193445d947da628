package submission

import (
	"bytes"
	"errors"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

const (
	// maxHops is how many Received fields a message may have: more mean that it goes round (RFC 5321 s6.3).
	maxHops = 100
	// scanned is how much of a header is read before the message is handed over. The fields behind that are counted, but a Message-ID there is not seen.
	scanned = 64 << 10
	// maxField is how much of a field is looked at: more than RFC 5322 s2.1.1 lets a line have.
	maxField = 2000
)

var errLoop = errors.New("the message has more than 100 Received fields")

// header reads a header as it passes: how many Received fields there are, the Message-ID, and whether it is bulk mail. Lines must end in CRLF.
type header struct {
	hops  int
	bulk  bool
	ended bool
	line  []byte // of a line that is not complete yet, at most maxField
	id    []byte // the value of the first Message-ID
	inID  bool   // the field that may be continued is it
	hasID bool
}

// scan takes the next octets of the message.
func (h *header) scan(p []byte) {
	for len(p) > 0 && !h.ended {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			h.keep(p)
			return
		}
		if len(h.line) > 0 {
			h.keep(p[:end+1])
			h.field(h.line)
			h.line = h.line[:0]
		} else {
			h.field(p[:end+1])
		}
		p = p[end+1:]
	}
}

func (h *header) keep(p []byte) { h.line = append(h.line, p[:min(len(p), maxField-len(h.line))]...) }

// field takes a line. The header ends at an empty one, or where a line is no field (RFC 5322 s2.1, s2.2).
func (h *header) field(line []byte) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
		h.fold(line)
		return
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	h.inID = false
	switch {
	case !ok || len(name) == 0:
		h.ended = true
	case bytes.EqualFold(name, []byte("Received")):
		h.hops++
	case bytes.EqualFold(name, []byte("Precedence")):
		h.bulk = isBulk(value)
	case !h.hasID && bytes.EqualFold(name, []byte("Message-ID")):
		h.hasID, h.inID = true, true
		h.fold(value)
	}
}

// isBulk knows the words by which senders of bulk mail say so (RFC 3834 s2 names them).
func isBulk(precedence []byte) bool {
	switch strings.ToLower(string(bytes.TrimSpace(precedence))) {
	case "bulk", "list", "junk":
		return true
	}
	return false
}

// priority is where the message stands in the queue.
func (h *header) priority() queue.Priority {
	if h.bulk {
		return queue.Bulk
	}
	return queue.Normal
}

func (h *header) fold(value []byte) {
	if h.inID {
		h.id = append(h.id, value[:min(len(value), maxField-len(h.id))]...)
	}
}

// messageID is the Message-ID without its brackets; empty when there is none that can be printed.
func (h *header) messageID() string {
	_, after, _ := bytes.Cut(h.id, []byte("<"))
	id, _, closed := bytes.Cut(after, []byte(">"))
	text := string(id)
	if !closed || mail.Escape(text) != text || strings.ContainsAny(text, " \t") {
		return ""
	}
	return text
}

// received is the trace field that is put before the message (RFC 5321 s4.4). It names no recipient: one could learn from it who got a blind copy.
func (s *session) received(now time.Time) string {
	helo := "unknown"
	if domain, err := mail.ParseDomain(s.conn.Hostname()); err == nil {
		helo = string(domain)
	}
	from := string(mail.LiteralDomain(s.wire.address))
	return "Received: from " + helo + " (" + from + ")\r\n\tby " + s.door.deps.Hostname + " with " + s.protocol + ";\r\n\t" +
		now.Format(time.RFC1123Z) + "\r\n"
}
