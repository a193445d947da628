package submission

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"mime"
	"mime/quotedprintable"
	"strings"
	"unicode/utf8"

	"sternpost/mail"
)

// compose writes the message that m describes (RFC 5322, RFC 2045). The same m gives the same octets, so that an idempotency key finds them equal: Date and Message-ID are
// left to the intake, and boundaries come from what stands between them.
func compose(m *posted) ([]byte, error) {
	header, err := headerOf(m)
	if err != nil {
		return nil, err
	}
	seed := sha256.New()
	root, err := m.entity(seed)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(len(header) + root.size() + 1<<10)
	b.WriteString(header)
	b.WriteString("MIME-Version: 1.0\r\n")
	root.write(&b, hex.EncodeToString(seed.Sum(nil))[:24])
	return b.Bytes(), nil
}

// entity is a MIME entity (RFC 2045 s2.4): octets, or parts.
type entity struct {
	fields string // of its header, each with its CRLF; of a multipart they are made when it is written
	octets []byte // as they are transferred
	kind   string // of a multipart: "mixed", "related" or "alternative"
	parts  []entity
}

func (e entity) size() int {
	n := len(e.fields) + len(e.octets)
	for _, p := range e.parts {
		n += p.size() + 100
	}
	return n
}

// write puts e behind the header that is in b already. Each depth of parts has a boundary of its own (RFC 2046 s5.1.2).
func (e entity) write(b *bytes.Buffer, boundary string) {
	if e.kind == "" {
		b.WriteString(e.fields + "\r\n")
		b.Write(e.octets)
		return
	}
	fmt.Fprintf(b, "Content-Type: multipart/%s;\r\n\tboundary=\"=_%s\"\r\n\r\n", e.kind, boundary) // "=_" is in no quoted-printable and no base64
	for _, p := range e.parts {
		fmt.Fprintf(b, "--=_%s\r\n", boundary)
		p.write(b, boundary+string(e.kind[0]))
		b.WriteString("\r\n")
	}
	fmt.Fprintf(b, "--=_%s--\r\n", boundary)
}

// entity builds the tree: the texts as alternatives, with them what they show, beside that the files (RFC 2046 s5.1, RFC 2387).
func (m *posted) entity(seed hash.Hash) (entity, error) {
	var texts, inline, files []entity
	for _, body := range []struct{ field, text string }{{"text", m.Text}, {"html", m.HTML}} {
		if strings.ContainsRune(body.text, 0) {
			return entity{}, fieldError{body.field, "holds a NUL"}
		}
		if body.text != "" {
			kind := strings.Replace(body.field, "text", "plain", 1)
			texts = append(texts, textEntity(kind, body.text))
		}
		fmt.Fprintf(seed, "%d %s", len(body.text), body.text)
	}
	for i, a := range m.Attachments {
		e, err := a.entity(fmt.Sprintf("attachments[%d].", i))
		if err != nil {
			return entity{}, err
		}
		if a.InlineID != "" {
			inline = append(inline, e)
		} else {
			files = append(files, e)
		}
		fmt.Fprintf(seed, "%d ", len(a.Content.content))
		seed.Write(a.Content.content)
	}
	if len(texts)+len(inline)+len(files) == 0 {
		return entity{}, fieldError{"text", "a message needs text, html or an attachment"}
	}
	body := joined("alternative", texts)
	if len(inline) > 0 {
		body = []entity{{kind: "related", parts: append(body, inline...)}}
	}
	return joined("mixed", append(body, files...))[0], nil
}

// joined makes one multipart of several entities, and leaves one or none alone.
func joined(kind string, list []entity) []entity {
	if len(list) < 2 {
		return list
	}
	return []entity{{kind: kind, parts: list}}
}

// longestTextLine is what a line may have without being encoded (RFC 5322 s2.1.1).
const longestTextLine = 998

// textEntity is a text with its lines ended by CRLF, encoded where a line is too long or a character is not ASCII.
func textEntity(subtype, text string) entity {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	foreign, long := 0, false
	for line := range strings.SplitSeq(text, "\n") {
		long = long || len(line) > longestTextLine
	}
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			foreign++
		}
	}
	text = strings.ReplaceAll(strings.TrimSuffix(text, "\n")+"\n", "\n", "\r\n")
	var b bytes.Buffer
	encoding := "7bit"
	switch {
	case foreign == 0 && !long:
		b.WriteString(text)
	case foreign > len(text)/3: // quoted-printable would be the longer one
		encoding = "base64"
		writeBase64(&b, []byte(text))
	default:
		encoding = "quoted-printable"
		w := quotedprintable.NewWriter(&b)
		_, _ = w.Write([]byte(text)) // a Buffer takes everything
		_ = w.Close()
	}
	return entity{fields: "Content-Type: text/" + subtype + "; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + "\r\n", octets: b.Bytes()}
}

// entity is the file with its name, in base64. field is where it stands in the message.
func (a attachment) entity(field string) (entity, error) {
	mediaType, parameters, err := a.mediaType(field)
	if err != nil {
		return entity{}, err
	}
	switch {
	case a.Content.wrong != nil:
		return entity{}, fieldError{field + "content", "is not base64"}
	case len(a.Name) > longestName:
		return entity{}, fieldError{field + "name", "is longer than 255 octets"}
	case len(a.InlineID) > longestName || strings.ContainsFunc(a.InlineID, func(c rune) bool { return notPrintable(c) || strings.ContainsRune(" <>", c) }):
		return entity{}, fieldError{field + "inline_id", "is not printable ASCII without blanks and brackets"}
	}
	if err := checkText(field+"name", a.Name); err != nil {
		return entity{}, err
	}
	disposition := "attachment"
	var id string
	if a.InlineID != "" {
		disposition, id = "inline", "Content-ID: <"+a.InlineID+">\r\n"
	}
	if a.Name != "" {
		parameters["name"] = a.Name
	}
	var b bytes.Buffer
	writeBase64(&b, a.Content.content)
	return entity{
		fields: "Content-Type: " + parameterized(mediaType, parameters) + "\r\nContent-Transfer-Encoding: base64\r\n" + id +
			"Content-Disposition: " + parameterized(disposition, map[string]string{"filename": a.Name}) + "\r\n",
		octets: b.Bytes(),
	}, nil
}

// mediaType reads the type of a file. Those that may not be in base64 are refused (RFC 2045 s6.4, RFC 2046 s5.2.1).
func (a attachment) mediaType(field string) (string, map[string]string, error) {
	if a.Type == "" {
		return "application/octet-stream", map[string]string{}, nil
	}
	if err := checkText(field+"type", a.Type); err != nil {
		return "", nil, err
	}
	mediaType, parameters, err := mime.ParseMediaType(a.Type)
	major, _, slash := strings.Cut(mediaType, "/")
	switch {
	case err != nil || !slash || len(a.Type) > longestName || mime.FormatMediaType(mediaType, parameters) == "":
		return "", nil, fieldError{field + "type", "is not a media type such as application/pdf"}
	case major == "multipart" || major == "message":
		return "", nil, fieldError{field + "type", mail.Escape(mediaType) + " cannot be attached; send the message as message/rfc822"}
	}
	return mediaType, parameters, nil
}

// writeBase64 writes lines of 76 characters (RFC 2045 s6.8).
func writeBase64(b *bytes.Buffer, octets []byte) {
	const perLine = 57
	for len(octets) > 0 {
		n := min(perLine, len(octets))
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), octets[:n]))
		b.WriteString("\r\n")
		octets = octets[n:]
	}
}
