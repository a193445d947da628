package bounce

import (
	"slices"
	"testing"

	"sternpost/journal"
	"sternpost/mail"
)

func greeted(host string, stage mail.Stage, code int, line string) mail.Candidate {
	return mail.Candidate{Host: host, Stages: []mail.StageRecord{{Stage: mail.StageConnect}, {Stage: stage, Reply: mail.Reply{Code: code, Lines: []string{line}}}}}
}

func TestAlarms(t *testing.T) {
	c := classifier(t)
	no, yes := greeted("a.test", mail.StageGreeting, 554, "554 no"), greeted("b.test", mail.StageGreeting, 220, "220 yes")
	dead := mail.Candidate{Host: "c.test", Stages: []mail.StageRecord{{Stage: mail.StageConnect, Error: "refused"}}}
	refused := journal.Entry{Kind: journal.Deferred, Stage: mail.StageGreeting, Code: 554, Reply: []string{"554 no"}, Domain: "example.net"}
	for name, row := range map[string]struct {
		entry      journal.Entry
		candidates []mail.Candidate
		want       []AlarmKind
		meant      mail.Domain
	}{
		"loopback": {journal.Entry{Stage: mail.StageResolve, Status: mail.Status{5, 4, 4}, Reason: "address refused: mx.example.net: loopback"}, nil, []AlarmKind{AlarmUnusableAddress}, ""},
		"typo":     {journal.Entry{Stage: mail.StageResolve, Status: mail.Status{5, 1, 2}, Reason: "host unknown: gmial.com does not exist", Domain: "gmial.com"}, nil, []AlarmKind{AlarmTypo}, "gmail.com"},
		"no typo":  {journal.Entry{Stage: mail.StageResolve, Status: mail.Status{5, 1, 2}, Reason: "host unknown", Domain: "unheard.example"}, nil, nil, ""},
		"typo, but a host answered": {journal.Entry{Stage: mail.StageRcpt, Code: 550, Status: mail.Status{5, 1, 2}, Reply: []string{"550 5.1.2 Host unknown"}, Domain: "gmial.com"},
			nil, nil, ""},
		"refused by all":         {refused, []mail.Candidate{no, dead, greeted("d.test", mail.StageGreeting, 554, "554 no")}, []AlarmKind{AlarmRefusedByAll}, ""},
		"one greets":             {refused, []mail.Candidate{no, yes}, nil, ""},
		"refused for now":        {refused, []mail.Candidate{no, greeted("b.test", mail.StageGreeting, 421, "421 later")}, nil, ""},
		"nobody answers":         {refused, []mail.Candidate{dead}, nil, ""},
		"certificate":            {journal.Entry{Stage: mail.StageStartTLS, Status: mail.Status{4, 7, 5}, Reason: "mx.test: the certificate is for other.test"}, nil, []AlarmKind{AlarmCertificate}, ""},
		"certificate in tree":    {journal.Entry{Stage: mail.StageStartTLS, Status: mail.Status{4, 7, 5}}, []mail.Candidate{{TLS: &mail.TLS{Error: "expired"}}}, []AlarmKind{AlarmCertificate}, ""},
		"TLS, not a certificate": {journal.Entry{Stage: mail.StageStartTLS, Status: mail.Status{4, 7, 5}, Reason: "STARTTLS is not offered"}, nil, nil, ""},
	} {
		if row.candidates != nil {
			row.entry.Attempt = &mail.Attempt{Candidates: row.candidates}
		}
		var got []AlarmKind
		for _, a := range Alarms(Event{row.entry, c.Classify(FromEntry(row.entry))}) {
			got = append(got, a.Kind)
			if a.Suggestion != row.meant || a.Sentence == "" || a.Action == "" || a.Domain != row.entry.Domain {
				t.Errorf("%s: %+v", name, a)
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

func TestTypo(t *testing.T) {
	for domain, want := range map[mail.Domain]mail.Domain{
		"gmial.com": "gmail.com", "gmai.com": "gmail.com", "gmaill.com": "gmail.com", "gmail.con": "gmail.com", "gnail.co": "gmail.com", "hotmial.com": "hotmail.com",
		"yaho.com": "yahoo.com", "outlok.com": "outlook.com", "t-onlnie.de": "t-online.de", "gmx.dee": "gmx.de", "gmx.d": "gmx.de", "gxm.de": "gmx.de",
		"outlook.de": "", "gmail.com": "", "example.net": "", "xyz.com": "", "mx.de": "gmx.de", "ab.de": "", "": "",
	} {
		got, ok := Typo(domain)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q %v, want %q", domain, got, ok, want)
		}
	}
}
