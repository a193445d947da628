package dsn

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"sternpost/mail"
)

// fields are those of one group of a status, by their names in lower case. The first of a name counts.
type fields map[string]string

func (f fields) get(name string) string { return f[strings.ToLower(name)] }

// typed gives the value and, in lower case, its type (RFC 3464 s2.1.2).
func (f fields) typed(name string) (kind, value string) {
	kind, value, found := strings.Cut(f.get(name), ";")
	if !found {
		return "", strings.TrimSpace(kind)
	}
	return strings.ToLower(strings.TrimSpace(kind)), strings.TrimSpace(value)
}

// host is the name of an MTA. Behind one of the DNS some have a comment (RFC 3464 s2.1.1): Google "mx.example.org (192.0.2.1, the server for the domain example.org.)".
func (f fields) host(name string) string {
	kind, host := f.typed(name)
	if before, _, found := strings.Cut(host, " ("); found && kind == "dns" {
		return before
	}
	return host
}

// readStatus reads the groups of a status: the first is about the message, each other one about a recipient (RFC 3464 s2.1).
func (r *Report) readStatus(octets []byte) {
	groups := splitGroups(octets)
	if len(groups) == 0 {
		return
	}
	r.EnvelopeID = groups[0].get(fieldEnvelopeID)
	r.ReportingMTA = groups[0].host(fieldReportingMTA)
	r.Received = parseTime(groups[0].get(fieldArrival))
	for _, group := range groups {
		if group.get(fieldFinal) != "" || group.get(fieldOriginal) != "" {
			r.Recipients = append(r.Recipients, group.recipient())
		}
	}
}

// splitGroups reads fields up to an empty line, again and again. Lines that are no fields are passed over.
func splitGroups(octets []byte) []fields {
	var groups []fields
	group, last := fields{}, ""
	for line := range bytes.Lines(octets) {
		text := strings.TrimRight(string(line), "\r\n")
		if strings.TrimSpace(text) == "" {
			groups = appendGroup(groups, group)
			group, last = fields{}, ""
			continue
		}
		last = group.line(text, last)
	}
	return appendGroup(groups, group)
}

func appendGroup(groups []fields, group fields) []fields {
	if len(group) == 0 {
		return groups
	}
	return append(groups, group)
}

// line takes one line; last is the name of the field that it may continue. It returns the name of the field that the next line may
// continue.
func (f fields) line(text, last string) string {
	if text[0] == ' ' || text[0] == '\t' {
		if last != "" {
			f[last] = strings.TrimSpace(f[last] + " " + strings.TrimSpace(text))
		}
		return last
	}
	name, value, found := strings.Cut(text, ":")
	name = strings.ToLower(strings.TrimSpace(name))
	if _, known := f[name]; !found || known || name == "" {
		return ""
	}
	f[name] = strings.TrimSpace(value)
	return name
}

func (f fields) recipient() Recipient {
	r := Recipient{
		Action:      parseAction(f.get(fieldAction)),
		LastAttempt: parseTime(f.get(fieldLastAttempt)),
		RetryUntil:  parseTime(f.get(fieldRetryUntil)),
		InDoubt:     strings.EqualFold(f.get(fieldInDoubt), valueInDoubt),
	}
	r.OriginalType, r.Original = f.typed(fieldOriginal)
	kind, final := f.typed(fieldFinal)
	r.Final = parseFinal(kind, final)
	if r.Final.IsZero() && r.Original == "" {
		r.OriginalType, r.Original = kind, final // better than nothing
	}
	r.Status, _ = mail.ParseStatus(firstWord(f.get(fieldStatus)))
	r.RemoteMTA = f.host(fieldRemoteMTA)
	_, diagnostic := f.typed(fieldDiagnostic)
	if r.Diagnostic = parseReply(diagnostic); r.Diagnostic.IsZero() {
		r.Reason = diagnostic
	}
	return r
}

// firstWord leaves out what follows, comments above all (RFC 3464 s2.1.1).
func firstWord(text string) string {
	if end := strings.IndexAny(text, " \t("); end >= 0 {
		text = text[:end]
	}
	return text
}

// parseAction gives the empty action for what is none.
func parseAction(text string) Action {
	action := Action(strings.ToLower(firstWord(text)))
	if action.class() == 0 {
		return ""
	}
	return action
}

// parseFinal reads an address of the type rfc822 or utf-8. Brackets, which some write, are left out.
func parseFinal(kind, text string) mail.Address {
	if kind == typeUTF8 && isASCII(text) {
		text = decodeEmbedded(text)
	}
	if inner, found := strings.CutPrefix(text, "<"); found {
		text = strings.TrimSuffix(inner, ">")
	}
	return parseAddress(text)
}

// embedded is a character of an address that went through seven bits (RFC 6533 s3, EmbeddedUnicodeChar).
var embedded = regexp.MustCompile(`\\x\{[0-9A-Fa-f]{2,6}\}`)

func decodeEmbedded(text string) string {
	return embedded.ReplaceAllStringFunc(text, func(match string) string {
		n, err := strconv.ParseInt(match[3:len(match)-1], 16, 32)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return match
		}
		return string(rune(n))
	})
}

// parseReply takes a reply apart that was written in one line: "550-5.1.1 no such 550 5.1.1 user". It gives the zero Reply for what is none.
func parseReply(text string) mail.Reply {
	if len(text) < 3 {
		return mail.Reply{}
	}
	code, err := strconv.Atoi(text[:3])
	if err != nil || code < 200 || code > 599 || len(text) > 3 && text[3] != ' ' && text[3] != '-' {
		return mail.Reply{}
	}
	reply := mail.Reply{Code: code}
	for {
		line, rest, more := cutReplyLine(text)
		reply.Lines = append(reply.Lines, line)
		if !more {
			return reply
		}
		text = rest
	}
}

// cutReplyLine gives the first line of a reply. Only a line that says it goes on is followed by another.
func cutReplyLine(text string) (line, rest string, more bool) {
	if len(text) < 4 || text[3] != '-' {
		return text, "", false
	}
	for at := 4; at < len(text); at++ {
		if text[at] == ' ' && startsReply(text[at+1:], text[:3]) {
			return text[:at], text[at+1:], true
		}
	}
	return text, "", false
}

func startsReply(text, code string) bool {
	rest, found := strings.CutPrefix(text, code)
	return found && (rest == "" || rest[0] == ' ' || rest[0] == '-')
}
