package dsn

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
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
// not matter. It returns ErrNotReport, wrapped, for a message that is no multipart/report with a status of at least one recipient (RFC 3464 s2); other errors are
// those of r and of broken syntax before the status.
//
// Original of the result gives what was returned of the message, HeadersOnly says whether it is its header alone. Reason is set only where the
// diagnostic is not a reply. Status is zero where it cannot be read.
func Parse(r io.Reader) (Report, error) {
	message, err := netmail.ReadMessage(io.LimitReader(r, maxReport))
	if err != nil {
		return Report{}, fmt.Errorf("report: %w", err)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" {
		return Report{}, fmt.Errorf("message of type %q: %w", kind, ErrNotReport)
	}
	report := parseHeader(message.Header)
	report.Boundary = parameters["boundary"]
	if err := report.readParts(multipart.NewReader(message.Body, report.Boundary)); err != nil {
		return Report{}, err
	}
	return report, nil
}

func parseHeader(h netmail.Header) Report {
	return Report{
		From:      parseHeaderAddress(h.Get("From")),
		To:        parseHeaderAddress(h.Get("To")),
		MessageID: strings.Trim(h.Get("Message-ID"), "<>"),
		Date:      parseTime(h.Get("Date")),
	}
}

// parseHeaderAddress reads the address of a field that holds one, with a display name or without.
func parseHeaderAddress(text string) mail.Address {
	if open, end := strings.Index(text, "<"), strings.LastIndex(text, ">"); open >= 0 && open < end {
		text = text[open+1 : end]
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

// readParts takes the status and, behind it, what was returned of the message.
func (r *Report) readParts(parts *multipart.Reader) error {
	for {
		p, err := parts.NextPart()
		if err != nil {
			return r.endOfParts(err)
		}
		kind, octets, err := readPart(p)
		switch {
		case isStatusType(kind):
			r.readStatus(octets)
			if len(r.Recipients) == 0 {
				return fmt.Errorf("status without recipients: %w", ErrNotReport)
			}
		case r.Recipients != nil && r.Original == nil:
			r.readOriginalPart(kind, octets)
		}
		if err != nil {
			return r.endOfParts(err)
		}
	}
}

// endOfParts is the result when no more can be read.
func (r *Report) endOfParts(err error) error {
	switch {
	case len(r.Recipients) > 0:
		return nil
	case err == io.EOF:
		return fmt.Errorf("multipart without a status: %w", ErrNotReport)
	}
	return fmt.Errorf("report: %w", err)
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
	var body io.Reader = p // which has decoded quoted-printable
	if strings.EqualFold(strings.TrimSpace(p.Header.Get("Content-Transfer-Encoding")), "base64") {
		body = base64.NewDecoder(base64.StdEncoding, p)
	}
	octets, err = io.ReadAll(body)
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
