package smtptest

import (
	"strconv"
	"strings"
)

// mail begins a transaction; the script's rule decides before good manners do.
func (c *conversation) mail(line string) error {
	c.counts["rcpt"] = 0
	r := c.choose("mail", line)
	if r == nil {
		switch {
		case !c.greeted:
			r = polite("503 5.5.1 EHLO first")
		case c.transaction != nil && c.transaction.Mail != "":
			r = polite("503 5.5.1 a transaction is open")
		default:
			r = polite("250 2.1.0 OK")
		}
	}
	reply, code := r.reply()
	t := &Transaction{
		Connection: c.heard.Number, Mail: line, Reply: reply, Accepted: positive(code), TLS: c.tls, User: c.user,
	}
	c.server.remember(t)
	if t.Accepted {
		c.transaction, c.flightsAt = t, c.heard.Flights
	}
	return c.play(r)
}

func (c *conversation) rcpt(line string) error {
	r := c.choose("rcpt", line)
	if r == nil {
		r = polite("250 2.1.5 OK")
		if c.transaction == nil {
			r = polite("503 5.5.1 MAIL first")
		}
	}
	if t := c.transaction; t != nil {
		reply, code := r.reply()
		judged := Recipient{Line: line, Address: path(line), Accepted: positive(code), Reply: reply}
		c.server.note(func() { t.Recipients = append(t.Recipients, judged) })
		c.tellTransaction(Judged, t, judged)
	}
	return c.play(r)
}

// data reads the content after a reply with 354, whoever was accepted.
func (c *conversation) data(line string) error {
	r := c.choose("data", line)
	if r == nil {
		r = polite("354 end with a dot on a line of its own")
		if !c.hasRecipient() {
			r = polite("554 5.5.1 no valid recipients")
		}
	}
	if !r.says(354) {
		return c.play(r)
	}
	c.ensureTransaction()
	c.content = c.newContent()
	c.content.left, c.content.lineStart = -1, true
	defer c.leaveContent()
	if err := c.play(r); err != nil {
		return err
	}
	if err := c.content.take(-1); err != nil {
		return err
	}
	if _, code := r.reply(); code != 354 {
		c.finish(r) // the reply came early, and there is no other
		return nil
	}
	return c.dot()
}

func (c *conversation) newContent() *content {
	return &content{wire: c.wire, most: c.script.settings.mostContent, drop: c.script.settings.dropContent}
}

// dot replies to the end of the content.
func (c *conversation) dot() error {
	r := c.choose("dot", c.content.beginning())
	if r == nil {
		r = polite("250 2.0.0 queued")
		if !c.hasRecipient() { // RFC 2920 section 3.1: 354 was said, yet nobody is to have it
			r = polite("554 5.5.1 no valid recipients")
		}
	}
	c.finish(r)
	return c.play(r)
}

// finish notes the end of the content and the verdict that is about to be said.
func (c *conversation) finish(r *rule) {
	t := c.transaction
	reply, code := r.reply()
	flights := c.heard.Flights
	c.server.note(func() {
		t.Content, t.Size = c.content.octets, c.content.size
		t.Complete, t.ContentReply, t.ContentAccepted = true, reply, positive(code)
		t.RoundTrips = flights - c.flightsAt + 1 // the reply that is due is one more
	})
	if t.ContentAccepted {
		c.accepted++
	}
	c.tellTransaction(Received, t, Recipient{})
	c.transaction = nil
}

// leaveContent keeps what came of a content that was cut short.
func (c *conversation) leaveContent() {
	if t := c.transaction; t != nil {
		c.server.note(func() { t.Content, t.Size = c.content.octets, c.content.size })
	}
	c.content = nil
}

// bdat reads one chunk (RFC 3030 section 2).
func (c *conversation) bdat(line, argument string) error {
	count, flag, _ := strings.Cut(argument, " ")
	size, err := strconv.ParseInt(count, 10, 64)
	last := strings.EqualFold(flag, "LAST")
	if err != nil || size < 0 || flag != "" && !last {
		_, err := c.answer("bdat", line, "501 5.5.4 BDAT takes a size and LAST")
		return err
	}
	r := c.choose("bdat", line)
	accepted := c.hasRecipient()
	c.ensureTransaction()
	c.openChunk(size)
	if err := c.chunk(r); err != nil {
		c.leaveContent()
		return err
	}
	return c.replyToChunk(r, accepted, last)
}

// openChunk makes the content accept size more octets.
func (c *conversation) openChunk(size int64) {
	if len(c.transaction.Chunks) == 0 {
		c.content = c.newContent()
	} else {
		c.content = c.chunked
	}
	c.chunked = c.content
	c.content.left, c.content.ended = size, false
	t := c.transaction
	c.server.note(func() { t.Chunks = append(t.Chunks, size) })
}

// chunk reads the octets of one chunk. A rule that reads for itself acts first.
func (c *conversation) chunk(r *rule) error {
	c.wire.inChunk = true
	defer func() { c.wire.inChunk = false }()
	if r.intrudes() {
		if err := c.play(r); err != nil {
			return err
		}
	}
	return c.content.take(-1)
}

func (c *conversation) replyToChunk(r *rule, accepted, last bool) error {
	defer func() { c.content = nil }()
	switch {
	case r.intrudes():
		if last {
			c.finish(r)
		}
		return nil
	case r == nil && last && accepted:
		return c.dot()
	case r == nil && !accepted:
		r = polite("503 5.5.1 no valid recipients")
	case r == nil:
		r = polite("250 2.0.0 chunk received")
	}
	if last {
		c.finish(r)
	}
	return c.play(r)
}

// intrudes tells whether the rule acts in the middle of a chunk.
func (r *rule) intrudes() bool { return r != nil && (r.has(readOctets) || r.has(stopReading)) }

// ensureTransaction gives content without an accepted MAIL a place.
func (c *conversation) ensureTransaction() {
	if c.transaction != nil {
		return
	}
	t := &Transaction{Connection: c.heard.Number, TLS: c.tls, User: c.user}
	c.server.remember(t)
	c.transaction, c.flightsAt = t, c.heard.Flights
}

func (c *conversation) hasRecipient() bool {
	if c.transaction == nil {
		return false
	}
	return len(c.transaction.To()) > 0
}

func positive(code int) bool { return code/100 == 2 }
