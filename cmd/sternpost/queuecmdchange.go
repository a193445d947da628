package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sternpost/console"
	"sternpost/mail"
)

// confirmed makes the change when somebody has said yes.
func (d destructive) confirmed(sh *shell, action, done string) error {
	list, err := d.selections()
	if err != nil {
		return err
	}
	if !d.Yes {
		if some, err := d.ask(sh, list, action); err != nil || !some {
			return err
		}
	}
	return d.change(sh, action, done)
}

// ask tells how much it is about, and waits for a yes; false: there is nothing to ask about.
func (d destructive) ask(sh *shell, list []console.Selection, action string) (some bool, err error) {
	if !isTerminal(sh.stdin) {
		return false, withCode(exitUsage, fmt.Errorf("%s cannot be undone, and nobody is there to ask: say --yes", action))
	}
	err = withAgent(sh, func(ctx context.Context, agent *client) error {
		found, err := countChosen(ctx, sh, agent, list)
		if err != nil {
			return err
		}
		if some = found.messages > 0; !some {
			return tellNothing(sh, action)
		}
		text := count(found.messages, "message")
		if d.Recipient != "" || d.Domain != "" { // of these messages only some recipients are meant
			text = count(found.recipients, "recipient") + " of " + text
		}
		return confirm(sh, fmt.Sprintf("%s %s? It cannot be undone. [y/N] ", action, text))
	})
	return some, err
}

func tellNothing(sh *shell, action string) error {
	if sh.json {
		return printJSON(sh.stdout, console.Changed{Action: action})
	}
	_, err := fmt.Fprintln(sh.stdout, "nothing to "+action)
	return err
}

// chosenCount is how much a change is about.
type chosenCount struct{ messages, recipients int }

// countChosen counts what is chosen. An id that nothing has is an error: it may be mistyped.
func countChosen(ctx context.Context, sh *shell, agent *client, list []console.Selection) (chosenCount, error) {
	bar := startProgress(sh.stderr, "counting", -1)
	defer bar.done()
	var total chosenCount
	for _, s := range list {
		before := total.messages
		for m, err := range agent.messages(ctx, s) {
			if err != nil {
				return total, err
			}
			total.messages++
			for _, r := range m.Recipients {
				if meant(s, r) {
					total.recipients++
				}
			}
			bar.add(1)
		}
		if s.ID == "" || total.messages > before {
			continue
		}
		if err := agent.get(ctx, "/v1/messages/"+s.ID, new(console.Message)); err != nil {
			return total, about(s.ID, err)
		}
	}
	return total, nil
}

// meant says whether a change of s is about a recipient of a message that fits s.
func meant(s console.Selection, r console.Recipient) bool {
	if r.State != "pending" && r.State != "held" {
		return false
	}
	address, domain := s.Recipient, s.Domain
	if a, err := mail.ParseAddress(s.Recipient); err == nil {
		address = a.String()
	}
	if d, err := mail.ParseDomain(s.Domain); err == nil {
		domain = string(d)
	}
	return (address == "" || address == r.Recipient) && (domain == "" || domain == r.Domain)
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

// change asks the agent for an action, and says how many recipients it changed: also before an error, which ends it.
func (c chosen) change(sh *shell, action, done string) error {
	list, err := c.selections()
	if err != nil {
		return err
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		total, err := changeAll(ctx, sh, agent, action, list)
		if err != nil && total.Recipients+total.UnderWay == 0 {
			return err
		}
		if failed := printChanged(sh, total, done); failed != nil {
			return failed
		}
		return err
	})
}

func changeAll(ctx context.Context, sh *shell, agent *client, action string, list []console.Selection) (console.Changed, error) {
	total := console.Changed{Action: action}
	most := int64(len(list))
	if most == 1 {
		most = -1 // the agent does it at one go
	}
	bar := startProgress(sh.stderr, action, most)
	defer bar.done()
	for _, s := range list {
		changed, err := agent.change(ctx, action, s)
		if err != nil {
			return total, about(s.ID, err)
		}
		total.Recipients += changed.Recipients
		total.UnderWay += changed.UnderWay
		bar.add(1)
	}
	return total, nil
}

// about puts the id in front of what went wrong with it.
func about(id string, err error) error {
	exit := new(exitError)
	if id == "" || !errors.As(err, &exit) || exit.err == nil {
		return err
	}
	return withCode(exit.code, fmt.Errorf("%s: %w", id, exit.err))
}

func printChanged(sh *shell, total console.Changed, done string) error {
	if sh.json {
		return printJSON(sh.stdout, total)
	}
	text := count(total.Recipients, "recipient") + " " + done
	if total.UnderWay > 0 {
		text += fmt.Sprintf("; %d under way left alone", total.UnderWay)
	}
	_, err := fmt.Fprintln(sh.stdout, text)
	return err
}

// toldSuspended is how many suspended destinations are named.
const toldSuspended = 10

// tellSuspended names destinations whose mail was made due and waits all the same.
func (c chosen) tellSuspended(sh *shell) error {
	list, err := c.selections()
	if err != nil {
		return err
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		known, err := agent.destinations(ctx)
		if err != nil {
			return err
		}
		var kept []string
		for domain := range known {
			if known.suspended(domain) {
				kept = append(kept, domain)
			}
		}
		slices.Sort(kept)
		kept, err = concerned(ctx, agent, list, kept)
		for i, domain := range kept {
			if i == toldSuspended {
				fmt.Fprintf(sh.stdout, "and %d more; `sternpost queue` lists them\n", len(kept)-i)
				break
			}
			domain = mail.Escape(domain)
			fmt.Fprintf(sh.stdout, "%s is suspended: its mail waits for the next probe; `sternpost queue flush %s` tries it now\n", domain, domain)
		}
		return err
	})
}

// concerned are those of the domains that a choice is about. Where it is not a choice of domains its messages are asked, until all domains are found.
func concerned(ctx context.Context, agent *client, list []console.Selection, domains []string) ([]string, error) {
	if len(domains) == 0 || list[0].All {
		return domains, nil
	}
	var found []string
	for _, s := range list {
		for m, err := range agent.messages(ctx, s) {
			if err != nil {
				return found, err
			}
			for _, r := range m.Recipients {
				if meant(s, r) && slices.Contains(domains, r.Domain) && !slices.Contains(found, r.Domain) {
					found = append(found, r.Domain)
				}
			}
			if len(found) == len(domains) || s.Domain != "" && len(found) > 0 {
				break
			}
		}
	}
	slices.Sort(found)
	return found, nil
}
