// Package dsn writes and reads delivery status notifications: the reports that tell a sender what became of a message
// (RFC 3464, in the multipart/report of RFC 3462).
//
// What is promised: a report is whole or there is an error, and nothing was written then. Text from strangers (replies, host names, ENVID and
// ORCPT, the message that is reported about) cannot break its structure: what is not printable is escaped, long text is cut, and the
// boundary is chosen so that no part contains it. All lines end in CRLF and have 998 octets at most.
//
// Nothing here does I/O, but for the reading of Report.Original, or asks for the time or for randomness. All functions may be called concurrently.
package dsn

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"sternpost/mail"
)

// Action is what became of a message for one recipient (RFC 3464 s2.3.3).
type Action string

// The actions.
const (
	Failed    Action = "failed"    // it could not be delivered; it is not tried again
	Delayed   Action = "delayed"   // it was not delivered so far; it is tried again
	Delivered Action = "delivered" // it was delivered
	Relayed   Action = "relayed"   // it was handed on to a host that does not send reports
	Expanded  Action = "expanded"  // it was sent on to several addresses that the recipient stands for
)

// MaxOriginal is the greatest size in octets of a message that is returned in full. Of a longer one only the header is returned, and of that as
// many fields as fit.
const MaxOriginal = 64 << 10

// Report is one delivery status notification. It is sent with the null reverse-path (RFC 3464 s2).
type Report struct {
	From      mail.Address // of the mail system; its domain may be written in any way that mail.ParseDomain reads
	To        mail.Address // the reverse-path of the message; never the null one (RFC 5321 s6.1)
	MessageID string       // of the report, without brackets
	Date      time.Time    // of the report
	// Boundary separates the parts: 1 to 60 letters, digits and any of '()+_,-./:=?. It should be random. A few characters are added where a part
	// happens to contain it.
	Boundary string

	ReportingMTA string    // our host name
	Received     time.Time // when the message was accepted; zero: not told
	EnvelopeID   string    // ENVID, decoded (RFC 3461 s4.4); empty: none was given
	Recipients   []Recipient

	// Text is how it is told to people; nil: in English.
	Text *Text

	// Original opens the message. It is called once, and not more than MaxOriginal+1 octets are read. Nil: nothing is returned.
	Original func() (io.ReadCloser, error)
	// HeadersOnly is RET=HDRS (RFC 3461 s4.3): the body is not returned. It never is when no recipient has failed.
	HeadersOnly bool
}

// Recipient is what became of one recipient.
type Recipient struct {
	Final mail.Address
	// OriginalType and Original are ORCPT, decoded (RFC 3461 s4.2). Left out where one is empty or the type is not a word.
	OriginalType, Original string
	Action                 Action
	// Status is written as 5.0.0, 4.0.0 or 2.0.0, by the action, where it is none.
	Status mail.Status
	// RemoteMTA is the host that gave Diagnostic. Both may be empty.
	RemoteMTA  string
	Diagnostic mail.Reply
	// LastAttempt and RetryUntil are left out when zero; RetryUntil also unless the action is Delayed (RFC 3464 s2.3.9).
	LastAttempt, RetryUntil time.Time
	// Reason is a sentence for people: why.
	Reason string
	// Cause is what it comes to for the sender; empty: what Status says. Host and no mail are always by Reason and Status.
	Cause Cause
	// Expired says that the recipient failed since the message was tried for as long as it may be.
	Expired bool
	// Tried is what became of each host, and NotListed how many more were tried.
	Tried     []Host
	NotListed int
	// InDoubt says that the message may have arrived although it counts as failed or delayed (RFC 1047).
	InDoubt bool
}

// Host is a host that was tried for a recipient, or was not and why.
type Host struct {
	Name, Address string
	Times         int       // that it was tried; 0: it was skipped
	Last          time.Time // when
	Reason        string    // why it did not take the message
}

var (
	errNoAddress   = errors.New("is not an address as mail.ParseAddress makes it")
	errNoRecipient = errors.New("a report has no recipient to report about")
)

var (
	// A boundary with a space at its end, or in need of folding, is asking for trouble; RFC 2046 s5.1.1 allows the rest.
	boundarySyntax  = regexp.MustCompile(`^[0-9A-Za-z'()+_,./:=?-]{1,60}$`)
	messageIDSyntax = regexp.MustCompile(`^[!-;=?-~]{1,250}$`)
)

// check finds what only a mistake of the caller can have made: fields that do not come from strangers.
func (r Report) check() error {
	if _, err := mail.ParseAddress(r.From.String()); err != nil {
		return fmt.Errorf("report from %w", err)
	}
	if err := checkAddress(r.To); err != nil {
		return fmt.Errorf("report to %q: %w", r.To, err)
	}
	switch {
	case !messageIDSyntax.MatchString(r.MessageID):
		return fmt.Errorf("report with the Message-ID %q", r.MessageID)
	case !boundarySyntax.MatchString(r.Boundary):
		return fmt.Errorf("report with the boundary %q", r.Boundary)
	case r.Date.IsZero() || r.ReportingMTA == "":
		return errors.New("report without a date or a reporting host")
	case len(r.Recipients) == 0:
		return errNoRecipient
	}
	for _, recipient := range r.Recipients {
		if err := recipient.check(); err != nil {
			return err
		}
	}
	return nil
}

func (r Recipient) check() error {
	if err := checkAddress(r.Final); err != nil {
		return fmt.Errorf("report about %q: %w", r.Final, err)
	}
	if r.Action.class() == 0 {
		return fmt.Errorf("report with the action %q", r.Action)
	}
	return nil
}

func checkAddress(a mail.Address) error {
	if parsed, err := mail.ParseAddress(a.String()); err != nil || parsed != a {
		return errNoAddress
	}
	return nil
}

// class is the class of the status that a has when nothing better is known (RFC 3463 s3.1); 0 for what is not an action.
func (a Action) class() int {
	switch a {
	case Failed:
		return 5
	case Delayed:
		return 4
	case Delivered, Relayed, Expanded:
		return 2
	}
	return 0
}

// status is what the Status field says, which every recipient must have (RFC 3464 s2.3.4).
func (r Recipient) status() mail.Status {
	if s, err := mail.ParseStatus(r.Status.String()); err == nil {
		return s
	}
	return mail.Status{r.Action.class(), 0, 0}
}

// headline is the action that a reader must know of first.
func (r Report) headline() Action {
	for _, action := range []Action{Failed, Delayed, Relayed, Expanded} {
		if r.any(action) {
			return action
		}
	}
	return Delivered
}

func (r Report) any(action Action) bool {
	for _, recipient := range r.Recipients {
		if recipient.Action == action {
			return true
		}
	}
	return false
}
