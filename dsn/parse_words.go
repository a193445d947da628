package dsn

import (
	"bytes"
	"cmp"
	"io"
	"regexp"
	"strings"

	"sternpost/mail"
)

// style is one way of telling a failure in words alone, as agents do that are older than RFC 3464 or do not care for it.
type style struct {
	// mark stands in every report of the style, and in hardly anything else.
	mark string
	// end is the line behind which the returned message begins.
	end *regexp.Regexp
	// read finds the recipients, and where it is told the reporting host.
	read func(words string) (recipients []Recipient, host string)
}

func styles() []style {
	return []style{
		{"Hi. This is the ", qmailEnd, readQmail},
		{"created automatically by mail delivery software", eximEnd, readExim},
		{"----- The following addresses had ", sendmailEnd, readSendmail},
		{"----- Transcript of session follows -----", sendmailEnd, readSendmail},
		{"Diagnostic information for administrators:", exchangeEnd, readExchange},
		{"This is the mail system at host ", postfixEnd, readPostfix},
		{"This is the Postfix program at host ", postfixEnd, readPostfix},
		{"This is the MAILER-DAEMON, please DO NOT REPLY", openEnd, readOpen},
		{"did not reach the following recipient(s):", exchangeEnd, readInternetMail},
		{"Delivery to the following recipient", googleEnd, readGoogle},
	}
}

const (
	// maxWords is how much is read of the words before the returned message, so that a hostile one takes no time. Hundreds of recipients have their place in it.
	maxWords = 64 << 10
	// maxReason is how much of them is kept about one recipient.
	maxReason = 4 << 10
)

// cutWords keeps the beginning of a text.
func cutWords(text string, most int) string { return text[:min(len(text), most)] }

// readWords reads a report that has no status. It leaves the report as it is where the text is none of a known style.
func (r *Report) readWords(text string) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	for _, s := range styles() {
		place := strings.Index(text, s.mark)
		if place < 0 || text[strings.LastIndexByte(text[:place], '\n')+1] == '>' { // somebody quotes it
			continue
		}
		words, returned := text[place:], ""
		if at := s.end.FindStringIndex(words); at != nil {
			r.HeadersOnly = strings.Contains(strings.ToLower(words[at[0]:at[1]]), "header") && !strings.Contains(words[at[0]:at[1]], "including")
			words, returned = words[:at[0]], strings.TrimLeft(words[at[1]:], "\n")
		}
		recipients, host := s.read(cutWords(words, maxWords))
		if len(recipients) == 0 {
			continue
		}
		r.Recipients, r.ReportingMTA = recipients, host
		if host == "" {
			r.ReportingMTA = string(r.From.Domain)
		}
		if returned != "" && r.Original == nil {
			r.Original = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(returned))), nil }
		}
		return
	}
}

// complete takes from the words what the status does not tell of a recipient: OpenSMTPD has the reply of the remote only there.
func (r *Report) complete(words string) {
	var told Report
	for i := range r.Recipients {
		one := &r.Recipients[i]
		if !one.Diagnostic.IsZero() || one.Reason != "" || one.Final.IsZero() {
			continue
		}
		if told.Recipients == nil {
			if told.readWords(words); told.Recipients == nil {
				return
			}
		}
		for _, other := range told.Recipients {
			if other.Final == one.Final {
				one.Diagnostic, one.Reason, one.RemoteMTA = other.Diagnostic, other.Reason, cmp.Or(one.RemoteMTA, other.RemoteMTA)
				break
			}
		}
	}
}

// named are failures of the recipients that a field of the header names (Exim's X-Failed-Recipients), where the words name none.
func (r *Report) named(field, text string) {
	for address := range strings.SplitSeq(field, ",") {
		if one := told(address, text, ""); !one.Final.IsZero() {
			r.Recipients, r.ReportingMTA = append(r.Recipients, one), string(r.From.Domain)
		}
	}
}

var (
	// toldStatus is a status in words, as "(#5.1.1)".
	toldStatus = regexp.MustCompile(`(?:^|[\s(#<])#?([245]\.\d{1,3}\.\d{1,3})\b`)
	// toldReply is a line that is a reply, or the end of it.
	toldReply = regexp.MustCompile(`(?:^|\s)([245]\d\d[ -].*)`)
)

// told is a failure in an agent's words. reply is the part of them that a remote said; empty: none.
func told(address, words, reply string) Recipient {
	r := Recipient{Action: Failed, Reason: oneLine(cutWords(words, maxReason)), Diagnostic: parseReply(oneLine(cutWords(reply, maxReason)))}
	address = strings.Trim(strings.TrimSpace(address), "<>")
	if r.Final = parseAddress(address); r.Final.IsZero() {
		r.Original = address // better than nothing
	}
	if r.Status, _ = r.Diagnostic.Enhanced(); !r.Status.IsZero() {
		return r
	}
	if found := toldStatus.FindStringSubmatch(r.Reason); found != nil && agrees(found[1], r.Diagnostic) {
		r.Status, _ = mail.ParseStatus(found[1])
	}
	return r
}

// agrees says whether a status may belong to a reply. Without a reply each may.
func agrees(status string, reply mail.Reply) bool {
	return reply.IsZero() || int(status[0]-'0') == reply.Code/100
}

// oneLine puts text into one line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// paragraphs are the parts of a text between empty lines.
func paragraphs(text string) []string {
	var list []string
	for p := range strings.SplitSeq(text, "\n\n") {
		if p = strings.Trim(p, "\n"); strings.TrimSpace(p) != "" {
			list = append(list, p)
		}
	}
	return list
}

// behind is what stands behind the first mark, or nothing.
func behind(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}

// first is the first group of the expression in the text, or nothing.
func first(expression *regexp.Regexp, text string) string {
	if found := expression.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}

var (
	qmailEnd     = regexp.MustCompile(`(?m)^--- (?:Below this line is|Enclosed (?:is|are)) .*$`)
	qmailHost    = regexp.MustCompile(`program at (\S+?)[.,]?\s`)
	qmailAddress = regexp.MustCompile(`^<(.*)>:\n`)
	qmailReply   = regexp.MustCompile(`(?s)Remote host said: (.*?)(?:\nGiving up on |$)`)
	qmailRemote  = regexp.MustCompile(`(?m)^(?:Connected to |Giving up on )?(\S+?)(?: but | does not like | failed after |\.$)`)
)

// readQmail reads QSBMF, the format of qmail and its relatives: each paragraph that begins with an address in angle brackets and a colon is about that recipient.
func readQmail(words string) ([]Recipient, string) {
	var list []Recipient
	for _, p := range paragraphs(words) {
		found := qmailAddress.FindStringSubmatch(p)
		if found == nil {
			continue
		}
		reason := p[len(found[0]):]
		one := told(found[1], reason, first(qmailReply, reason))
		if !one.Diagnostic.IsZero() {
			one.RemoteMTA = first(qmailRemote, reason)
		}
		list = append(list, one)
	}
	return list, first(qmailHost, words)
}

var (
	googleEnd   = regexp.MustCompile(`(?m)^----- (?:Original message|Message header follows) -----$`)
	googleHost  = regexp.MustCompile(`\bby ([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\.? \[`)
	googleReply = regexp.MustCompile(`(?s)(?:The error (?:that the other server returned )?was:?|response was:)\s+(.*)`)
)

// readGoogle reads what Gmail wrote until 2014, and others after its pattern: addresses in lines of their own, then words about all of them.
func readGoogle(words string) ([]Recipient, string) {
	parts := paragraphs(words)
	if len(parts) < 2 {
		return nil, ""
	}
	reason, reply := strings.Join(parts[2:], "\n"), ""
	if said := strings.Trim(oneLine(first(googleReply, reason)), `"`); said != "" {
		reply = said
	}
	var list []Recipient
	remote := first(googleHost, reason)
	for line := range strings.Lines(parts[1]) {
		one := told(line, reason, reply)
		if one.Final.IsZero() {
			continue
		}
		one.RemoteMTA = remote
		if strings.Contains(parts[0], "delayed") {
			one.Action = Delayed
		}
		list = append(list, one)
	}
	return list, ""
}
