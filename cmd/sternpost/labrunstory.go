package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/mail"
)

// labStory prints a run for people. Times are counted from its start.
type labStory struct {
	story
	told labReport
}

func (s labStory) print() error {
	var b bytes.Buffer
	out := s.w
	s.w = &b
	fmt.Fprintln(s.w, s.paint.bold(mail.Escape(s.told.Title)))
	about := fmt.Sprintf("%s, seed %d; times count from %s.", plain(s.told.Scenario), s.told.Seed, s.told.Started.Format("2006-01-02 15:04:05Z"))
	fmt.Fprintln(s.w, s.paint.faint(wrapAfter(about, " ", columns, "")))
	if s.told.about != "" {
		fmt.Fprintln(s.w)
		for line := range lines(s.told.about) {
			fmt.Fprintln(s.w, plain(line))
		}
	}
	for _, m := range s.told.Messages {
		title := fmt.Sprintf("%d. from <%s> to %s", m.number, mail.Escape(m.Sender), recipientsText(m))
		fmt.Fprintf(s.w, "\n%s\n", s.paint.bold(wrapAfter(title, " ", columns, "   ")))
		for _, l := range s.message(m) {
			l.print(s.w, s.told.Started)
		}
	}
	s.expectations()
	s.totals()
	_, err := out.Write(b.Bytes())
	return err
}

func recipientsText(m labMessage) string {
	var list []string
	for _, r := range m.Recipients {
		list = append(list, mail.Escape(r.Recipient))
	}
	return strings.Join(list, ", ")
}

// message is what happened to a message, in the order of time.
func (s labStory) message(m labMessage) []labLine {
	list := []labLine{s.door(m)}
	rows := triesOf(m.Events)
	for _, row := range rows {
		list = append(list, s.tries(row, len(rows) > 1)...)
	}
	for _, e := range withoutAttempt(m.Events) {
		l := labLine{at: e.Time}
		l.add("", s.outcomeOf(e, true))
		list = append(list, l)
	}
	for _, report := range m.Reports {
		list = append(list, s.report(report)...)
	}
	// The journal of a run has milliseconds: what it has of an attempt must not stand before its beginning.
	slices.SortStableFunc(list, func(a, b labLine) int {
		return a.at.Truncate(time.Millisecond).Compare(b.at.Truncate(time.Millisecond))
	})
	return list
}

// door is what the agent said when the message was handed in.
func (s labStory) door(m labMessage) labLine {
	l := labLine{at: m.At}
	if m.Message != "" {
		l.add("", "handed in")
	}
	for _, r := range m.Recipients {
		if r.Attempts == 0 && r.Disposition == string(mail.Failed) {
			l.add("  ", mail.Escape(r.Recipient)+" "+s.paint.bad("refused at the door")+": "+plain(r.Reason))
		}
	}
	return l
}

// report tells of a report about a message: what it says, and how it fared where that is worth a word.
func (s labStory) report(report labMessage) []labLine {
	l := labLine{at: report.At}
	text := "a report goes to the sender"
	if len(report.says) > 0 {
		text += ": " + strings.Join(report.says, ", ")
	}
	l.add("", s.paint.wait(text))
	list := []labLine{l}
	if r := report.Recipients; len(r) == 1 && r[0].Attempts == 1 && r[0].Disposition == string(mail.Delivered) {
		return list
	}
	for _, row := range triesOf(report.Events) {
		list = append(list, s.tries(row, true)...)
	}
	return list
}

// tries tells the attempts for one domain. Those that went as the one before did are told in one line.
func (s labStory) tries(row []*try, several bool) []labLine {
	var list []labLine
	for i := 0; i < len(row); {
		first := row[i]
		last := i
		for last+1 < len(row) && slices.Equal(s.tale(row[last+1]), s.tale(first)) && !s.verbose {
			last++
		}
		l := labLine{at: first.at}
		title := fmt.Sprintf("attempt %d", first.tree.Number)
		if several {
			title += " for " + plain(string(first.tree.Domain))
		}
		l.add("", s.paint.bold(title)+tookText(first.tree))
		l.text = append(l.text, s.tale(first)...)
		list = append(list, l)
		if last > i {
			list = append(list, s.alike(row[i+1:last+1], several))
		}
		i = last + 1
	}
	return list
}

// tookText says how long an attempt took, where that was long.
func tookText(a mail.Attempt) string {
	if took := a.Ended.Sub(a.Started); took >= time.Second {
		return ", took " + labSpan(took)
	}
	return ""
}

// alike tells attempts that went as the one before did.
func (s labStory) alike(row []*try, several bool) labLine {
	first, last := row[0], row[len(row)-1]
	l := labLine{at: first.at}
	title, rest := fmt.Sprintf("attempt %d", first.tree.Number), ""
	if len(row) > 1 {
		title = fmt.Sprintf("attempts %d to %d", first.tree.Number, last.tree.Number)
		rest = ", the last at " + offset(last.at.Sub(s.told.Started))
	}
	if several {
		title += " for " + plain(string(first.tree.Domain))
	}
	l.add("", s.paint.bold(title)+rest+": the same")
	return l
}

// tale is what happened in an attempt, without its times.
func (s labStory) tale(t *try) []string {
	var l labLine
	if s.verbose {
		var b bytes.Buffer
		whyStory{story: story{&b, s.paint, true}}.tree(t.tree)
		return slices.Collect(lines(strings.TrimRight(b.String(), "\n")))
	}
	for _, c := range t.tree.Candidates {
		for _, text := range s.candidateTexts(c) {
			l.add("  ", placeText(c.Host, c.Address, 0)+": "+text)
		}
	}
	for _, e := range t.events {
		l.add("  ", s.outcomeOf(e, len(t.tree.Candidates) == 0))
	}
	return l.text
}

// candidateTexts are the things that a host said which decided something; none where it was not needed.
func (s labStory) candidateTexts(c mail.Candidate) []string {
	switch c.Verdict {
	case mail.VerdictSkipped:
		return []string{s.paint.faint("skipped: " + plain(c.Reason))}
	case mail.VerdictUnreached:
		return nil
	}
	var list []string
	wanted := false // some recipient was taken
	for _, stage := range c.Stages {
		text := ""
		wanted = wanted || stage.Stage == mail.StageRcpt && stage.Reply.Positive()
		switch {
		case stage.Stage == mail.StageData && !wanted: // what it says to DATA then tells nothing
		case stage.Error != "" && stage.Stage == mail.StageConnect:
			text = plain(stage.Error)
		case stage.Error != "":
			text = "at " + string(stage.Stage) + ": " + plain(stage.Error)
		case stage.Reply.Code >= 400:
			text = "at " + string(stage.Stage) + ": " + stage.Reply.String()
		case stage.Stage == mail.StageDot:
			text = s.paint.good("took it: ") + stage.Reply.String()
		}
		if text != "" && !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	if len(list) == 0 && c.Reason != "" {
		list = append(list, plain(c.Reason))
	}
	return list
}

// outcomeOf is what an attempt came to for a recipient. Why is said of a failure, and where no host has said it.
func (s labStory) outcomeOf(e console.Event, why bool) string {
	word := map[string]string{
		string(mail.Delivered): s.paint.good(e.Kind), string(mail.Failed): s.paint.bad(e.Kind), string(mail.Deferred): s.paint.wait(e.Kind),
	}[e.Kind]
	text := strings.TrimSpace(mail.Escape(e.Recipient) + " " + cmp.Or(word, plain(e.Kind)))
	if e.InDoubt {
		text += ", in doubt"
	}
	if e.Kind == string(mail.Failed) || why {
		text += ": " + plain(e.Reason)
	}
	return text
}

// expectations prints which hold, and of those that do not what was seen.
func (s labStory) expectations() {
	if len(s.told.Expectations) == 0 {
		return
	}
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("Expected"))
	for _, e := range s.told.Expectations {
		word := s.paint.good("yes")
		if !e.Met {
			word = s.paint.bad("NO ")
		}
		fmt.Fprintf(s.w, "  %s  %s\n", word, wrapAfter(mail.Escape(e.Expectation), " ", columns-7, strings.Repeat(" ", 9)))
		if !e.Met || s.verbose {
			fmt.Fprintf(s.w, "       %s\n", wrapAfter("seen: "+plain(e.Seen), " ", columns-7, strings.Repeat(" ", 9)))
		}
	}
}

// totals prints the last lines.
func (s labStory) totals() {
	r := s.told
	held := 0
	for _, e := range r.Expectations {
		if e.Met {
			held++
		}
	}
	fmt.Fprintf(s.w, "\n%s in %s: %d delivered, %d failed, %d waiting; %s, %s.\n", count(len(r.Messages), "message"), labSpan(r.lasted()),
		r.Delivered, r.Failed, r.Deferred, count(r.Attempts, "attempt"), count(r.Reports, "report"))
	if r.LeftOut > 0 {
		fmt.Fprintf(s.w, "The last %s did not fit and are not told.\n", count(r.LeftOut, "event"))
	}
	switch all := len(r.Expectations); {
	case all == 0:
		fmt.Fprintln(s.w, "The scenario expects nothing.")
	case held == all:
		fmt.Fprintln(s.w, s.paint.good(allHeld(all)))
	default:
		fmt.Fprintln(s.w, s.paint.bad(fmt.Sprintf("Of %s, %d did not come true.", count(all, "expectation"), all-held)))
	}
}

// allHeld says that all expectations hold.
func allHeld(all int) string {
	if all == 1 {
		return "What was expected came true."
	}
	return fmt.Sprintf("%d of %d expectations came true.", all, all)
}
