package main

import (
	"strings"
	"sync/atomic"

	"sternpost/bounce"
	"sternpost/console"
	"sternpost/dsn"
	"sternpost/journal"
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
	said := strings.Join(r.Diagnostic.Lines, " ")
	if said == "" {
		said = r.Reason
	}
	return console.VerdictOf(j.rules.Load().Classify(bounce.FromReport(r.Final, r.Status, said, r.RemoteMTA)))
}
