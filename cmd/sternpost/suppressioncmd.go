package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/mail"
)

type suppressionCommand struct {
	List   suppressionListCommand   `cmd:"" help:"List addresses to which nothing is sent."`
	Add    suppressionAddCommand    `cmd:"" help:"Put addresses on the list."`
	Remove suppressionRemoveCommand `cmd:"" help:"Take addresses off the list."`
	Import suppressionImportCommand `cmd:"" help:"Put the addresses of a file on the list."`
	Export suppressionExportCommand `cmd:"" help:"Print the whole list as CSV, or as JSON with --json."`
}

type suppressionListCommand struct {
	Recipient string `arg:"" optional:"" help:"This address only."`
	Limit     int    `default:"100" help:"How many addresses at most; 0: all."`
}

func (suppressionListCommand) Help() string {
	return `Addresses whose mailbox was refused for good, and those that a person has put on the list. Mail to them is refused at submission where [suppression] in the configuration says so.

Exit status with an address: 0 it is known, 69 it is not.

Examples:

    sternpost suppression list
    sternpost suppression list you@example.org --json`
}

func (s suppressionListCommand) Run(sh *shell) error {
	if s.Limit < 0 {
		return withCode(exitUsage, errors.New("--limit: must not be negative"))
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		list := console.SuppressionList{Suppressions: []console.Suppression{}}
		for one, err := range agent.suppressions(ctx, s.Recipient) {
			if err != nil {
				return err
			}
			if list.More = s.Limit > 0 && len(list.Suppressions) == s.Limit; list.More {
				break
			}
			list.Suppressions = append(list.Suppressions, one)
		}
		if err := printSuppressions(sh, list); err != nil {
			return err
		}
		if s.Recipient != "" && len(list.Suppressions) == 0 {
			return quietly(exitFailed)
		}
		return nil
	})
}

func printSuppressions(sh *shell, list console.SuppressionList) error {
	if sh.json {
		return printJSON(sh.stdout, list)
	}
	p := paintFor(sh.stdout, sh.environ)
	var b strings.Builder
	for _, s := range list.Suppressions {
		fmt.Fprintf(&b, "%s\n    %s\n    %s\n", p.bold(mail.Escape(s.Recipient)), standingOf(p, s), mail.Escape(s.Reason))
	}
	switch {
	case len(list.Suppressions) == 0:
		b.WriteString("No such address is known.\n")
	case list.More:
		b.WriteString("There are more; --limit 0 lists all.\n")
	}
	_, err := io.WriteString(sh.stdout, b.String())
	return err
}

// standingOf says in one line where an address stands.
func standingOf(p paint, s console.Suppression) string {
	text := p.bad("suppressed")
	if !s.Suppressed {
		text = p.wait("not suppressed yet")
	}
	if s.Needed == 0 {
		text += ", put on the list on " + dateOf(s.Last)
	} else {
		text += fmt.Sprintf(", %s of %d, last on %s", count(s.Failures, "failure"), s.Needed, dateOf(s.Last))
	}
	if s.Until != nil {
		text += ", until " + dateOf(s.Until)
	}
	return text
}

// dateOf is the day of t; "-" for none.
func dateOf(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// suppressionPage is how many addresses are asked for at a time.
const suppressionPage = 1000

// suppressions asks for the list page by page, or for one address.
func (c *client) suppressions(ctx context.Context, recipient string) iter.Seq2[console.Suppression, error] {
	return func(yield func(console.Suppression, error) bool) {
		values := url.Values{"limit": {strconv.Itoa(suppressionPage)}}
		if recipient != "" {
			values = url.Values{"recipient": {recipient}}
		}
		for {
			var page console.SuppressionList
			if err := c.get(ctx, "/v1/suppressions?"+values.Encode(), &page); err != nil {
				yield(console.Suppression{}, err)
				return
			}
			for _, s := range page.Suppressions {
				if !yield(s, nil) {
					return
				}
			}
			if !page.More || len(page.Suppressions) == 0 {
				return
			}
			values.Set("behind", page.Suppressions[len(page.Suppressions)-1].Recipient)
		}
	}
}

type suppressionAddCommand struct {
	Recipients []string `arg:"" name:"recipient" help:"The addresses."`
	Reason     string   `placeholder:"TEXT" help:"Why; senders are told."`
	Days       int      `help:"Forget them after so many days; 0: never."`
}

func (suppressionAddCommand) Help() string {
	return `They stay until they are removed, or for --days.

Example:

    sternpost suppression add you@example.org --reason "asked us to stop"`
}

func (s suppressionAddCommand) Run(sh *shell) error {
	if s.Days < 0 {
		return withCode(exitUsage, errors.New("--days: must not be negative"))
	}
	var list []console.NewSuppression
	for _, text := range s.Recipients {
		one := console.NewSuppression{Recipient: text, Reason: s.Reason}
		if s.Days > 0 {
			until := time.Now().AddDate(0, 0, s.Days)
			one.Until = &until
		}
		list = append(list, one)
	}
	return addSuppressions(sh, list)
}

// addSuppressions hands a list to the agent in bodies that it takes, and says how many addresses it took.
func addSuppressions(sh *shell, list []console.NewSuppression) error {
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	if !c.Suppression.Enabled && len(c.Suppression.Senders) == 0 {
		fmt.Fprintln(sh.stderr, "sternpost: suppression.enabled is false: the list is kept, and nobody's mail is refused")
	}
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		total := console.ChangedSuppressions{}
		for bodies := list; len(bodies) > 0; {
			body, n, err := suppressionBody(bodies)
			if err != nil {
				return err
			}
			var changed console.ChangedSuppressions
			if err := agent.ask(ctx, "POST", "/v1/suppressions", body, &changed); err != nil {
				return err
			}
			total.Recipients += changed.Recipients
			bodies = bodies[n:]
		}
		return printSuppressionChange(sh, total, "on the list")
	})
}

// largestBody is how much the agent is sent at a time: it takes 64 KiB.
const largestBody = 48 << 10

// suppressionBody is the beginning of a list as a body, and how many addresses it has.
func suppressionBody(list []console.NewSuppression) ([]byte, int, error) {
	size, n := 0, 0
	for n < len(list) {
		text, err := json.Marshal(list[n])
		if err != nil {
			return nil, 0, err
		}
		if size += len(text) + 1; n > 0 && size > largestBody {
			break
		}
		n++
	}
	body, err := json.Marshal(console.NewSuppressions{Suppressions: list[:n]})
	return body, n, err
}

func printSuppressionChange(sh *shell, changed console.ChangedSuppressions, done string) error {
	if sh.json {
		return printJSON(sh.stdout, changed)
	}
	noun := "addresses"
	if changed.Recipients == 1 {
		noun = "address"
	}
	_, err := fmt.Fprintf(sh.stdout, "%d %s %s\n", changed.Recipients, noun, done)
	return err
}

type suppressionRemoveCommand struct {
	Recipients []string `arg:"" name:"recipient" help:"The addresses."`
}

func (suppressionRemoveCommand) Help() string {
	return `Mail to them is taken again. Exit status: 69 when none of them was known.

Example:

    sternpost suppression remove you@example.org`
}

func (s suppressionRemoveCommand) Run(sh *shell) error {
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		var changed console.ChangedSuppressions
		for some := range slices.Chunk(s.Recipients, removedAtOnce) {
			var now console.ChangedSuppressions
			if err := agent.ask(ctx, "DELETE", "/v1/suppressions?"+url.Values{"recipient": some}.Encode(), nil, &now); err != nil {
				return err
			}
			changed.Recipients += now.Recipients
		}
		if err := printSuppressionChange(sh, changed, "off the list"); err != nil || changed.Recipients > 0 {
			return err
		}
		return quietly(exitFailed)
	})
}

// removedAtOnce is how many addresses fit into one question, however long they are.
const removedAtOnce = 30

// ask sends a question with a body, and reads the object that is the answer.
func (c *client) ask(ctx context.Context, method, path string, body []byte, into any) error {
	response, err := c.send(ctx, method, path, "application/json", body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return c.broken(json.NewDecoder(response.Body).Decode(into))
}
