package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// textBuffer is how much of a message is read at once. Lines may be longer.
	textBuffer = 64 << 10
	// maxHeader is the longest header that is read: it is kept in memory.
	maxHeader = 1 << 20
)

// text reads a message as programs on this machine write it: lines end in LF or CRLF, of any length. What it gives out has CRLF (RFC 5321 s2.3.8).
type text struct {
	in      *bufio.Reader
	dotEnds bool   // a line with only a dot ends the message
	within  bool   // not at the begin of a line
	ended   bool   // by the dot
	eight   bool   // octets above 127 were given out
	room    []byte // holds what is given out next, with other line ends than it was read with
	rest    []byte
}

func newText(r io.Reader, dotEnds bool) *text {
	return &text{in: bufio.NewReaderSize(r, textBuffer), dotEnds: dotEnds}
}

// piece reads a line, or as much of one as the buffer holds, as it came. It is valid until the next call.
func (t *text) piece() ([]byte, error) {
	if t.ended {
		return nil, io.EOF
	}
	read, err := t.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = nil
		if last := len(read) - 1; read[last] == '\r' { // the next octet shows whether it ends a line
			_ = t.in.UnreadByte() // never fails behind a read octet
			read = read[:last]
		}
	}
	if len(read) == 0 {
		return nil, err
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if t.dotEnds && !t.within && string(bytes.TrimRight(read, "\r\n")) == "." {
		t.ended = true
		return nil, io.EOF
	}
	t.within = read[len(read)-1] != '\n'
	return read, nil
}

// Read gives out what follows the header: as much as fits, since lines may be short.
func (t *text) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(t.rest) == 0 {
			read, err := t.piece()
			if err != nil {
				return n, err
			}
			t.give(read)
		}
		size := copy(p[n:], t.rest)
		t.rest = t.rest[size:]
		n += size
	}
	return n, nil
}

// give makes a piece what is given out next. A CR that stands alone, as in the progress bar of a program that cron has run, ends a line: others may take it for an end, and the
// agent refuses it.
func (t *text) give(read []byte) {
	t.eight = t.eight || hasEight(read)
	line, complete := bytes.CutSuffix(read, []byte("\n"))
	if complete {
		line = bytes.TrimRight(line, "\r")
	}
	t.room = t.room[:0]
	for part := range bytes.SplitAfterSeq(line, []byte("\r")) {
		t.room = append(t.room, part...)
		if bytes.HasSuffix(part, []byte("\r")) {
			t.room = append(t.room, '\n')
		}
	}
	if complete {
		t.room = append(t.room, '\r', '\n')
	}
	t.rest = t.room
}

func hasEight(octets []byte) bool {
	return bytes.IndexFunc(octets, func(c rune) bool { return c >= 0x80 }) >= 0
}

// field is one field of a header: all its lines, each with CRLF.
type field struct {
	name string
	text string
}

func (f field) is(name string) bool { return strings.EqualFold(f.name, name) }

// value is what stands behind the colon, unfolded (RFC 5322 s2.2.3).
func (f field) value() string {
	_, value, _ := strings.Cut(f.text, ":")
	return strings.TrimSpace(strings.ReplaceAll(value, "\r\n", ""))
}

// header reads the header. It ends at an empty line, or before a line that is no field: that one is then the first of the body, so that a message without a header
// is all body. A line "From " of a mailbox file, before the first field, is left out.
func (t *text) header() ([]field, error) {
	var fields []field
	for size, number := 0, 1; ; number++ {
		read, err := t.piece()
		if err == io.EOF {
			return fields, nil
		}
		if err != nil {
			return nil, err
		}
		name := fieldName(read)
		folded := len(fields) > 0 && (read[0] == ' ' || read[0] == '\t')
		mailbox := number == 1 && isFromLine(read)
		switch {
		case !t.within && len(bytes.TrimRight(read, "\r\n")) == 0:
			return fields, nil
		case name == "" && !folded && !mailbox:
			t.give(read)
			return fields, nil
		}
		line, err := t.headerLine(read, maxHeader-size)
		if err != nil {
			return nil, fmt.Errorf("line %d of the header: %w", number, err)
		}
		size += len(line)
		switch {
		case folded:
			fields[len(fields)-1].text += line
		case !mailbox:
			fields = append(fields, field{name, line})
		}
	}
}

// headerLine completes the line that begins with read. A CR that stands alone is refused in a header: who takes it for the end of a line would see another header than the
// program that wrote it.
func (t *text) headerLine(read []byte, most int) (string, error) {
	line := bytes.Clone(read)
	for t.within && len(line) <= most {
		more, err := t.piece()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		line = append(line, more...)
	}
	line = bytes.TrimRight(line, "\r\n")
	switch {
	case len(line) > most:
		return "", errHeaderTooLong
	case bytes.ContainsAny(line, "\r\x00"):
		return "", errors.New("holds a CR or NUL")
	}
	return string(line) + "\r\n", nil
}

var errHeaderTooLong = errors.New("the header gets longer than 1 MiB there")

// fieldName is the name of the field that line begins (RFC 5322 s2.2; blanks before the colon are obsolete, s4.5), or empty.
func fieldName(line []byte) string {
	name, _, found := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !found || bytes.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return string(name)
}

func isFromLine(line []byte) bool {
	return bytes.HasPrefix(bytes.TrimPrefix(line, []byte(">")), []byte("From "))
}
