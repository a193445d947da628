package lab

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sternpost/mail"
)

// Expectation is what is to become of one recipient, in one line:
//
//	you@example.test delivered by mx2.example.test at attempt 1; dsn none
//	you@example.test failed 5.1.2 "host unknown"; dsn failed
//	you@example.test delivered in 2 attempts after 5m within 3h, copies 1
//	you@example.test expired 4.4.1; dsn delayed and failed
//	you@example.test deferred in doubt
//	you@example.test not delivered
//
// The recipient and what becomes of it come first, the rest in any order; commas and semicolons say nothing.
type Expectation struct {
	Text      string
	Recipient mail.Address
	Fate      string // Delivered, Failed, Expired, Deferred or NotDelivered
	Host      string // the host that took it; empty: any
	Status    mail.Status
	Says      string        // what the reason contains, in any case
	Attempts  int           // how many attempts there were; 0: any
	Copies    int           // how often the content came to its end at any host; -1: any
	Within    time.Duration // since the message was sent; 0: any
	After     time.Duration
	InDoubt   bool     // some attempt ended in doubt
	DSN       []string // what is reported to the sender, "none" alone for nothing; nil: any
	Message   int      // the number of the scenario's message, from 1; 0: whatever message

	subject string // tells messages apart in the world; empty: any
}

// What may become of a recipient.
const (
	Delivered    = "delivered"
	Failed       = "failed"
	Expired      = "expired" // failed because its time was over
	Deferred     = "deferred"
	NotDelivered = "not delivered" // no host took it, whatever the sender makes of that
)

// MarshalText returns the line.
func (e Expectation) MarshalText() ([]byte, error) { return []byte(e.Text), nil }

// Lasting says whether something that comes later can make it wrong that holds now: it says that something does not happen.
func (e Expectation) Lasting() bool {
	return e.Fate == NotDelivered || e.Fate == Deferred || e.Copies >= 0 || slices.Contains(e.DSN, "none")
}

// ParseExpectation reads one line.
func ParseExpectation(text string) (Expectation, error) {
	e := Expectation{Text: strings.Join(strings.Fields(text), " "), Copies: -1}
	all, err := words(separated(text))
	if err != nil {
		return e, err
	}
	r := &reader{left: all}
	if e.Recipient, err = mail.ParseAddress(r.next()); err != nil {
		return e, fmt.Errorf("%q: it begins with the address of a recipient: %w", e.Text, err)
	}
	if err := e.fate(r); err != nil {
		return e, fmt.Errorf("%q: %w", e.Text, err)
	}
	for len(r.left) > 0 {
		if err := e.clause(r); err != nil {
			return e, fmt.Errorf("%q: %w", e.Text, err)
		}
	}
	return e, e.consistent()
}

// separated replaces commas and semicolons outside of quotation marks by blanks.
func separated(text string) string {
	parts := strings.Split(text, `"`)
	for i := 0; i < len(parts); i += 2 {
		parts[i] = strings.NewReplacer(",", " ", ";", " ").Replace(parts[i])
	}
	return strings.Join(parts, `"`)
}

func (e *Expectation) fate(r *reader) error {
	for _, fate := range []string{Delivered, Failed, Expired, Deferred, NotDelivered} {
		if r.take(fate) {
			e.Fate = fate
			return nil
		}
	}
	return fmt.Errorf("a recipient is delivered, failed, expired, deferred or not delivered, not %q", r.next())
}

// clause reads one more thing that is expected.
func (e *Expectation) clause(r *reader) (err error) {
	if says, ok := r.quoted(); ok {
		e.Says = says
		return nil
	}
	if r.take("host unknown") {
		e.Says = "host unknown"
		return nil
	}
	if r.take("in doubt") {
		e.InDoubt = true
		return nil
	}
	first := r.next()
	switch first {
	case "by":
		if e.Host = strings.ToLower(r.next()); e.Host == "" {
			err = fmt.Errorf("by which host?")
		}
	case "at":
		if !r.take("attempt") {
			return fmt.Errorf("at attempt N is meant")
		}
		e.Attempts, err = count(r, 1)
	case "in":
		e.Attempts, err = count(r, 1)
		if err == nil && !r.take("attempts") && !r.take("attempt") {
			err = fmt.Errorf("in N attempts is meant")
		}
	case "copies":
		e.Copies, err = count(r, 0)
	case "within":
		e.Within, err = ParseDuration(r.next())
	case "after":
		e.After, err = ParseDuration(r.next())
	case "dsn":
		err = e.dsn(r)
	default:
		e.Status, err = mail.ParseStatus(first)
		if err != nil {
			err = fmt.Errorf("%q is not understood; there are: by HOST, at attempt N, in N attempts, within TIME, after TIME, copies N, in doubt, a status, \"text\", dsn WHAT", first)
		}
	}
	return err
}

func count(r *reader, least int) (int, error) {
	text := r.next()
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > 1_000_000 {
		return 0, fmt.Errorf("%q is not a number from %d on", text, least)
	}
	return n, nil
}

// dsn reads "none" or actions of RFC 3464 s2.3.3.
func (e *Expectation) dsn(r *reader) error {
	actions := []string{"none", "failed", "delayed", "delivered", "relayed", "expanded"}
	for {
		if !slices.Contains(actions, r.peek()) {
			return fmt.Errorf("a dsn is %s, not %q", strings.Join(actions, ", "), r.peek())
		}
		e.DSN = append(e.DSN, r.next())
		if !r.take("and") && !slices.Contains(actions, r.peek()) {
			break
		}
	}
	if len(e.DSN) > 1 && slices.Contains(e.DSN, "none") {
		return fmt.Errorf("dsn none stands alone")
	}
	slices.Sort(e.DSN)
	e.DSN = slices.Compact(e.DSN)
	return nil
}

// consistent refuses what cannot be.
func (e Expectation) consistent() error {

	switch {
	case e.Host != "" && e.Fate == NotDelivered:
		return fmt.Errorf("%q: what is not delivered is not delivered by a host", e.Text)
	case e.Fate == Delivered && !e.Status.IsZero() && e.Status[0] != 2:
		return fmt.Errorf("%q: the status of what is delivered begins with 2", e.Text)
	case e.Within > 0 && e.After > e.Within:
		return fmt.Errorf("%q: it cannot be after %s and within %s", e.Text, showDuration(e.After), showDuration(e.Within))
	case e.Fate == Delivered && e.Copies == 0:
		return fmt.Errorf("%q: what is delivered has a copy", e.Text)
	}
	return nil
}
