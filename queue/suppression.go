package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
)

// Suppression is an address to which nothing is sent: its mailbox was refused for good, or a person said so.
type Suppression struct {
	Address mail.Address // as Folded gives it
	// Failures is how often it was refused, and Needed how often that must be; 0 and 0: a person said so.
	Failures, Needed int
	Since, Last      time.Time // of the first and of the last failure
	Until            time.Time // it is forgotten then; zero: it is not
	Code             int       // of the last failure; 0: a person said so
	Status           mail.Status
	Reason           string // the reply, verbatim lines joined by " / ", or what the person said
	Message          ID     // that failed last; 0: none
	Sender           string // its reverse-path
}

// Holds says whether nothing is sent to the address now.
func (s Suppression) Holds(now time.Time) bool { return s.Failures >= s.Needed && s.Known(now) }

// Known says whether s is not forgotten yet.
func (s Suppression) Known(now time.Time) bool { return s.Until.IsZero() || now.Before(s.Until) }

// After is s after what was known of the address before: failures add up while they are remembered, and what a person said stays.
func (s Suppression) After(before Suppression, now time.Time) Suppression {
	switch {
	case !before.Known(now):
	case before.Needed == 0:
		return before
	default:
		s.Failures += before.Failures
		s.Since = before.Since
	}
	return s
}

// Entry is what the journal says when the address is on the list from now on.
func (s Suppression) Entry() journal.Entry {
	e := journal.Entry{
		Kind: journal.Suppressed, Sender: s.Sender, Recipient: s.Address.String(), Domain: s.Address.Domain, Code: s.Code, Status: s.Status, Reason: s.Reason,
	}
	if s.Message != 0 {
		e.Message = s.Message.String()
	}
	return e
}

// Folded is the address under which a mailbox stands in the suppression list. RFC 5321 s2.4 has local-parts tell the cases of letters apart; hosts that do are not known,
// and lists of other systems are in lower case.
func Folded(a mail.Address) mail.Address {
	a.Local = strings.ToLower(a.Local)
	return a
}

// Exempt says whether an address is never suppressed: postmaster must be reachable (RFC 5321 s4.5.1).
func Exempt(a mail.Address) bool { return strings.EqualFold(a.Local, "postmaster") }

// SuppressionList is the part of the Store that knows to which addresses nothing is sent. Addresses are folded.
type SuppressionList interface {
	// Suppression finds what is known of an address; false: nothing. What Until has passed may be given still.
	Suppression(ctx context.Context, a mail.Address) (Suppression, bool, error)
	// Suppressions yields all behind an address, in the order of their texts; the zero address: from the first one on.
	Suppressions(ctx context.Context, behind mail.Address) iter.Seq2[Suppression, error]
	// Suppress puts each in the place of what was known of its address, in one synced commit with its Entry.
	Suppress(ctx context.Context, list []Suppression) error
	// Unsuppress forgets addresses, in one synced commit, and says how many of them were known.
	Unsuppress(ctx context.Context, list []mail.Address) (int, error)
}

// SuppressionConfig is the section [suppression] of the configuration. The doc tags are its documentation.
type SuppressionConfig struct {
	Enabled  bool          `toml:"enabled" doc:"Refuse mail to addresses that failed for good as bad mailbox, at submission, with 550 5.1.1, the date and the reason. The list is kept by sternpost suppression and /v1/suppressions; postmaster is never on it."`
	Senders  []string      `toml:"senders" doc:"Senders for whom it is on where enabled is false: users by their names, or reverse-paths as \"a@example.org\", \"example.org\" or \".example.org\". Who has authenticated is his name, everybody else his reverse-path."`
	Except   []string      `toml:"except" doc:"Senders for whom it is off, as in senders. Their mail is not refused, and its failures do not count."`
	Failures int           `toml:"failures" doc:"After how many failures of an address, over all messages, it is on the list."`
	Forget   time.Duration `toml:"forget" doc:"How long after its last failure an address is forgotten. What a person has put on the list stays."`
}

// DefaultSuppressionConfig is what an empty section means.
func DefaultSuppressionConfig() SuppressionConfig {
	return SuppressionConfig{Failures: 1, Forget: 90 * 24 * time.Hour}
}

// Check finds values that cannot work. The errors name the keys, all of them at once.
func (c SuppressionConfig) Check() error {
	var errs []error
	if c.Failures < 1 {
		errs = append(errs, fmt.Errorf("suppression.failures: %d is not a positive number", c.Failures))
	}
	if c.Forget <= 0 {
		errs = append(errs, fmt.Errorf("suppression.forget: %s is not a positive duration", c.Forget))
	}
	for key, list := range map[string][]string{"senders": c.Senders, "except": c.Except} {
		if slices.Contains(list, "") {
			errs = append(errs, fmt.Errorf("suppression.%s: an empty text is no sender", key))
		}
	}
	return errors.Join(errs...)
}

// on says whether there is suppression for the mail of a sender, as Submission.Sender names him.
func (c SuppressionConfig) on(sender string) bool {
	return (c.Enabled || namesSender(c.Senders, sender)) && !namesSender(c.Except, sender)
}

// namesSender says whether a list has a sender, by his name or as a pattern of addresses.
func namesSender(list []string, sender string) bool {
	if len(list) == 0 {
		return false
	}
	address, err := mail.ParseAddress(sender)
	isAddress := err == nil
	return slices.ContainsFunc(list, func(text string) bool {
		if text == sender {
			return true
		}
		pattern, err := mail.ParseAddressPattern(text)
		return isAddress && err == nil && pattern.Matches(address)
	})
}

// ReloadSuppression puts other rules for the suppression list in force.
func (q *Queue) ReloadSuppression(c SuppressionConfig) error {
	if err := c.Check(); err != nil {
		return err
	}
	q.suppression.Store(&c)
	return nil
}

// Suppressed says why a sender's mail must not go to an address: what is known of it. False: it may go. sender is the authenticated user, else the reverse-path.
func (q *Queue) Suppressed(ctx context.Context, sender string, to mail.Address) (Suppression, bool, error) {
	c := q.suppression.Load()
	if Exempt(to) || !c.on(sender) {
		return Suppression{}, false, nil
	}
	s, known, err := q.store.Suppression(ctx, Folded(to))
	return s, known && s.Holds(q.now()), err
}

// addSuppressions adds what failures in a settlement mean for the suppression list, so that it is in the same commit.
func (q *Queue) addSuppressions(o Owed, s *Settlement, now time.Time) {
	c := q.suppression.Load()
	if !c.on(o.Sender) {
		return
	}
	for _, i := range o.Indices {
		address, state := o.Envelope.Recipients[i].Address, s.States[i]
		if state.State != Failed || Exempt(address) || !noMailbox(q.rules.Load(), state.Last) {
			continue
		}
		s.Suppress = append(s.Suppress, Suppression{
			Address: Folded(address), Failures: 1, Needed: max(c.Failures, 1), Since: now, Last: now, Until: now.Add(c.Forget), Code: state.Last.Reply.Code,
			Status: state.Last.Status, Reason: strings.Join(state.Last.Reply.Lines, " / "), Message: o.ID,
			Sender: o.Envelope.From.String(),
		})
	}
}

// noMailbox says whether a failure means that there is no such mailbox, or none that is in use: a 5xx of the remote about the recipient that is classified so, with an enhanced
// status that says it too (RFC 3463 s3.2, s3.3): 5.1.1 bad mailbox, 5.1.6 moved away, 5.2.1 disabled. A status of our own making does not count, nor one whose text speaks of
// something else, such as a block list.
func noMailbox(c *bounce.Classifier, o mail.Outcome) bool {
	status, told := o.Reply.Enhanced()
	if !told || !o.Reply.Permanent() || o.Disposition != mail.Failed || o.Stage != mail.StageRcpt && o.Stage != mail.StageDot {
		return false
	}
	if !slices.Contains([]mail.Status{{5, 1, 1}, {5, 1, 6}, {5, 2, 1}}, status) {
		return false
	}
	category := c.Classify(bounce.FromOutcome(o)).Category
	return category == bounce.BadMailbox || category == bounce.Inactive
}
