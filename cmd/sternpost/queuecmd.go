package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strings"
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
	Sender    string   `placeholder:"ADDRESS" help:"Of this sender: reverse-path or account."`
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

func (q queueRetryCommand) Run(sh *shell) error { return q.change(sh, string(queue.Retry), "due now") }

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

// confirmed makes the change when somebody has said yes.
func (d destructive) confirmed(sh *shell, action, done string) error {
	list, err := d.selections()
	if err != nil {
		return err
	}
	if !d.Yes {
		if err := d.ask(sh, list, action); err != nil {
			return err
		}
	}
	return d.change(sh, action, done)
}

// ask tells how many messages it is about, and waits for a yes.
func (d destructive) ask(sh *shell, list []console.Selection, action string) error {
	if !isTerminal(sh.stdin) {
		return withCode(exitUsage, fmt.Errorf("%s cannot be undone, and nobody is there to ask: say --yes", action))
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		messages, err := countMessages(ctx, sh, agent, list)
		if err != nil {
			return err
		}
		return confirm(sh, fmt.Sprintf("%s %s? It cannot be undone. [y/N] ", action, count(messages, "message")))
	})
}

// countMessages counts what is chosen.
func countMessages(ctx context.Context, sh *shell, agent *client, list []console.Selection) (int, error) {
	bar := startProgress(sh.stderr, "counting", -1)
	defer bar.done()
	messages := 0
	for _, s := range list {
		for _, err := range agent.messages(ctx, s) {
			if err != nil {
				return messages, err
			}
			messages++
			bar.add(1)
		}
	}
	return messages, nil
}

// confirm is an error unless the answer is yes.
func confirm(sh *shell, question string) error {
	fmt.Fprint(sh.stderr, question)
	line, err := bufio.NewReader(sh.stdin).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	if answer != "y" && answer != "yes" {
		return withCode(exitUsage, errors.Join(errors.New("nothing was changed"), err))
	}
	return nil
}

// change asks the agent for an action, and says how many recipients it changed.
func (c chosen) change(sh *shell, action, done string) error {
	list, err := c.selections()
	if err != nil {
		return err
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		total := console.Changed{Action: action}
		bar := startProgress(sh.stderr, action, int64(len(list)))
		for _, s := range list {
			var changed console.Changed
			if changed, err = agent.change(ctx, action, s); err != nil {
				break
			}
			total.Recipients += changed.Recipients
			total.UnderWay += changed.UnderWay
			bar.add(1)
		}
		bar.done()
		if err != nil && total.Recipients+total.UnderWay == 0 {
			return err
		}
		return errors.Join(printChanged(sh, total, done), err) // what was done before an error is told too
	})
}

func printChanged(sh *shell, total console.Changed, done string) error {
	if sh.json {
		return printJSON(sh.stdout, total)
	}
	text := count(total.Recipients, "recipient") + " " + done
	if total.UnderWay > 0 {
		text += fmt.Sprintf("; %s under way left alone", count(total.UnderWay, "recipient"))
	}
	_, err := fmt.Fprintln(sh.stdout, text)
	return err
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
		changed, err := agent.change(ctx, console.Flush, console.Selection{Domain: q.Domain, All: q.All})
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
