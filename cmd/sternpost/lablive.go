package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"sternpost/lab"
	"sternpost/mail"
)

// labLive shows a lab while it runs. Its events come one at a time.
type labLive struct {
	sh       *shell
	paint    paint
	scenario lab.Scenario
	verbose  bool
	width    int // of the names of hosts
}

func newLabLive(sh *shell, s lab.Scenario, verbose bool) *labLive {
	l := &labLive{sh: sh, paint: paintFor(sh.stdout, sh.environ), scenario: s, verbose: verbose}
	const most = 24
	for _, h := range s.Hosts {
		l.width = max(l.width, min(most, len(h.Name)))
	}
	return l
}

// line writes one object of NDJSON.
func (l *labLive) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(l.sh.stdout, "%s\n", mail.EscapeJSON(text))
	return err
}

// started introduces the lab: who lives there, what to set, what to try.
func (l *labLive) started(s labStarted, world *lab.World) error {
	if l.sh.json {
		return l.line(struct {
			Event string `json:"event"`
			labStarted
		}{"started", s})
	}
	var b strings.Builder
	p := l.paint
	fmt.Fprintf(&b, "%s\n", p.bold(mail.Escape(l.scenario.Title)))
	for line := range lines(l.scenario.About) {
		if line != "" {
			fmt.Fprintf(&b, "%s\n", plain(line))
		}
	}
	fmt.Fprintln(&b)
	for _, h := range l.scenario.Hosts {
		address, err := world.Addr(h.Name)
		if err != nil {
			return err
		}
		head := fmt.Sprintf("  %-*s  %-15s  ", l.width, mail.Escape(h.Name), address)
		behaviour := strings.Join(escapeAll(h.Behaviour.Strings()), "; ")
		fmt.Fprintf(&b, "%s%s\n", head, wrapAfter(behaviour, " ", columns-len(head), strings.Repeat(" ", len(head))))
	}
	fmt.Fprintf(&b, "  %-*s  %-15s  the zone of this world\n\n", l.width, "DNS", s.DNS)
	fmt.Fprintf(&b, "%s\n\n", p.bold("For Sternpost, in another shell:"))
	fmt.Fprintf(&b, "  eval \"$(sternpost lab env%s)\"   # or by hand:\n", elsewhere(s))
	s.environment(indented{&b})
	fmt.Fprintf(&b, `
%s

  set its DNS server to %s and its port for delivery to %d.
  Or hand the mail to one host: %s

%s

  sternpost resolve %s
%s  sternpost lab list                   # then show, save, expect

Ctrl-C ends the lab with a report. This is what happens:

`, p.bold("For any other mail program:"), s.DNS, s.Port, firstUp(l.scenario, s.Port), p.bold("Try:"), l.domain(), l.deliver())
	_, err := io.WriteString(l.sh.stdout, b.String())
	return err
}

// elsewhere is what names the directory, where it is not the usual one.
func elsewhere(s labStarted) string {
	if usual, _ := (labPlace{}).directory(); usual != s.Directory {
		return " --directory " + shellQuoted(s.Directory)
	}
	return ""
}

// domain is the one that the scenario's mail goes to.
func (l *labLive) domain() string {
	if len(l.scenario.Messages) > 0 {
		return string(l.scenario.Messages[0].To[0].Domain)
	}
	return "example.test"
}

// deliver is the command that sends the first message of the scenario.
func (l *labLive) deliver() string {
	if len(l.scenario.Messages) == 0 {
		return ""
	}
	m := l.scenario.Messages[0]
	return fmt.Sprintf("  echo hello | sternpost deliver -f %s %s\n", m.From, m.To[0])
}

// firstUp is a host that takes mail, with its port.
func firstUp(s lab.Scenario, port int) string {
	for _, h := range s.Hosts {
		if len(h.Behaviour) == 0 {
			return fmt.Sprintf("%s:%d is %s", h.Address, port, h.Name)
		}
	}
	return fmt.Sprintf("ADDRESS:%d", port)
}

// indented writes each line two columns to the right.
type indented struct{ w io.Writer }

func (i indented) Write(p []byte) (int, error) {
	_, err := io.WriteString(i.w, "  "+strings.ReplaceAll(strings.TrimSuffix(string(p), "\n"), "\n", "\n  ")+"\n")
	return len(p), err
}

// event shows one event. What a stranger says is escaped.
func (l *labLive) event(e lab.Event) {
	if l.sh.json {
		_ = l.line(e) // a reader that has gone away does not end the lab
		return
	}
	who := mail.Escape(e.Host)
	if e.Connection > 0 {
		who += fmt.Sprint(" #", e.Connection)
	}
	if e.Kind == lab.EventQuestion || e.Kind == lab.EventFault {
		who = "DNS"
	}
	for _, text := range l.texts(e) {
		fmt.Fprintf(l.sh.stdout, "%s  %-*s  %s\n", l.paint.faint(sinceText(e.Since)), l.width+3, who, text)
	}
}

// sinceText is a time since the beginning, in nine columns.
func sinceText(d time.Duration) string {
	switch {
	case d < 1000*time.Second:
		return fmt.Sprintf("%8.2fs", d.Seconds())
	}
	return fmt.Sprintf("%9s", d.Round(time.Second))
}

// texts are the lines that tell an event; none for one that says nothing new.
func (l *labLive) texts(e lab.Event) []string {
	p := l.paint
	switch e.Kind {
	case lab.EventReach:
		return []string{p.bold("from now on: " + mail.Escape(e.Line))}
	case lab.EventFault:
		return []string{p.bold(mail.Escape(e.Line))}
	case lab.EventQuestion:
		return []string{p.faint(mail.Escape(e.Line) + ": " + answerText(e))}
	case lab.EventConnected:
		return []string{"connected: " + mail.Escape(e.Client)}
	case lab.EventTLS:
		if e.Error != "" {
			return []string{p.bad("no TLS: " + mail.Escape(e.Error))}
		}
		return []string{p.faint(mail.Escape(e.Line))}
	case lab.EventCommand:
		return []string{"> " + mail.Escape(e.Line)}
	case lab.EventReply:
		return l.reply(e.Reply)
	case lab.EventMessage:
		return []string{messageText(p, *e.Message)}
	case lab.EventEnded:
		return []string{p.faint(mail.Escape(e.Line))}
	case lab.EventTrouble:
		return []string{p.bad("trouble of the lab: " + mail.Escape(e.Error))}
	}
	return nil // the reply to a recipient is shown as it is said
}

func answerText(e lab.Event) string {
	switch {
	case e.RCode == "":
		return "no answer"
	case e.RCode == "NOERROR" && e.Records == 0:
		return "no record"
	case e.RCode == "NOERROR":
		return count(e.Records, "record")
	}
	return e.RCode
}

// reply shows the last line of a reply, or with -v all of them.
func (l *labLive) reply(y lab.Reply) []string {
	if !l.verbose {
		y = y[len(y)-1:]
	}
	var texts []string
	for _, line := range y {
		text := "< " + mail.Escape(line)
		switch {
		case strings.HasPrefix(line, "4"):
			text = l.paint.wait(text)
		case strings.HasPrefix(line, "5"):
			text = l.paint.bad(text)
		}
		texts = append(texts, text)
	}
	return texts
}

func messageText(p paint, m lab.Received) string {
	text := fmt.Sprintf("message %d: <%s> to %s, %s", m.Number, mail.Escape(m.Sender), receiversText(m.Recipients), count(int(m.Size), "octet"))
	if m.Subject != "" {
		text += ", " + mail.Escape(m.Subject)
	}
	if m.Accepted {
		return p.good(text)
	}
	return p.wait(text)
}

func receiversText(all []string) string {
	const most = 3
	shown := escapeAll(all[:min(most, len(all))])
	text := "<" + strings.Join(shown, ">, <") + ">"
	switch {
	case len(all) == 0:
		return "nobody"
	case len(all) > most:
		text += fmt.Sprintf(" and %d more", len(all)-most)
	}
	return text
}

// report ends the story.
func (l *labLive) report(r lab.WorldReport) error {
	if l.sh.json {
		return l.line(struct {
			Event string `json:"event"`
			lab.WorldReport
		}{"report", r})
	}
	var b strings.Builder
	lasted := time.Duration(r.Lasted * float64(time.Millisecond))
	fmt.Fprintf(&b, "\n%s\n\n", l.paint.bold(fmt.Sprintf("%s, after %s", r.Scenario, lasted.Round(100*time.Millisecond))))
	hostsTable(&b, r, l.width)
	verdictsText(&b, l.paint, r.Verdicts)
	_, err := io.WriteString(l.sh.stdout, b.String())
	return err
}

func hostsTable(b *strings.Builder, r lab.WorldReport, width int) {
	fmt.Fprintf(b, "  %-*s  connections  took  refused  unanswered\n", width, "")
	for _, h := range r.Hosts {
		fmt.Fprintf(b, "  %-*s  %11d  %4d  %7d  %10d\n", width, mail.Escape(h.Name), h.Connections, h.Delivered, h.Refused, h.Unanswered)
	}
	fmt.Fprintf(b, "  %-*s  %s\n", width, "DNS", count(r.Questions, "question"))
	fmt.Fprintln(b, "\n  A connection that is refused or times out is not seen here.")
}

// verdictsText tells of each expectation whether it is met, and of those that are not what was seen.
func verdictsText(b *strings.Builder, p paint, verdicts []lab.Verdict) {
	met, judged := 0, 0
	for _, v := range verdicts {
		if v.Met {
			met++
		}
	}
	if len(verdicts) == 0 {
		return
	}
	fmt.Fprintf(b, "\nExpected:\n\n")
	for _, v := range verdicts {
		mark := p.good("  met     ")
		if !v.Met {
			mark = p.bad("  missed  ")
		}
		const indent = "          "
		fmt.Fprintf(b, "%s%s\n", mark, wrapAfter(mail.Escape(v.Expectation.Text), " ", columns-len(indent), indent))
		if !v.Met {
			fmt.Fprintf(b, "%s%s\n", indent, wrapAfter("seen: "+plain(v.Seen), " ", columns-len(indent), indent))
		} else if len(v.Unseen) > 0 {
			judged++
		}
	}
	fmt.Fprintf(b, "\n%d of %s met", met, count(len(verdicts), "expectation"))
	if judged > 0 {
		fmt.Fprintf(b, ", %d of them as far as a lab can see: attempts\nand the like are known to the sender alone", judged)
	}
	fmt.Fprintln(b, ".")
}
