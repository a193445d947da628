package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"sternpost/console"
	"sternpost/mail"
)

// events prints what happened to the message: each attempt once, with what it came to for each recipient. Attempts that went as the one before did are one line, unless all is asked for.
func (y whyStory) events() {
	list := slices.Clone(y.told.Events)
	shown := map[string]bool{}
	list = slices.DeleteFunc(list, func(e console.Event) bool { // a further recipient of an attempt, whose outcomes stand below its tree
		further := e.Attempt == nil && e.AttemptID != "" && shown[e.AttemptID]
		shown[e.AttemptID] = true
		return further
	})
	for i := 0; i < len(list); {
		e := list[i]
		if e.Attempt != nil && i > 0 {
			fmt.Fprintln(y.w)
		}
		y.event(e)
		i++
		if n := y.repeats(e, list[i:]); n > 0 {
			y.again(list[i : i+n])
			i += n
		}
	}
	if len(list) == 0 {
		fmt.Fprintln(y.w, "  nothing yet")
	}
}

func (y whyStory) event(e console.Event) {
	at := e.Time.UTC().Format("2006-01-02 15:04:05Z")
	switch {
	case e.Kind == "accepted":
		fmt.Fprintf(y.w, "%s  accepted\n", at)
	case e.Attempt != nil:
		fmt.Fprintf(y.w, "%s  %s\n", at, y.paint.bold(fmt.Sprintf("attempt %d", e.Attempt.Number)))
		y.tree(*e.Attempt)
	default:
		fmt.Fprintf(y.w, "%s  %s\n", at, y.paint.kind(e.Kind)(eventText(e)))
	}
	if e.Kind == "failed" {
		y.ended(e)
	}
}

// repeats is how many of the first events are attempts that went as that of e did.
func (y whyStory) repeats(e console.Event, list []console.Event) int {
	if y.verbose || e.Attempt == nil {
		return 0
	}
	course := courseOf(*e.Attempt)
	for i, other := range list {
		if other.Kind != e.Kind || other.Attempt == nil || !slices.Equal(courseOf(*other.Attempt), course) {
			return i
		}
	}
	return len(list)
}

// again tells attempts that went as the one before did.
func (y whyStory) again(list []console.Event) {
	first, last := list[0], list[len(list)-1]
	title, until := fmt.Sprintf("attempt %d", first.Attempt.Number), ""
	if len(list) > 1 {
		title = fmt.Sprintf("attempts %d to %d", first.Attempt.Number, last.Attempt.Number)
		until = ", the last at " + last.Time.UTC().Format("2006-01-02 15:04:05Z")
	}
	fmt.Fprintf(y.w, "\n%s  %s%s:\n  the same (--verbose shows each)\n", first.Time.UTC().Format("2006-01-02 15:04:05Z"), y.paint.bold(title), until)
}

// courseOf is what an attempt asked and was answered, without its times.
func courseOf(a mail.Attempt) []string {
	course := []string{string(a.Domain), string(a.Rule)}
	for _, l := range a.DNS {
		course = append(course, l.Name, l.Type, string(l.RCode), l.Error, fmt.Sprint(l.Stale))
		course = append(course, slices.Sorted(slices.Values(l.Answers))...) // servers turn the order
	}
	for _, c := range a.Candidates {
		course = append(course, placeText(c.Host, c.Address, c.Port), string(c.Verdict), c.Reason, c.ClosedBy)
		for _, stage := range c.Stages {
			course = append(append(course, string(stage.Stage), stage.Error), stage.Reply.Lines...)
		}
	}
	for _, o := range a.Outcomes {
		course = append(course, o.Recipient.String(), string(o.Disposition), outcomeText(o), fmt.Sprint(o.InDoubt))
	}
	return course
}

// tree prints an attempt, two columns in, and below it its outcomes.
func (y whyStory) tree(a mail.Attempt) {
	var b bytes.Buffer
	inner := story{&b, y.paint, y.verbose}
	inner.attempt(a)
	for line := range lines(strings.TrimRight(b.String(), "\n")) {
		fmt.Fprintf(y.w, "  %s\n", line)
	}
	for _, o := range a.Outcomes {
		l := y.ending(o)
		text := wrapAfter(l.before+l.word+l.after, " ", columns-2, "      ")
		if rest, whole := strings.CutPrefix(text, l.before+l.word); whole { // not where an address takes the line
			text = l.before + l.colour(l.word) + rest
		}
		fmt.Fprintf(y.w, "  %s\n", text)
	}
}

// ended says of a failure that no attempt has decided why there is no other.
func (y whyStory) ended(e console.Event) {
	if e.Attempt == nil || strings.Contains(e.Reason, "lifetime") {
		fmt.Fprintf(y.w, "  %s\n", wrapAfter(plain(e.Reason), " ", columns-2, "  "))
	}
}

// eventText is an entry that has no tree, in one line.
func eventText(e console.Event) string {
	text := kindText(e)
	if e.Recipient != "" {
		text = mail.Escape(e.Recipient) + " " + text
	}
	if !slices.Contains([]string{"failed", "removed", "changed"}, e.Kind) && e.Reason != "" {
		text += ": " + plain(e.Reason)
	}
	return text
}

// probes prints the attempts with other mail that kept this one waiting, and the tree of the newest where the message has none of its own.
func (y whyStory) probes() {
	if len(y.told.Probes) == 0 {
		return
	}
	fmt.Fprintln(y.w, "\n"+y.paint.faint("Other mail for the same domain was tried for all that waits, without success:"))
	if n := y.told.MoreProbes; n > 0 {
		fmt.Fprintf(y.w, "  %s\n", y.paint.faint(fmt.Sprintf("%d times before these:", n)))
	}
	for list := y.told.Probes; len(list) > 0; {
		n := alike(list)
		y.probe(list[:n])
		list = list[n:]
	}
}

// alike is how many of the first probes came to the same.
func alike(list []console.Event) int {
	for i, e := range list {
		if probeText(e) != probeText(list[0]) {
			return i
		}
	}
	return len(list)
}

func probeText(e console.Event) string {
	place := e.Domain
	if e.Host != "" {
		place = e.Host
	}
	said := saidText(e)
	if _, last, ended := strings.Cut(said, "the last attempt: "); ended { // the lifetime of the other message ended with it
		said = last
	}
	return fmt.Sprintf("%s, %s: %s", mail.Escape(place), e.Stage, said)
}

// probe prints probes that came to the same, and the tree of the last where it has one.
func (y whyStory) probe(list []console.Event) {
	first, last := list[0], list[len(list)-1]
	at := first.Time.UTC().Format("2006-01-02 15:04:05Z")
	if len(list) > 1 {
		at += fmt.Sprintf(" until %s, %d times", last.Time.UTC().Format("2006-01-02 15:04:05Z"), len(list))
	}
	fmt.Fprintf(y.w, "  %s\n    %s\n", at, wrapAfter(plain(probeText(last)), " ", columns-4, "    "))
	if last.Attempt != nil {
		y.tree(*last.Attempt)
	}
}
