package lab

import (
	"slices"
	"strings"
	"time"

	"sternpost/mail"
)

// Sight is what a world saw of the recipients: which host took a message or refused it, and which reports came back. It is built from events, also
// from those that another process wrote down.
type Sight struct {
	// Reports reads a message that arrived: what it reports if it is a delivery status notification (RFC 3464). Without it there are none to be seen.
	Reports func(content []byte) []Report

	copies   []Copy
	refusals []Refusal
	reports  []Report
}

// Copy is a content that came to its end at a host, for one recipient.
type Copy struct {
	Message   int // the number of the Received
	Recipient string
	Subject   string
	Host      string
	Since     time.Duration
	Accepted  bool
	Reply     string
}

// Refusal is a recipient that a host did not accept.
type Refusal struct {
	Recipient string
	Host      string
	Since     time.Duration
	Reply     string
}

// Report is what a delivery status notification says of one recipient.
type Report struct {
	Recipient string
	Action    string // failed, delayed, delivered, relayed, expanded
	Status    mail.Status
	Text      string // the words for people and the diagnostic
	Subject   string // of the message that it is about; empty: not known
	Since     time.Duration
}

// mostSeen is how many copies, refusals and reports are remembered each: the latest.
const mostSeen = 100_000

// Add takes an event into account.
func (s *Sight) Add(e Event) {
	switch e.Kind {
	case EventRecipient:
		if !strings.HasPrefix(e.Reply.Last(), "2") {
			s.refusals = remember(s.refusals, Refusal{Recipient: e.Recipient, Host: e.Host, Since: e.Since, Reply: e.Reply.Last()})
		}
	case EventMessage:
		for _, to := range e.Message.Recipients {
			s.copies = remember(s.copies, Copy{
				Message: e.Message.Number, Recipient: to, Subject: e.Message.Subject, Host: e.Host, Since: e.Since,
				Accepted: e.Message.Accepted, Reply: e.Message.Reply.Last(),
			})
		}
		s.read(e)
	}
}

func (s *Sight) read(e Event) {
	if s.Reports == nil {
		return
	}
	for _, r := range s.Reports(e.Message.Content) {
		r.Since = e.Since
		s.reports = remember(s.reports, r)
	}
}

func remember[T any](list []T, one T) []T {
	if len(list) >= mostSeen {
		list = slices.Delete(list, 0, mostSeen/2)
	}
	return append(list, one)
}

// same compares addresses as mail systems do: the domain in any case, and in practice the local part too.
func same(text string, a mail.Address) bool { return strings.EqualFold(text, a.String()) }

// gather takes what is about the expectation's recipient and message.
func (j *judgement) gather(s *Sight) {
	for _, c := range s.copies {
		switch {
		case !same(c.Recipient, j.e.Recipient):
		case j.e.subject == "" || j.e.subject == c.Subject:
			j.copies = append(j.copies, c)
		default:
			j.others++
		}
	}
	for _, r := range s.refusals {
		if same(r.Recipient, j.e.Recipient) {
			j.refusals = append(j.refusals, r)
		}
	}
	for _, r := range s.reports {
		if same(r.Recipient, j.e.Recipient) && (j.e.subject == "" || r.Subject == "" || j.e.subject == r.Subject) {
			j.reports = append(j.reports, r)
		}
	}
}
