package main

import (
	"bytes"
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
		of := ""
		if len(rows) > 1 {
			of = " for " + plain(string(row[0].tree.Domain))
		}
		list = append(list, s.tries(row, of)...)
	}
	for _, e := range withoutAttempt(m.Events) {
		l := labLine{at: e.Time}
		s.outcome(&l, "", e, true)
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
	l.add("", "handed in")
	for _, r := range m.Recipients {
		if r.refused {
			l.add("  ", mail.Escape(r.Recipient)+" refused at the door: "+plain(r.Reason))
			l.mark("refused at the door", s.paint.bad)
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
	l.add("", text)
	l.mark("a report", s.paint.wait)
	list := []labLine{l}
	if r := report.Recipients; len(r) == 1 && r[0].Attempts == 1 && r[0].Disposition == string(mail.Delivered) {
		return list
	}
	for _, row := range triesOf(report.Events) {
		list = append(list, s.tries(row, " of the report")...)
	}
	return list
}

// tries tells the attempts for one domain; of says for which, where that is not plain. Those that went as the one before did are told in one line.
func (s labStory) tries(row []*try, of string) []labLine {
	var list []labLine
	for i := 0; i < len(row); {
		first := row[i]
		last := i
		for last+1 < len(row) && slices.Equal(s.tale(row[last+1]), s.tale(first)) && !s.verbose {
			last++
		}
		l := labLine{at: first.at}
		title := fmt.Sprintf("attempt %d%s", first.tree.Number, of)
		l.add("", title+tookText(first.tree))
		l.mark(title, s.paint.bold)
		l.text = append(l.text, s.tale(first)...)
		list = append(list, l)
		if last > i {
			list = append(list, s.alike(row[i+1:last+1], of))
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
func (s labStory) alike(row []*try, of string) labLine {
	first, last := row[0], row[len(row)-1]
	l := labLine{at: first.at}
	title, rest := fmt.Sprintf("attempt %d%s", first.tree.Number, of), ""
	if len(row) > 1 {
		title = fmt.Sprintf("attempts %d to %d%s", first.tree.Number, last.tree.Number, of)
		rest = ", the last at " + offset(last.at.Sub(s.told.Started))
	}
	l.add("", title+rest+": the same")
	l.mark(title, s.paint.bold)
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
		for _, text := range candidateTexts(c) {
			l.add("  ", placeText(c.Host, c.Address, 0)+": "+text)
			l.mark(tookIt, s.paint.good)
		}
	}
	for _, e := range t.events {
		s.outcome(&l, "  ", e, len(t.tree.Candidates) == 0)
	}
	return l.text
}

// tookIt is said of the host that has the message.
const tookIt = "took it"

// candidateTexts are the things that a host said which decided something; none where it was not needed.
func candidateTexts(c mail.Candidate) []string {
	switch c.Verdict {
	case mail.VerdictSkipped:
		return []string{"skipped: " + plain(c.Reason)}
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
		case stage.Error != "" && (stage.Stage == mail.StageConnect || strings.Contains(stage.Error, " at "+string(stage.Stage))): // which says where
			text = plain(stage.Error)
		case stage.Error != "":
			text = "at " + string(stage.Stage) + ": " + plain(stage.Error)
		case stage.Reply.Code >= 400:
			text = "at " + string(stage.Stage) + ": " + stage.Reply.String()
		case stage.Stage == mail.StageDot:
			text = tookIt + ": " + stage.Reply.String()
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

// outcome tells what became of a recipient. Why, is said of a failure, and where no host has said it.
func (s labStory) outcome(l *labLine, margin string, e console.Event, why bool) {
	text := strings.TrimSpace(mail.Escape(e.Recipient) + " " + plain(e.Kind))
	if e.InDoubt {
		text += ", in doubt"
	}
	if e.Kind == string(mail.Failed) || why {
		text += ": " + plain(e.Reason)
	}
	l.add(margin, text)
	colours := map[string]func(string) string{
		string(mail.Delivered): s.paint.good, string(mail.Failed): s.paint.bad, string(mail.Deferred): s.paint.wait,
	}
	if colour := colours[e.Kind]; colour != nil {
		l.mark(plain(e.Kind), colour)
	}
}
