package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"sternpost/console"
	"sternpost/mail"
)

type bouncesCommand struct {
	List    bouncesListCommand    `cmd:"" default:"withargs" help:"List what failed, newest last. What bounces alone does."`
	Summary bouncesSummaryCommand `cmd:"" help:"Count what failed, by category, domain and host, beside the time before."`
	Parse   bouncesParseCommand   `cmd:"" help:"Read a report of failure that came from elsewhere."`
}

// failures are the flags that choose what failed. All that are set must fit.
type failures struct {
	Since     string `placeholder:"TIME" help:"From this time on: a time as in 2026-01-31T12:00:00Z, a day as in 2026-01-31, or an age as in 90s, 2h or 3d. Without it: 24h."`
	Until     string `placeholder:"TIME" help:"Before this time."`
	Domain    string `placeholder:"DOMAIN" help:"Of recipients in this domain."`
	Sender    string `placeholder:"ADDRESS" help:"Of this reverse-path; <> is the null one."`
	Recipient string `placeholder:"ADDRESS" help:"Of this recipient."`
	Host      string `placeholder:"HOST" help:"At this host."`
	Category  string `placeholder:"NAME" help:"Of this category, such as bad-mailbox; docs/reading-bounces.md lists them."`
	Hard      bool   `help:"Only where the address or the domain itself is dead."`
	Code      int    `placeholder:"CODE" help:"With this reply code, such as 550."`
	Status    string `placeholder:"X.Y.Z" help:"With this enhanced status, such as 5.1.1."`
	Deferred  bool   `help:"Attempts that were deferred, instead of what failed for good."`
}

func (f failures) search() console.Search {
	s := console.Search{
		Since: f.Since, Until: f.Until, Kind: "failed", Domain: f.Domain, Sender: f.Sender, Recipient: f.Recipient, Host: f.Host, Category: f.Category, Hard: f.Hard,
		Code: f.Code, Status: f.Status,
	}
	if f.Deferred {
		s.Kind = "deferred"
	}
	return s
}

type bouncesListCommand struct {
	failures
	Message   string `placeholder:"ID" help:"Of this message, whenever it was."`
	MessageID string `name:"message-id" placeholder:"TEXT" help:"With this Message-ID, whenever it was."`
	Kind      string `placeholder:"KIND" help:"What happened instead of what failed: accepted, delivered, deferred, removed, changed, lost or suppressed."`
	CSV       bool   `help:"Print CSV, for spreadsheets."`
	Follow    bool   `short:"f" help:"Go on with what fails from now on, until interrupted."`
	Verbose   bool   `short:"v" help:"In the table, show what the remote said too."`
}

// search is of failures, unless another kind is named.
func (b bouncesListCommand) search() console.Search {
	s := b.failures.search()
	s.Kind, s.Message, s.MessageID = cmp.Or(b.Kind, s.Kind), b.Message, b.MessageID
	if b.Follow {
		s.Since = cmp.Or(s.Since, "24h")
	}
	return s
}

func (bouncesListCommand) Help() string {
	return `Examples:

    sternpost bounces --since 3d --hard
    sternpost bounces --domain example.org --csv > bounces.csv
    sternpost bounces --follow --category reputation
    sternpost bounces --kind delivered --host mx1.example.org --since 1h

With --follow it goes on until it is interrupted, or until nobody reads on (| head); while the agent is stopped it waits, and misses nothing.`
}

func (b bouncesListCommand) Run(sh *shell) error {
	if b.CSV && sh.json {
		return withCode(exitUsage, errors.New("--csv and --json exclude each other"))
	}
	if b.Kind != "" && b.Deferred {
		return withCode(exitUsage, errors.New("--kind and --deferred exclude each other"))
	}
	if b.Follow && b.Until != "" {
		return withCode(exitUsage, errors.New("--follow has no end, so --until goes not with it"))
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		if b.Follow {
			return whileRead(ctx, sh.stdout, func(ctx context.Context) error { return b.print(sh, agent.follow(ctx, b.search())) })
		}
		if err := b.print(sh, agent.bounces(ctx, b.search())); err != nil || b.CSV || sh.json {
			return err
		}
		return b.alarms(ctx, sh, agent)
	})
}

func (b bouncesListCommand) print(sh *shell, events iter.Seq2[console.Event, error]) error {
	switch {
	case b.CSV:
		return bouncesCSV(sh.stdout, events)
	case sh.json && b.Follow:
		return eventLines(sh.stdout, events)
	case sh.json:
		return printList(sh.stdout, "bounces", events, 0)
	}
	return bouncesText(sh, events, b)
}

// alarms prints below the table what will never work, where nothing but a time, a domain or an address was asked for.
func (b bouncesListCommand) alarms(ctx context.Context, sh *shell, agent *client) error {
	s := b.search()
	if s.Category != "" || s.Code != 0 || s.Status != "" || b.Kind != "" || s.Message != "" || s.MessageID != "" {
		return nil
	}
	var told console.IncidentList
	if err := agent.get(ctx, "/v1/incidents?"+s.Values().Encode(), &told); err != nil {
		return err
	}
	if len(told.Alarms) == 0 {
		return nil
	}
	var text strings.Builder
	p := paintFor(sh.stdout, sh.environ)
	fmt.Fprintf(&text, "\n%s\n", p.bold("As things are, more attempts cannot help here:"))
	for _, a := range told.Alarms {
		p.alarm(&text, a)
	}
	_, err := io.WriteString(sh.stdout, text.String())
	return err
}

// eventLines writes an object a line.
func eventLines(w io.Writer, events iter.Seq2[console.Event, error]) error {
	for e, err := range events {
		if err != nil {
			return err
		}
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s\n", mail.EscapeJSON(text)); err != nil {
			return err
		}
	}
	return nil
}
