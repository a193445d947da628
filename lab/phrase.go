package lab

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sternpost/mail"
)

// kind is what a phrase does.
type kind int

const (
	kindUp kind = iota
	kindRefused
	kindTimeout
	kindSilent
	kindReply // a code at a stage, for all or for some recipients
	kindGreylist
	kindLimit
	kindTarpit
	kindDrop
	kindReset
	kindSlow
	kindStartTLS
	kindEndlessBanner
	kindEndlessLine
	kindSize
	kindWithout
)

// Phrase is one way in which a host misbehaves, as the scenario words it.
type Phrase struct {
	Text   string
	Window Window

	kind   kind
	stage  mail.Stage
	reply  reply
	who    who
	wait   time.Duration // greylist for, slow by, limit per (0: a connection)
	count  int           // messages, octets
	choice string        // of starttls and without
}

// reply is what a host says; the zero code is none.
type reply struct {
	code   int
	status string
	text   string
}

// who is the part of the recipients that a reply is for; the zero value is all of them.
type who struct {
	pattern *regexp.Regexp // of the whole address, in any case
	not     bool           // those that do not match
	percent int
}

func (w who) all() bool { return w.pattern == nil && w.percent == 0 }

// ParsePhrase reads one phrase of a behaviour. docs/lab.md lists them all.
func ParsePhrase(text string) (Phrase, error) {
	all, err := words(text)
	if err != nil {
		return Phrase{}, err
	}
	if len(all) == 0 {
		return Phrase{}, fmt.Errorf("a behaviour has no words")
	}
	p := Phrase{Text: strings.Join(strings.Fields(text), " ")}
	if p.Window, all, err = cutWindow(all); err != nil {
		return Phrase{}, fmt.Errorf("%q: %w", p.Text, err)
	}
	r := &reader{left: all}
	if err = p.parse(r); err == nil {
		err = r.end()
	}
	if err != nil {
		return Phrase{}, fmt.Errorf("%q: %w", p.Text, err)
	}
	return p, nil
}

// plainPhrases are those without anything to read behind them.
func plainPhrases() map[string]Phrase {
	return map[string]Phrase{
		"up":             {kind: kindUp},
		"refused":        {kind: kindRefused},
		"down":           {kind: kindRefused},
		"timeout":        {kind: kindTimeout},
		"no greeting":    {kind: kindSilent, stage: mail.StageGreeting},
		"endless banner": {kind: kindEndlessBanner, stage: mail.StageGreeting},
		"endless line":   {kind: kindEndlessLine, stage: mail.StageGreeting},
	}
}

func (p *Phrase) parse(r *reader) error {
	for text, plain := range plainPhrases() {
		if r.take(text) {
			p.kind, p.stage = plain.kind, plain.stage
			return nil
		}
	}
	switch first := r.next(); first {
	case "greylist":
		return p.greylist(r)
	case "tarpit":
		return p.tarpit(r)
	case "drop", "reset":
		return p.drop(first, r)
	case "slow":
		return p.slow(r)
	case "starttls":
		return p.startTLS(r)
	case "size":
		p.kind, p.stage = kindSize, mail.StageHello
		return p.number(r, "octets", 1<<31)
	case "without":
		return p.without(r)
	case "banner", "greeting":
		return p.banner(r)
	case "mailbox":
		return p.mailboxFull(r)
	default:
		return p.answer(first, r)
	}
}

// greylist reads "for 5m" and a text to say in place of the time that is left: a sender may heed that, and wait longer than the test of a short greylisting has.
func (p *Phrase) greylist(r *reader) (err error) {
	p.kind, p.stage = kindGreylist, mail.StageRcpt
	if !r.take("for") {
		return fmt.Errorf("greylist for how long? As in: greylist for 5m")
	}
	if p.wait, err = ParseDuration(r.next()); err == nil && p.wait == 0 {
		err = fmt.Errorf("greylisting lasts longer than nothing")
	}
	p.reply.text, _ = r.quoted()
	return err
}

// tarpit reads "20 octets per second".
func (p *Phrase) tarpit(r *reader) error {
	p.kind, p.stage = kindTarpit, mail.StageGreeting
	if err := p.number(r, "", 1_000_000); err != nil {
		return err
	}
	if !r.take("octets per second") && !r.take("octet per second") {
		return fmt.Errorf("how fast? As in: tarpit 20 octets per second")
	}
	return nil
}

// number reads how many, and the unit if one is named.
func (p *Phrase) number(r *reader, unit string, most int) (err error) {
	text := r.next()
	p.count, err = strconv.Atoi(text)
	if err != nil || p.count < 1 || p.count > most {
		return fmt.Errorf("%q is not a number from 1 to %d", text, most)
	}
	r.take(unit)
	return nil
}

// drop reads "at STAGE" or "after the dot".
func (p *Phrase) drop(verb string, r *reader) (err error) {
	p.kind = map[string]kind{"drop": kindDrop, "reset": kindReset}[verb]
	if r.take("after the dot") || r.take("after dot") {
		p.stage = mail.StageDot
		return nil
	}
	if !r.take("at") {
		return fmt.Errorf("%s where? As in: %s at data, %s after the dot", verb, verb, verb)
	}
	p.stage, err = parseStage(r.next(), mail.StageContent)
	return err
}

// slow reads "STAGE 30s" or "final reply 30s".
func (p *Phrase) slow(r *reader) (err error) {
	p.kind, p.stage = kindSlow, mail.StageDot
	if !r.take("final reply") {
		if p.stage, err = parseStage(r.next()); err != nil {
			return err
		}
	}
	if p.wait, err = ParseDuration(r.next()); err == nil && p.wait == 0 {
		err = fmt.Errorf("slow takes longer than nothing")
	}
	return err
}

// startTLS reads what is wrong with it.
func (p *Phrase) startTLS(r *reader) error {
	p.kind, p.stage = kindStartTLS, mail.StageStartTLS
	for _, choice := range []string{"absent", "refused", "broken", "expired", "wrong name", "self-signed", "required"} {
		if r.take(choice) {
			p.choice = choice
			if choice == "required" {
				p.stage = mail.StageMail // where it is found missing
			}
			return nil
		}
	}
	return fmt.Errorf("starttls is absent, refused, broken, expired, wrong name, self-signed or required, not %q", r.rest())
}

// without reads one EHLO keyword.
func (p *Phrase) without(r *reader) error {
	p.kind, p.stage, p.choice = kindWithout, mail.StageHello, strings.ToUpper(r.next())
	for _, known := range keywords() {
		if p.choice == known {
			return nil
		}
	}
	return fmt.Errorf("%q is not among the extensions that a host offers: %s", p.choice, strings.Join(keywords(), " "))
}

// keywords are the extensions of a host, STARTTLS apart.
func keywords() []string {
	return []string{"PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8"}
}

// parseStage reads the name of a stage that a host can be at.
func parseStage(text string, more ...mail.Stage) (mail.Stage, error) {
	synonyms := map[string]mail.Stage{"banner": mail.StageGreeting, "ehlo": mail.StageHello, "helo": mail.StageHello, "final": mail.StageDot}
	if stage, ok := synonyms[text]; ok {
		return stage, nil
	}
	known := append([]mail.Stage{
		mail.StageGreeting, mail.StageHello, mail.StageStartTLS, mail.StageMail, mail.StageRcpt, mail.StageData, mail.StageDot,
	}, more...)
	var names []string
	for _, stage := range known {
		if string(stage) == text {
			return stage, nil
		}
		names = append(names, string(stage))
	}
	return "", fmt.Errorf("%q is not one of the stages %s", text, strings.Join(names, ", "))
}
