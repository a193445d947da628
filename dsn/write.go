package dsn

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"time"
)

// Encodings of a part (RFC 2045 s6). The empty one is 7bit.
const (
	encoding8Bit   = "8bit"
	encodingQuoted = "quoted-printable"
)

// part is one part of a report.
type part struct {
	mediaType, encoding string
	octets              []byte // as they are meant; lines end in CRLF
}

// WriteTo writes r as a message. It returns an error before anything is written when r has no recipient, when a field that is ours to fill is wrong, or
// when Original fails; later errors are those of w.
//
// The report has octets above 127 only where an address has them (RFC 6533), or the message that is returned.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	if err := r.check(); err != nil {
		return 0, err
	}
	original, err := r.enclose()
	if err != nil {
		return 0, err
	}
	human, subject := r.human(original.returned)
	parts := []part{human, r.status()}
	if original.mediaType != "" {
		parts = append(parts, original.part)
	}
	text, err := r.compose(parts, heading{subject, messageID(original.octets)})
	if err != nil {
		return 0, err
	}
	return bytes.NewReader(text).WriteTo(w)
}

// heading is what depends on the parts: the subject, and the Message-ID of the message that the report is about, or empty.
type heading struct{ subject, about string }

func (r Report) compose(parts []part, h heading) ([]byte, error) {
	boundary := r.boundary(parts)
	var b bytes.Buffer
	r.writeHeader(&b, boundary, h)
	if has8Bit(parts) { // RFC 2045 s6.4: what is around must say so too
		b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
	}
	b.WriteString("\r\n")
	mw := multipart.NewWriter(&b)
	if err := mw.SetBoundary(boundary); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	for _, p := range parts {
		if err := p.writeTo(mw); err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
	}
	if err := mw.Close(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}

// writeHeader writes the header of the report.
func (r Report) writeHeader(b *bytes.Buffer, boundary string, h heading) {
	from := parseAddress(r.From.String()) // in the one form that is compared
	fmt.Fprintf(b, "From: Mail Delivery System <%s>\r\n", from)
	fmt.Fprintf(b, "To: <%s>\r\n", r.To)
	fmt.Fprintf(b, "Subject: %s\r\n", h.subject)
	fmt.Fprintf(b, "Date: %s\r\n", r.Date.Format(time.RFC1123Z))
	fmt.Fprintf(b, "Message-ID: <%s>\r\n", r.MessageID)
	if h.about != "" { // RFC 5322 s3.6.4: a mail reader shows the report with the message
		fmt.Fprintf(b, "In-Reply-To: %s\r\nReferences: %s\r\n", h.about, h.about)
	}
	b.WriteString("Auto-Submitted: auto-replied\r\n") // RFC 3834 s5
	b.WriteString("MIME-Version: 1.0\r\n")
	fmt.Fprintf(b, "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=%q\r\n", boundary)
}

func has8Bit(parts []part) bool {
	for _, p := range parts {
		if p.encoding == encoding8Bit {
			return true
		}
	}
	return false
}

// boundary is one that no line of parts begins with (RFC 2046 s5.1.1). What a part holds is finite, so one is found.
func (r Report) boundary(parts []part) string {
	var all []byte
	for _, p := range parts {
		all = append(append(all, '\n'), p.octets...)
	}
	boundary := r.Boundary
	for i := 0; bytes.Contains(all, []byte("\n--"+boundary)); i++ {
		boundary = fmt.Sprintf("%s-%d", r.Boundary, i)
	}
	return boundary
}

func (p part) writeTo(mw *multipart.Writer) error {
	header := textproto.MIMEHeader{"Content-Type": {p.mediaType}}
	if p.encoding != "" {
		header.Set("Content-Transfer-Encoding", p.encoding)
	}
	w, err := mw.CreatePart(header)
	if err != nil {
		return err
	}
	if p.encoding != encodingQuoted {
		_, err = w.Write(p.octets)
		return err
	}
	q := quotedprintable.NewWriter(w)
	if _, err := q.Write(p.octets); err != nil {
		return err
	}
	return q.Close()
}
