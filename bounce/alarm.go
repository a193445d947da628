package bounce

import (
	"fmt"
	"strings"

	"sternpost/mail"
)

// AlarmKind is why mail to a domain will never work as things are.
type AlarmKind string

// The kinds.
const (
	AlarmUnusableAddress AlarmKind = "unusable-address" // the MX records lead to loopback and the like
	AlarmRefusedByAll    AlarmKind = "refused-by-all"   // each host greets us with 5xx
	AlarmTypo            AlarmKind = "typo"             // the domain does not exist, and looks like a known one
	AlarmCertificate     AlarmKind = "certificate"      // a policy requires a certificate that the hosts do not have
)

// Alarm says early what would otherwise be known when the lifetime of a message ends.
type Alarm struct {
	Kind   AlarmKind
	Domain mail.Domain
	// Suggestion is the domain that was meant, of AlarmTypo.
	Suggestion       mail.Domain
	Sentence, Action string
}

// Alarms says whether more attempts of a kind can help. The entry need not be final; a tree of the attempt, where it has one, is looked at. It is a function of its argument.
func Alarms(e Event) []Alarm {
	var list []Alarm
	domain := mail.Escape(string(e.Entry.Domain))
	add := func(kind AlarmKind, suggestion mail.Domain, sentence, action string) {
		list = append(list, Alarm{kind, e.Entry.Domain, suggestion, sentence, action})
	}
	if e.Verdict.Rule == ruleAddressRefused {
		add(AlarmUnusableAddress, "", e.Verdict.Sentence, e.Verdict.Action)
	}
	if hosts := greetedByNobody(e.Entry.Attempt); hosts > 0 {
		add(AlarmRefusedByAll, "", fmt.Sprintf("Each of the %d hosts of %s that answered refuses every conversation with us.", hosts, domain),
			"Look our addresses up in the block lists, and read the greetings with `sternpost probe`.")
	}
	if meant, ok := FromEntry(e.Entry).typo(e.Verdict); ok {
		add(AlarmTypo, meant, e.Verdict.Sentence, e.Verdict.Action)
	}
	if e.Verdict.Cause == TLS && e.Entry.Code == 0 && blamesCertificate(e.Entry.Reason, e.Entry.Attempt) {
		add(AlarmCertificate, "", fmt.Sprintf("The hosts of %s do not have the certificate that is required of them.", domain),
			"Look at the certificate with `sternpost probe`; their postmaster must renew it, or the route or policy be changed.")
	}
	return list
}

// Rules that are known by their names: of domains whose addresses may not be used or that do not exist, and of what a person returned.
const (
	ruleAddressRefused = "no-reply-address-refused"
	ruleHostUnknown    = "no-reply-host-unknown"
	ruleReturned       = "no-reply-returned"
)

// TellsMore says whether the tree of an attempt could show an alarm that its entry alone does not.
func TellsMore(e Event) bool {
	return e.Entry.Stage == mail.StageGreeting && e.Entry.Code/100 == 5 || e.Verdict.Cause == TLS && e.Entry.Code == 0
}

// greetedByNobody is the number of hosts, where all that answered greeted with 5xx; otherwise 0. Hosts that did not answer say nothing for or against.
func greetedByNobody(a *mail.Attempt) int {
	if a == nil {
		return 0
	}
	hosts := map[string]bool{}
	for _, c := range a.Candidates {
		for _, s := range c.Stages {
			if s.Reply.IsZero() {
				continue
			}
			if s.Stage != mail.StageGreeting || !s.Reply.Permanent() {
				return 0
			}
			hosts[c.Host] = true
		}
	}
	return len(hosts)
}

func blamesCertificate(reason string, a *mail.Attempt) bool {
	if strings.Contains(reason, "certificate") {
		return true
	}
	if a == nil {
		return false
	}
	for _, c := range a.Candidates {
		if c.TLS != nil && c.TLS.Error != "" {
			return true
		}
	}
	return false
}
