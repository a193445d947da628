// Package bounce is what a failure means: its category, whether the address is dead, whose fault it looks like, and what to do.
//
// What is promised: Classifier.Classify is a function of its argument and of the rules alone, has an answer for everything, and its categories are those of
// Categories. Replies come from strangers: they are cut into words and compared with the phrases of rules.toml, never interpreted, and no longer one takes
// more than a bounded time. A verdict quotes nothing of a reply; the names of recipients and hosts in its sentence are escaped.
//
// Hard is judged carefully, since it may end in a suppression list: it says that the address or its domain is dead, not that this message was refused.
//
// A Classifier may be used by any number of goroutines; Incidents and Typo say for themselves.
package bounce

import (
	"sternpost/journal"
	"sternpost/mail"
)

// Failure is what is known of a recipient's failure or delay. All may be empty.
type Failure struct {
	Code   int // 0: no reply decided
	Status mail.Status
	Stage  mail.Stage
	Scope  mail.Scope
	// Lines is the reply as mail.Reply has it, or the words of a foreign report.
	Lines []string
	// Reason is our own words for it. It is looked at where there is no reply, and tells that the lifetime ended.
	Reason    string
	Recipient string
	Domain    mail.Domain
	Host      string
}

// FromOutcome is the failure of an outcome.
func FromOutcome(o mail.Outcome) Failure {
	return Failure{
		Code: o.Reply.Code, Status: o.Status, Stage: o.Stage, Scope: o.Scope, Lines: o.Reply.Lines, Reason: o.Reason,
		Recipient: o.Recipient.String(), Domain: o.Recipient.Domain, Host: o.Host,
	}
}

// FromEntry is the failure of an entry of the journal, of the kind Failed or Deferred.
func FromEntry(e journal.Entry) Failure {
	return Failure{
		Code: e.Code, Status: e.Status, Stage: e.Stage, Scope: e.Scope, Lines: e.Reply, Reason: e.Reason, Recipient: e.Recipient, Domain: e.Domain, Host: e.Host,
	}
}

// FromReport is the failure of a recipient in a delivery status notification (RFC 3464 s2.3): Status, Diagnostic-Code and Remote-MTA. The diagnostic of a
// foreign agent often has the reply inside its own words; code, status, stage and host are looked for there.
func FromReport(recipient mail.Address, status mail.Status, diagnostic, remote string) Failure {
	f := unwrap(diagnostic)
	f.Recipient, f.Domain = recipient.String(), recipient.Domain
	if !status.IsZero() {
		f.Status = status
	}
	if f.Host == "" {
		f.Host = remote
	}
	return f
}

// Verdict is what a failure means.
type Verdict struct {
	Category Category
	// Hard says that the address or the domain itself is dead: no other message will get there either.
	Hard bool
	// Permanent says that the remote answered 5xx: this message will not go.
	Permanent bool
	Fault     Fault
	// Cause is why a message could not be delivered in its lifetime, where Category is Expired and that is known; else it is Category.
	Cause Category
	// Sentence says for a person what happened, Action the one thing to do.
	Sentence, Action string
	// Link is the page of the provider about its replies, where one is known.
	Link string
	// Rule is the name of the rule that decided.
	Rule string
}
