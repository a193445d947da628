package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sternpost/lab"
	"sternpost/mail"
)

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

// mostVerdicts is how many of those that are met, and of those that are not, are told; JSON has all.
const mostVerdicts = 10

// verdictsText tells of each expectation whether it is met, and of those that are not what was seen.
func verdictsText(b *strings.Builder, p paint, verdicts []lab.Verdict) {
	if len(verdicts) == 0 {
		return
	}
	fmt.Fprintf(b, "\nExpected:\n\n")
	times := map[bool]int{}
	unseen := 0
	for _, v := range verdicts {
		if times[v.Met]++; times[v.Met] <= mostVerdicts {
			verdictText(b, p, v)
		}
		if v.Met && len(v.Unseen) > 0 {
			unseen++
		}
	}
	if more := max(0, times[true]-mostVerdicts) + max(0, times[false]-mostVerdicts); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	fmt.Fprintf(b, "\n%d of %s met", times[true], count(len(verdicts), "expectation"))
	if unseen > 0 {
		fmt.Fprintf(b, ", %d of them as far as a lab can see: attempts\nand the like are known to the sender alone", unseen)
	}
	fmt.Fprintln(b, ".")
}

func verdictText(b *strings.Builder, p paint, v lab.Verdict) {
	const indent = "          "
	mark := p.good("  met     ")
	if !v.Met {
		mark = p.bad("  missed  ")
	}
	fmt.Fprintf(b, "%s%s\n", mark, wrapAfter(mail.Escape(v.Expectation.Text), " ", columns-len(indent), indent))
	if !v.Met {
		fmt.Fprintf(b, "%s%s\n", indent, wrapAfter("seen: "+plain(v.Seen), " ", columns-len(indent), indent))
	}
}
