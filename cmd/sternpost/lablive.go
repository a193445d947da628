package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"sternpost/lab"
	"sternpost/mail"
)

// labLive shows a lab while it runs. Its events come one at a time.
type labLive struct {
	sh       *shell
	paint    paint
	scenario lab.Scenario
	name     string // as it was typed
	verbose  bool
	width    int // of the names of hosts
	screen   *unheld
}

// mostUnread is how many octets of the live view wait for a terminal that has stopped reading.
const mostUnread = 1 << 20

func newLabLive(sh *shell, s lab.Scenario, asked labStartCommand) *labLive {
	l := &labLive{sh: sh, paint: paintFor(sh.stdout, sh.environ), scenario: s, name: asked.Scenario, verbose: asked.Verbose}
	const most = 24
	for _, h := range s.Hosts {
		l.width = max(l.width, min(most, len(h.Name)))
	}
	l.screen = newUnheld(sh.stdout, mostUnread, l.missing)
	return l
}

// object is one line of NDJSON.
func object(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(mail.EscapeJSON(text)) + "\n", err
}

// line writes one object of NDJSON.
func (l *labLive) line(v any) error {
	text, err := object(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(l.sh.stdout, text)
	return err
}

// missing says that lines are not shown because nobody read.
func (l *labLive) missing(lines int) string {
	if l.sh.json {
		return fmt.Sprintf("{\"event\":\"missing\",\"lines\":%d}\n", lines)
	}
	return l.paint.bold(fmt.Sprintf("(%s not shown: this terminal had stopped; events.ndjson has them)", count(lines, "line"))) + "\n"
}

// started introduces the lab: who lives there, what to set, what to try.
func (l *labLive) started(s labStarted) error {
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
		head := fmt.Sprintf("  %-*s  %-15s  ", l.width, mail.Escape(h.Name), netip.AddrPortFrom(h.Address, uint16(s.Port)))
		for _, phrase := range h.Behaviour.Strings() {
			fmt.Fprintf(&b, "%s%s\n", head, wrapAfter(plain(phrase), " ", columns-len(head), strings.Repeat(" ", len(head)+2)))
			head = strings.Repeat(" ", len(head))
		}
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
	command := fmt.Sprintf("sternpost deliver -f %s", shellWord(m.From.String()))
	for _, to := range m.To {
		command += " " + shellWord(to.String())
	}
	return fmt.Sprintf("  sternpost lab print %s --message 1 |\n    %s\n", shellWord(l.name), wrapAfter(command, " ", columns-6, "      "))
}

// shellWord is a text as a word of a shell, quoted where that is needed.
func shellWord(text string) string {
	if text != "" && strings.IndexFunc(text, notPlainWord) < 0 {
		return text
	}
	return shellQuoted(text)
}

func notPlainWord(c rune) bool {
	return !strings.ContainsRune("@%+=:,./-_", c) && (c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c))
}

// firstUp is a host that takes mail, with its port.
func firstUp(s lab.Scenario, port int) string {
	for _, h := range s.Hosts {
		if len(h.Behaviour) == 0 {
			return fmt.Sprintf("%s is %s", netip.AddrPortFrom(h.Address, uint16(port)), h.Name)
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

// event shows one event. What a stranger says is escaped. The lab does not wait for a terminal that has stopped.
func (l *labLive) event(e lab.Event) {
	if l.sh.json {
		if text, err := object(e); err == nil {
			l.screen.write(text)
		}
		return
	}
	who := mail.Escape(e.Host)
	if e.Connection > 0 {
		who += fmt.Sprint(" #", e.Connection)
	}
	if e.Kind == lab.EventQuestion || e.Kind == lab.EventFault {
		who = "DNS"
	}
	var b strings.Builder
	for _, text := range l.texts(e) {
		fmt.Fprintf(&b, "%s  %-*s  %s\n", l.paint.faint(sinceText(e.Since)), l.width+3, who, text)
	}
	l.screen.write(b.String())
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
		return []string{"> " + saidShort(e.Line)}
	case lab.EventReply:
		return l.reply(e.Reply)
	case lab.EventMessage:
		return messageTexts(p, *e.Message)
	case lab.EventEnded:
		return []string{p.faint(mail.Escape(e.Line))}
	case lab.EventTrouble:
		return []string{p.bad("trouble of the lab: " + mail.Escape(e.Error))}
	}
	return nil // the reply to a recipient is shown as it is said
}

// saidShort is a line of the dialogue. One that is longer than SMTP allows (RFC 5321 s4.5.3.1.5) does not fill the screen.
func saidShort(line string) string {
	const most = 512
	if len(line) <= most {
		return mail.Escape(line)
	}
	return mail.Escape(line[:most]) + fmt.Sprintf(" ... and %s more", count(len(line)-most, "octet"))
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
		text := "< " + saidShort(line)
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

func messageTexts(p paint, m lab.Received) []string {
	head := fmt.Sprintf("message %d, %s: %s", m.Number, count(int(m.Size), "octet"), subjectText(mail.Escape(m.Subject)))
	envelope := fmt.Sprintf("  <%s> to %s", mail.Escape(m.Sender), receiversText(m.Recipients))
	if m.Accepted {
		return []string{p.good(head), p.good(envelope)}
	}
	return []string{p.wait(head), p.wait(envelope)}
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
