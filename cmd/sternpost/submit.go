package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"
)

type submitCommand struct {
	File   string   `arg:"" optional:"" default:"-" help:"The file with the message; without it, or for -, it is read from standard input."`
	From   *string  `short:"f" placeholder:"ADDRESS" help:"The sender: where reports about failures go. '<>' is the null reverse-path. Without it: the address of the From field, else who calls."`
	To     []string `placeholder:"ADDRESS" sep:"none" help:"A recipient. May be repeated. Without it: those of the fields To, Cc and Bcc."`
	Key    string   `name:"idempotency-key" placeholder:"KEY" help:"The same key from the same sender within a day submits the message once, however often it is tried."`
	SendAt string   `placeholder:"TIME" help:"Not before this time: 2027-01-31T08:00:00+01:00, or from now on, as in 90m or 2h."`
}

func (submitCommand) Help() string {
	return `The message is taken over by the agent that runs on this machine, through its submission socket. When this command ends with exit status 0 the message would survive a power cut, and its id is printed. Bcc fields are removed; Date, Message-ID and From are added where they are missing. A name without a domain, such as root, gets that of submission.domain.

When one recipient is refused, the message is submitted to nobody. Exit status: 65 if there is no recipient or an address is wrong, 69 if the agent refuses, 75 if it does not answer, is too busy, or refuses for now.

Examples:

    sternpost submit --to you@example.org message.eml
    sternpost submit --from shop@example.com --idempotency-key order-1701 \
        < message.eml
    sternpost submit --to you@example.org --send-at 2h message.eml`
}

// Run submits one message.
func (s submitCommand) Run(sh *shell) error {
	key := strings.TrimSpace(s.Key)
	if strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return withCode(exitUsage, errors.New("--idempotency-key: write printable ASCII characters without spaces"))
	}
	at, err := sendTime(s.SendAt, time.Now())
	if err != nil {
		return withCode(exitUsage, err)
	}
	w := wanted{sender: s.From, senderFrom: true, recipients: s.To, fromHeader: len(s.To) == 0, key: key}
	return interruptible(sh.ctx, func(p *pointOfNoReturn) error {
		content, err := openText(sh, s.File)
		if err != nil {
			return err
		}
		defer content.Close()
		l, err := w.read(newText(content, false))
		if err != nil {
			return err
		}
		defer l.Close()
		if l.empty {
			return withCode(exitInput, errors.New("the message is empty"))
		}
		l.sendAt = at
		said, err := submitLetter(sh, l, p)
		if err != nil {
			return err
		}
		tellTaken(sh, tellID(sh, said))
		return nil
	})
}

// submitted is the JSON of submit.
type submitted struct {
	ID string `json:"id"`
}

// queuedAs finds the id in the reply to the dot.
var queuedAs = regexp.MustCompile(`queued as ([0-9A-Za-z]+)`)

func tellID(sh *shell, said string) error {
	id := ""
	if found := queuedAs.FindStringSubmatch(said); found != nil {
		id = found[1]
	}
	if sh.json {
		return printJSON(sh.stdout, submitted{id})
	}
	if id == "" { // not an agent of ours
		id = plain(said)
	}
	_, err := fmt.Fprintln(sh.stdout, id)
	return err
}

// tellTaken says that a message was taken although its id could not be printed: another exit status would have it submitted again.
func tellTaken(sh *shell, err error) {
	if err != nil {
		printError(sh.stderr, fmt.Errorf("the message was submitted, but its id could not be printed: %w", err))
	}
}

// sendTime reads --send-at; the zero time where it is empty.
func sendTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if span, wrong := time.ParseDuration(text); wrong == nil {
		at, err = now.Add(span), nil
	}
	switch {
	case err != nil:
		return at, fmt.Errorf("--send-at: %q is neither a time such as 2027-01-31T08:00:00+01:00 nor a duration such as 90m", text)
	case !at.After(now):
		return at, fmt.Errorf("--send-at: %s is in the past", text)
	}
	return at, nil
}

// openText opens the file with a message, or standard input where its name is "-".
func openText(sh *shell, name string) (io.ReadCloser, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, withCode(exitInput, fmt.Errorf("the message cannot be read: %w", err))
		}
		return file, nil
	}
	if isTerminal(sh.stdin) {
		fmt.Fprintln(sh.stderr, "Type the message: header, an empty line, text. Ctrl-D ends it.")
	}
	return io.NopCloser(sh.stdin), nil
}

// submitLetter hands l to the agent and returns its reply.
func submitLetter(sh *shell, l *letter, p *pointOfNoReturn) (string, error) {
	door, err := findDoor(sh)
	if err != nil {
		return "", err
	}
	conn, err := door.dial(sh.ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return newDialogue(conn, door.domain).submit(l, p)
}
