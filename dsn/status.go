package dsn

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sternpost/mail"
)

// Names of the fields of delivery-status (RFC 3464 s2.2, s2.3). X- fields are ours (s2.4).
const (
	fieldEnvelopeID   = "Original-Envelope-Id"
	fieldReportingMTA = "Reporting-MTA"
	fieldArrival      = "Arrival-Date"
	fieldOriginal     = "Original-Recipient"
	fieldFinal        = "Final-Recipient"
	fieldAction       = "Action"
	fieldStatus       = "Status"
	fieldRemoteMTA    = "Remote-MTA"
	fieldDiagnostic   = "Diagnostic-Code"
	fieldLastAttempt  = "Last-Attempt-Date"
	fieldRetryUntil   = "Will-Retry-Until"
	fieldInDoubt      = "X-Sternpost-In-Doubt"
)

// Types of the values before the semicolon (RFC 3464 s2.1.2, RFC 6533 s3).
const (
	typeDNS      = "dns"
	typeSMTP     = "smtp"
	typeOurs     = "x-sternpost" // a reason of our own, where no remote said anything
	typeRFC822   = "rfc822"
	typeUTF8     = "utf-8"
	valueInDoubt = "yes"
)

const (
	fieldWidth = 76
	longWord   = 900 // below the 998 octets of a line (RFC 5322 s2.1.1)
)

// needsUTF8 says whether an address can only be written in UTF-8. The status then is a message/global-delivery-status (RFC 6533 s4).
func (r Report) needsUTF8() bool {
	for _, recipient := range r.Recipients {
		if recipient.Final.NeedsUTF8() || recipient.hasOriginal() && !isASCII(printable(recipient.Original)) {
			return true
		}
	}
	return false
}

var addressType = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

func (r Recipient) hasOriginal() bool {
	return r.Original != "" && addressType.MatchString(r.OriginalType)
}

// status is the part for programs: the fields of the message, then those of each recipient.
func (r Report) status() part {
	s := statusWriter{utf8: r.needsUTF8()}
	s.text(fieldEnvelopeID, "", r.EnvelopeID)
	s.text(fieldReportingMTA, typeDNS, r.ReportingMTA)
	s.time(fieldArrival, r.Received)
	for _, recipient := range r.Recipients {
		s.b.WriteString("\r\n")
		s.recipient(recipient)
	}
	p := part{mediaType: "message/delivery-status", octets: s.b.Bytes()}
	if s.utf8 {
		p.mediaType, p.encoding = "message/global-delivery-status", encoding8Bit
	}
	return p
}

type statusWriter struct {
	b    bytes.Buffer
	utf8 bool // characters outside ASCII stay what they are
}

func (s *statusWriter) recipient(r Recipient) {
	if r.hasOriginal() {
		s.original(r.OriginalType, r.Original)
	}
	kind := typeRFC822
	if r.Final.NeedsUTF8() {
		kind = typeUTF8
	}
	s.put(fieldFinal, kind+"; "+r.Final.String())
	s.put(fieldAction, string(r.Action))
	s.put(fieldStatus, r.status().String())
	s.text(fieldRemoteMTA, typeDNS, r.RemoteMTA)
	s.diagnostic(r)
	s.time(fieldLastAttempt, r.LastAttempt)
	if r.Action == Delayed {
		s.time(fieldRetryUntil, r.RetryUntil)
	}
	if r.InDoubt {
		s.put(fieldInDoubt, valueInDoubt)
	}
}

// original writes ORCPT exactly as it was given where that is possible (RFC 3461 s6.3).
func (s *statusWriter) original(kind, address string) {
	if len(address) <= longWord && printable(address) == address && strings.TrimSpace(address) == address {
		s.put(fieldOriginal, kind+"; "+address)
		return
	}
	s.text(fieldOriginal, kind, address)
}

func (s *statusWriter) diagnostic(r Recipient) {
	if r.Diagnostic.IsZero() {
		s.prose(fieldDiagnostic, typeOurs, r.Reason)
		return
	}
	s.prose(fieldDiagnostic, typeSMTP, verbatim(r.Diagnostic))
}

// verbatim is a reply in one line.
func verbatim(r mail.Reply) string {
	if len(r.Lines) == 0 {
		return strconv.Itoa(r.Code)
	}
	return strings.Join(r.Lines, " ")
}

// put writes a value that is known to fit into one line.
func (s *statusWriter) put(name, value string) {
	s.b.WriteString(name + ": " + value + "\r\n")
}

func (s *statusWriter) time(name string, t time.Time) {
	if !t.IsZero() {
		s.put(name, t.Format(time.RFC1123Z))
	}
}

// text writes a value that comes from a stranger; nothing when it says nothing.
func (s *statusWriter) text(name, kind, value string) { s.fold(field{name, kind, value}, longWord) }

// prose is text that is folded at the usual width.
func (s *statusWriter) prose(name, kind, value string) { s.fold(field{name, kind, value}, fieldWidth) }

type field struct{ name, kind, value string }

func (s *statusWriter) fold(f field, width int) {
	value := cut(printable(f.value), maxQuoted)
	if !s.utf8 {
		value = ascii(value)
	}
	if strings.TrimSpace(value) == "" {
		return
	}
	if f.kind != "" {
		value = f.kind + "; " + value
	}
	s.b.WriteString(strings.Join(wrap(f.name+": "+value, width, longWord), "\r\n ") + "\r\n")
}
