package dsn

import (
	"strings"
	"time"

	"sternpost/mail"
)

const (
	textWidth = 78
	indent    = "    "
)

// humanWriter writes the part for people, in paragraphs.
type humanWriter struct{ b strings.Builder }

// human is the part for people, who may know nothing of mail servers. note tells what is returned of their message.
func (r Report) human(note string) part {
	var h humanWriter
	for i, recipient := range r.Recipients {
		if i > 0 {
			h.paragraph("* * *")
		}
		h.recipient(recipient)
	}
	h.paragraph(strings.TrimSpace("This report was made by the mail system at " + foreign(r.ReportingMTA) +
		". Details for its administrators are attached. " + note))
	text := strings.TrimSuffix(h.b.String(), "\r\n")
	p := part{mediaType: "text/plain; charset=us-ascii", octets: []byte(text)}
	if !isASCII(p.octets) {
		p.mediaType, p.encoding = "text/plain; charset=utf-8", encodingQuoted
	}
	return p
}

func (h *humanWriter) recipient(r Recipient) {
	h.paragraph(r.opening())
	h.paragraph(cut(printable(r.Reason), maxQuoted))
	h.reply(r)
	if r.InDoubt {
		h.paragraph(r.doubt())
	}
	h.paragraph(r.outlook())
}

func (r Recipient) opening() string {
	message := "Your message to " + r.name() + " "
	switch r.Action {
	case Failed:
		return message + "could not be delivered."
	case Delayed:
		return message + "has not been delivered yet."
	case Relayed:
		return message + "was passed on to a mail server that does not confirm deliveries."
	case Expanded:
		return message + "was delivered, and sent on to several addresses."
	}
	return message + "was delivered."
}

// name is the recipient as people write it, with the address that the sender first wrote if it is another one.
func (r Recipient) name() string {
	local := strings.TrimSuffix(r.Final.String(), string(r.Final.Domain))
	name := printable(local + r.Final.Domain.Unicode())
	if !r.otherOriginal() {
		return name
	}
	return name + " (you wrote to " + foreign(r.Original) + ")"
}

// otherOriginal says whether ORCPT names another mailbox than Final.
func (r Recipient) otherOriginal() bool {
	mailbox := strings.EqualFold(r.OriginalType, typeRFC822) || strings.EqualFold(r.OriginalType, typeUTF8)
	return mailbox && r.Original != "" && parseAddress(r.Original) != r.Final
}

// reply quotes what the remote said, each of its lines as a line.
func (h *humanWriter) reply(r Recipient) {
	if r.Diagnostic.IsZero() {
		return
	}
	server := "The other mail server"
	if r.RemoteMTA != "" {
		server = "The mail server " + foreign(r.RemoteMTA)
	}
	h.paragraph(server + " said:")
	left := maxQuoted
	for _, line := range r.Diagnostic.Lines {
		line = mail.Escape(line)
		h.quote(cut(line, left))
		if left -= len(line); left <= 0 {
			break
		}
	}
	if len(r.Diagnostic.Lines) == 0 {
		h.quote(verbatim(r.Diagnostic))
	}
	h.b.WriteString("\r\n")
}

func (r Recipient) doubt() string {
	const why = "the message was sent, but the connection broke before the other side confirmed it."
	switch r.Action {
	case Failed:
		return "It may have been delivered all the same: " + why + " Ask the recipient before you send it again."
	case Delayed:
		return "It may have been delivered already: " + why + " It may arrive twice."
	}
	return ""
}

// outlook is what happens next.
func (r Recipient) outlook() string {
	switch {
	case r.Action == Failed:
		return "It will not be tried again."
	case r.Action == Delayed && r.RetryUntil.IsZero():
		return "It is tried again. You need not send it again."
	case r.Action == Delayed:
		return "It is tried again until " + forPeople(r.RetryUntil) +
			". You need not send it again. If it cannot be delivered by then, another report tells you so."
	case r.Action == Relayed:
		return "You may hear no more about it."
	}
	return ""
}

func forPeople(t time.Time) string {
	return t.UTC().Format("Monday, 2 January 2006, 15:04") + " UTC"
}

// foreign is a stranger's word within a sentence of ours.
func foreign(text string) string { return cut(printable(text), 300) }

// paragraph writes text and an empty line; nothing when there is no text.
func (h *humanWriter) paragraph(text string) {
	lines := wrap(text, textWidth, longWord) // addresses and links stay whole
	if len(lines) == 0 {
		return
	}
	h.b.WriteString(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// quote writes one line of a stranger, indented.
func (h *humanWriter) quote(line string) {
	width := textWidth - len(indent)
	for _, line := range wrap(line, width, width) {
		h.b.WriteString(indent + line + "\r\n")
	}
}
