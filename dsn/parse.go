package dsn

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"time"

	"sternpost/mail"
)

// maxReport is how much of a report is read. What is behind it is ignored.
const maxReport = 4 << 20

// ErrNotReport says that a message is no delivery status notification.
var ErrNotReport = errors.New("is not a delivery status notification")

// Parse reads a report, ours or a stranger's. It is generous: fields that cannot be read are zero, and what is cut off or broken after the status does
// not matter. Where there is no status (RFC 3464 s2), the words are read of those who wrote reports before there was one, or do without: qmail, Postfix, Exim, sendmail, OpenSMTPD, Exchange, Gmail. It returns
// ErrNotReport, wrapped, for a message that tells of no recipient in any of these ways; other errors are those of r and of broken syntax before the status.
//
// Original of the result gives what was returned of the message, HeadersOnly says whether it is its header alone. Reason is set where the diagnostic is not a reply, and
// where the report is in words: it has all of them then. Status is zero where it cannot be read.
func Parse(r io.Reader) (Report, error) {
	message, err := netmail.ReadMessage(io.LimitReader(r, maxReport))
	if err != nil {
		return Report{}, fmt.Errorf("report: %w", err)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045 s5.2
	}
	report := parseHeader(message.Header)
	words := ""
	if strings.HasPrefix(kind, "multipart/") {
		report.Boundary = parameters["boundary"]
		words, err = report.readParts(multipart.NewReader(message.Body, report.Boundary))
	} else {
		words, err = readText(message)
	}
	if len(report.Recipients) == 0 {
		report.readWords(words)
	} else {
		report.complete(words)
	}
	if failed := message.Header.Get("X-Failed-Recipients"); len(report.Recipients) == 0 && failed != "" {
		report.named(failed, words)
	}
	switch {
	case len(report.Recipients) > 0:
		return report, nil
	case err != nil:
		return Report{}, fmt.Errorf("report: %w", err)
	}
	return Report{}, fmt.Errorf("message of type %q: %w", kind, ErrNotReport)
}

// readText is the body of a message without its encoding.
func readText(message *netmail.Message) (string, error) {
	octets, err := io.ReadAll(decoded(message.Body, message.Header.Get("Content-Transfer-Encoding")))
	return string(octets), err
}

// decoded is a body without its encoding.
func decoded(body io.Reader, encoding string) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	}
	return body
}

func parseHeader(h netmail.Header) Report {
	return Report{
		From:      parseHeaderAddress(h.Get("From")),
		To:        parseHeaderAddress(h.Get("To")),
		MessageID: strings.Trim(h.Get("Message-ID"), "<>"),
		Date:      parseTime(h.Get("Date")),
	}
}

// parseHeaderAddress reads the address of a field that holds one, with a display name, a comment behind it, or neither.
func parseHeaderAddress(text string) mail.Address {
	if open, end := strings.Index(text, "<"), strings.LastIndex(text, ">"); open >= 0 && open < end {
		text = text[open+1 : end]
	} else {
		text, _, _ = strings.Cut(text, " (")
	}
	return parseAddress(text)
}

// parseAddress gives the zero address for what is none.
func parseAddress(text string) mail.Address {
	a, err := mail.ParseAddress(strings.TrimSpace(text))
	if err != nil {
		return mail.Address{}
	}
	return a
}

func parseTime(text string) time.Time {
	t, err := netmail.ParseDate(text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// readParts takes the status and, behind it, what was returned of the message. words is the first part of text.
func (r *Report) readParts(parts *multipart.Reader) (words string, err error) {
	for {
		p, err := parts.NextPart()
		if err == io.EOF {
			return words, nil
		}
		if err != nil {
			return words, err
		}
		kind, octets, err := readPart(p)
		switch {
		case isStatusType(kind):
			r.readStatus(octets)
		case kind == "text/plain" && words == "":
			words = string(octets)
		case (words != "" || r.Recipients != nil) && r.Original == nil:
			r.readOriginalPart(kind, octets)
		}
		if err != nil {
			return words, err
		}
	}
}

func isStatusType(kind string) bool {
	return kind == "message/delivery-status" || kind == "message/global-delivery-status"
}

// readPart reads a part without its encoding. What could be read comes with the error too.
func readPart(p *multipart.Part) (kind string, octets []byte, err error) {
	kind, _, err = mime.ParseMediaType(p.Header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain" // RFC 2045 s5.2
	}
	octets, err = io.ReadAll(decoded(p, p.Header.Get("Content-Transfer-Encoding"))) // but quoted-printable, of which there is no word any more
	return kind, octets, err
}

func (r *Report) readOriginalPart(kind string, octets []byte) {
	switch kind {
	case "message/rfc822", "message/global":
	case "text/rfc822-headers", "message/global-headers":
		r.HeadersOnly = true
	default:
		return
	}
	r.Original = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(octets)), nil }
}
