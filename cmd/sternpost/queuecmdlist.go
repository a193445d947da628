package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sternpost/console"
	"sternpost/mail"
	"sternpost/queue"
)

type queueSummaryCommand struct{}

func (queueSummaryCommand) Help() string {
	return `One line for each recipient domain that has mail waiting, the most messages first. Window is how many connections its hosts get at the same time; a dead destination is one whose hosts could not be reached.

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
	messages := 0
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DESTINATION\tMESSAGES\tHELD\tOLDEST\tNEXT TRY\tWINDOW\tHEALTH\tLAST REPLY")
	for _, d := range list {
		messages += d.Messages
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", mail.Escape(d.Domain), d.Messages, d.Held, ageOf(d.Oldest, now),
			nextTry(d, now), windowText(d), mail.Escape(d.Health), mail.Escape(d.LastReply))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s for %s\n", count(messages, "message"), count(len(list), "destination"))
	return err
}

// windowText is how many attempts run of those that the site may have; a dash where the site is not known just now.
func windowText(d console.Destination) string {
	if d.Window == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", d.UnderWay, d.Window)
}

// nextTry is when something happens next for a destination.
func nextTry(d console.Destination, now time.Time) string {
	switch {
	case d.UnderWay > 0:
		return "now"
	case d.Suspended != nil && d.Suspended.After(now):
		return untilThen(d.Suspended, now)
	case d.Next != nil:
		return untilThen(d.Next, now)
	}
	return "-"
}

type queueListCommand struct {
	choice
	Limit int `default:"100" help:"How many messages at most; 0: all."`
}

func (queueListCommand) Help() string {
	return `Examples:

    sternpost queue list --recipient you@example.org
    sternpost queue list --older-than 4h --json --limit 0`
}

func (q queueListCommand) Run(sh *shell) error {
	if err := q.check(); err != nil {
		return err
	}
	if q.Limit < 0 {
		return withCode(exitUsage, errors.New("--limit: must not be negative"))
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		messages := q.messages(ctx, agent)
		if sh.json {
			return listJSON(sh.stdout, messages, q.Limit)
		}
		return listText(sh, messages, q.Limit)
	})
}

// messages are those of all selections, one more than the limit, so that it is seen whether there are more.
func (q queueListCommand) messages(ctx context.Context, agent *client) iter.Seq2[console.Message, error] {
	return func(yield func(console.Message, error) bool) {
		for _, s := range q.selections() {
			if q.Limit > 0 {
				s.Limit = q.Limit + 1
			}
			for m, err := range agent.messages(ctx, s) {
				if !yield(m, err) {
					return
				}
			}
		}
	}
}

func listText(sh *shell, messages iter.Seq2[console.Message, error], limit int) error {
	p := paintFor(sh.stdout, sh.environ)
	now := time.Now()
	n := 0
	for m, err := range messages {
		if err != nil {
			return err
		}
		if n++; limit > 0 && n > limit {
			_, err := fmt.Fprintln(sh.stdout, "There are more; --limit 0 lists all.")
			return err
		}
		if err := listLine(sh.stdout, p, m, now); err != nil {
			return err
		}
	}
	if n == 0 {
		_, err := fmt.Fprintln(sh.stdout, "No such message in the queue.")
		return err
	}
	return nil
}

// listLine is one message in a list: itself, then its recipients.
func listLine(w io.Writer, p paint, m console.Message, now time.Time) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s old, %s, from <%s>\n", p.bold(mail.Escape(m.ID)), ageOf(m.Received, now), sizeText(m.Size), mail.Escape(m.Sender))
	for _, r := range m.Recipients {
		fmt.Fprintf(&b, "    %s  %s\n", mail.Escape(r.Recipient), recipientText(p, r, now))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// recipientText is where a recipient stands, and why.
func recipientText(p paint, r console.Recipient, now time.Time) string {
	text := mail.Escape(r.State)
	switch {
	case r.State != "pending":
		text = p.wait(text)
	case r.Next == nil || !r.Next.After(now):
		text = "due"
	default:
		text = "next try in " + untilThen(r.Next, now)
	}
	if r.Attempts > 0 {
		text += ", " + count(r.Attempts, "attempt")
	}
	if r.InDoubt {
		text += ", in doubt"
	}
	if r.Last != nil {
		text += ": " + mail.Escape(lastText(*r.Last))
	}
	return text
}

// lastText is the reply that decided, or the reason in its place.
func lastText(o console.Outcome) string {
	text := o.Reason
	if len(o.Reply) > 0 {
		text = strings.Join(o.Reply, " / ")
	}
	if o.Host != "" {
		text = o.Host + ": " + text
	}
	return text
}

// listJSON writes one object as it comes: the queue may be longer than what fits in memory.
func listJSON(w io.Writer, messages iter.Seq2[console.Message, error], limit int) error {
	separator, more, n := "\n", false, 0
	if _, err := io.WriteString(w, "{\n  \"messages\": ["); err != nil {
		return err
	}
	for m, err := range messages {
		if err != nil {
			return err
		}
		if n++; limit > 0 && n > limit {
			more = true
			break
		}
		text, err := json.MarshalIndent(m, "    ", "  ")
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s    %s", separator, mail.EscapeJSON(text)); err != nil {
			return err
		}
		separator = ",\n"
	}
	_, err := fmt.Fprintf(w, "\n  ],\n  \"more\": %t\n}\n", more)
	return err
}

type queueShowCommand struct {
	ID string `arg:"" name:"id" help:"The id of the message."`
}

func (queueShowCommand) Help() string {
	return `Example:

    sternpost queue show 1h2j3k4m5n6p7`
}

func (q queueShowCommand) Run(sh *shell) error {
	id, err := queue.ParseID(q.ID)
	if err != nil {
		return withCode(exitUsage, fmt.Errorf("%q %w", q.ID, err))
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		var m console.Message
		if err := agent.get(ctx, "/v1/messages/"+id.String(), &m); err != nil {
			return err
		}
		if sh.json {
			return printJSON(sh.stdout, m)
		}
		return showMessage(sh.stdout, paintFor(sh.stdout, sh.environ), m, time.Now())
	})
}

func showMessage(w io.Writer, p paint, m console.Message, now time.Time) error {
	var b strings.Builder
	fmt.Fprintln(&b, p.bold(mail.Escape(m.ID)))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-11s %s\n", name, mail.Escape(text))
		}
	}
	line("from", "<"+m.Sender+">")
	if m.Account != m.Sender {
		line("account", m.Account)
	}
	line("handed in by", m.Peer)
	line("message-id", m.MessageID)
	line("priority", m.Priority)
	line("size", sizeText(m.Size))
	line("received", instant(m.Received))
	line("not before", instant(m.SendAt))
	line("expires", instant(m.Expires))
	line("reports on", m.Origin)
	for _, r := range m.Recipients {
		fmt.Fprintf(&b, "  to          %s\n              %s\n", mail.Escape(r.Recipient), recipientText(p, r, now))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// instant is t for people; empty: there is none.
func instant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// ageOf is how long ago t was.
func ageOf(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return shortDuration(now.Sub(*t))
}

func untilThen(t *time.Time, now time.Time) string { return shortDuration(t.Sub(now)) }

// shortDuration is d with its two greatest units: "3d4h", "5m10s".
func shortDuration(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0).Round(time.Second)
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// sizeText is a number of octets for people.
func sizeText(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
