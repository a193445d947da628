package lab

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"sternpost/mail"
)

// banner reads CODE [STATUS] ["TEXT"].
func (p *Phrase) banner(r *reader) error {
	p.kind, p.stage = kindReply, mail.StageGreeting
	return p.reply.parse(r.next(), r)
}

// mailboxFull reads "full", "full for good", each with "for WHO".
func (p *Phrase) mailboxFull(r *reader) error {
	if !r.take("full") {
		return fmt.Errorf("a mailbox is full, or nothing")
	}
	p.kind, p.stage, p.reply = kindReply, mail.StageRcpt, reply{452, "4.2.2", "mailbox full"}
	if r.take("for good") {
		p.reply.code, p.reply.status = 552, "5.2.2"
	}
	if r.take("for") {
		return p.who.parse(r)
	}
	return nil
}

// answer reads CODE [STATUS] ["TEXT"] and then "for WHO", "at STAGE" or "after N messages [per minute]".
func (p *Phrase) answer(first string, r *reader) (err error) {
	p.kind = kindReply
	if err := p.reply.parse(first, r); err != nil {
		return err
	}
	switch r.next() {
	case "for":
		p.stage = mail.StageRcpt
		return p.who.parse(r)
	case "at":
		p.stage, err = parseStage(r.next())
		return err
	case "after":
		return p.limit(r)
	}
	return fmt.Errorf("%d when? As in: %d for bad@.*, %d at mail, %d after 10 messages", p.reply.code, p.reply.code, p.reply.code, p.reply.code)
}

// limit reads "3 messages" or "3 messages per minute".
func (p *Phrase) limit(r *reader) error {
	p.kind, p.stage = kindLimit, mail.StageMail
	if err := p.number(r, "", 1_000_000); err != nil {
		return err
	}
	if !r.take("messages") && !r.take("message") {
		return fmt.Errorf("after how many messages? As in: 421 after 3 messages, 421 after 10 messages per minute")
	}
	if !r.take("per") {
		r.take("a connection")
		return nil
	}
	units := map[string]time.Duration{"connection": 0, "second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
	unit := r.next()
	per, known := units[unit]
	if !known {
		return fmt.Errorf("messages are counted per connection, second, minute, hour or day, not per %q", unit)
	}
	p.wait = per
	return nil
}

// parse reads CODE [STATUS] ["TEXT"], whose code is given.
func (y *reply) parse(code string, r *reader) error {
	n, err := strconv.Atoi(code)
	if err != nil {
		return fmt.Errorf("%q begins no behaviour; `sternpost lab behaviours` lists them", code)
	}
	if len(code) != 3 || n < 400 || n > 599 {
		return fmt.Errorf("a host that refuses says a code from 400 to 599, not %s", code)
	}
	y.code = n
	if status, err := mail.ParseStatus(r.peek()); err == nil {
		if status[0] != n/100 {
			return fmt.Errorf("the status %s is of another class than the code %d", status, n)
		}
		y.status = r.next()
	}
	y.text, _ = r.quoted()
	return nil
}

// parse reads "all", "all but PATTERN", "N percent" or PATTERN.
func (w *who) parse(r *reader) (err error) {
	if r.take("all") {
		if !r.take("but") {
			return nil
		}
		w.not = true
	}
	text := r.next()
	if n, err := strconv.Atoi(text); err == nil && !w.not && r.take("percent") {
		if n < 1 || n > 100 {
			return fmt.Errorf("%d percent of the recipients cannot be", n)
		}
		w.percent = n
		return nil
	}
	if text == "" {
		return fmt.Errorf("for whom? As in: for bad@.*, for 20 percent, for all but you@.*")
	}
	w.pattern, err = regexp.Compile("(?i)^(?:" + text + ")$")
	if err != nil {
		return fmt.Errorf("%q is not a regular expression: %w", text, err)
	}
	return nil
}

// usual fills in what a phrase did not say.
func (y reply) usual(stage mail.Stage) reply {
	status, text := usualWords(y.code, stage)
	if y.status == "" {
		y.status = status
	}
	if y.text == "" {
		y.text = text
	}
	return y
}

// usualWords are what servers say with a code, by RFC 5321 s4.2.3 and RFC 3463.
func usualWords(code int, stage mail.Stage) (status, text string) {
	switch {
	case code == 421:
		return "4.3.2", "too busy, closing the connection"
	case stage == mail.StageGreeting && code < 500:
		return "4.3.2", "not now"
	case stage == mail.StageGreeting:
		return "5.7.1", "no mail from you here"
	case stage == mail.StageRcpt && code < 500:
		return "4.2.0", "mailbox busy, come back later"
	case stage == mail.StageRcpt && code == 552:
		return "5.2.2", "mailbox full"
	case stage == mail.StageRcpt && code == 554:
		return "5.7.1", "refused by policy"
	case stage == mail.StageRcpt:
		return "5.1.1", "no such user here"
	case code == 452:
		return "4.3.1", "no space left"
	case code < 500:
		return "4.3.0", "try again later"
	case code == 500 || code == 501 || code == 502:
		return "5.5.1", "command not known here"
	}
	return "5.7.1", "refused by policy"
}
