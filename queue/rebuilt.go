package queue

import (
	"bytes"
	"strings"

	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
)

// What a store needs to know of reports when it is rebuilt from what a damage has left.

// FailedAgain is the state of recipient i that failed, where the state itself was lost and the journal still tells of the failure; told says that it is known to be reported. Else the report
// is owed, at once, if the sender wants one.
func FailedAgain(s Submission, i int, e journal.Entry, told bool) RecipientState {
	state := RecipientState{State: Failed, Attempts: 1, Tried: e.Cursor.Time, InDoubt: e.InDoubt, Last: mail.Outcome{
		Disposition: mail.Failed, InDoubt: e.InDoubt, Scope: e.Scope, Stage: e.Stage, Host: e.Host, Status: e.Status, Reason: e.Reason,
		Reply: mail.Reply{Code: e.Code, Lines: e.Reply},
	}}
	if told || !s.wants(i, condition(state)) {
		return reported(state)
	}
	state.ReportBy = e.Cursor.Time.Add(reportWait)
	return state
}

// Told lists the recipients that a report of ours says failed.
func Told(report []byte) []mail.Address {
	r, err := dsn.Parse(bytes.NewReader(report))
	if err != nil {
		return nil
	}
	var list []mail.Address
	for _, about := range r.Recipients {
		if about.Action == dsn.Failed {
			list = append(list, about.Final)
		}
	}
	return list
}

// AboutFailures says whether a report with this Message-ID may tell of failures: it is no notice of delay, and no word about an alias. Older Message-IDs do not say.
func AboutFailures(messageID string) bool {
	mark, _, _ := strings.Cut(messageID, "@")
	return !strings.HasSuffix(mark, "."+string(dsn.Delayed)) && !strings.HasSuffix(mark, "."+string(dsn.Expanded))
}

// Settled is a state that owed a report of which the acceptance is known, though not from the state itself.
func (s RecipientState) Settled() RecipientState { return reported(s) }
