package smtptest

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// conversation is the server's side of one connection.
type conversation struct {
	server *Server
	script *Script
	rules  []rule
	heard  *Connection

	base    net.Conn // as accepted, below TLS
	own     tls.Certificate
	wire    *wire
	tls     bool
	greeted bool
	user    string
	counts  map[string]int // occurrences of each verb; that of rcpt begins anew at MAIL
	delay   time.Duration  // before the next reply

	accepted int // contents

	transaction *Transaction // nil: none open
	flightsAt   int          // Flights at its MAIL command
	content     *content     // nil: none is being read
	chunked     *content     // that of the BDAT chunks so far
}

func newConversation(s *Server, conn net.Conn, heard *Connection, script *Script) *conversation {
	c := &conversation{
		server: s, script: script, rules: script.rulesFor(heard.Number), heard: heard,
		base: conn, own: s.certificate, counts: map[string]int{},
	}
	c.wire = &wire{keep: script.settings.keepWire, sleep: c.sleep, drip: script.settings.pace, heard: func(change func(*Connection)) {
		s.note(func() { change(heard) })
	}}
	c.wire.attach(conn)
	return c
}

// run speaks until the connection is over.
func (c *conversation) run() {
	c.tell(Event{Kind: Connected})
	err := c.converse()
	if err == endReset {
		abort(c.wire.conn)
	} else if err == endClosed || err == endQuit {
		c.wire.conn.Close() // with TLS this says close_notify
	}
	c.tellLine(Ended, endOf(err))
	c.server.dismiss(c.base, c.heard, endOf(err))
}

func (c *conversation) converse() error {
	if c.script.settings.implicitTLS {
		if err := c.secure(); err != nil {
			return err
		}
	}
	if _, err := c.answer("banner", "", "220 "+c.script.settings.name+" ESMTP"); err != nil {
		return err
	}
	for {
		line, err := c.wire.line()
		if err != nil {
			return err
		}
		c.server.note(func() { c.heard.Commands = append(c.heard.Commands, line) })
		c.tellLine(Heard, line)
		if err := c.command(line); err != nil {
			return err
		}
	}
}

// command leads to the station of the command's verb.
func (c *conversation) command(line string) error {
	verb, argument, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		return c.hello(strings.ToLower(verb), line)
	case "STARTTLS":
		return c.starttls(line)
	case "AUTH":
		return c.auth(line, argument)
	case "MAIL":
		return c.mail(line)
	case "RCPT":
		return c.rcpt(line)
	case "DATA":
		return c.data(line)
	case "BDAT":
		return c.bdat(line, argument)
	case "RSET":
		c.transaction = nil
		_, err := c.answer("rset", line, "250 2.0.0 reset")
		return err
	case "NOOP":
		_, err := c.answer("noop", line, "250 2.0.0 OK")
		return err
	case "QUIT":
		return c.quit(line)
	}
	_, err := c.answer("other", line, "502 5.5.1 command not known here")
	return err
}

// choose finds the rule of the server's decision or of its script for the
// occasion, nil when there is none, and counts the occasion.
func (c *conversation) choose(verb, subject string) *rule {
	c.counts[verb]++
	c.delay = c.script.settings.delays[verb]
	if r := c.decided(verb, subject); r != nil {
		return r
	}
	o := occasion{verb: verb, subject: subject, nth: c.counts[verb], tls: c.tls}
	for i := range c.rules {
		if c.rules[i].matches(o) {
			return &c.rules[i]
		}
	}
	return nil
}

// answer plays the script's rule, or the fallback lines where there is none,
// and returns the rule it played.
func (c *conversation) answer(verb, subject string, fallback ...string) (*rule, error) {
	r := c.choose(verb, subject)
	if r == nil {
		r = polite(fallback...)
	}
	return r, c.play(r)
}

func (c *conversation) hello(verb, line string) error {
	c.transaction = nil
	lines := []string{c.script.settings.name}
	if verb != "helo" {
		verb = "ehlo"
		lines = append(lines, c.keywords()...)
	}
	for i := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		lines[i] = "250" + separator + lines[i]
	}
	r, err := c.answer(verb, line, lines...)
	_, code := r.reply()
	c.greeted = positive(code)
	return err
}

// keywords returns the extensions offered: those of the script's offer, else
// what a modern server has. STARTTLS is offered in clear only.
func (c *conversation) keywords() []string {
	var offered []string
	if r := c.choose("offer", ""); r != nil {
		for _, s := range r.steps {
			offered = append(offered, s.text.head())
		}
	} else {
		offered = []string{"PIPELINING", "SIZE 52428800", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8"}
		if c.script.settings.offersTLS {
			offered = append(offered, "STARTTLS")
		}
		if len(c.script.settings.credentials) > 0 {
			offered = append(offered, "AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER")
		}
	}
	var fit []string
	for _, keyword := range offered {
		if !c.tls || keyword != "STARTTLS" {
			fit = append(fit, keyword)
		}
	}
	return fit
}

func (c *conversation) starttls(line string) error {
	fallback := "220 2.0.0 go ahead"
	if c.tls {
		fallback = "503 5.5.1 TLS is active"
	}
	r, err := c.answer("starttls", line, fallback)
	if err != nil || !r.says(220) {
		return err
	}
	if err := c.wire.out.Flush(); err != nil {
		return err
	}
	return c.secure()
}

// secure does the server's half of a TLS handshake. What was said before it is
// forgotten (RFC 3207 section 4.2).
func (c *conversation) secure() error {
	conn := tls.Server(c.base, &tls.Config{Certificates: []tls.Certificate{c.own}})
	if err := conn.Handshake(); err != nil {
		c.server.note(func() { c.heard.HandshakeErr = err })
		c.tellLine(Unsecured, err.Error())
		return fmt.Errorf("TLS handshake: %w", err)
	}
	state := conn.ConnectionState()
	c.server.note(func() { c.heard.TLS = &state })
	c.tellLine(Secured, tls.VersionName(state.Version))
	c.wire.attach(conn)
	c.wire.spoke = false
	c.tls, c.greeted, c.transaction, c.user = true, false, nil, ""
	return nil
}

func (c *conversation) quit(line string) error {
	c.server.note(func() { c.heard.Quit = true })
	if _, err := c.answer("quit", line, "221 2.0.0 bye"); err != nil {
		return err
	}
	if err := c.wire.out.Flush(); err != nil {
		return err
	}
	return endQuit
}
