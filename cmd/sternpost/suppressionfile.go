package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/mail"
)

type suppressionExportCommand struct{}

func (suppressionExportCommand) Help() string {
	return `The columns of the CSV are the keys of the JSON. What export prints, import reads: whom a person has put on the list and whom failures have, then as a person's.

Example:

    sternpost suppression export > suppressed.csv`
}

// suppressionColumns are those of the CSV.
func suppressionColumns() []string {
	return []string{"recipient", "suppressed", "failures", "needed", "since", "last", "until", "code", "status", "reason", "message", "sender"}
}

func (suppressionExportCommand) Run(sh *shell) error {
	return withAgent(sh, func(ctx context.Context, agent *client) error {
		if sh.json {
			return exportJSON(ctx, sh.stdout, agent)
		}
		w := csv.NewWriter(sh.stdout)
		if err := w.Write(suppressionColumns()); err != nil {
			return err
		}
		for s, err := range agent.suppressions(ctx, "") {
			if err == nil {
				err = w.Write(suppressionRecord(s))
			}
			if err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	})
}

// suppressionRecord is one line of the CSV. A spreadsheet would take a text that begins like a formula for one, so it gets an apostrophe, as spreadsheets themselves do.
func suppressionRecord(s console.Suppression) []string {
	code := ""
	if s.Code != nil {
		code = strconv.Itoa(*s.Code)
	}
	record := []string{
		s.Recipient, strconv.FormatBool(s.Suppressed), strconv.Itoa(s.Failures), strconv.Itoa(s.Needed), instant(s.Since), instant(s.Last), instant(s.Until), code, s.Status,
		mail.Escape(s.Reason), s.Message, s.Sender,
	}
	for i, text := range record {
		if text != "" && strings.ContainsRune("=+-@", rune(text[0])) {
			record[i] = "'" + text
		}
	}
	return record
}

// exportJSON writes one object as it comes: the list may be long.
func exportJSON(ctx context.Context, out io.Writer, agent *client) error {
	w := bufio.NewWriter(out)
	separator := "{\n  \"suppressions\": [\n    "
	for s, err := range agent.suppressions(ctx, "") {
		if err != nil {
			return err
		}
		text, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", separator, mail.EscapeJSON(text)); err != nil {
			return err
		}
		separator = ",\n    "
	}
	end := "\n  ],\n  \"more\": false\n}\n"
	if strings.HasPrefix(separator, "{") {
		end = separator + end
	}
	if _, err := io.WriteString(w, end); err != nil {
		return err
	}
	return w.Flush()
}

type suppressionImportCommand struct {
	File   string `arg:"" help:"The file; - is standard input."`
	Reason string `default:"imported" placeholder:"TEXT" help:"Why, where the file does not say."`
}

func (suppressionImportCommand) Help() string {
	return `The file is what export prints, or another list: CSV with a header line, of which the columns recipient (or address, or email), reason, last and until are read; or one address a line. A file with a mistake is refused as a whole, with the lines. What is past its time, and postmaster, is passed over.

Example:

    sternpost suppression import bounced.csv --reason "from the old system"`
}

func (s suppressionImportCommand) Run(sh *shell) error {
	text, err := s.read(sh)
	if err != nil {
		return withCode(exitInput, err)
	}
	list, err := parseSuppressions(text)
	if err != nil {
		return withCode(exitInput, err)
	}
	now := time.Now()
	list = slices.DeleteFunc(list, func(n console.NewSuppression) bool {
		return n.Until != nil && !n.Until.After(now) || strings.HasPrefix(strings.ToLower(n.Recipient), "postmaster@")
	})
	for i := range list {
		if list[i].Reason == "" {
			list[i].Reason = s.Reason
		}
	}
	return addSuppressions(sh, list)
}

func (s suppressionImportCommand) read(sh *shell) ([]byte, error) {
	if s.File == "-" {
		return io.ReadAll(sh.stdin)
	}
	return os.ReadFile(s.File)
}

// parseSuppressions reads a list in any of its forms.
func parseSuppressions(text []byte) ([]console.NewSuppression, error) {
	text = bytes.TrimPrefix(text, []byte("\uFEFF"))
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseSuppressionJSON(trimmed)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord, r.TrimLeadingSpace = -1, true
	columns := map[string]int{"recipient": 0}
	var list []console.NewSuppression
	var errs []error
	for first := true; ; first = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return list, errors.Join(errs...)
		}
		if err != nil {
			return nil, err
		}
		if first {
			if header, ok := suppressionHeader(record); ok {
				columns = header
				continue
			}
		}
		line, _ := r.FieldPos(0)
		one, err := suppressionOfRecord(record, columns)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", line, err))
		}
		list = append(list, one)
	}
}

// suppressionHeader finds the columns of a header line; false: it is none.
func suppressionHeader(record []string) (map[string]int, bool) {
	columns := map[string]int{}
	for i, name := range record {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "address" || name == "email" {
			name = "recipient"
		}
		if _, twice := columns[name]; !twice {
			columns[name] = i
		}
	}
	_, ok := columns["recipient"]
	return columns, ok
}

func suppressionOfRecord(record []string, columns map[string]int) (console.NewSuppression, error) {
	field := func(name string) string {
		i, known := columns[name]
		if !known || i >= len(record) {
			return ""
		}
		text := strings.TrimSpace(record[i])
		if rest, quoted := strings.CutPrefix(text, "'"); quoted && rest != "" && strings.ContainsRune("=+-@", rune(rest[0])) {
			return rest
		}
		return text
	}
	one := console.NewSuppression{Recipient: field("recipient"), Reason: field("reason")}
	if _, err := mail.ParseAddress(one.Recipient); err != nil {
		return one, fmt.Errorf("%q is not an address: %w", mail.Escape(one.Recipient), err)
	}
	for name, into := range map[string]**time.Time{"last": &one.Last, "until": &one.Until} {
		text := field(name)
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			at, err = time.Parse(time.DateOnly, text)
		}
		if err != nil {
			return one, fmt.Errorf("%s: %q is not a date such as 2026-01-31 or 2026-01-31T12:00:00Z", name, mail.Escape(text))
		}
		*into = &at
	}
	return one, nil
}

// parseSuppressionJSON reads what export --json prints.
func parseSuppressionJSON(text []byte) ([]console.NewSuppression, error) {
	var exported console.SuppressionList
	if err := json.Unmarshal(text, &exported); err != nil {
		return nil, err
	}
	var list []console.NewSuppression
	var errs []error
	for i, s := range exported.Suppressions {
		if _, err := mail.ParseAddress(s.Recipient); err != nil {
			errs = append(errs, fmt.Errorf("number %d: %q is not an address: %w", i+1, mail.Escape(s.Recipient), err))
		}
		list = append(list, console.NewSuppression{Recipient: s.Recipient, Reason: s.Reason, Last: s.Last, Until: s.Until})
	}
	return list, errors.Join(errs...)
}
