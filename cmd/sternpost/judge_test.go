package main

import (
	"testing"

	"sternpost/bounce"
	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
)

func TestJudgeOfReports(t *testing.T) {
	rules, err := bounce.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	j := new(judge)
	j.rules.Store(rules)
	said := func(line string) mail.Reply { return mail.Reply{Code: 450, Lines: []string{line}} }
	for name, test := range map[string]struct {
		recipient       dsn.Recipient
		category, cause string
	}{
		"refused":       {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{5, 1, 1}, Reason: "user unknown"}, "bad-mailbox", "bad-mailbox"},
		"delayed":       {dsn.Recipient{Action: dsn.Delayed, Status: mail.Status{4, 2, 2}, Diagnostic: said("450 4.2.2 over quota")}, "mailbox-full", "mailbox-full"},
		"given up":      {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{4, 2, 2}, Diagnostic: said("450 4.2.2 over quota")}, "expired", "mailbox-full"},
		"unreached":     {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{4, 4, 1}, Reason: journal.NeverReached + "; the last attempt: connection refused", RemoteMTA: "mx.example.org"}, "expired", "network"},
		"several hosts": {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{4, 4, 1}, Reason: journal.NeverReached + "; the last attempt: no connection: connection refused"}, "expired", "network"},
		"no DNS":        {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{4, 4, 1}, Reason: journal.NeverReached + "; the last attempt: SERVFAIL"}, "expired", "dns"},
		"by the reply":  {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{5, 0, 0}, Diagnostic: mail.Reply{Code: 551, Lines: []string{"551 5.1.6 gone"}}}, "bad-mailbox", "bad-mailbox"},
		"of a program":  {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{5, 1, 1}, Reason: "user unknown. Command output: bob: no such user"}, "bad-mailbox", "bad-mailbox"},
		"no status":     {dsn.Recipient{Action: dsn.Failed, Diagnostic: said("450 over quota")}, "expired", "mailbox-full"},
		"by stage":      {dsn.Recipient{Action: dsn.Failed, Reason: "192.0.2.1 failed after I sent the message.", Diagnostic: mail.Reply{Code: 550, Lines: []string{"550 user unknown"}}}, "filtered", "filtered"},
		"still tried":   {dsn.Recipient{Action: dsn.Delayed, Reason: "The recipient server did not accept our requests to connect."}, "network", "network"},
		"of a stranger": {dsn.Recipient{Action: dsn.Failed, Status: mail.Status{4, 4, 1}, Reason: "connect to mx.example.org[192.0.2.1]:25: Connection refused"}, "expired", "network"},
	} {
		if got := j.report(test.recipient); got.Category != test.category || got.Cause != test.cause {
			t.Errorf("%s: %s because of %s, want %s because of %s", name, got.Category, got.Cause, test.category, test.cause)
		}
	}
}
