package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"sternpost/console"
	"sternpost/mail"
)

type queueSummaryCommand struct{}

func (queueSummaryCommand) Help() string {
	return `One line for each recipient domain that has mail waiting, the most messages first, and below it what the last deferral was. Window is how many attempts run for its hosts, of those that they get at the same time. A dead destination is one whose hosts could not be reached: it is probed from time to time. A message with recipients in several domains is counted in each.

Example:

    sternpost queue`
}

func (queueSummaryCommand) Run(sh *shell) error {
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		var list console.DestinationList
		if err := agent.get(ctx, "/v1/destinations", &list); err != nil {
			return err
		}
		slices.SortStableFunc(list.Destinations, func(a, b console.Destination) int {
			return cmp.Or(cmp.Compare(b.Messages, a.Messages), strings.Compare(a.Domain, b.Domain))
		})
		if sh.json {
			return printJSON(sh.stdout, list)
		}
		return printSummary(sh.stdout, list.Destinations, time.Now())
	})
}

func printSummary(w io.Writer, list []console.Destination, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "The queue is empty.")
		return err
	}
	var rows strings.Builder
	messages := 0
	table := tabwriter.NewWriter(&rows, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DESTINATION\tMESSAGES\tHELD\tOLDEST\tWINDOW\tHEALTH\tNEXT TRY")
	for _, d := range list {
		messages += d.Messages
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\t%s\n", mail.Escape(d.Domain), d.Messages, d.Held, ageOf(d.Oldest, now), windowText(d),
			mail.Escape(d.Health), nextTry(d, now))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var text strings.Builder
	width := widthOf(w)
	row := 0
	for line := range lines(rows.String()) { // the first is the heading
		fmt.Fprintln(&text, line)
		if row > 0 && list[row-1].LastReply != "" {
			fmt.Fprintln(&text, cut("    "+plain(list[row-1].LastReply), width))
		}
		row++
	}
	fmt.Fprintf(&text, "%s for %s\n", count(messages, "message"), count(len(list), "destination"))
	_, err := io.WriteString(w, text.String())
	return err
}

// widthOf is how many characters a line of the terminal has; 0: it is none.
func widthOf(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// cut makes text no longer than width characters; 0: any length.
func cut(text string, width int) string {
	if characters := []rune(text); width > 0 && len(characters) > width {
		return string(characters[:width-1]) + "…"
	}
	return text
}

// windowText is how many attempts run of those that the site may have; a dash where the site is not known just now.
func windowText(d console.Destination) string {
	if d.Window == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", d.SiteUnderWay, d.Window)
}

// nextTry is when something happens next for a destination.
func nextTry(d console.Destination, now time.Time) string {
	probe := ""
	if d.Health == console.HealthDead {
		probe = "probe "
	}
	switch {
	case d.UnderWay > 0:
		return probe + "now"
	case d.Suspended != nil && d.Suspended.After(now):
		return probe + "in " + untilThen(d.Suspended, now)
	case d.Next != nil && d.Next.After(now):
		return "in " + untilThen(d.Next, now)
	case d.Next != nil:
		return "now"
	}
	return "-"
}
