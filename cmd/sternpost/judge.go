package main

import (
	"sternpost/console"
	"sternpost/dsn"
	"sternpost/journal"
)

// judge says what failures mean.
type judge struct{}

// openJudge reads the rules.
func openJudge(*shell) (judge, error) { return judge{}, nil }

// entry judges an entry of the journal that tells of a failure or a deferral.
func (judge) entry(e journal.Entry) console.Verdict {
	return console.Verdict{Permanent: e.Code/100 == 5}
}

// report judges a recipient of a report.
func (judge) report(r dsn.Recipient) console.Verdict {
	return console.Verdict{Permanent: r.Diagnostic.Permanent()}
}
