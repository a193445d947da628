package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sternpost/mail"
)

// story prints an attempt for people: what was asked and answered, host by host and reply by reply.
type story struct {
	w       io.Writer
	paint   paint
	verbose bool
}

func (s story) attempt(a mail.Attempt) {
	fmt.Fprintf(s.w, "%s\n", s.paint.bold(domainText(a.Domain)))
	for _, mask := range a.Pretended {
		fmt.Fprintf(s.w, "  %s\n", s.paint.wait("pretending that "+plain(mask)))
	}
	s.lookups(a.DNS)
	if sentence := ruleSentence(a.Rule); sentence != "" {
		fmt.Fprintf(s.w, "  %s\n", sentence)
	}
	for _, c := range a.Candidates {
		s.candidate(c)
	}
	fmt.Fprintf(s.w, "  %s\n\n", s.paint.faint("took "+durationShort(a.Ended.Sub(a.Started))+budgetText(a)))
}

// budgetText says what of its time an attempt has used; the content and the wait for its verdict are not part of that.
func budgetText(a mail.Attempt) string {
	if a.Budget <= 0 {
		return ""
	}
	return "; " + durationShort(a.Used) + " of " + durationWhole(a.Budget) + " used"
}

// durationWhole is a duration of the configuration as a person writes it: 15m and not 15m0s.
func durationWhole(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// ruleSentence says in words which rule made the list of hosts.
func ruleSentence(rule mail.Rule) string {
	switch rule {
	case mail.RuleMX:
		return "The MX records name the hosts; the lowest number comes first."
	case mail.RuleImplicit:
		return "There is no MX record, so the domain's own address takes the mail."
	case mail.RuleNullMX:
		return "The null MX record says that the domain takes no mail."
	case mail.RuleLiteral:
		return "The address names the host itself; the DNS is not asked."
	case mail.RuleSmarthost:
		return "A route of the configuration names the hosts; MX records are not asked."
	}
	return ""
}

// lookups prints the DNS questions and what was answered.
func (s story) lookups(list []mail.Lookup) {
	for _, l := range list {
		text := fmt.Sprintf("%-4s %s  %s", plain(l.Type), plain(l.Name), lookupText(l))
		fmt.Fprintf(s.w, "  %s %s\n", s.paint.faint("DNS"), wrapAfter(text, ", ", columns-6, "           "))
	}
}

// lookupText is the answer to a question in one line.
func lookupText(l mail.Lookup) string {
	parts := slices.Clone(l.Answers)
	if l.RCode != mail.RCodeSuccess || len(parts) == 0 {
		parts = append(parts, endText(l)) // aliases may have led there
	}
	text := strings.Join(parts, ", ")
	if len(l.Answers) > 0 && l.RCode.Certain() {
		text += "; TTL " + strconv.FormatInt(int64(l.TTL/time.Second), 10)
	}
	if l.AD {
		text += ", authenticated"
	}
	switch {
	case l.Stale && l.Error != "":
		text += ", out of date (no DNS server answers: " + l.Error + ")"
	case l.Stale:
		text += ", out of date (the DNS server had no fresh answer)"
	}
	return plain(text)
}

// endText is what a question ended in that has no records.
func endText(l mail.Lookup) string {
	switch l.RCode {
	case mail.RCodeNoData:
		return "none (NODATA)"
	case mail.RCodeNXDomain:
		return "does not exist (NXDOMAIN)"
	}
	text := string(l.RCode)
	if l.RCode == mail.RCodeTimeout { // a refused connection is one too
		text = "no answer"
	}
	if l.Error != "" {
		text += ": " + l.Error
	}
	return text
}

// candidate prints one address of one host, why it has its place, and all that happened there.
func (s story) candidate(c mail.Candidate) {
	title := fmt.Sprintf("%3d %s", c.Preference, placeText(c.Host, c.Address, c.Port))
	fmt.Fprintf(s.w, "  %s\n", s.paint.bold(title))
	if c.Verdict == mail.VerdictSkipped {
		fmt.Fprintf(s.w, "      %s\n", s.paint.faint("skipped: "+plain(c.Reason)))
		return
	}
	if c.Reason != "" {
		fmt.Fprintf(s.w, "      %s\n", s.paint.faint(plain(c.Reason)))
	}
	if c.Reused {
		fmt.Fprintf(s.w, "      %s\n", s.paint.faint("an open session is used again"))
	}
	s.stages(c)
	verdict := s.verdict(c.Verdict)
	if c.ClosedBy == "remote" {
		verdict += s.paint.faint(" (the remote closed the connection)")
	}
	fmt.Fprintf(s.w, "      %s\n", verdict)
}

// stages prints the conversation; what TLS came to stands behind the stage that began it.
func (s story) stages(c mail.Candidate) {
	told := c.TLS == nil
	for _, stage := range c.Stages {
		s.stage(stage)
		if stage.Stage == mail.StageStartTLS && !told {
			s.tls(c.TLS)
			told = true
		}
	}
	if !told {
		s.tls(c.TLS)
	}
}

// verdict is what became of a candidate that was not skipped.
func (s story) verdict(v mail.Verdict) string {
	switch v {
	case mail.VerdictDelivered:
		return s.paint.good("delivered")
	case mail.VerdictAccepted:
		return s.paint.good("accepted; nothing was sent")
	case mail.VerdictFailed:
		return s.paint.bad("failed")
	case mail.VerdictDeferred:
		return s.paint.wait("deferred")
	default:
		return s.paint.faint("not needed")
	}
}

// stage prints one command with its time and its reply; further lines of the reply stand below the first.
func (s story) stage(r mail.StageRecord) {
	said := r.Reply.Lines
	if more := len(said) - 1; r.Stage == mail.StageHello && more > 0 && !s.verbose {
		said = []string{fmt.Sprintf("%s (%d more lines: --verbose)", mail.Escape(said[0]), more)}
	} else {
		said = escapeAll(said)
	}
	if r.Error != "" {
		said = append(said, s.paint.wait(besideStage(plain(r.Error))))
	}
	if len(said) == 0 {
		said = []string{silentSuccess(r.Stage)}
	}
	fmt.Fprintf(s.w, "      %-9s %9s  %s\n", r.Stage, durationShort(r.Took), said[0])
	for _, line := range said[1:] {
		fmt.Fprintf(s.w, "%*s%s\n", stageMargin, "", line)
	}
}

// silentSuccess is what is said of a stage that went well and has no reply.
func silentSuccess(stage mail.Stage) string {
	switch stage {
	case mail.StageConnect:
		return "connected"
	case mail.StageContent:
		return "sent"
	default:
		return "ok"
	}
}

func (s story) tls(t *mail.TLS) {
	text := plain(t.Version + ", " + t.Cipher)
	if t.Verified {
		text += ", certificate verified"
	} else {
		text += ", certificate not verified"
	}
	fmt.Fprintf(s.w, "%*s%s\n", stageMargin, "", wrapAfter(text, ", ", columns-stageMargin, strings.Repeat(" ", stageMargin)))
	if t.Error != "" {
		fmt.Fprintf(s.w, "%*s%s\n", stageMargin, "", s.paint.faint(besideStage("("+plain(t.Error)+")")))
	}
}

// stageMargin is how far what is said of a stage is in: behind its name and time.
const stageMargin = 27

// besideStage breaks our own words beside a stage. What a host said stands as it came.
func besideStage(text string) string {
	return wrapAfter(text, " ", columns-stageMargin, strings.Repeat(" ", stageMargin))
}

// outcome prints the last line of a recipient.
func (s story) outcome(o mail.Outcome) {
	l := s.ending(o)
	fmt.Fprintf(s.w, "%s%s%s\n", l.before, l.colour(l.word), l.after)
}

// ending tells what became of a recipient: the word that says it has a colour.
type ending struct {
	before, word, after string
	colour              func(string) string
}

func (s story) ending(o mail.Outcome) ending {
	word, colour := string(o.Disposition), s.paint.wait
	switch {
	case o.Disposition == mail.Delivered:
		word, colour = word+" by", s.paint.good
	case o.Disposition == mail.Failed:
		word, colour = word+" at", s.paint.bad
	case o.InDoubt:
		word += ", in doubt, at"
	default:
		word += " at"
	}
	place := " " + placeText(o.Host, o.IP, 0)
	if o.Host == "" {
		word, place = strings.TrimSuffix(strings.TrimSuffix(word, " at"), " by"), ""
	}
	return ending{mail.Escape(o.Recipient.String()) + " ", word, place + ": " + outcomeText(o), colour}
}

// outcomeText is the reply that decided, or the reason where none did.
func outcomeText(o mail.Outcome) string {
	if !o.Reply.IsZero() {
		return o.Reply.String()
	}
	text := plain(o.Reason)
	if !o.Status.IsZero() {
		text += " (" + o.Status.String() + ")"
	}
	return text
}

// placeText names a host and its address, and the port where it is not zero.
func placeText(host string, ip netip.Addr, port int) string {
	text := plain(host)
	switch {
	case !ip.IsValid():
		return text
	case text == ip.String():
		text = ""
	default:
		text += " "
	}
	text += "[" + ip.String() + "]"
	if port != 0 {
		text = strings.TrimSuffix(text, "["+ip.String()+"]") + bracketed(ip, port)
	}
	return text
}

func bracketed(ip netip.Addr, port int) string {
	if ip.Is6() {
		return net.JoinHostPort(ip.String(), strconv.Itoa(port))
	}
	return "[" + ip.String() + "]:" + strconv.Itoa(port)
}

// domainText is a domain as it is looked up and, where they differ, as it is written.
func domainText(d mail.Domain) string {
	if written := d.Unicode(); written != string(d) {
		return plain(string(d) + " (" + written + ")")
	}
	return plain(string(d))
}

// plain makes text safe to print. Reasons come with their quotes of strangers escaped; a second time would only double the backslashes,
// so only what is not printable changes.
func plain(text string) string {
	if strings.IndexFunc(text, unprintable) < 0 {
		return text
	}
	var b strings.Builder
	for text != "" {
		safe := strings.IndexFunc(text, unprintable)
		if safe < 0 {
			safe = len(text)
		}
		b.WriteString(text[:safe])
		_, size := utf8.DecodeRuneInString(text[safe:])
		b.WriteString(mail.Escape(text[safe : safe+size]))
		text = text[safe+size:]
	}
	return b.String()
}

func unprintable(c rune) bool { return c == unicode.ReplacementChar || !unicode.IsPrint(c) }

func escapeAll(list []string) []string {
	safe := make([]string, len(list))
	for i := range list {
		safe[i] = mail.Escape(list[i])
	}
	return safe
}

// durationShort is a time that somebody waited: milliseconds with one decimal, or seconds.
func durationShort(d time.Duration) string {
	if d >= 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
