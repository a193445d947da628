package mail_test

import (
	"testing"

	"sternpost/mail"
)

func said(stage mail.Stage, code int, text string) mail.StageRecord {
	return mail.StageRecord{Stage: stage, Reply: mail.Reply{Code: code, Lines: []string{text}}}
}

// What a report tells of a host is what went wrong there, never why the host had its place in the plan.
func TestSetback(t *testing.T) {
	const place = "first: the lowest preference that can be tried"
	helo, quit := said(mail.StageHello, 250, "250 mx"), said(mail.StageQuit, 221, "221 bye")
	no1, no2 := said(mail.StageRcpt, 550, `550 5.1.1 no\one`), said(mail.StageRcpt, 552, "552 5.2.2 full")
	noneLeft := said(mail.StageData, 554, "554 5.5.1 no valid recipients")
	for name, c := range map[string]struct {
		verdict mail.Verdict
		stages  []mail.StageRecord
		want    string
	}{
		"skipped":                 {mail.VerdictSkipped, nil, place},
		"nothing is known":        {mail.VerdictDeferred, []mail.StageRecord{helo, quit}, place},
		"no connection":           {mail.VerdictDeferred, []mail.StageRecord{{Stage: mail.StageConnect, Error: "no connection: connection refused"}}, "no connection: connection refused"},
		"refused":                 {mail.VerdictFailed, []mail.StageRecord{helo, no1, noneLeft, quit}, `550 5.1.1 no\\one`},
		"refused alike":           {mail.VerdictFailed, []mail.StageRecord{helo, no1, no1, noneLeft}, `550 5.1.1 no\\one`},
		"refused differently":     {mail.VerdictFailed, []mail.StageRecord{helo, no1, no2, noneLeft}, mail.RefusedRecipients},
		"DATA refused":            {mail.VerdictDeferred, []mail.StageRecord{helo, said(mail.StageRcpt, 250, "250 ok"), said(mail.StageData, 451, "451 not now")}, "451 not now"},
		"the dot after a refusal": {mail.VerdictDeferred, []mail.StageRecord{no1, said(mail.StageRcpt, 250, "250 ok"), said(mail.StageData, 354, "354 go"), {Stage: mail.StageDot, Error: "connection lost at dot"}}, "connection lost at dot"},
		"MAIL refused":            {mail.VerdictDeferred, []mail.StageRecord{helo, said(mail.StageMail, 451, "451 4.3.2 busy"), said(mail.StageRcpt, 503, "503 5.5.1 MAIL first"), said(mail.StageData, 503, "503 5.5.1 MAIL first")}, "451 4.3.2 busy"},
		"the second transaction":  {mail.VerdictDeferred, []mail.StageRecord{said(mail.StageMail, 451, "451 busy"), said(mail.StageRcpt, 503, "503 no"), said(mail.StageMail, 250, "250 ok"), no1, noneLeft}, "refused its recipients"},
		"QUIT refused":            {mail.VerdictDeferred, []mail.StageRecord{said(mail.StageGreeting, 421, "421 busy"), said(mail.StageQuit, 500, "500 what")}, "421 busy"},
	} {
		if got := (mail.Candidate{Verdict: c.verdict, Reason: place, Stages: c.stages}).Setback(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
