package main

import (
	"strings"
	"sync/atomic"

	"sternpost/bounce"
	"sternpost/console"
	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
)

// judge says what failures mean, in the words of the console. A reload puts other rules in force: what is asked then is judged by these, however old it is.
type judge struct {
	rules atomic.Pointer[bounce.Classifier]
}

// openJudge takes the rules of the configuration, for a command that needs no agent.
func openJudge(sh *shell) (*judge, error) {
	c, err := loadConfig(sh)
	if err != nil {
		return nil, err
	}
	rules, err := bounce.New(c.Bounce.Rules)
	if err != nil {
		return nil, withCode(exitConfig, err)
	}
	j := new(judge)
	j.rules.Store(rules)
	return j, nil
}

// entry judges an entry of the journal that tells of a failure or a deferral.
func (j *judge) entry(e journal.Entry) bounce.Verdict {
	return j.rules.Load().Classify(bounce.FromEntry(e))
}

// report judges a recipient of a report.
func (j *judge) report(r dsn.Recipient) console.Verdict {
	f, rules := reported(r), j.rules.Load()
	v := rules.Classify(f)
	if r.Action == dsn.Delayed && v.Category == bounce.Expired { // they say that they do not get there, and try on
		v = rules.Classify(bounce.Failure{Status: mail.Status{4, 4, 1}, Recipient: f.Recipient, Domain: f.Domain, Host: f.Host})
	}
	return console.VerdictOf(v)
}

// reported is the failure that a report tells of. One with a status of 4.x.x that is told as failed is the end of the message's lifetime (RFC 3464 s2.3.4). Our own words for it are
// judged as in the journal.
func reported(r dsn.Recipient) bounce.Failure {
	said := strings.Join(r.Diagnostic.Lines, " ")
	if said == "" {
		said = r.Reason
	}
	f := bounce.FromReport(r.Final, closer(r), said, r.RemoteMTA)
	if f.Stage == "" {
		f.Stage = bounce.FromReport(r.Final, closer(r), r.Reason, r.RemoteMTA).Stage
	}
	if r.Action != dsn.Failed || f.Status[0] != 4 && (f.Code/100 != 4 || !f.Status.IsZero()) {
		return f
	}
	f.Reason = journal.LifetimeEnded
	if strings.HasPrefix(r.Reason, journal.LifetimeEnded) || strings.HasPrefix(r.Reason, journal.NeverReached) {
		f.Lines, f.Reason = nil, r.Reason
		if _, last, _ := strings.Cut(r.Reason, "; the last attempt: "); r.RemoteMTA == "" && !strings.Contains(last, "connect") { // no host was ever known
			f.Stage = mail.StageResolve
		}
	}
	return f
}
