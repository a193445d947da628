package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sternpost/console"
	"sternpost/mail"
)

// The widths of the columns of failures: time, recipient, host; the code is the last.
const (
	timeWidth      = 14
	recipientWidth = 30
	hostWidth      = 20
	stampLayout    = "01-02 15:04:05"
)

// bouncesText prints failures as a table, each in two lines, as they come.
func bouncesText(sh *shell, events iter.Seq2[console.Event, error], b bouncesListCommand) error {
	rows := bounceRows{sh.stdout, paintFor(sh.stdout, sh.environ), b.Verbose}
	n := 0
	for e, err := range events {
		if err != nil {
			return err
		}
		if n++; n == 1 {
			rows.heading()
		}
		if err := rows.row(e); err != nil {
			return err
		}
	}
	if n == 0 && !b.Follow {
		_, err := fmt.Fprintln(sh.stdout, "Nothing of that kind failed in this time.")
		return err
	}
	return nil
}

// bounceRows prints failures.
type bounceRows struct {
	w io.Writer
	paint
	verbose bool
}

func (b bounceRows) heading() {
	text := fmt.Sprintf("%-*s  %-*s  %-*s  %s", timeWidth, "TIME (UTC)", recipientWidth, "RECIPIENT", hostWidth, "HOST", "CODE")
	fmt.Fprintln(b.w, b.bold(text))
}

// row is one failure: when, who, where and the code; below it what it means, and with verbose what was said. What is too long for its column stands on a line of its own.
func (b bounceRows) row(e console.Event) error {
	recipient, host := mail.Escape(orDash(e.Recipient)), mail.Escape(orDash(e.Host))
	first := fmt.Sprintf("%s  %-*s  ", e.Time.UTC().Format(stampLayout), recipientWidth, recipient)
	over := max(0, utf8.RuneCountInString(host)-hostWidth)
	if over > 0 || utf8.RuneCountInString(recipient) > recipientWidth {
		first = strings.TrimRight(first, " ") + "\n" + strings.Repeat(" ", max(4, timeWidth+recipientWidth+4-over))
	}
	said := ""
	if b.verbose {
		said = "    " + plain(saidText(e)) + "\n" // verbatim, in one line
	}
	_, err := fmt.Fprintf(b.w, "%s%-*s  %s\n    %s\n%s", first, hostWidth, host, codeText(e), b.meaning(e), said)
	return err
}

// meaning is the category of a failure and its sentence; what was said, where nobody knows what it means.
func (b bounceRows) meaning(e console.Event) string {
	name, visible := b.colour(e)(orDash(e.Category)), len(orDash(e.Category))+len(": ")
	if e.Hard {
		name += ", hard"
		visible += len(", hard")
	}
	sentence := e.Sentence
	if sentence == "" || e.Category == "unknown" {
		sentence = saidText(e)
	}
	return name + ": " + strings.TrimLeft(wrapAfter(strings.Repeat(" ", visible)+plain(sentence), " ", columns-4, "    "), " ")
}

func (b bounceRows) colour(e console.Event) func(string) string {
	switch {
	case e.Hard:
		return b.bad
	case e.Kind == "failed":
		return b.wait
	}
	return b.faint
}

// saidText is the reply, or the reason in its place.
func saidText(e console.Event) string {
	if len(e.Reply) > 0 {
		return strings.Join(escapeAll(e.Reply), " / ")
	}
	return e.Reason
}

func codeText(e console.Event) string {
	if e.Code == nil {
		return strings.TrimRight("-   "+mail.Escape(e.Status), " ")
	}
	return strings.TrimRight(fmt.Sprintf("%d %s", *e.Code, mail.Escape(e.Status)), " ")
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// bouncesCSV prints failures as RFC 4180 has it, with a row of names.
func bouncesCSV(w io.Writer, events iter.Seq2[console.Event, error]) error {
	table := csv.NewWriter(w)
	table.UseCRLF = true
	if err := table.Write(csvNames()); err != nil {
		return err
	}
	for e, err := range events {
		if err != nil {
			return err
		}
		if err := table.Write(csvRow(e)); err != nil {
			return err
		}
		if table.Flush(); table.Error() != nil {
			return table.Error()
		}
	}
	table.Flush()
	return table.Error()
}

func csvNames() []string {
	return []string{
		"time", "kind", "message", "sender", "recipient", "domain", "host", "code", "status", "category", "hard", "permanent", "fault", "stage", "sentence", "reason", "reply",
	}
}

func csvRow(e console.Event) []string {
	code := ""
	if e.Code != nil {
		code = strconv.Itoa(*e.Code)
	}
	row := []string{
		e.Time.UTC().Format(time.RFC3339), e.Kind, e.Message, e.Sender, e.Recipient, e.Domain, e.Host, code, e.Status, e.Category,
		strconv.FormatBool(e.Hard), strconv.FormatBool(e.Permanent), e.Fault, e.Stage, e.Sentence, plain(e.Reason), strings.Join(escapeAll(e.Reply), " / "),
	}
	for i := range row {
		row[i] = unlikeFormula(row[i])
	}
	return row
}

// unlikeFormula makes text safe for a spreadsheet, which would take what begins like a formula for one.
func unlikeFormula(text string) string {
	text = plain(text)
	if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
		return "'" + text
	}
	return text
}
