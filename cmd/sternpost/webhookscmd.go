package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/mail"
)

type webhooksCommand struct {
	List   webhooksListCommand   `cmd:"" default:"1" help:"Show each endpoint: its state, how far behind it is, and what it refuses. What webhooks alone does."`
	Retry  webhooksRetryCommand  `cmd:"" help:"Tell at once what was not taken, and once what is set aside."`
	Skip   webhooksSkipCommand   `cmd:"" help:"Set aside the event that is held up, and go on with the next."`
	Forget webhooksForgetCommand `cmd:"" help:"Let go of the events that are set aside."`
	Test   webhooksTestCommand   `cmd:"" help:"Send an event of the type test now, and show the answer."`
}

type webhooksListCommand struct{}

func (webhooksListCommand) Help() string {
	return `The endpoints are those of [[webhooks]] in the configuration; docs/webhooks.md explains them. An event that is refused holds up those behind it. When it was refused for about an hour and the endpoint takes others, it is set aside and listed here.

Examples:

    sternpost webhooks
    sternpost webhooks --json | jq '.webhooks[] | select(.state != "good")'`
}

func (webhooksListCommand) Run(sh *shell) error {
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		var list console.WebhookList
		if err := agent.get(ctx, "/v1/webhooks", &list); err != nil {
			return err
		}
		if sh.json {
			return printJSON(sh.stdout, list)
		}
		p := paintFor(sh.stdout, sh.environ)
		var b strings.Builder
		for _, one := range list.Webhooks {
			p.webhook(&b, one, time.Now())
		}
		if len(list.Webhooks) == 0 {
			b.WriteString("The configuration has no [[webhooks]].\n")
		}
		_, err := io.WriteString(sh.stdout, b.String())
		return err
	})
}

// webhook tells of one endpoint.
func (p paint) webhook(b *strings.Builder, w console.Webhook, now time.Time) {
	b.WriteString(p.bold(mail.Escape(w.Name)) + "\n")
	say := func(format string, args ...any) { fmt.Fprintf(b, "    "+format+"\n", args...) }
	if w.URL != w.Name {
		say("%s", mail.Escape(w.URL))
	}
	say("told of %s", strings.Join(w.Events, ", "))
	taken := count(int(w.Told), "event") + " since the start"
	if w.LastTold != nil {
		taken += ", the last at " + w.LastTold.UTC().Format(time.DateTime)
	}
	switch w.State {
	case "good":
		say("%s: %s", p.good("good"), taken)
	case "disabled":
		say("%s: it answered 410 Gone; retry or the next start tells it again", p.bad("disabled"))
	default:
		say("%s: not taken %s in a row", p.bad(mail.Escape(w.State)), count(w.Failures, "time"))
		say("%s", taken)
	}
	if w.State != "good" && w.LastError != "" {
		say("%s", mail.Escape(w.LastError))
	}
	if w.Lag > 0 {
		text := "behind by " + shortDuration(time.Duration(w.Lag)*time.Millisecond)
		if w.NextTry != nil {
			text += ", next try in " + shortDuration(max(w.NextTry.Sub(now), 0))
		}
		say("%s", text)
	}
	for _, a := range w.Aside {
		say("%s %s %s", p.wait("set aside"), mail.Escape(a.Type), mail.Escape(a.Recipient))
		reason := "not tried since the start"
		if a.LastError != "" {
			reason = mail.Escape(a.LastError)
		}
		say("    %s: %s", mail.Escape(a.ID), reason)
	}
	if w.LostFrom != nil && w.LostUntil != nil {
		say("%s: the journal forgot before it was told what happened", p.bad("lost"))
		say("    from %s to %s", w.LostFrom.UTC().Format(time.DateTime), w.LostUntil.UTC().Format(time.DateTime))
	}
}

// askWebhook asks for an action, and prints what was done in one sentence or as JSON.
func askWebhook(sh *shell, action, name string, sentence func(console.WebhookChange) string) (done console.WebhookChange, err error) {
	err = withAgent(sh, func(ctx context.Context, agent *client) error {
		if err := agent.ask(ctx, "POST", "/v1/webhooks/"+action+"?"+url.Values{"name": {name}}.Encode(), nil, &done); err != nil {
			return err
		}
		if sh.json {
			return printJSON(sh.stdout, done)
		}
		_, err := fmt.Fprintln(sh.stdout, mail.Escape(sentence(done)))
		return err
	})
	return done, err
}

type webhooksRetryCommand struct {
	Name string `arg:"" help:"The name of the endpoint, as the list shows it."`
}

func (webhooksRetryCommand) Help() string {
	return `The event that is held up is tried now and not at its time. Those that are set aside are told once more; what is taken leaves the list. An endpoint that has answered 410 Gone is told again. What came of it, the list shows.

Example:

    sternpost webhooks retry shop`
}

func (c webhooksRetryCommand) Run(sh *shell) error {
	_, err := askWebhook(sh, console.WebhookRetry, c.Name, func(console.WebhookChange) string { return c.Name + " is told again now" })
	return err
}

type webhooksSkipCommand struct {
	Name string `arg:"" help:"The name of the endpoint, as the list shows it."`
}

func (webhooksSkipCommand) Help() string {
	return `The event stays in the list until a retry has it taken, or until it is forgotten. Exit status: 69 where none is held up.

Example:

    sternpost webhooks skip shop`
}

func (c webhooksSkipCommand) Run(sh *shell) error {
	_, err := askWebhook(sh, console.WebhookSkip, c.Name, func(done console.WebhookChange) string { return done.Event + " is set aside" })
	return err
}

type webhooksForgetCommand struct {
	Name string `arg:"" help:"The name of the endpoint, as the list shows it."`
}

func (webhooksForgetCommand) Help() string {
	return `The endpoint is never told of them. What happened stays in the journal, for "sternpost why" and "sternpost bounces".

Example:

    sternpost webhooks forget shop`
}

func (c webhooksForgetCommand) Run(sh *shell) error {
	_, err := askWebhook(sh, console.WebhookForget, c.Name, func(done console.WebhookChange) string { return count(done.Events, "event") + " forgotten" })
	return err
}

type webhooksTestCommand struct {
	Name string `arg:"" help:"The name of the endpoint, as the list shows it."`
}

func (webhooksTestCommand) Help() string {
	return `It is signed as all events are, and goes beside those that wait. Exit status: 0 when it was answered with 2xx, else 69.

Example:

    sternpost webhooks test shop`
}

func (c webhooksTestCommand) Run(sh *shell) error {
	done, err := askWebhook(sh, console.WebhookTest, c.Name, func(done console.WebhookChange) string {
		if !done.Taken {
			return fmt.Sprintf("%s was not taken after %d ms: %s", done.Event, done.MS, done.Error)
		}
		return fmt.Sprintf("%s was taken after %d ms", done.Event, done.MS)
	})
	if err == nil && !done.Taken {
		return quietly(exitFailed)
	}
	return err
}
