package main

import (
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"os"
	"strings"
	"time"

	"sternpost/console"
	"sternpost/dsn"
	"sternpost/mail"
)

type bouncesParseCommand struct {
	File string `arg:"" help:"The message; - is standard input."`
}

func (bouncesParseCommand) Help() string {
	return `It reads delivery status notifications (RFC 3464), ours and those of others, and says the same of each recipient as of a failure of our own. Where there is no status for programs in it, the words are read that qmail, Postfix, Exim, sendmail, OpenSMTPD, Exchange and Gmail have for it. No agent is needed.

Example:

    sternpost bounces parse returned.eml --json`
}

// parsedReport is what a report says.
type parsedReport struct {
	From         string          `json:"from"`
	To           string          `json:"to"`
	ReportingMTA string          `json:"reporting_mta"`
	EnvelopeID   string          `json:"envelope_id"`
	MessageID    string          `json:"message_id"` // of what was returned
	Bounces      []console.Event `json:"bounces"`
}

func (b bouncesParseCommand) Run(sh *shell) error {
	file := io.NopCloser(sh.stdin)
	if b.File != "-" {
		opened, err := os.Open(b.File)
		if err != nil {
			return withCode(exitInput, err)
		}
		file = opened
	}
	defer file.Close()
	judge, err := openJudge(sh)
	if err != nil {
		return err
	}
	report, err := dsn.Parse(file)
	if errors.Is(err, dsn.ErrNotReport) {
		return withCode(exitInput, fmt.Errorf("%w: it has no part message/delivery-status that names a recipient, and the words of no agent that is known", err))
	}
	if err != nil {
		return withCode(exitInput, err)
	}
	told := parsed(report, judge)
	if sh.json {
		return printJSON(sh.stdout, told)
	}
	return printParsed(sh, told)
}

// parsed is a report in the words of the bounce log.
func parsed(r dsn.Report, judge *judge) parsedReport {
	told := parsedReport{From: r.From.String(), To: r.To.String(), ReportingMTA: r.ReportingMTA, EnvelopeID: r.EnvelopeID, MessageID: returnedID(r), Bounces: []console.Event{}}
	for _, recipient := range r.Recipients {
		told.Bounces = append(told.Bounces, parsedEvent(r, recipient, told.MessageID, judge))
	}
	return told
}

func parsedEvent(r dsn.Report, to dsn.Recipient, messageID string, judge *judge) console.Event {
	at := to.LastAttempt
	if at.IsZero() {
		at = r.Date
	}
	e := console.Event{
		Time: at.UTC(), Kind: string(to.Action), Sender: r.To.String(), Recipient: to.Final.String(), Domain: string(to.Final.Domain), MessageID: messageID,
		Host: to.RemoteMTA, Status: closer(to).String(), Reply: to.Diagnostic.Lines, InDoubt: to.InDoubt, Reason: to.Reason,
	}
	if to.Action == dsn.Delayed {
		e.Kind = string(mail.Deferred)
	}
	if e.Reply == nil {
		e.Reply = []string{}
	}
	if !to.Diagnostic.IsZero() {
		e.Code = &to.Diagnostic.Code
	}
	if to.Action == dsn.Failed || to.Action == dsn.Delayed {
		e.Verdict = judge.report(to)
	}
	return e
}

// closer is the status of the reply, where the report has one of the same class that says less: Exim writes 5.0.0 for all.
func closer(to dsn.Recipient) mail.Status {
	said, found := to.Diagnostic.Enhanced()
	if found && (to.Status.IsZero() || to.Status == mail.Status{said[0], 0, 0}) {
		return said
	}
	return to.Status
}

// returnedID is the Message-ID of the message that a report returns, without its brackets.
func returnedID(r dsn.Report) string { return strings.Trim(returnedHeader(r).Get("Message-Id"), "<> ") }

// returnedHeader is the header of the message that a report returns; empty where it returns none that can be read.
func returnedHeader(r dsn.Report) netmail.Header {
	if r.Original == nil {
		return nil
	}
	original, err := r.Original()
	if err != nil {
		return nil
	}
	defer original.Close()
	message, err := netmail.ReadMessage(original)
	if err != nil {
		return nil
	}
	return message.Header
}

func printParsed(sh *shell, told parsedReport) error {
	var b strings.Builder
	y := whyStory{story{&b, paintFor(sh.stdout, sh.environ), false}, console.Why{}, time.Now(), 2}
	y.line("reported by", mail.Escape(told.ReportingMTA))
	y.line("returned", mail.Escape(told.MessageID))
	for _, e := range told.Bounces {
		y.title(mail.Escape(orDash(e.Recipient)))
		y.line("state", mail.Escape(e.Kind))
		y.line("host", mail.Escape(e.Host))
		y.line("status", mail.Escape(e.Status))
		y.line("reply", plain(saidText(e)))
		y.verdict(e.Verdict)
	}
	_, err := io.WriteString(sh.stdout, strings.TrimLeft(b.String(), "\n"))
	return err
}
