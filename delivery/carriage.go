package delivery

import (
	"errors"
	"slices"
	"time"

	"sternpost/mail"
)

// maxTransactionRecipients is how many recipients share a transaction at most: what every server must take (RFC 5321
// s4.5.3.1.8).
const maxTransactionRecipients = 100

// carriage takes one message to recipients over one session, in as many transactions as the host wants.
type carriage struct {
	*session
	message  *message
	envelope mail.Envelope
	rcpts    []mail.Recipient
	results  []*result // one for each recipient; nil: no transaction was begun for it
}

// carry returns one result for each recipient. Nil is one whose turn did not come, because the host takes no further transaction on this session
// (RFC 9422 s4.1), or because we are stopping.
func (s *session) carry(m *message, envelope mail.Envelope, rcpts []mail.Recipient) []*result {
	c := &carriage{session: s, message: m, envelope: envelope, rcpts: rcpts, results: make([]*result, len(rcpts))}
	for rest := c.able(); len(rest) > 0 && !s.spent() && s.ctx.Err() == nil; {
		rest = c.next(rest)
	}
	return c.results
}

// spent says whether the host takes no further transaction on this session.
func (s *session) spent() bool { return s.ext.limits.mail > 0 && s.uses >= s.ext.limits.mail }

// able lists the recipients that the host can take at all: without SMTPUTF8 the others have their result (RFC 6531 s3.4).
func (c *carriage) able() []int {
	var able []int
	for i, r := range c.rcpts {
		if r.Address.NeedsUTF8() && !c.ext.utf8 {
			c.results[i] = &result{event: c.noUTF8("the address")}
		} else {
			able = append(able, i)
		}
	}
	return able
}

func (c *carriage) noUTF8(what string) *event {
	return c.unable(causeNoUTF8, errors.New(what+" needs SMTPUTF8, which the host does not offer"))
}

// unable notes that MAIL is not said, since the host cannot take such a message. The tree says so too: no reply does.
func (c *carriage) unable(why cause, err error) *event {
	return c.noteFailure(mail.StageMail, time.Now(), c.mark(&event{stage: mail.StageMail, cause: why, err: err}))
}

// next runs one transaction with the first of rest and returns those that want another one: what went beyond the limit, and
// what was answered with "too many recipients" although one was accepted before. Content that was refused for now is not sent again over this session: the
// rest goes on to the next host.
func (c *carriage) next(rest []int) []int {
	now := rest[:min(len(rest), c.batch(rest))]
	later := rest[len(now):]
	t := &transaction{carriage: c, results: make([]*result, len(now)), bdatAt: -1}
	for _, i := range now {
		t.rcpts = append(t.rcpts, c.rcpts[i])
	}
	t.run()
	var again []int // "too many" is no answer for them: a transaction that accepts none gives it
	for n, i := range now {
		if t.tooMany(n) {
			again = append(again, i)
		} else {
			c.results[i] = t.results[n]
		}
	}
	rest = append(again, later...)
	e := t.contentDeferred()
	switch {
	case c.broken:
		e = c.endedBeforeTurn()
	case e == nil:
		return rest
	}
	for _, i := range rest {
		c.results[i] = &result{event: e}
	}
	return nil
}

// endedBeforeTurn is the event of recipients for whom nothing was said: what others were answered is not about them.
func (c *carriage) endedBeforeTurn() *event {
	e := &event{stage: mail.StageMail, cause: causeClosed, err: errors.New("the session ended before their turn")}
	if c.ctx.Err() != nil {
		e.cause, e.err = endCause(c.ctx)
	}
	return c.mark(e)
}

// batch is how many of rest go into the next transaction. LIMITS may allow fewer than a hundred, and fewer domains (RFC 9422 s4).
func (c *carriage) batch(rest []int) int {
	most := maxTransactionRecipients
	if n := c.ext.limits.rcpt; n > 0 {
		most = min(most, n)
	}
	if c.ext.limits.rcptDomain == 0 {
		return most
	}
	var domains []mail.Domain
	for n, i := range rest {
		if d := c.rcpts[i].Address.Domain; !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
		if len(domains) > c.ext.limits.rcptDomain {
			return min(n, most)
		}
	}
	return most
}
