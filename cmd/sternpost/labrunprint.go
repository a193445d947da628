package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"sternpost/mail"
)

func (s labStory) print() error {
	var b bytes.Buffer
	out := s.w
	s.w = &b
	s.heading()
	s.messages()
	s.expectations()
	s.totals()
	_, err := out.Write(b.Bytes())
	return err
}

// heading says what the scenario is about.
func (s labStory) heading() {
	fmt.Fprintln(s.w, s.paint.bold(mail.Escape(s.told.Title)))
	about := fmt.Sprintf("%s, seed %d; times count from %s.", plain(s.told.Scenario), s.told.Seed, s.told.Started.Format("2006-01-02 15:04:05Z"))
	fmt.Fprintln(s.w, s.paint.faint(wrapAfter(about, " ", columns, "")))
	if s.told.about != "" {
		fmt.Fprintln(s.w)
		for line := range lines(s.told.about) {
			fmt.Fprintln(s.w, plain(line))
		}
	}
}

// messages tells each message; those that fared as one before did are told in one line.
func (s labStory) messages() {
	known := map[string]int{} // the number of the first message with that story
	for i := 0; i < len(s.told.Messages); i++ {
		m := s.told.Messages[i]
		list := s.message(m)
		like, ok := known[likeness(m, list)]
		if ok && !s.verbose {
			last := s.lastLike(i, like, known)
			s.likewise(m, s.told.Messages[last], like)
			i = last
			continue
		}
		known[likeness(m, list)] = m.number
		title := fmt.Sprintf("%d. from <%s> to %s", m.number, mail.Escape(m.Sender), recipientsText(m))
		fmt.Fprintf(s.w, "\n%s\n", s.paint.bold(wrapAfter(title, " ", columns, "   ")))
		for _, l := range list {
			l.print(s.w, s.told.Started)
		}
	}
}

// lastLike is the place of the last message, from place i on, whose story is that of the message of a number.
func (s labStory) lastLike(i, number int, known map[string]int) int {
	for ; i+1 < len(s.told.Messages); i++ {
		if next := s.told.Messages[i+1]; known[likeness(next, s.message(next))] != number {
			break
		}
	}
	return i
}

// likeness is a story without what differs from message to message: recipients, and when it was handed in.
func likeness(m labMessage, list []labLine) string {
	pairs := make([]string, 0, 2*len(m.Recipients))
	for i, r := range m.Recipients {
		pairs = append(pairs, mail.Escape(r.Recipient), fmt.Sprintf("\x00%d", i))
	}
	var b strings.Builder
	for _, l := range list {
		text := strings.Join(strings.Fields(strings.Join(l.text, " ")), " ")
		fmt.Fprintln(&b, l.at.Sub(m.At).Round(time.Second), strings.NewReplacer(pairs...).Replace(text))
	}
	return b.String()
}

// likewise tells of messages that fared as the message of that number did.
func (s labStory) likewise(first, last labMessage, like int) {
	numbers, to := fmt.Sprint(first.number), recipientsText(first)
	if last.number != first.number {
		numbers += fmt.Sprintf(" to %d", last.number)
		to += " ... " + recipientsText(last)
	}
	fmt.Fprintf(s.w, "\n%s\n", wrapAfter(fmt.Sprintf("%s. at %s, to %s: as %d", numbers, offset(first.At.Sub(s.told.Started)), to, like), " ", columns, "   "))
}

// mostExpectations is how many expectations that came true are told one by one.
const mostExpectations = 20

// expectations prints which hold, and of those that do not what was seen.
func (s labStory) expectations() {
	if len(s.told.Expectations) == 0 {
		return
	}
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("Expected"))
	met := 0
	for _, e := range s.told.Expectations {
		if e.Met {
			met++
		}
		if e.Met && met > mostExpectations && !s.verbose {
			continue
		}
		word := s.paint.good("yes")
		if !e.Met {
			word = s.paint.bad("NO ")
		}
		fmt.Fprintf(s.w, "  %s  %s\n", word, wrapAfter(mail.Escape(e.Expectation), " ", columns-7, strings.Repeat(" ", 9)))
		if !e.Met || s.verbose {
			fmt.Fprintf(s.w, "       %s\n", wrapAfter("seen: "+plain(e.Seen), " ", columns-7, strings.Repeat(" ", 9)))
		}
	}
	if more := met - mostExpectations; more > 0 && !s.verbose {
		fmt.Fprintf(s.w, "       and %d more that came true\n", more)
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
