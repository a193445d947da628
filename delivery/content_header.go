package delivery

import "bytes"

// maxHeader bounds what is kept of one header while it is read. Real headers are a few KiB.
const maxHeader = 256 << 10

// isHeaderLine says whether line belongs to a header: a field, its continuation, or, as the very first line, the separator of
// an mbox file that was left in front. The first line that does not is the body's, as if an empty line stood before it: that is
// how receivers read such mail.
func isHeaderLine(line []byte, first bool) bool {
	switch {
	case isFolded(line):
		return !first
	case first && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))):
		return true
	}
	name, _ := cutField(line)
	return len(name) > 0
}

// isFolded says whether line continues the field before it (RFC 5322 s2.2.3).
func isFolded(line []byte) bool { return len(line) > 0 && (line[0] == ' ' || line[0] == '\t') }

// cutField splits a header field at its colon. The name is nil where text is no field (RFC 5322 s2.2); spaces before the colon
// are allowed (RFC 5322 s4.5).
func cutField(text []byte) (name, value []byte) {
	before, after, found := bytes.Cut(text, []byte(":"))
	before = bytes.TrimRight(before, " \t")
	if !found || len(before) == 0 {
		return nil, nil
	}
	for _, c := range before {
		if c < '!' || c > '~' {
			return nil, nil
		}
	}
	return before, after
}

func isField(name []byte, want string) bool { return bytes.EqualFold(name, []byte(want)) }

// isSignedType says whether the value of a Content-Type field names multipart/signed (RFC 1847 s2.1).
func isSignedType(value []byte) bool {
	kind, _, _ := bytes.Cut(value, []byte(";"))
	return bytes.EqualFold(bytes.TrimSpace(kind), []byte("multipart/signed"))
}
