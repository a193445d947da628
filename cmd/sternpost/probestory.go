package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sternpost/delivery"
	"sternpost/mail"
)

// probeStory prints for people what a probe found.
type probeStory struct {
	story
	probed
}

func (s probeStory) tell(bare bool) {
	fmt.Fprintf(s.w, "%s\n", s.paint.bold(s.title()))
	if bare {
		s.wrapped("A bare domain: its postmaster is asked for, whom every domain must have (RFC 5321 s4.5.1).")
	}
	s.wrapped(fmt.Sprintf("Asked as %s, for mail from <%s>.", s.Hostname, s.Sender))
	s.wrapped(s.promise())
	if sentence := ruleSentence(s.Rule); sentence != "" {
		fmt.Fprintf(s.w, "%s\n", sentence)
	}
	for _, mask := range s.Pretended {
		fmt.Fprintf(s.w, "%s\n", s.paint.wait("pretending that "+plain(mask)))
	}
	if s.verbose && len(s.Attempt.DNS) > 0 {
		fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("What the DNS said"))
		s.lookups(s.Attempt.DNS)
	}
	dns, hosts := s.split()
	if len(dns) > 0 || s.Error == "" {
		fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("DNS"))
		s.findings(dns)
	}
	if len(s.Hosts) > 0 {
		s.table()
	}
	if s.verbose {
		s.details()
	}
	if len(hosts) > 0 {
		fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("Findings"))
		s.findings(hosts)
	}
	s.changes()
	s.sent()
	fmt.Fprintf(s.w, "\n%s\n", s.judged(wrapAfter(plain(s.Text), " ", columns, "")))
}

// title is the address, and its domain as it is written where that differs.
func (s probeStory) title() string {
	text := plain(s.Recipient.String())
	if written := s.Domain.Unicode(); written != string(s.Domain) {
		text += " (" + plain(written) + ")"
	}
	return text
}

// promise says what a probe leaves behind.
func (s probeStory) promise() string {
	if s.Sent != nil {
		return "Then a test message was sent."
	}
	return "No mail was sent."
}

// wrapped prints a sentence that may be long.
func (s probeStory) wrapped(text string) {
	fmt.Fprintln(s.w, wrapAfter(plain(text), " ", columns, ""))
}

// split tells what the DNS says from what the hosts say.
func (s probeStory) split() (dns, hosts []delivery.ProbeFinding) {
	for _, f := range s.Findings {
		if f.Host == "" {
			dns = append(dns, f)
		} else {
			hosts = append(hosts, f)
		}
	}
	return dns, hosts
}

// widestPlace is how long a host with its address may be before it gets a line of its own.
const widestPlace = 38

// table prints one line for each address.
func (s probeStory) table() {
	width := len("host")
	for _, h := range s.Hosts {
		if n := utf8.RuneCountInString(place(h)); n <= widestPlace {
			width = max(width, n)
		}
	}
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold(strings.TrimRight(fmt.Sprintf(" # pref  %-*s  %-12s %-10s %s", width, "host", "answer", "TLS", "time"), " ")))
	leftOut := 0
	for _, h := range s.Hosts {
		if h.LeftOut() {
			leftOut++
			continue
		}
		where := place(h)
		if utf8.RuneCountInString(where) > widestPlace {
			where += "\n" + strings.Repeat(" ", 9+width)
		}
		line := fmt.Sprintf("%2d %4d  %-*s  %s %s %s", h.Number, h.Preference, width, where, s.answer(h), s.security(h), elapsed(h))
		fmt.Fprintln(s.w, strings.TrimRight(line, " "))
	}
	if leftOut > 0 {
		fmt.Fprintf(s.w, "and %d more, which were not asked\n", leftOut)
	}
}

// place names a host and its address; the port is shown where it is not the usual one.
func place(h delivery.ProbedHost) string {
	port := h.Port
	if port == 25 {
		port = 0
	}
	return placeText(h.Host, h.Address, port)
}

func elapsed(h delivery.ProbedHost) string {
	switch d := h.Elapsed(); {
	case d == 0:
		return ""
	case d < time.Millisecond:
		return "<1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}

// answer is the word for what a host would do, with the code of its reply.
func (s probeStory) answer(h delivery.ProbedHost) string {
	text := string(h.Answer)
	if h.Code != nil && h.Answer != delivery.AnswerAccepts {
		text += fmt.Sprintf(" %d", *h.Code)
	}
	text = fmt.Sprintf("%-12s", text)
	switch h.Answer {
	case delivery.AnswerAccepts:
		return s.paint.good(text)
	case delivery.AnswerRefuses, delivery.AnswerDown, delivery.AnswerUnable:
		return s.paint.bad(text)
	case delivery.AnswerDefers, delivery.AnswerUntested:
		return s.paint.wait(text)
	}
	return s.paint.faint(text)
}

// security is the word for what became of TLS.
func (s probeStory) security(h delivery.ProbedHost) string {
	in := func(colour func(string) string, text string) string { return colour(fmt.Sprintf("%-10s", text)) }
	switch {
	case h.StartTLS == delivery.StartTLSNone:
		return in(s.paint.wait, "none")
	case h.StartTLS == delivery.StartTLSBroken || h.StartTLS == delivery.StartTLSRefused:
		return in(s.paint.bad, "fails")
	case h.TLS == nil:
		return in(s.paint.faint, "")
	case len(h.Faults) > 0:
		return in(s.paint.wait, strings.ReplaceAll(string(h.Faults[0]), "-", " "))
	}
	return in(s.paint.good, "verified")
}

func (s probeStory) findings(list []delivery.ProbeFinding) {
	if len(list) == 0 {
		fmt.Fprintf(s.w, "  %s\n", s.paint.good("nothing is wrong"))
	}
	const indent = "      "
	for _, f := range list {
		fmt.Fprintf(s.w, "  %s %s\n%s%s\n", s.level(f.Level), f.Code, indent, wrapAfter(plain(f.Text), " ", columns-len(indent), indent))
		if f.Advice != "" {
			fmt.Fprintf(s.w, "%s%s\n", indent, s.paint.faint(wrapAfter(plain(f.Advice), " ", columns-len(indent), indent)))
		}
	}
}

// details prints the conversation with each address, its extensions and its certificates.
func (s probeStory) details() {
	for i, c := range s.Attempt.Candidates {
		if s.Hosts[i].LeftOut() {
			continue
		}
		fmt.Fprintln(s.w)
		s.candidate(c)
		for _, cert := range s.Hosts[i].Certificates {
			text := fmt.Sprintf("certificate of %s, names %s, %s to %s, %s, issued by %s, SHA-256 %.32s...", cert.Subject, strings.Join(cert.Names, " "),
				cert.Begins.Format(time.DateOnly), cert.Expires.Format(time.DateOnly), cert.Key, cert.Issuer, cert.SHA256)
			fmt.Fprintf(s.w, "      %s\n", wrapAfter(mail.Escape(text), " ", columns-6, "        "))
		}
		if u := s.Hosts[i].Unknown; u != nil {
			fmt.Fprintf(s.w, "      %s\n", wrapAfter(plain(fmt.Sprintf("for %s, whom nobody knows: it %s", s.Probe.Unknown, u.Answer)), " ", columns-6, "        "))
		}
	}
}

// changes prints what is different since the probe that this one was compared with.
func (s probeStory) changes() {
	if s.Since == nil {
		return
	}
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("Changes since "+s.Since.Format("2006-01-02 15:04:05Z")))
	if len(s.Changes) == 0 {
		fmt.Fprintf(s.w, "  %s\n", s.paint.good("none"))
	}
	for _, c := range s.Changes {
		about := c.Host
		if c.Address != "" {
			about += " [" + c.Address + "]"
		}
		text := strings.TrimSpace(plain(about)) + ": "
		if about == "" {
			text = ""
		}
		text += plain(fromTo(c))
		colour := s.paint.wait
		if c.Routine {
			colour = s.paint.faint
		}
		fmt.Fprintf(s.w, "  %s\n      %s\n", colour(c.Code), wrapAfter(text, " ", columns-6, "      "))
	}
}

func fromTo(c delivery.ProbeChange) string {
	switch {
	case c.Before == "":
		return "now " + c.After
	case c.After == "":
		return "no more " + c.Before
	default:
		return c.Before + ", now " + c.After
	}
}

// sent prints the attempt with the test message.
func (s probeStory) sent() {
	if s.Sent == nil {
		return
	}
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("The test message"))
	attempt := *s.Sent
	if !s.verbose { // the rest is told above
		attempt.DNS, attempt.Rule, attempt.Pretended = nil, mail.RuleNone, nil
		attempt.Candidates = slices.DeleteFunc(slices.Clone(attempt.Candidates), func(c mail.Candidate) bool { return len(c.Stages) == 0 })
	}
	s.attempt(attempt)
	for _, o := range s.Sent.Outcomes {
		s.outcome(o)
	}
}

func (s probeStory) judged(text string) string {
	switch s.Verdict {
	case delivery.VerdictWell:
		return s.paint.good(text)
	case delivery.VerdictLost:
		return s.paint.bad(text)
	}
	return s.paint.wait(text)
}
