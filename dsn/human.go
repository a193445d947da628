package dsn

import (
	"slices"
	"strings"
	"time"

	"sternpost/mail"
)

const (
	textWidth = 78
	indent    = "    "
)

// Letter is what a report tells people, for the template of its text. Nothing in it can break the report: what comes from strangers is escaped and cut.
type Letter struct {
	Reporter   string    // our host name
	Headline   Action    // that a reader must know of first
	Only       string    // the recipient, where it is but one with a plain and short address
	Received   time.Time // when the message was accepted, in UTC; zero: not told
	Recipients []LetterRecipient
	Returned   Returned
}

// Returned is what stands in the report of the message that it is about.
type Returned string

// What may be returned.
const (
	ReturnedNothing   Returned = ""
	ReturnedMessage   Returned = "message"   // all of it
	ReturnedHeader    Returned = "header"    // as was asked for, or because nothing failed
	ReturnedLong      Returned = "long"      // the header: the message is too long
	ReturnedUnfit     Returned = "unfit"     // the header: the message cannot be returned unchanged
	ReturnedBeginning Returned = "beginning" // of the header, which is too long
)

// LetterRecipient is one recipient of a Letter.
type LetterRecipient struct {
	Address  string // as people write it
	Original string // that the sender first wrote, if it is another one
	Action   Action
	Status   string
	Cause    Cause
	Reason   string   // ours; empty where the reply says it
	Expired  bool     // it was tried for as long as it may be
	Host     string   // that gave Reply
	Reply    []string // its lines
	Tried    []LetterHost
	More     int // hosts that were tried and are not in Tried
	InDoubt  bool
	// LastAttempt and RetryUntil are in UTC, or zero.
	LastAttempt, RetryUntil time.Time
}

// LetterHost is one host that was tried.
type LetterHost struct {
	Name, Address string
	Times         int // 0: it was not tried, and Reason says why
	Last          time.Time
	Reason        string
}

// Cause is what a failure comes to for the sender: what there is to do about it.
type Cause string

// The causes.
const (
	CauseHost       Cause = "host"       // host unknown
	CauseNoMail     Cause = "no-mail"    // the domain takes no mail
	CauseAddress    Cause = "address"    // the mailbox does not exist
	CauseInactive   Cause = "inactive"   // the mailbox is switched off
	CauseFull       Cause = "full"       // the mailbox is full
	CauseSize       Cause = "size"       // the message is too large
	CausePolicy     Cause = "policy"     // they do not want it
	CauseSpam       Cause = "spam"       // they take it for spam
	CauseReputation Cause = "reputation" // they do not trust our mail system
	CauseSender     Cause = "sender"     // they do not take the sender's address
	CauseContent    Cause = "content"    // its form cannot be taken
	CauseRoute      Cause = "route"      // a mistake of an administrator
	CauseTLS        Cause = "tls"        // no secure connection came about, and one is required
	CauseWait       Cause = "wait"       // they want it later
	CauseNetwork    Cause = "network"    // no connection came about
	CauseDNS        Cause = "dns"        // the name servers of the domain did not answer
	CauseTrouble    Cause = "trouble"    // their server is busy or broken
	CauseOther      Cause = "other"
)

// Causes are all of them.
func Causes() []Cause {
	return []Cause{
		CauseHost, CauseNoMail, CauseAddress, CauseInactive, CauseFull, CauseSize, CausePolicy, CauseSpam, CauseReputation, CauseSender, CauseContent, CauseRoute, CauseTLS, CauseWait,
		CauseNetwork, CauseDNS, CauseTrouble, CauseOther,
	}
}

// cause is what is known of it; else it is found by the status (RFC 3463 s3), and by our own words for hosts that are unknown.
func (r Recipient) cause() Cause {
	s := r.status()
	switch {
	case strings.HasPrefix(r.Reason, hostUnknown) || s == mail.Status{5, 1, 2}:
		return CauseHost
	case s == mail.Status{5, 1, 10}:
		return CauseNoMail
	case r.Cause != "":
		return r.Cause
	case s[1] == 1 && s[2] != 8 && s[2] != 7:
		return CauseAddress
	case s[1] == 1:
		return CauseSender
	case s[1] == 2 && s[2] == 1:
		return CauseInactive
	case s[1] == 2 && s[2] == 2:
		return CauseFull
	case s[1] == 2 && s[2] == 3 || s[1] == 3 && s[2] == 4:
		return CauseSize
	case s[1] == 7 && slices.Contains([]int{4, 5, 6, 10, 11}, s[2]): // RFC 3463 s3.8, RFC 5248 s2.4
		return CauseTLS
	case s[1] == 7:
		return CausePolicy
	case s[1] == 6:
		return CauseContent
	case s[1] == 3 && !r.Diagnostic.IsZero():
		return CauseTrouble
	case s[1] == 4 && s[2] == 1:
		return CauseNetwork
	case s[1] == 4 && s[2] == 3:
		return CauseDNS
	case s[1] == 4 && s[2] == 6:
		return CauseRoute
	}
	return CauseOther
}

// Words of ours at the beginning of a reason.
const (
	hostUnknown = "host unknown"
	lastAttempt = "; the last attempt: "
	sentInDoubt = "the content was sent and no reply came"
)

// reason is ours without what the report says in other places: that the host is unknown, that the time is over, and the reply.
func (r Recipient) reason() string {
	text := strings.TrimPrefix(r.Reason, hostUnknown+": ")
	if r.Expired && r.cause() != CauseHost {
		_, text, _ = strings.Cut(text, lastAttempt)
	}
	if r.InDoubt && strings.HasPrefix(text, sentInDoubt) { // said in words of its own
		return ""
	}
	if said := r.Diagnostic.String(); said != "" && strings.Contains(text, beginning(said, maxRepeated)) {
		return ""
	}
	return text
}

// beginning is the whole characters in the first most octets of text.
func beginning(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:charactersIn(text, most)]
}

// maxRepeated is how much of a reply is looked for in a reason, in octets: the reason may have cut it.
const maxRepeated = 200

// human is the part for people, who may know nothing of mail servers, and the subject.
func (r Report) human(returned Returned) (part, string) {
	letter := r.letter(returned)
	text := r.Text
	if text == nil {
		text = builtin(English)
	}
	body, subject, err := text.render(letter)
	if err != nil { // a template that works with samples and not with this
		body, subject, _ = builtin(English).render(letter)
	}
	p := part{mediaType: "text/plain; charset=us-ascii", octets: []byte(body)}
	if !isASCII(p.octets) {
		p.mediaType, p.encoding = "text/plain; charset=utf-8", encodingQuoted
	}
	return p, subject
}

func (r Report) letter(returned Returned) Letter {
	l := Letter{Reporter: foreign(r.ReportingMTA), Headline: r.headline(), Received: r.Received.UTC(), Returned: returned}
	if address := r.Recipients[0].Final.String(); len(r.Recipients) == 1 && len(address) <= 40 && isASCII(address) {
		l.Only = address
	}
	for _, recipient := range r.Recipients {
		l.Recipients = append(l.Recipients, recipient.letter())
	}
	return l
}

func (r Recipient) letter() LetterRecipient {
	l := LetterRecipient{
		Address: r.name(), Action: r.Action, Status: r.status().String(), Cause: r.cause(), Reason: cut(printable(r.reason()), maxQuoted), Expired: r.Expired, Host: foreign(r.RemoteMTA),
		Reply: r.replyLines(), More: r.NotListed, InDoubt: r.InDoubt && (r.Action == Failed || r.Action == Delayed), LastAttempt: r.LastAttempt.UTC(), RetryUntil: r.RetryUntil.UTC(),
	}
	if r.otherOriginal() {
		l.Original = foreign(r.Original)
	}
	for _, h := range r.Tried {
		l.Tried = append(l.Tried, LetterHost{foreign(h.Name), foreign(h.Address), h.Times, h.Last.UTC(), foreign(h.Reason)})
	}
	if len(l.Tried) == 1 && l.Tried[0].Times == 1 && len(l.Reply) > 0 {
		l.Tried = nil // the reply says it all
	}
	return l
}

// name is the recipient as people write it.
func (r Recipient) name() string {
	local := strings.TrimSuffix(r.Final.String(), string(r.Final.Domain))
	return printable(local + r.Final.Domain.Unicode())
}

// otherOriginal says whether ORCPT names another mailbox than Final.
func (r Recipient) otherOriginal() bool {
	mailbox := strings.EqualFold(r.OriginalType, typeRFC822) || strings.EqualFold(r.OriginalType, typeUTF8)
	return mailbox && r.Original != "" && parseAddress(r.Original) != r.Final
}

// replyLines are what the remote said, each of its lines as a line.
func (r Recipient) replyLines() []string {
	if r.Diagnostic.IsZero() {
		return nil
	}
	if len(r.Diagnostic.Lines) == 0 {
		return []string{verbatim(r.Diagnostic)}
	}
	var lines []string
	left := maxQuoted
	for _, line := range r.Diagnostic.Lines {
		line = printable(line)
		lines = append(lines, cut(line, left))
		if left -= len(line); left <= 0 {
			break
		}
	}
	return lines
}

// foreign is a stranger's word within a sentence of ours.
func foreign(text string) string { return cut(printable(text), 300) }

// layOut breaks the text of a template into lines: paragraphs, which an empty line ends, and lines that are indented, which stay lines.
func layOut(text string) string {
	var lines, paragraph []string
	end := func() {
		lines = append(lines, wrap(strings.Join(paragraph, " "), textWidth, longWord)...) // addresses and links stay whole
		paragraph = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r\t ")
		switch quoted, isQuoted := strings.CutPrefix(line, indent); {
		case isQuoted:
			end()
			for _, piece := range wrap(quoted, textWidth-len(indent), textWidth-len(indent)) {
				lines = append(lines, indent+piece)
			}
		case line == "":
			end()
			lines = append(lines, "")
		default:
			paragraph = append(paragraph, line)
		}
	}
	end()
	lines = slices.CompactFunc(lines, func(a, b string) bool { return a == "" && b == "" })
	return strings.Trim(strings.Join(lines, "\r\n"), "\r\n") + "\r\n"
}
