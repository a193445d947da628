package submission

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"sternpost/mail"
	"sternpost/queue"
)

const (
	// maxHops is how many Received fields a message may have: more mean that it goes round (RFC 5321 s6.3).
	maxHops = 100
	// maxHeader is the largest header in octets. It is read before the message is handed over, so that nothing in it is missed.
	maxHeader = 256 << 10
	// maxValue is how much of a field is looked at: more than RFC 5322 s2.1.1 lets a line have.
	maxValue = 2000
	// maxName is where the colon of a field stands at the latest (RFC 5322 s2.1.1).
	maxName = 998
	// headRoom is what a head has room for at first; a usual message fits as a whole.
	headRoom = 16 << 10
	// maxLarge is how many octets all heads together may have beyond that.
	maxLarge = 32 << 20
)

// head is the begin of a message while it is read: the header, without the fields that are taken out, and what came behind it. All of it is one buffer: kept fields close
// the gaps that others leave.
type head struct {
	buf  []byte // the trace fields; the header; what has not been looked through
	top  int    // where the header begins: behind the trace fields
	kept int    // the end of what is kept of the header
	line int    // the begin of the line that is not complete yet; in the end: of the body
	seen int    // there is no LF between line and here

	ended   bool // the header is complete
	gap     bool // the empty line behind it is missing
	fields  bool // there was a field
	drop    bool // the one that may be continued is taken out
	hops    int  // Received fields
	hasDate bool
	hasID   bool
	bulk    bool
	hasKey  bool
	into    *[]byte // where the value of a field goes that may be continued; nil: nowhere
	id      []byte  // the value of the first Message-ID
	key     []byte  // that of Idempotency-Key

	large    *atomic.Int64 // octets that all heads together have beyond headRoom
	reserved int64         // those of this one
}

// reset makes h ready for a message that comes behind the trace fields, which are in buf.
func (h *head) reset(buf []byte) {
	at := len(buf)
	*h = head{buf: buf, top: at, kept: at, line: at, seen: at, id: h.id[:0], key: h.key[:0], large: h.large}
}

// read reads the header, and what comes with it. The errors are those of content, and Refusals.
func (h *head) read(content io.Reader) error {
	for !h.ended {
		if len(h.buf) == cap(h.buf) {
			if err := h.grow(); err != nil {
				return err
			}
		}
		n, err := content.Read(h.buf[len(h.buf):cap(h.buf)])
		h.buf = h.buf[:len(h.buf)+n]
		if wrong := h.scan(); wrong != nil {
			return wrong
		}
		if err == io.EOF {
			return h.finish()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// grow doubles the room.
func (h *head) grow() error {
	more := int64(cap(h.buf))
	if h.large.Add(more) > maxLarge {
		h.large.Add(-more)
		return refuse(452, "4.3.1", "there is no memory for so large a header at the moment")
	}
	h.reserved += more
	h.buf = slices.Grow(h.buf, cap(h.buf))
	return nil
}

// scan takes the lines that are complete.
func (h *head) scan() error {
	for !h.ended {
		end := bytes.IndexByte(h.buf[h.seen:], '\n')
		if end < 0 {
			h.seen = len(h.buf)
			return h.bounded()
		}
		h.seen += end + 1
		if err := h.take(h.buf[h.line:h.seen]); err != nil {
			return err
		}
	}
	return nil
}

// bounded ends the header within a line that is too long for it: it is refused as take would, or is no field.
func (h *head) bounded() error {
	if h.seen-h.top <= maxHeader {
		return nil
	}
	return h.take(h.buf[h.line:])
}

// finish takes what stands behind the last LF, at the end of the content.
func (h *head) finish() error {
	if h.ended || h.line == len(h.buf) {
		h.ended = true
		return nil
	}
	length := len(h.buf)
	h.buf = append(h.buf, "\r\n"...) // what follows a field must not become a part of it
	h.seen = len(h.buf)
	err := h.take(h.buf[h.line:])
	if h.gap {
		h.buf = h.buf[:length]
	}
	h.ended = true
	return err
}

// take takes a line. The header ends at an empty one, or where a line is no field (RFC 5322 s2.1, s2.2): then an empty one is missing.
func (h *head) take(line []byte) error {
	text := bytes.TrimRight(line, "\r\n")
	name, value, isField := cutField(text)
	folded := h.fields && len(text) > 0 && (text[0] == ' ' || text[0] == '\t') // RFC 5322 s2.2.3
	switch {
	case !folded && !isField:
		h.ended, h.gap = true, len(text) > 0
		return nil
	case h.seen-h.top > maxHeader:
		return refuse(550, "5.6.0", fmt.Sprintf("the header is larger than %d octets", maxHeader))
	case folded:
		h.fold(text)
	default:
		if err := h.field(name, value); err != nil {
			return err
		}
	}
	if !h.drop {
		if h.kept < h.line {
			copy(h.buf[h.kept:], line)
		}
		h.kept += len(line)
	}
	h.line = h.seen
	return nil
}

// cutField cuts a line at the colon of a field. Blanks before the colon are obsolete, and taken (RFC 5322 s4.5).
func cutField(line []byte) (name, value []byte, ok bool) {
	colon := bytes.IndexByte(line[:min(len(line), maxName)], ':')
	if colon < 0 {
		return nil, nil, false
	}
	name, value = bytes.TrimRight(line[:colon], " \t"), line[colon+1:]
	if len(name) == 0 {
		return nil, nil, false
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7F { // RFC 5322 s3.6.8
			return nil, nil, false
		}
	}
	return name, value, true
}

// field takes the first line of a field.
func (h *head) field(name, value []byte) error {
	h.fields, h.drop, h.into = true, false, nil
	switch {
	case is(name, "Received"):
		h.hops++
		if h.hops > maxHops {
			return refuse(554, "5.4.6", fmt.Sprintf("the message has more than %d Received fields", maxHops)) // RFC 5321 s6.3
		}
	case is(name, "Date"):
		h.hasDate = true
	case is(name, "Precedence"):
		h.bulk = isBulk(value)
	case is(name, "Message-ID") && !h.hasID:
		h.hasID, h.into = true, &h.id
	case is(name, "Return-Path"), is(name, "Bcc"), is(name, "Resent-Bcc"):
		h.drop = true // RFC 5321 s4.4: only the last host writes Return-Path; RFC 5322 s3.6.3 for Bcc
	case is(name, "Idempotency-Key"):
		return h.keyField(value)
	case !isASCII(name):
		return refuse(550, "5.6.0", "the name of a header field is not ASCII")
	}
	h.fold(value)
	return nil
}

// keyField takes the line of a key.
func (h *head) keyField(value []byte) error {
	h.drop = true
	if h.hasKey {
		return refuse(554, "5.6.0", "the header has more than one Idempotency-Key")
	}
	h.hasKey, h.into = true, &h.key
	h.fold(value)
	return nil
}

// is says whether a field has this name.
func is(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}

func isASCII(text []byte) bool {
	return bytes.IndexFunc(text, func(c rune) bool { return c >= 0x80 }) < 0
}

// fold takes a line of the value that is kept.
func (h *head) fold(value []byte) {
	if h.into != nil {
		*h.into = append(*h.into, value[:min(len(value), maxValue-len(*h.into))]...)
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
func (h *head) priority() queue.Priority {
	if h.bulk {
		return queue.Bulk
	}
	return queue.Normal
}

// messageID is the Message-ID without its brackets; empty when there is none that can be printed.
func (h *head) messageID() string {
	_, after, _ := bytes.Cut(h.id, []byte("<"))
	id, _, closed := bytes.Cut(after, []byte(">"))
	text := string(id)
	if !closed || mail.Escape(text) != text || strings.ContainsAny(text, " \t") {
		return ""
	}
	return text
}
