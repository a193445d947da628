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

// The columns of failures: time and below it the id of the message, code, recipient, host.
const (
	timeWidth      = 14
	codeWidth      = 10
	recipientWidth = 26
	textColumn     = timeWidth + 2
	stampLayout    = "01-02 15:04:05"
)

// bouncesText prints failures as a table, each in two lines, as they come.
func bouncesText(sh *shell, events iter.Seq2[console.Event, error], b bouncesListCommand) error {
	rows := bounceRows{w: sh.stdout, paint: paintFor(sh.stdout, sh.environ), verbose: b.Verbose}
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
		_, err := fmt.Fprintln(sh.stdout, nothingText(b))
		return err
	}
	return nil
}

// nothingText says that a search found nothing, and what was looked at.
func nothingText(b bouncesListCommand) string {
	text := "Nothing of that kind failed"
	if b.Kind != "" {
		text = "Nothing of that kind happened"
	}
	switch {
	case b.Since != "" || b.Until != "":
		return text + " in this time."
	case b.Message != "" || b.MessageID != "":
		return text + " as far back as the journal goes."
	}
	return text + " in the last day (--since 7d looks further back)."
}

// bounceRows prints failures.
type bounceRows struct {
	w io.Writer
	paint
	verbose bool
	before  string // the sentence of the row before: it is not said twice; empty: each row says its own
}

func (b bounceRows) heading() {
	text := fmt.Sprintf("%-*s  %-*s  %-*s  %s", timeWidth, "TIME (UTC), ID", codeWidth, "CODE", recipientWidth, "RECIPIENT", "HOST")
	fmt.Fprintln(b.w, b.bold(text))
}

// row is one event: when, the code, who and where; below it with which message and what it means, and with verbose what was said.
func (b bounceRows) row(e console.Event) error {
	first := fmt.Sprintf("%s  %-*s  %s", e.Time.UTC().Format(stampLayout), codeWidth, codeText(e), who(e))
	said := ""
	if b.verbose && saidText(e) != "" {
		said = strings.Repeat(" ", textColumn) + plain(saidText(e)) + "\n" // verbatim, in one line
	}
	_, err := fmt.Fprintf(b.w, "%s\n%s%s%s\n%s", strings.ReplaceAll(strings.TrimRight(first, " "), "  \n", "\n"), b.faint(mail.Escape(e.Message)), strings.Repeat(" ", max(1, textColumn-utf8.RuneCountInString(e.Message))), b.meaning(e), said)
	return err
}

// who is the recipient and the host; what does not fit beside the other stands below it.
func who(e console.Event) string {
	const place, width = textColumn + codeWidth + 2, columns - textColumn - codeWidth - 2
	recipient, host := mail.Escape(orDash(e.Recipient)), mail.Escape(orDash(e.Host))
	text := fmt.Sprintf("%-*s  %s", recipientWidth, recipient, host)
	if utf8.RuneCountInString(text) > width {
		text = recipient + "  " + host
	}
	if utf8.RuneCountInString(text) > width {
		text = recipient + "\n" + strings.Repeat(" ", place) + host
	}
	if utf8.RuneCountInString(recipient) > width {
		text = "\n" + strings.Repeat(" ", textColumn) + text
	}
	return text
}

// meaning is the category of a failure and its sentence; what was said, where nobody knows what it means. Of another event it is the kind.
func (b bounceRows) meaning(e console.Event) string {
	indent := strings.Repeat(" ", textColumn)
	if e.Kind != "failed" && e.Kind != "deferred" {
		text := kindText(e)
		if e.Kind != "delivered" {
			return b.kind(e.Kind)(wrapAfter(plain(text), " ", columns-textColumn, indent))
		}
		broken := wrapAfter(text+": "+plain(saidText(e)), " ", columns-textColumn, indent)
		return b.kind(e.Kind)(text) + broken[len(text):]
	}
	name, visible := b.kind(e.Kind)(orDash(e.Category)), len(orDash(e.Category))+len(": ")
	if e.Hard {
		name += ", hard"
		visible += len(", hard")
	}
	if e.Sentence != "" && e.Sentence == b.before {
		return name + ": as above"
	}
	sentence := e.Sentence
	if sentence == "" || e.Category == "unknown" {
		sentence = saidText(e)
	}
	return name + ": " + strings.TrimLeft(wrapAfter(strings.Repeat(" ", visible)+plain(sentence), " ", columns-textColumn, indent), " ")
}

// kind is the colour of what happened: good, bad, or neither yet.
func (p paint) kind(kind string) func(string) string {
	switch kind {
	case "delivered":
		return p.good
	case "failed", "lost", "suppressed":
		return p.bad
	case "accepted":
		return p.faint
	}
	return p.wait
}

// kindText is what happened, in words.
func kindText(e console.Event) string {
	switch e.Kind {
	case "removed":
		return "removed by a person"
	case "suppressed":
		return "suppressed: from then on mail to it is refused"
	case "lost":
		return "lost: the files of the queue were damaged"
	case "changed":
		words := map[string]string{"hold": "held", "release": "released", "retry": "hurried"}
		if word, known := words[e.Reason]; known {
			return word + " by a person"
		}
		return "changed by a person: " + e.Reason
	}
	return e.Kind
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
