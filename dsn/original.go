package dsn

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxLine is the longest line without its CRLF (RFC 5322 s2.1.1).
const maxLine = 998

// enclosure is what is returned of the message, and what people are told about it.
type enclosure struct {
	part
	returned Returned
}

// enclose reads the original and decides how much of it is returned, and as what. The zero enclosure: there is nothing to return.
func (r Report) enclose() (enclosure, error) {
	if r.Original == nil {
		return enclosure{}, nil
	}
	content, err := r.readOriginal()
	if err != nil {
		return enclosure{}, fmt.Errorf("the message that a report is about: %w", err)
	}
	header, complete := splitHeader(content)
	lines := normalize(content)
	switch {
	case !complete:
		return encloseHeader(header, ReturnedBeginning), nil
	case r.HeadersOnly || !r.any(Failed): // RFC 3461 s4.3
		return encloseHeader(header, ReturnedHeader), nil
	case len(content) > MaxOriginal:
		return encloseHeader(header, ReturnedLong), nil
	case !fits(lines) || !utf8.Valid(header):
		return encloseHeader(header, ReturnedUnfit), nil
	}
	return encloseMessage(header, lines), nil
}

func (r Report) readOriginal() ([]byte, error) {
	source, err := r.Original()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(source, MaxOriginal+1))
	if closed := source.Close(); err == nil {
		err = closed
	}
	return content, err
}

// splitHeader gives the header of content without the empty line after it. It is not complete when it is longer than MaxOriginal: then it ends
// after the last field that is whole, or the last line if there is but one field.
func splitHeader(content []byte) (header []byte, complete bool) {
	lastField, lastLine := 0, 0
	for at := 0; at < len(content); {
		line, rest, found := bytes.Cut(content[at:], []byte("\n"))
		if len(bytes.TrimSuffix(line, []byte("\r"))) == 0 && found {
			return content[:at], true
		}
		if !bytes.HasPrefix(line, []byte(" ")) && !bytes.HasPrefix(line, []byte("\t")) {
			lastField = at
		}
		lastLine = at
		at = len(content) - len(rest)
	}
	switch {
	case len(content) <= MaxOriginal:
		return content, true
	case lastField > 0:
		return content[:lastField], false
	}
	return content[:lastLine], false
}

// normalize ends every line in CRLF.
func normalize(content []byte) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(content) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		b.Write(bytes.TrimSuffix(line, []byte("\r")))
		b.WriteString("\r\n")
	}
	return b.Bytes()
}

// fits says whether lines can stand in a message without an encoding: no line is too long, and no octet is one that mail cannot carry
// (RFC 5321 s2.3.8, RFC 2045 s2.8).
func fits(lines []byte) bool {
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		if len(line) > maxLine || bytes.ContainsAny(line, "\r\x00") {
			return false
		}
	}
	return true
}

// encloseMessage returns lines, which fit, in full.
func encloseMessage(header, lines []byte) enclosure {
	e := enclosure{part{mediaType: "message/rfc822", octets: lines}, ReturnedMessage}
	if !isASCII(header) {
		e.mediaType = "message/global" // RFC 6532 s3.7
	}
	if !isASCII(lines) {
		e.encoding = encoding8Bit
	}
	return e
}

// encloseHeader returns a header alone. One that is broken is encoded (RFC 3462 s2).
func encloseHeader(header []byte, returned Returned) enclosure {
	lines := normalize(header)
	e := enclosure{part{mediaType: "text/rfc822-headers", octets: lines}, returned}
	switch {
	case !fits(lines) || !utf8.Valid(lines):
		e.encoding = encodingQuoted
	case !isASCII(lines):
		e.mediaType, e.encoding = "message/global-headers", encoding8Bit // RFC 6533 s6
	}
	return e
}

// messageID finds the Message-ID of a header; empty if there is none that could be repeated as it is.
func messageID(header []byte) string {
	const name = "Message-ID:"
	for line := range bytes.Lines(header) {
		if len(bytes.TrimSpace(line)) == 0 {
			return ""
		}
		if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			continue
		}
		id := bytes.TrimSpace(line[len(name):])
		if n := len(id); n > 2 && id[0] == '<' && id[n-1] == '>' && messageIDSyntax.Match(id[1:n-1]) {
			return string(id)
		}
		return ""
	}
	return ""
}
