package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"sternpost/console"
	"sternpost/mail"
)

type bouncesSummaryCommand struct {
	failures
	Limit int `default:"10" help:"How many of each list."`
}

func (bouncesSummaryCommand) Help() string {
	return `The time before is as long as the one that is asked for. An incident is one cause of many failures.

Example:

    sternpost bounces summary --since 7d`
}

func (b bouncesSummaryCommand) Run(sh *shell) error {
	s := b.search()
	s.Limit = b.Limit
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		var told console.BounceSummary
		if err := agent.get(ctx, "/v1/bounces/summary?"+s.Values().Encode(), &told); err != nil {
			return err
		}
		if sh.json {
			return printJSON(sh.stdout, told)
		}
		return printBounceSummary(sh.stdout, paintFor(sh.stdout, sh.environ), told, b.Deferred)
	})
}

func printBounceSummary(w io.Writer, p paint, told console.BounceSummary, deferred bool) error {
	noun := "failure"
	if deferred {
		noun = "deferral"
	}
	var b strings.Builder
	p.incidents(&b, told.IncidentList)
	period := strings.NewReplacer("d0h", "d", "h0m", "h", "m0s", "m").Replace(shortDuration(told.Until.Sub(told.Since)))
	fmt.Fprintf(&b, "%s from %s to %s, %s\n", p.bold(count(told.Count, noun)), stamp(told.Since), stamp(told.Until), beforeText(told.Before, period))
	for _, list := range []struct {
		title  string
		groups []console.Group
	}{{"CATEGORY", told.Categories}, {"DOMAIN", told.Domains}, {"HOST", told.Hosts}} {
		if len(list.groups) > 0 {
			p.groups(&b, list.title, list.groups)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func beforeText(before int, period string) string {
	if before == 0 {
		return "none in the " + period + " before"
	}
	return fmt.Sprintf("%d in the %s before", before, period)
}

// incidents prints each cause of many failures and each alarm, and what to do about it.
func (p paint) incidents(b *strings.Builder, list console.IncidentList) {
	for _, in := range list.Incidents {
		colour := p.bad
		if in.Failed == 0 {
			colour = p.wait
		}
		p.incident(b, colour, in.Sentence+waitText(in.Waiting), in.Advice, in.Link)
	}
	for _, a := range list.Alarms {
		p.alarm(b, a)
	}
	if len(list.Incidents)+len(list.Alarms) > 0 {
		b.WriteString("\n")
	}
}

func (p paint) alarm(b *strings.Builder, a console.Alarm) {
	p.incident(b, p.bad, a.Sentence+waitText(a.Waiting), a.Advice, "")
}

// waitText is how many messages wait behind what is wrong.
func waitText(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " (1 message waits)"
	}
	return fmt.Sprintf(" (%d messages wait)", n)
}

func (p paint) incident(b *strings.Builder, colour func(string) string, sentence, advice, link string) {
	fmt.Fprintf(b, "%s %s\n", colour("!"), wrapAfter(plain(sentence), " ", columns-2, "  "))
	if advice != "" {
		fmt.Fprintf(b, "  %s\n", wrapAfter(plain(advice), " ", columns-2, "  "))
	}
	if link != "" {
		fmt.Fprintf(b, "  %s\n", plain(link))
	}
}

// The widths of the columns of a group.
const (
	nameWidth = 28
	barWidth  = 10
)

// groups prints a list: name, bar, count, share, those of the time before, first and last.
func (p paint) groups(b *strings.Builder, title string, list []console.Group) {
	heading := fmt.Sprintf("%-*s  %-*s  %6s  %5s  %6s  %s", nameWidth, title, barWidth, "", "COUNT", "SHARE", "BEFORE", "FIRST, LAST")
	fmt.Fprintf(b, "\n%s\n", p.bold(heading))
	for _, g := range list {
		name := mail.Escape(groupName(g.Name))
		if utf8.RuneCountInString(name) > nameWidth {
			name += "\n" + strings.Repeat(" ", nameWidth)
		}
		fmt.Fprintf(b, "%-*s  %s  %6d  %4.0f%%  %6d  %s\n", nameWidth, name, p.wait(bar(g.Share)), g.Count, 100*g.Share, g.Before, spanText(g))
	}
}

func groupName(name string) string {
	switch name {
	case "":
		return "-"
	case "*":
		return "(all others)"
	}
	return name
}

// bar is a share as a line of blocks; what there is has at least one.
func bar(share float64) string {
	n := int(share*barWidth + 0.5)
	if share > 0 {
		n = max(n, 1)
	}
	return strings.Repeat("#", n) + strings.Repeat(" ", barWidth-n)
}

// spanText is when a group was seen first and last.
func spanText(g console.Group) string {
	if g.First == nil || g.Last == nil {
		return "-"
	}
	first, last := g.First.UTC(), g.Last.UTC()
	return span(first, last)
}

// span is two times of one day, or the days.
func span(first, last time.Time) string {
	if first.Format(time.DateOnly) == last.Format(time.DateOnly) {
		return first.Format("15:04") + "-" + last.Format("15:04")
	}
	return first.Format("01-02") + "..." + last.Format("01-02")
}

func stamp(t time.Time) string { return t.UTC().Format("01-02 15:04") }
