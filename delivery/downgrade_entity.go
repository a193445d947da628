package delivery

import (
	"bytes"
	"iter"
	"mime"
	"strings"
)

// mimeEntity is one entity of a message: the message itself, a body part or an enclosed message (RFC 2045 s2.4).
type mimeEntity struct {
	number  int  // in the order of their headers
	message bool // it is a message, not a body part
	signed  bool // it is inside a multipart/signed
	digest  bool // it is a part of a multipart/digest
	header  []byte
	// From the header:
	typed, versioned bool
	mediaType        string
	boundary         string
	encoding         string
}

// read takes from the header what the walk has to know.
func (e *mimeEntity) read() {
	e.mediaType = "text/plain" // RFC 2045 s5.2
	if e.digest {
		e.mediaType = "message/rfc822" // RFC 2046 s5.1.5
	}
	for field := range headerFields(e.header) {
		name, value := cutField(field)
		switch {
		case isField(name, "MIME-Version"):
			e.versioned = true
		case isField(name, "Content-Type") && !e.typed:
			e.typed = true
			e.readType(unfold(value))
		case isField(name, "Content-Transfer-Encoding") && e.encoding == "":
			e.encoding = firstToken(unfold(value))
		}
	}
}

func (e *mimeEntity) readType(value string) {
	kind, parameters, err := mime.ParseMediaType(value)
	e.boundary = parameters["boundary"]
	if err != nil {
		kind = firstToken(value)
		e.boundary = looseBoundary(value)
	}
	e.mediaType = kind
	if !strings.Contains(kind, "/") {
		e.mediaType = "text/plain" // RFC 2045 s5.2: also for a type that cannot be read
	}
	if holdsEightBit([]byte(e.boundary)) {
		e.boundary = ""
	}
}

// looseBoundary finds the boundary where the parameters break the grammar, as in boundary=----=_Part_1 without its quotes.
func looseBoundary(value string) string {
	const name = "boundary="
	for len(value) >= len(name) && !strings.EqualFold(value[:len(name)], name) {
		value = value[1:]
	}
	if len(value) < len(name) {
		return ""
	}
	value = value[len(name):]
	if quoted, found := strings.CutPrefix(value, `"`); found {
		value, _, _ = strings.Cut(quoted, `"`)
		return value
	}
	if end := strings.IndexAny(value, "; \t"); end >= 0 {
		value = value[:end]
	}
	return value
}

func unfold(value []byte) string {
	return strings.TrimSpace(strings.ReplaceAll(string(value), "\r\n", ""))
}

func firstToken(value string) string {
	if end := strings.IndexAny(value, "; \t("); end >= 0 {
		value = value[:end]
	}
	return strings.ToLower(value)
}

// claimsEightBit says whether the declared encoding allows octets above 0x7f.
func (e *mimeEntity) claimsEightBit() bool { return e.encoding == "8bit" || e.encoding == "binary" }

// encoded says whether the body is written in one of the two encodings.
func (e *mimeEntity) encoded() bool {
	return e.encoding == "base64" || e.encoding == "quoted-printable"
}

// plain says whether the body is written in no encoding. Only such bodies are walked into: a composite entity must not be encoded
// (RFC 2045 s6.4), and one that is all the same is left alone.
func (e *mimeEntity) plain() bool {
	return e.encoding == "" || e.encoding == "7bit" || e.claimsEightBit()
}

// unclear says whether nobody can tell how octets above 0x7f in e could be encoded.
func (e *mimeEntity) unclear() bool {
	return !e.plain() && !e.encoded() || strings.HasPrefix(e.mediaType, "multipart/")
}

func (e *mimeEntity) isMultipart() bool {
	return strings.HasPrefix(e.mediaType, "multipart/") && e.boundary != "" && e.plain()
}

func (e *mimeEntity) isEnclosed() bool { return e.mediaType == "message/rfc822" && e.plain() }

// composite says whether there are entities inside e.
func (e *mimeEntity) composite() bool { return e.isMultipart() || e.isEnclosed() }

func (e *mimeEntity) isText() bool    { return strings.HasPrefix(e.mediaType, "text/") }
func (e *mimeEntity) isMessage() bool { return strings.HasPrefix(e.mediaType, "message/") }

// headerFields gives the fields of a header, each with its folded lines and their CRLF.
func headerFields(header []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		start := 0
		for at := 0; at < len(header); {
			at += bytes.IndexByte(header[at:], '\n') + 1
			if at < len(header) && isFolded(header[at:]) {
				continue
			}
			if !yield(header[start:at]) {
				return
			}
			start = at
		}
	}
}
