package submission

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// maxLetter is how many recipients a letter may have, aliases spelled out.
const maxLetter = 10_000

// IntakeConfig is what the configuration says about mail that comes in, whatever door it comes through.
type IntakeConfig struct {
	Domain            string // submission.domain; empty: our own name
	Users             []User // submission.users
	RecipientsPerHour int    // submission.recipients_per_hour; 0: no limit
	Aliases           Aliases
	Guard             mail.Guard // delivery.only_to, delivery.redirect_all
}

// rules are an IntakeConfig as it is applied. They do not change.
type rules struct {
	domain  mail.Domain
	users   map[string]userRules
	usual   userRules // of users that are not in the list
	aliases aliases
	guard   mail.Guard
}

// rules makes them. The errors name the keys, all of them at once.
func (c IntakeConfig) rules(hostname string) (*rules, error) {
	r := &rules{users: map[string]userRules{}, usual: userRules{perHour: c.RecipientsPerHour}, guard: c.Guard}
	ours, err := mail.ParseDomain(hostname)
	if err != nil {
		return nil, fmt.Errorf("our own name: %w", err)
	}
	if r.domain, err = mail.ParseDomain(cmp.Or(c.Domain, hostname)); err != nil {
		return nil, fmt.Errorf("submission.domain: %w", err)
	}
	errs := []error{checkUsers(c.Users)}
	for _, u := range c.Users {
		r.users[u.Name], _ = u.rules(c.RecipientsPerHour) // checkUsers has told the error
	}
	r.aliases, err = c.Aliases.compile(r.domain, ours)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	r.addPostmaster(ours)
	return r, nil
}

// addPostmaster has mail for the postmaster of this machine go to that of the domain: nobody else takes it in (RFC 5321 s4.5.1).
func (r *rules) addPostmaster(hostname mail.Domain) {
	name := mail.Address{Local: "postmaster", Domain: hostname}
	if r.domain == hostname || r.aliases[name] != nil {
		return
	}
	there := mail.Address{Local: "postmaster", Domain: r.domain}
	r.aliases[name] = []mail.Address{there}
	if further := r.aliases[there]; further != nil {
		r.aliases[name] = further
	}
}

// of are the rules of a user.
func (r *rules) of(user string) userRules {
	if u, known := r.users[user]; known {
		return u
	}
	return r.usual
}

// limit is how many recipients the client may send to in an hour; 0: there is no limit. Only those who authenticated have one.
func (r *rules) limit(c Client) int {
	if c.User == "" {
		return 0
	}
	return r.of(c.User).perHour
}

// sender gives a reverse-path its domain, and refuses it where the client may not send from it.
func (r *rules) sender(c Client, from mail.ReversePath) (mail.ReversePath, error) {
	a, err := complete(from.Address, r.domain)
	if err != nil {
		return from, refuse(553, "5.1.7", "the address is too long with its domain")
	}
	from.Address = a
	if c.User == "" || r.of(c.User).permits(from) {
		return from, nil
	}
	if from.IsNull() {
		return from, refuse(550, "5.7.1", "you may not send from the null reverse-path")
	}
	return from, refuse(553, "5.7.1", "you may not send from this address")
}

// recipient gives the addresses that a recipient stands for. One in the place of an alias inherits all its wishes (RFC 3461 s5.2.7.2); of several the sender is told at once that they
// are, where he wants to hear of success, and hears of none of their successes (s5.2.7.3 b).
func (r *rules) recipient(to mail.Recipient) (Expansion, error) {
	var err error
	if to.Address, err = complete(to.Address, r.domain); err != nil {
		return Expansion{}, refuse(553, "5.1.3", "the address is too long with its domain")
	}
	targets := r.aliases.of(to.Address)
	if targets == nil {
		e := Expansion{Recipients: []mail.Recipient{to}}
		return e, r.guarded(e.Recipients)
	}
	var e Expansion
	for _, target := range targets {
		e.Recipients = append(e.Recipients, became(to, target))
	}
	if e.Recipients = distinct(e.Recipients); len(e.Recipients) > 1 {
		e.Expanded = []mail.Recipient{to}
		for i := range e.Recipients {
			e.Recipients[i].Notify = withoutSuccess(to.Notify)
		}
	}
	return e, r.guarded(e.Recipients)
}

// withoutSuccess is what is left of NOTIFY without SUCCESS. Who wanted to hear of nothing else hears of nothing.
func withoutSuccess(notify []string) []string {
	rest := slices.DeleteFunc(slices.Clone(notify), func(n string) bool { return n == "SUCCESS" })
	if len(rest) == 0 && len(notify) > 0 {
		return []string{"NEVER"}
	}
	return rest
}

// guarded refuses all of list when a staging guard keeps mail from one of them.
func (r *rules) guarded(list []mail.Recipient) error {
	for _, to := range list {
		if refusal := r.refusedByGuard(to.Address); refusal != nil {
			return refusal
		}
	}
	return nil
}

// complete makes the envelope of l what is handed over, but for redirection. Sender and Recipient were asked before; that is not relied on, and the rules may be new.
func (r *rules) complete(l *Letter) (err error) {
	if l.Envelope.From, err = r.sender(l.Client, l.Envelope.From); err != nil {
		return err
	}
	l.Envelope.Recipients, l.Expanded = distinct(l.Envelope.Recipients), distinct(l.Expanded)
	switch n := len(l.Envelope.Recipients); {
	case n == 0:
		return refuse(554, "5.5.1", "a message needs a recipient")
	case n > maxLetter:
		return refuse(452, "4.5.3", fmt.Sprintf("the message has more than %d recipients", maxLetter))
	}
	return r.guarded(l.Envelope.Recipients)
}

// distinct leaves out whom the list names again; the wishes of the first time stand.
func distinct(list []mail.Recipient) []mail.Recipient {
	if len(list) < 2 {
		return list
	}
	seen := make(map[mail.Address]bool, len(list))
	return slices.DeleteFunc(slices.Clone(list), func(r mail.Recipient) bool {
		again := seen[r.Address]
		seen[r.Address] = true
		return again
	})
}

// trace appends the fields that are put before the message.
func (r *rules) trace(b []byte, l Letter, hostname string, now time.Time) []byte {
	b = received(b, l.Client, hostname, now)
	if !r.guard.RedirectAll.IsZero() {
		b = redirectedField(b, l.Envelope.Recipients)
	}
	return b
}

// submission is what the queue is told of the message.
func (r *rules) submission(l Letter, h *head, now time.Time) queue.Submission {
	s := queue.Submission{
		Envelope: l.Envelope, Sender: l.Client.User, Priority: h.priority(), Received: now, SendAt: l.SendAt, Expires: l.Expires,
		MessageID: h.messageID(), Peer: l.Client.Peer(), Expanded: l.Expanded,
	}
	if s.Sender == "" {
		s.Sender = l.Envelope.From.String()
	}
	if to := r.guard.RedirectAll; !to.IsZero() {
		s.Envelope.Recipients = distinct(redirected(l.Envelope.Recipients, to))
	}
	return s
}
