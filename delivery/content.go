package delivery

import (
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// traits is what one reading of the content shows: all that the wire has to know before MAIL is written.
type traits struct {
	// wireSize is the number of octets when every line end is CRLF and the last line is ended, without dot-stuffing: what
	// SIZE counts (RFC 1870 s6).
	wireSize int64
	// eightBit says that the body holds an octet above 0x7f: 8BITMIME or a conversion is needed (RFC 6152 s3).
	eightBit bool
	// headerUTF8 says that an address in a header field is not ASCII: SMTPUTF8 is needed (see asksUTF8).
	headerUTF8 bool
	// signed says that a signature covers the content, so that it must not be altered.
	signed bool
	// untidy says that a line ends otherwise than in CRLF, the last one included: the wire form is another than the content.
	untidy bool
	// dotted says that a line begins with a dot.
	dotted bool
}

// inspect reads content to its end. It runs in constant memory.
func inspect(r io.Reader) (traits, error) {
	source := newLineSource(r)
	defer source.release()
	var in inspection
	if err := in.header(source); err != nil {
		return traits{}, err
	}
	in.endField()
	for {
		chunk, err := source.chunk()
		if err == io.EOF {
			if in.line > 0 {
				in.endLine(endOfText)
			}
			return in.traits, nil
		}
		if err != nil {
			return traits{}, err
		}
		in.body(chunk)
	}
}

// inspection is the state of inspect: the traits so far, the length of the line that is not ended yet, and the header field
// that is not complete yet.
type inspection struct {
	traits
	line  int
	field []byte
}

// header reads the header, line by line. It stops before the first line of the body.
func (in *inspection) header(source *lineSource) error {
	for first := true; ; first = false {
		piece, end, err := source.peekLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		atStart := in.line == 0
		if atStart && len(piece) == 0 {
			in.headerPiece(piece, end)
			source.consume()
			return nil
		}
		if atStart && !in.startHeaderLine(piece, first) {
			return nil
		}
		in.headerPiece(piece, end)
		source.consume()
	}
}

// startHeaderLine says whether a line belongs to the header. If it begins a field, the field before it is complete.
func (in *inspection) startHeaderLine(line []byte, first bool) bool {
	if !isHeaderLine(line, first) {
		return false
	}
	if !isFolded(line) {
		in.endField()
	}
	return true
}

func (in *inspection) headerPiece(piece []byte, end lineEnd) {
	if len(in.field)+len(piece) <= maxHeader {
		in.field = append(in.field, piece...)
	}
	in.grow(piece)
	if end != endNone {
		in.endLine(end)
	}
}

// endField judges the header field that is complete now.
func (in *inspection) endField() {
	name, value := cutField(in.field)
	switch {
	case isField(name, "DKIM-Signature"), isField(name, "ARC-Seal"):
		in.signed = true
	case isField(name, "Content-Type"):
		in.signed = in.signed || isSignedType(value)
	case holdsEightBit(value) && isAddressField(name):
		in.headerUTF8 = in.headerUTF8 || asksUTF8(value)
	}
	in.field = in.field[:0]
}

// body measures a chunk that never ends within a CRLF.
func (in *inspection) body(chunk []byte) {
	in.eightBit = in.eightBit || holdsEightBit(chunk)
	for len(chunk) > 0 {
		length, end := findLineEnd(chunk)
		in.grow(chunk[:length])
		if end != endNone {
			in.endLine(end)
		}
		chunk = chunk[length+end.octets():]
	}
}

// grow takes more of a line.
func (in *inspection) grow(piece []byte) {
	in.dotted = in.dotted || in.line == 0 && len(piece) > 0 && piece[0] == '.'
	in.line += len(piece)
	in.wireSize += int64(len(piece))
}

// endLine counts a line end as the CRLF that it becomes.
func (in *inspection) endLine(end lineEnd) {
	in.untidy = in.untidy || end != endCRLF
	in.wireSize += 2
	in.line = 0
}

// isAddressField says whether a field holds addresses (RFC 5322 s3.6.2, s3.6.3, s3.6.6).
func isAddressField(name []byte) bool {
	switch strings.TrimPrefix(strings.ToLower(string(name)), "resent-") {
	case "from", "sender", "reply-to", "to", "cc", "bcc":
		return true
	}
	return false
}

// asksUTF8 says whether one of the addresses of an address field is not ASCII. Such a message cannot be answered without
// SMTPUTF8, and RFC 6531 s3.4 forbids it on a host without; nothing may be altered to save it. Raw octets anywhere else
// (subject, display name, comment) do not ask: mail like that was always sent as it is and arrives, so a failure would be our
// doing, and SMTPUTF8 would make it fail at the next relay that lacks it. Octets that are not UTF-8 never ask: they
// are legacy text, and RFC 6532 s3.1 does not allow them either.
func asksUTF8(value []byte) bool {
	if !utf8.Valid(value) {
		return false
	}
	var m mailboxScan
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && (m.quoted || m.comment > 0) {
			i++
			continue
		}
		if m.octet(value[i]) {
			return true
		}
	}
	return m.asks()
}

// mailboxScan walks an address field octet by octet, just well enough to tell addresses from display names and comments.
type mailboxScan struct {
	quoted, angle, hadAngle, at bool
	comment                     int
	eightBit, angleEightBit     bool
}

// octet takes the next octet, and says whether it ends a mailbox that asks for SMTPUTF8.
func (m *mailboxScan) octet(c byte) bool {
	switch {
	case m.comment > 0 && c == ')':
		m.comment--
	case c == '(' && !m.quoted:
		m.comment++
	case m.comment > 0:
	case c == '"':
		m.quoted = !m.quoted
	case c >= 0x80:
		m.eightBit = true
		m.angleEightBit = m.angleEightBit || m.angle
	case !m.quoted:
		return m.special(c)
	}
	return false
}

func (m *mailboxScan) special(c byte) bool {
	switch {
	case c == '<':
		m.angle, m.hadAngle = true, true
	case c == '>':
		m.angle = false
	case c == '@':
		m.at = true
	case !m.angle && (c == ',' || c == ';' || c == ':'):
		asks := m.asks()
		*m = mailboxScan{}
		return asks
	}
	return false
}

func (m *mailboxScan) asks() bool {
	return m.angleEightBit || !m.hadAngle && m.at && m.eightBit
}

// holdsEightBit says whether p has an octet above 0x7f, eight octets at a time.
func holdsEightBit(p []byte) bool {
	const high = 0x8080808080808080
	for ; len(p) >= 32; p = p[32:] {
		a := binary.LittleEndian.Uint64(p) | binary.LittleEndian.Uint64(p[8:])
		b := binary.LittleEndian.Uint64(p[16:]) | binary.LittleEndian.Uint64(p[24:])
		if (a|b)&high != 0 {
			return true
		}
	}
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// contentChunk is how much content is read and written at a time.
const contentChunk = 64 << 10

// contentBuffers keeps the buffers of lineSource. What a pool holds cannot be seen from outside, so it is no state of the
// package.
var contentBuffers = sync.Pool{New: func() any { return new([contentChunk]byte) }}

// wireBuffers keeps the buffers of wireWriter.
var wireBuffers = sync.Pool{New: func() any { return new([wireBuffer]byte) }}
