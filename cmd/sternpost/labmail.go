package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sternpost/dsn"
	"sternpost/lab"
	"sternpost/mail"
)

// reportsOf reads a delivery status notification for the lab; nil where it is none.
func reportsOf(content []byte) []lab.Report {
	r, err := dsn.Parse(bytes.NewReader(content))
	if err != nil {
		return nil
	}
	subject := lab.DecodeSubject(returnedHeader(r).Get("Subject"))
	words, err := letterText(content)
	if err != nil {
		words = "" // of a stranger's form; what its fields say is enough
	}
	var list []lab.Report
	for _, one := range r.Recipients {
		list = append(list, lab.Report{
			Recipient: one.Final.String(), Action: string(one.Action), Status: one.Status, Subject: subject,
			Text: strings.Join([]string{one.Reason, one.Diagnostic.Text(), words}, "\n"),
		})
	}
	return list
}

type labListCommand struct{ labPlace }

func (labListCommand) Help() string {
	return `Oldest first; those that a host did not accept in the end are in it, with what it answered. The lab keeps 1,000 messages and 64 MiB of them.

Examples:

    sternpost lab list
    sternpost lab list --json | jq -r '.messages[] | .recipients[]'`
}

func (l labListCommand) Run(sh *shell) error {
	w, err := l.read()
	if err != nil {
		return err
	}
	list, err := w.Messages()
	if err != nil {
		return err
	}
	if sh.json {
		return printJSON(sh.stdout, map[string]any{"messages": list})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(sh.stdout, "Nothing was received so far.")
		return err
	}
	p := paintFor(sh.stdout, sh.environ)
	var b strings.Builder
	for _, m := range list {
		fmt.Fprintf(&b, "%4d  %s  %s  %s to %s\n", m.Number, sinceText(m.Since), mail.Escape(m.Host), senderText(m), receiversText(m.Recipients))
		verdict := p.good("taken")
		switch {
		case m.Accepted:
		case m.Reply.Last() == "":
			verdict = p.wait("not answered")
		default:
			verdict = p.bad(mail.Escape(m.Reply.Last()))
		}
		fmt.Fprintf(&b, "                 %s; %s; %s\n", verdict, count(int(m.Size), "octet"), subjectText(mail.Escape(m.Subject)))
	}
	_, err = io.WriteString(sh.stdout, b.String())
	return err
}

func senderText(m lab.Received) string { return "<" + mail.Escape(m.Sender) + ">" }

func subjectText(text string) string {
	if text == "" {
		return "no subject"
	}
	return text
}

type labShowCommand struct {
	labPlace
	Number int  `arg:"" help:"The number of the message, as lab list has it."`
	Raw    bool `help:"Print the message as it arrived, octet by octet."`
}

func (labShowCommand) Help() string {
	return `Characters that a terminal should not get are escaped; --raw is for programs.

Exit status: 65 where there is no such message.

Examples:

    sternpost lab show 1
    sternpost lab show 1 --raw | sternpost bounces parse`
}

// shown is the JSON of lab show.
type shown struct {
	lab.Received
	Content string `json:"content"`
}

func (l labShowCommand) Run(sh *shell) error {
	w, err := l.read()
	if err != nil {
		return err
	}
	m, content, err := receivedMessage(w, l.Number)
	if err != nil {
		return err
	}
	switch {
	case l.Raw && sh.json:
		return withCode(exitUsage, errors.New("--raw and --json exclude each other"))
	case l.Raw:
		_, err := sh.stdout.Write(content)
		return err
	case sh.json:
		return printJSON(sh.stdout, shown{m, string(content)})
	}
	var b strings.Builder
	security := "in clear"
	if m.TLS {
		security = "with TLS"
	}
	fmt.Fprintf(&b, "from    %s\nto      %s\nhost    %s, %s, connection %d from %s, %s\nreply   %s\n\n",
		senderText(m), receiversText(m.Recipients), mail.Escape(m.Host), m.Address, m.Connection, mail.Escape(m.Client), security,
		replyText(m))
	for line := range lines(strings.ReplaceAll(string(content), "\r\n", "\n")) {
		fmt.Fprintf(&b, "%s\n", strings.ReplaceAll(plain(line), "\\t", "\t"))
	}
	_, err = io.WriteString(sh.stdout, b.String())
	return err
}

func replyText(m lab.Received) string {
	if m.Reply.Last() == "" {
		return "none: the connection ended without it"
	}
	return mail.Escape(m.Reply.Last())
}

// receivedMessage finds a message by its number.
func receivedMessage(w *lab.Written, number int) (lab.Received, []byte, error) {
	list, err := w.Messages()
	if err != nil {
		return lab.Received{}, nil, err
	}
	i := slices.IndexFunc(list, func(m lab.Received) bool { return m.Number == number })
	if i < 0 {
		return lab.Received{}, nil, withCode(exitInput, fmt.Errorf("there is no message %d; `sternpost lab list` lists them", number))
	}
	content, err := w.Content(number)
	return list[i], content, err
}

type labSaveCommand struct {
	labPlace
	Numbers []int  `arg:"" optional:"" name:"number" help:"The messages, by their numbers; without it all."`
	To      string `default:"." placeholder:"DIR" help:"The directory for the files, which is made where it is missing."`
}

func (labSaveCommand) Help() string {
	return `Writes each message as it arrived to NNNN.eml. A file that is there already is not overwritten.

Example:

    sternpost lab save --to received`
}

func (l labSaveCommand) Run(sh *shell) error {
	w, err := l.read()
	if err != nil {
		return err
	}
	numbers := l.Numbers
	if len(numbers) == 0 {
		list, err := w.Messages()
		if err != nil {
			return err
		}
		for _, m := range list {
			numbers = append(numbers, m.Number)
		}
	}
	if err := os.MkdirAll(l.To, 0o777); err != nil {
		return withCode(exitInput, err)
	}
	saved := []string{}
	for _, number := range numbers {
		path, err := saveMessage(w, number, l.To)
		if err != nil {
			return err
		}
		saved = append(saved, path)
	}
	if sh.json {
		return printJSON(sh.stdout, map[string]any{"files": saved})
	}
	_, err = fmt.Fprintf(sh.stdout, "%s saved in %s.\n", count(len(saved), "message"), plain(l.To))
	return err
}

func saveMessage(w *lab.Written, number int, directory string) (string, error) {
	content, err := w.Content(number)
	if errors.Is(err, fs.ErrNotExist) {
		return "", withCode(exitInput, fmt.Errorf("there is no message %d; `sternpost lab list` lists them", number))
	}
	if err != nil {
		return "", err
	}
	path := filepath.Join(directory, lab.EMLName(number))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return "", withCode(exitInput, err)
	}
	_, err = file.Write(content)
	return path, errors.Join(err, file.Close())
}
