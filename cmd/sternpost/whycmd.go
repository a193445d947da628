package main

import (
	"context"
	"net/url"
	"time"

	"sternpost/console"
)

type whyCommand struct {
	What    string `arg:"" name:"what" help:"The id of a message, its Message-ID in brackets, an address, or a domain."`
	Verbose bool   `short:"v" help:"Show replies in full, those to EHLO too, and attempts that went as the one before."`
}

func (whyCommand) Help() string {
	return `Of a message: who handed it in, each attempt with all that was asked and answered, where it stands, what comes next and why then, and what to do. It may be gone already: the journal remembers it for 30 days (queue.journal_days). Of an address or a domain: what waits for it, what went wrong of late, and how its hosts are now.

Examples:

    sternpost why 1h2j3k4m5n6p7
    sternpost why you@example.org
    sternpost why example.org`
}

func (y whyCommand) Run(sh *shell) error {
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		var told console.Why
		if err := agent.get(ctx, "/v1/why?"+url.Values{"what": {y.What}}.Encode(), &told); err != nil {
			return err
		}
		if sh.json {
			return printJSON(sh.stdout, told)
		}
		return whyStory{story{sh.stdout, paintFor(sh.stdout, sh.environ), y.Verbose}, told, time.Now(), 2}.print()
	})
}
