package delivery

import (
	"fmt"
	"strings"

	"sternpost/mail"
	"sternpost/resolver"
)

// Verdict is what the answers of all exchangers come to.
type Verdict string

// The verdicts, with the exit status of `sternpost probe`. docs/probe.md has the rules, and the test reads that document.
const (
	VerdictWell    Verdict = "well"    // 0: mail is taken, and nothing is broken
	VerdictBroken  Verdict = "broken"  // 1: mail is taken now, but something is broken
	VerdictLost    Verdict = "lost"    // 69: mail is returned to its sender now, all or some of it
	VerdictDelayed Verdict = "delayed" // 75: mail waits at its senders
)

// judge walks the hosts as a delivery does. Who has the lowest preference and answers decides: among equals the sender's dice choose, so one that refuses among
// them loses mail.
func (c *comparison) judge() (Verdict, string) {
	if c.failure != nil || len(c.hosts) == 0 {
		return c.nowhere()
	}
	unable, heard, asked := 0, 0, 0
	for _, group := range byRank(c.hosts) {
		var takes, refuses []ProbedHost
		for _, h := range group {
			switch s := h.speaker(); s.Answer {
			case AnswerAccepts:
				takes = append(takes, s)
			case AnswerRefuses:
				refuses = append(refuses, s)
			case AnswerUnable:
				unable++
			case AnswerDefers, AnswerDown:
				heard++
			case AnswerSkipped:
				continue
			}
			asked++
		}
		switch {
		case len(refuses) > 0 && len(takes) > 0:
			return VerdictLost, fmt.Sprintf("Some mail is lost now: %s refuses it (%s), and %s, which is equal, takes it.",
				mail.Escape(refuses[0].Host), refuses[0].why(), mail.Escape(takes[0].Host))
		case len(refuses) > 0:
			return VerdictLost, fmt.Sprintf("Mail is lost now: %s refuses it for good: %s", mail.Escape(refuses[0].Host), refuses[0].why())
		case len(takes) > 0:
			return c.works(takes)
		}
	}
	if unable > 0 && unable == asked {
		return VerdictLost, "Mail is lost now: no exchanger can take such a message."
	}
	if heard+unable == 0 {
		return VerdictDelayed, "It is not known what happens to mail: no exchanger could be asked from here."
	}
	return VerdictDelayed, "Mail is delayed now: no exchanger takes it. Senders keep it and try again, for five days mostly."
}

// works is the verdict where mail is taken: errors among the findings say what is broken.
func (c *comparison) works(takes []ProbedHost) (Verdict, string) {
	var names []string
	for _, h := range takes {
		names = append(names, mail.Escape(h.Host))
	}
	who := strings.Join(names, " or ")
	var broken []string
	warned := false
	for _, f := range c.Findings {
		warned = warned || f.Level == resolver.LevelWarning
		if f.Level == resolver.LevelError {
			words := strings.ReplaceAll(f.Code, "-", " ")
			if f.Host != "" {
				words = fmt.Sprintf("%s (%s)", mail.Escape(f.Host), words)
			}
			broken = append(broken, words)
		}
	}
	switch {
	case len(broken) > maxNamed:
		return VerdictBroken, fmt.Sprintf("Mail goes to %s now, but %d things are broken.", who, len(broken))
	case len(broken) > 0:
		return VerdictBroken, fmt.Sprintf("Mail goes to %s now, but something is broken: %s.", who, strings.Join(broken, ", "))
	case warned:
		return VerdictWell, fmt.Sprintf("Mail goes to %s, and nothing is broken; see the warnings.", who)
	}
	return VerdictWell, fmt.Sprintf("All is well: mail goes to %s.", who)
}

// maxNamed is how many broken things the verdict names.
const maxNamed = 3

// nowhere is the verdict on a domain without a host to ask.
func (c *comparison) nowhere() (Verdict, string) {
	if c.failure == nil || c.failure.Disposition == mail.Failed {
		return VerdictLost, fmt.Sprintf("Mail is lost now: %s (%s)", c.Error, c.Status)
	}
	return VerdictDelayed, fmt.Sprintf("Mail is delayed now: %s (%s)", c.Error, c.Status)
}

// byRank groups hosts of equal preference.
func byRank(hosts []probedHost) [][]probedHost {
	var groups [][]probedHost
	for i, h := range hosts {
		if i == 0 || hosts[i-1][0].Preference != h[0].Preference {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], h)
	}
	return groups
}
