package main

import (
	"strings"

	"sternpost/bounce"
	"sternpost/console"
	"sternpost/dsn"
	"sternpost/journal"
)

// judge says what failures mean, in the words of the console.
type judge struct{ classifier *bounce.Classifier }

// openJudge reads the rules.
func openJudge() (judge, error) {
	c, err := bounce.New(nil)
	return judge{c}, err
}

// entry judges an entry of the journal that tells of a failure or a deferral.
func (j judge) entry(e journal.Entry) console.Verdict {
	return verdictOf(j.classifier.Classify(bounce.FromEntry(e)))
}

// report judges a recipient of a report.
func (j judge) report(r dsn.Recipient) console.Verdict {
	said := strings.Join(r.Diagnostic.Lines, " ")
	if said == "" {
		said = r.Reason
	}
	return verdictOf(j.classifier.Classify(bounce.FromReport(r.Final, r.Status, said, r.RemoteMTA)))
}

func verdictOf(v bounce.Verdict) console.Verdict {
	return console.Verdict{
		Category: string(v.Category), Hard: v.Hard, Permanent: v.Permanent, Cause: string(v.Cause), Fault: string(v.Fault),
		Sentence: v.Sentence, Advice: v.Action, Link: v.Link,
	}
}
