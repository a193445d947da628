package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"sternpost/console"
	"sternpost/queue"
)

type queueCommand struct {
	Summary queueSummaryCommand `cmd:"" default:"1" help:"Sum up what waits, by destination. What queue alone does."`
	List    queueListCommand    `cmd:"" help:"List messages, oldest first."`
	Show    queueShowCommand    `cmd:"" help:"Show one message."`
	Retry   queueRetryCommand   `cmd:"" help:"Try messages now."`
	Hold    queueHoldCommand    `cmd:"" help:"Keep messages until they are released."`
	Release queueReleaseCommand `cmd:"" help:"End a hold; the messages are tried now."`
	Fail    queueFailCommand    `cmd:"" help:"Return messages to their senders, with a report."`
	Remove  queueRemoveCommand  `cmd:"" help:"Take messages out. Nobody is told."`
	Flush   queueFlushCommand   `cmd:"" help:"Try everything that waits for a domain now."`
	Verify  queueVerifyCommand  `cmd:"" help:"Check the store while no agent runs, and name what is wrong."`
}

// choice are the flags that choose messages. All that are set must fit.
type choice struct {
	IDs       []string `arg:"" optional:"" name:"id" help:"Messages, by their ids."`
	Sender    string   `placeholder:"ADDRESS" help:"Of this sender: reverse-path or account; <> is the null reverse-path, that of reports."`
	Recipient string   `placeholder:"ADDRESS" help:"With this recipient."`
	Domain    string   `placeholder:"DOMAIN" help:"With a recipient in this domain."`
	OlderThan string   `placeholder:"AGE" help:"Accepted at least this long ago, as in 90s, 2h or 3d."`
	Held      bool     `help:"With a recipient that is held."`
}

// selections are what the agent is asked for: one for each id, or one for all.
func (c choice) selections() []console.Selection {
	s := console.Selection{Sender: c.Sender, Recipient: c.Recipient, Domain: c.Domain, OlderThan: c.OlderThan, Held: c.Held}
	if len(c.IDs) == 0 {
		return []console.Selection{s}
	}
	var list []console.Selection
	for _, id := range c.IDs {
		s.ID = id
		list = append(list, s)
	}
	return list
}

// check finds flags that no agent is needed to refuse.
func (c choice) check() error {
	for _, id := range c.IDs {
		if _, err := queue.ParseID(id); err != nil {
			return withCode(exitUsage, fmt.Errorf("%q %w, which is 13 letters and digits; other choices are flags such as --recipient", id, err))
		}
	}
	if c.OlderThan != "" {
		if _, err := console.ParseAge(c.OlderThan); err != nil {
			return withCode(exitUsage, err)
		}
	}
	return nil
}

// chosen is the choice of a change: it must be narrow, or say that it is not.
type chosen struct {
	choice
	All bool `help:"All messages in the queue."`
}

func (c chosen) selections() ([]console.Selection, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	list := c.choice.selections()
	narrow := list[0] != console.Selection{}
	switch {
	case narrow && c.All:
		return nil, withCode(exitUsage, errors.New("--all goes with no other choice"))
	case !narrow && !c.All:
		return nil, withCode(exitUsage, errors.New("choose messages: by id, --sender, --recipient, --domain, --older-than, --held, or --all"))
	}
	list[0].All = c.All
	return list, nil
}

type queueRetryCommand struct{ chosen }

func (queueRetryCommand) Help() string {
	return `Messages that are under way or held are left as they are. A destination that is dead stays so until its probe: queue flush DOMAIN tries it at once.

Example:

    sternpost queue retry --domain example.org`
}

func (q queueRetryCommand) Run(sh *shell) error {
	if err := q.change(sh, string(queue.Retry), "due now"); err != nil || sh.json {
		return err
	}
	return q.tellSuspended(sh)
}

type queueHoldCommand struct{ chosen }

func (queueHoldCommand) Help() string {
	return `A held message is not tried until it is released, and does not expire.

Example:

    sternpost queue hold --sender newsletter@example.test`
}

func (q queueHoldCommand) Run(sh *shell) error { return q.change(sh, string(queue.Hold), "held") }

type queueReleaseCommand struct{ chosen }

func (queueReleaseCommand) Help() string {
	return `Example:

    sternpost queue release --all`
}

func (q queueReleaseCommand) Run(sh *shell) error {
	return q.change(sh, string(queue.Release), "released")
}

// destructive is the choice of a change that cannot be undone.
type destructive struct {
	chosen
	Yes bool `short:"y" help:"Do not ask."`
}

type queueFailCommand struct{ destructive }

func (queueFailCommand) Help() string {
	return `The senders get a report of failure, as if the lifetime of the messages had ended. It asks first.

Example:

    sternpost queue fail --recipient you@example.org --yes`
}

func (q queueFailCommand) Run(sh *shell) error {
	return q.confirmed(sh, console.Fail, "returned to the sender")
}

type queueRemoveCommand struct{ destructive }

func (queueRemoveCommand) Help() string {
	return `Nobody gets a report: where the sender should know, use fail. It asks first.

Example:

    sternpost queue remove --sender broken-script@example.test --older-than 1h`
}

func (q queueRemoveCommand) Run(sh *shell) error {
	return q.confirmed(sh, string(queue.Remove), "removed")
}

type queueFlushCommand struct {
	Domain string `arg:"" optional:"" help:"The recipient domain."`
	All    bool   `help:"All domains."`
}

func (queueFlushCommand) Help() string {
	return `Everything that waits for the domain is due now, and what kept its mail back (a dead or suspended destination) is forgotten. Held messages stay held.

Example:

    sternpost queue flush example.org`
}

func (q queueFlushCommand) Run(sh *shell) error {
	if (q.Domain == "") != q.All {
		return withCode(exitUsage, errors.New("name one domain, or --all"))
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		changed, err := changeAll(ctx, sh, agent, console.Flush, []console.Selection{{Domain: q.Domain, All: q.All}})
		if err != nil {
			return err
		}
		return printChanged(sh, changed, "due now")
	})
}

// withAgent asks the agent that the configuration names. An interrupt withdraws the question.
func withAgent(sh *shell, ask func(ctx context.Context, agent *client) error) error {
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(sh.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	agent := newClient(c)
	defer agent.Close()
	return ask(ctx, agent)
}

// count is "1 message", "2 messages".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
