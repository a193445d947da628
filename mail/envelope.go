package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// Envelope is what SMTP says about a message, apart from its content (RFC 5321 s2.3.1).
type Envelope struct {
	From       ReversePath
	Recipients []Recipient
	// EnvelopeID is ENVID, decoded from xtext (RFC 3461 s4.4). Empty: none was given.
	EnvelopeID string
	// Return is RET: "FULL", "HDRS" or empty (RFC 3461 s4.3).
	Return string
}

// NeedsUTF8 says whether an address of the envelope needs SMTPUTF8 (RFC 6531 s3.2).
func (e Envelope) NeedsUTF8() bool {
	if e.From.NeedsUTF8() {
		return true
	}
	for _, r := range e.Recipients {
		if r.Address.NeedsUTF8() {
			return true
		}
	}
	return false
}

// Recipient is a forward-path with its wishes about reports (RFC 3461 s4.1, s4.2).
type Recipient struct {
	Address Address
	// Notify holds "NEVER" alone, or any of "SUCCESS", "FAILURE" and "DELAY". Empty: the sender did not say.
	Notify []string
	// OriginalType and Original are ORCPT, decoded: "rfc822" and the address that the sender first wrote.
	OriginalType, Original string
}

// Check refuses what must never be written into a command: values of Return and Notify that RFC 3461 does not know, an ORCPT without its type, and
// addresses that were not made by ParseAddress. A line break in one of them would be a command of its own.
func (e Envelope) Check() error {
	if e.Return != "" && e.Return != "FULL" && e.Return != "HDRS" {
		return fmt.Errorf("RET=%q is not FULL or HDRS", e.Return)
	}
	if err := e.From.check(); err != nil {
		return fmt.Errorf("reverse-path: %w", err)
	}
	for _, r := range e.Recipients {
		if err := errors.Join(r.Address.check(), r.checkWishes()); err != nil {
			return fmt.Errorf("recipient %q: %w", r.Address.String(), err)
		}
	}
	return nil
}

// check finds an address that ParseAddress would not have made.
func (a Address) check() error {
	if a.IsZero() {
		return nil
	}
	if parsed, err := ParseAddress(a.String()); err != nil || parsed != a {
		return errors.New("is not an address as ParseAddress makes it")
	}
	return nil
}

func (r Recipient) checkWishes() error {
	for _, n := range r.Notify {
		if !slices.Contains([]string{"NEVER", "SUCCESS", "FAILURE", "DELAY"}, n) {
			return fmt.Errorf("NOTIFY=%q is not NEVER, SUCCESS, FAILURE or DELAY", n)
		}
	}
	odd := func(c rune) bool {
		return c > unicode.MaxASCII || c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	}
	if (r.Original != "" && r.OriginalType == "") || strings.ContainsFunc(r.OriginalType, odd) {
		return fmt.Errorf("ORCPT has the address type %q", r.OriginalType)
	}
	return nil
}

// Content is the message itself, header and body. It may be opened more than once, also concurrently: each host that is tried reads
// it from the start. Lines may end in LF or CRLF; what leaves us always has CRLF.
type Content interface {
	// Open starts a reading. The caller closes it.
	Open() (io.ReadCloser, error)
	// Size is the number of octets that a reading gives.
	Size() int64
}

// InMemory is Content that may be in memory as a whole: who wants all of it is spared a copy.
type InMemory interface {
	Content
	// Octets is all of it, not to be altered; nil: it has to be opened.
	Octets() []byte
}

// Transaction is the work of one delivery attempt: one message to recipients of one destination
// (RFC 5321 s3.3).
type Transaction struct {
	// Message is our id of the message; it names it in the tree and seeds the randomness of the plan.
	Message string
	// Attempt is the number of this attempt; the first is 1.
	Attempt int
	// Domain is the destination: the routed domain of all recipients.
	Domain   Domain
	Envelope Envelope
	Content  Content
	// Stopping ends when nothing new is to begin: an attempt that has not begun to send its content ends then, as trouble of our own. It ends with the context of
	// the attempt at the latest. Nil: only with it.
	Stopping context.Context
	// HoldInDoubt: a recipient that is in doubt goes to no other host in this attempt; a person decides.
	HoldInDoubt bool
}
