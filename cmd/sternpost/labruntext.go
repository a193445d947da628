package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/journal"
	"sternpost/mail"
)

// labLine is a part of a story; its first line stands beside the time. All lines begin with room for that.
type labLine struct {
	at   time.Time
	text []string
	last int // where the text begins that was added last
}

const (
	labTimes = 9                // the width of the column of times
	labEdge  = 2 + labTimes + 1 // where the text beside it begins
)

// add adds text behind a margin, broken to fit.
func (l *labLine) add(margin, text string) {
	edge := strings.Repeat(" ", labEdge)
	broken := wrapAfter(edge+margin+text, " ", columns, edge+margin+"  ")
	l.last = len(l.text)
	l.text = append(l.text, strings.Split(broken, "\n")...)
}

// mark colours a word of the text that was added last. That comes after the breaking, which counts what is printed.
func (l *labLine) mark(word string, colour func(string) string) {
	for i := l.last; i < len(l.text); i++ {
		if strings.Contains(l.text[i], word) {
			l.text[i] = strings.Replace(l.text[i], word, colour(word), 1)
			return
		}
	}
}

func (l labLine) print(w io.Writer, start time.Time) {
	for i, line := range l.text {
		if i == 0 {
			line = fmt.Sprintf("  %-*s %s", labTimes, offset(l.at.Sub(start)), strings.TrimPrefix(line, strings.Repeat(" ", labEdge)))
		}
		fmt.Fprintln(w, line)
	}
}

// offset is a time of the lab.
func offset(d time.Duration) string { return "+" + labSpan(d) }

// labSpan is a duration in its two or three largest units: 42s, 5m12s, 4h02m, 4d23h45m.
func labSpan(d time.Duration) string {
	d = max(d, 0)
	seconds, minutes, hours, days := int(d/time.Second)%60, int(d/time.Minute)%60, int(d/time.Hour)%24, int(d/(24*time.Hour))
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%02dh%02dm", days, hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh%02dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%02ds", minutes, seconds)
	}
	return fmt.Sprintf("%ds", seconds)
}

// try is an attempt, with what it came to for each recipient.
type try struct {
	at     time.Time
	tree   mail.Attempt
	events []console.Event
}

// triesOf are the attempts among the events of a message: for each domain its own, in their order.
func triesOf(events []console.Event) [][]*try {
	var rows [][]*try
	domains, known := map[mail.Domain]int{}, map[string]*try{}
	for _, e := range events {
		t := known[e.AttemptID]
		if e.Attempt == nil && t == nil {
			continue
		}
		if t != nil {
			t.events = append(t.events, e)
			continue
		}
		t = &try{at: e.Attempt.Started, tree: *e.Attempt, events: []console.Event{e}}
		row, ok := domains[t.tree.Domain]
		if !ok {
			row = len(rows)
			domains[t.tree.Domain] = row
			rows = append(rows, nil)
		}
		rows[row] = append(rows[row], t)
		if e.AttemptID != "" {
			known[e.AttemptID] = t
		}
	}
	return rows
}

// withoutAttempt are the events that no attempt tells of, but for the acceptance.
func withoutAttempt(events []console.Event) []console.Event {
	tried := map[string]bool{}
	for _, e := range events {
		tried[e.AttemptID] = tried[e.AttemptID] || e.Attempt != nil
	}
	var list []console.Event
	for _, e := range events {
		if !tried[e.AttemptID] && e.Kind != string(journal.Accepted) {
			list = append(list, e)
		}
	}
	return list
}
