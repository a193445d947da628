package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/mail"
	"sternpost/queue"
)

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
			return printList(sh.stdout, "messages", messages, q.Limit)
		}
		known, err := agent.destinations(ctx)
		if err != nil {
			return err
		}
		return listText(sh, known, messages, q.Limit)
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

func listText(sh *shell, known destinations, messages iter.Seq2[console.Message, error], limit int) error {
	where := standing{paintFor(sh.stdout, sh.environ), known, time.Now()}
	n := 0
	for m, err := range messages {
		if err != nil {
			return err
		}
		if n++; limit > 0 && n > limit {
			_, err := fmt.Fprintln(sh.stdout, "There are more; --limit 0 lists all.")
			return err
		}
		if err := listLine(sh.stdout, where, m); err != nil {
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
func listLine(w io.Writer, s standing, m console.Message) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s old, %s, from <%s>\n", s.bold(mail.Escape(m.ID)), ageOf(m.Received, s.now), sizeText(m.Size), mail.Escape(m.Sender))
	for _, r := range m.Recipients {
		fmt.Fprintf(&b, "    %s  %s\n", mail.Escape(r.Recipient), s.of(r))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// standing tells where recipients stand.
type standing struct {
	paint
	known destinations
	now   time.Time
}

// of is where a recipient stands, and why.
func (s standing) of(r console.Recipient) string {
	text := s.wait(mail.Escape(r.State))
	if r.State == "pending" {
		text = s.pending(r)
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

// pending is when a recipient is tried next: it waits for its own time, or its destination for a probe.
func (s standing) pending(r console.Recipient) string {
	d := s.known[r.Domain]
	switch {
	case r.Next != nil && r.Next.After(s.now) && (d.Suspended == nil || d.Suspended.Before(*r.Next)):
		return "next try in " + untilThen(r.Next, s.now)
	case s.known.suspended(r.Domain):
		return "waits for " + mail.Escape(r.Domain) + ", next probe in " + untilThen(d.Suspended, s.now)
	case d.UnderWay > 0 && d.UnderWay == d.Messages-d.Held: // all of them are
		return "under way"
	}
	return "due"
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
		known, err := agent.destinations(ctx)
		if err != nil {
			return err
		}
		return showMessage(sh.stdout, standing{paintFor(sh.stdout, sh.environ), known, time.Now()}, m)
	})
}

func showMessage(w io.Writer, s standing, m console.Message) error {
	var b strings.Builder
	fmt.Fprintln(&b, s.bold(mail.Escape(m.ID)))
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
		fmt.Fprintf(&b, "  to          %s\n              %s\n", mail.Escape(r.Recipient), s.of(r))
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
