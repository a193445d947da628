package smtptest

import (
	"net"
	"time"
)

// Occasion is a moment at which the server is about to say something.
type Occasion struct {
	At         time.Time
	Connection int // its Number
	Remote     net.Addr
	// Verb is that of the script: banner, ehlo, helo, starttls, auth, mail,
	// rcpt, data, bdat, dot, rset, noop, quit or other.
	Verb string
	Line string // the command line; "" for banner and dot
	TLS  bool
	User string // who has authenticated, "" for nobody

	Address  string   // mail and rcpt: what stands between the angle brackets
	From     string   // the sender of the open transaction
	To       []string // its recipients that were accepted so far
	Accepted int      // contents that this connection brought and that were accepted
	Content  []byte   // dot: what arrived and is kept, not to be changed
	Size     int64    // dot: octets that arrived
}

// WithDecision lets a function decide what a script cannot, because it depends
// on who asks, how often and when: greylisting, rates, chance. It is asked
// before the script is. It returns steps as a line of the script has them
// behind the verb, such as "450 4.7.1 come back later" or "421 bye / close", or
// "" to leave it to the script. Text that is no steps ends the connection with
// a 421 that says so.
//
// The function is called by the goroutine of each connection, several at a time.
func WithDecision(decide func(Occasion) string) Option {
	return func(s *Server) { s.decide = decide }
}

// decided returns what the function decides, nil when it leaves it to the
// script or there is none.
func (c *conversation) decided(verb, subject string) *rule {
	if c.server.decide == nil || verb == "offer" {
		return nil
	}
	o := Occasion{
		At: time.Now(), Connection: c.heard.Number, Remote: c.heard.Remote,
		Verb: verb, Line: subject, TLS: c.tls, User: c.user, Accepted: c.accepted,
	}
	switch verb {
	case "mail", "rcpt":
		o.Address = path(subject)
	case "dot":
		o.Line, o.Content, o.Size = "", c.content.octets, c.content.size
	}
	if t := c.transaction; t != nil {
		o.From, o.To = t.From(), t.To()
	}
	text := c.server.decide(o)
	if text == "" {
		return nil
	}
	steps, err := parseSteps(text)
	if err != nil {
		r := polite("421 4.3.5 smtptest: the decision is no steps: " + err.Error())
		r.steps = append(r.steps, step{action: closeNow})
		return r
	}
	return &rule{verb: verb, steps: steps}
}
