package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"sternpost/delivery"
	"sternpost/mail"
)

type deliverCommand struct {
	From    *string  `short:"f" required:"" placeholder:"FROM" help:"The sender: where reports about failures go. '<>' is the null reverse-path."`
	To      []string `arg:"" name:"to" help:"Recipients, and last the file with the message; without a file, or for -, it is read from standard input. A file whose name has an @ is written ./name@x."`
	Pretend []string `placeholder:"MASK" sep:"none" help:"Make a host look broken, to see what would happen: HOST=down, HOST=timeout, HOST=CODE or HOST=CODE@STAGE, ipv4=down, ipv6=down. May be repeated."`
	Notify  string   `placeholder:"WHEN" help:"Ask the remote for reports: never, or any of success,failure,delay (RFC 3461)."`
	Ret     string   `enum:",full,hdrs" default:"" placeholder:"WHAT" help:"What a report should return of the message: full or hdrs (RFC 3461)."`
	Envid   string   `placeholder:"ID" help:"An envelope id that reports should quote (RFC 3461)."`
	Verbose bool     `short:"v" help:"Show every line of the replies to EHLO."`
}

func (deliverCommand) Help() string {
	return `There is one attempt for each recipient domain and no queue: what cannot be delivered now is told, not tried again. The message is sent as it is; a missing Date or Message-ID field is not added.

The story of each attempt comes first, then one line for each recipient. Exit status: 69 if a recipient failed for good, else 75 if one should be tried again later, else 0.

Examples:

    sternpost deliver -f me@example.test you@example.org < message.eml
    sternpost deliver -f me@example.test you@example.org message.eml \
        --pretend mx1.example.org=down`
}

// atOnce is how many attempts run at the same time: enough that one slow domain does not hold up the others, few enough that
// a long list is no flood.
const atOnce = 8

// Run delivers one message: the recipients of one domain are one transaction.
func (d deliverCommand) Run(sh *shell) error {
	if err := errors.Join(d.checkMasks(), d.checkWishes()); err != nil {
		return withCode(exitUsage, err)
	}
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	envelope, file, err := d.envelope()
	if err != nil {
		return withCode(exitInput, err)
	}
	message, err := loadMessage(sh, file)
	if err != nil {
		return withCode(exitInput, err)
	}
	defer message.Close()
	told, err := d.deliver(sh, c, envelope, message)
	if err != nil {
		return err
	}
	if sh.json {
		if err := printJSON(sh.stdout, told); err != nil {
			return err
		}
	}
	return quietly(deliverCode(told.Recipients))
}

// delivered is the JSON of deliver.
type delivered struct {
	Recipients []mail.Outcome `json:"recipients"`
	Attempts   []mail.Attempt `json:"attempts"`
}

// deliver makes the attempts and, but for JSON, tells their story.
func (d deliverCommand) deliver(sh *shell, c *configuration, e mail.Envelope, content mail.Content) (delivered, error) {
	masks, err := parseMasks(d.Pretend)
	if err != nil {
		return delivered{}, withCode(exitUsage, err)
	}
	rooms, err := openRooms(realWorld(), c, delivery.Deps{Log: newLog(sh.stderr, c), Masks: masks})
	if err != nil {
		return delivered{}, withCode(exitConfig, err)
	}
	told := delivered{Attempts: d.attempts(sh, rooms.agent, transactions(e, content))}
	told.Recipients = inOrder(e.Recipients, told.Attempts)
	if !sh.json {
		for _, o := range told.Recipients {
			d.story(sh).outcome(o)
		}
	}
	for _, m := range masks {
		if m.Missed(told.Attempts) {
			fmt.Fprintf(sh.stderr, "sternpost: warning: --pretend %s: there is no such host, so nothing was pretended of it\n", plain(m.String()))
		}
	}
	return told, rooms.Close()
}

func (d deliverCommand) checkMasks() error {
	_, err := parseMasks(d.Pretend)
	return err
}

func parseMasks(texts []string) ([]delivery.Mask, error) {
	var masks []delivery.Mask
	for _, text := range texts {
		m, err := delivery.ParseMask(text)
		if err != nil {
			return nil, err
		}
		masks = append(masks, m)
	}
	return masks, nil
}

// envelope reads the addresses of the command line, and the name of the message's file. A recipient that is named twice gets
// the message once.
func (d deliverCommand) envelope() (mail.Envelope, string, error) {
	from, err := mail.ParseReversePath(*d.From)
	if err != nil {
		return mail.Envelope{}, "", fmt.Errorf("-f: %w", err)
	}
	addresses, file := splitArguments(d.To)
	if len(addresses) == 0 {
		return mail.Envelope{}, "", errors.New("no recipient: name at least one address, as in you@example.org")
	}
	e := mail.Envelope{From: from, EnvelopeID: d.Envid, Return: strings.ToUpper(d.Ret)}
	for _, text := range addresses {
		a, err := mail.ParseAddress(text)
		if err != nil {
			return mail.Envelope{}, "", err
		}
		if !slices.ContainsFunc(e.Recipients, func(r mail.Recipient) bool { return r.Address == a }) {
			e.Recipients = append(e.Recipients, mail.Recipient{Address: a, Notify: d.notify()})
		}
	}
	return e, file, nil
}

// splitArguments tells the recipients from the file, which can only stand last. No address begins with a dot.
func splitArguments(args []string) (addresses []string, file string) {
	last := args[len(args)-1]
	if !strings.Contains(last, "@") || strings.HasPrefix(last, "./") || strings.HasPrefix(last, "../") {
		return args[:len(args)-1], last
	}
	return args, "-"
}

// checkWishes finds mistakes in the flags about reports.
func (d deliverCommand) checkWishes() error {
	for _, wish := range d.notify() {
		known := slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, wish)
		if !known || wish == "NEVER" && len(d.notify()) > 1 {
			return fmt.Errorf("--notify %q: write never, or any of success,failure,delay", d.Notify)
		}
	}
	unprintable := func(c rune) bool { return c < ' ' || c > '~' }
	if len(mail.EncodeXtext(d.Envid)) > 100 || strings.ContainsFunc(d.Envid, unprintable) {
		return errors.New("--envid: write at most 100 printable ASCII characters (RFC 3461 s4.4)")
	}
	return nil
}

// notify is the flag as the protocol has it.
func (d deliverCommand) notify() []string {
	if d.Notify == "" {
		return nil
	}
	return strings.Split(strings.ToUpper(d.Notify), ",")
}

// transactions groups the recipients by domain, in the order in which the domains were named.
func transactions(e mail.Envelope, content mail.Content) []mail.Transaction {
	var list []mail.Transaction
	id := newMessageID()
	for _, r := range e.Recipients {
		i := slices.IndexFunc(list, func(t mail.Transaction) bool { return t.Domain == r.Address.Domain })
		if i < 0 {
			i = len(list)
			part := e
			part.Recipients = nil
			list = append(list, mail.Transaction{
				Message: id, Attempt: 1, Domain: r.Address.Domain, Envelope: part, Content: content,
			})
		}
		list[i].Envelope.Recipients = append(list[i].Envelope.Recipients, r)
	}
	return list
}

// newMessageID names the message in the story.
func newMessageID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// attempts delivers all transactions and tells each attempt as soon as its turn comes. An interrupt ends what is under way; the
// attempts then say so.
func (d deliverCommand) attempts(sh *shell, agent *delivery.Agent, list []mail.Transaction) []mail.Attempt {
	// The signals are ours only from here on: before, while the message is typed, Ctrl-C ends the program.
	ctx, stop := signal.NotifyContext(sh.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program
	attempts := make([]mail.Attempt, len(list))
	ended := make([]chan struct{}, len(list))
	places := make(chan struct{}, atOnce)
	warning := ""
	var all sync.WaitGroup
	all.Go(func() { warning = agent.NameWarning(ctx) })
	for i := range list {
		ended[i] = make(chan struct{})
		all.Go(func() {
			places <- struct{}{}
			attempts[i] = agent.Deliver(ctx, list[i])
			<-places
			close(ended[i])
		})
	}
	for i := range list {
		d.waiting(sh, list[i].Domain)
		<-ended[i]
		if !sh.json {
			d.story(sh).attempt(attempts[i])
		}
	}
	all.Wait()
	if warning != "" {
		fmt.Fprintf(sh.stderr, "sternpost: warning: %s\n", plain(warning))
	}
	return attempts
}

// waiting tells somebody who watches what is being waited for.
func (d deliverCommand) waiting(sh *shell, domain mail.Domain) {
	if p := paintFor(sh.stderr, sh.environ); bool(p) && !sh.json {
		fmt.Fprintf(sh.stderr, "%s\n", p.faint("trying "+string(domain)+"; Ctrl-C ends it and tells what happened"))
	}
}

func (d deliverCommand) story(sh *shell) story {
	return story{w: sh.stdout, paint: paintFor(sh.stdout, sh.environ), verbose: d.Verbose}
}

// inOrder lists the outcomes in the order in which the recipients were named.
func inOrder(recipients []mail.Recipient, attempts []mail.Attempt) []mail.Outcome {
	found := map[mail.Address]mail.Outcome{}
	for _, a := range attempts {
		for _, o := range a.Outcomes {
			found[o.Recipient] = o
		}
	}
	outcomes := make([]mail.Outcome, 0, len(recipients))
	for _, r := range recipients {
		outcomes = append(outcomes, found[r.Address])
	}
	return outcomes
}

// deliverCode is the exit status for all outcomes together: the worst decides.
func deliverCode(outcomes []mail.Outcome) int {
	code := exitDone
	for _, o := range outcomes {
		switch o.Disposition {
		case mail.Delivered:
		case mail.Failed:
			return exitFailed
		default:
			code = exitAgain
		}
	}
	return code
}
