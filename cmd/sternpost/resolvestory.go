package main

import (
	"fmt"
	"slices"

	"sternpost/mail"
	"sternpost/resolver"
)

// resolution prints for people where the mail of a domain goes.
func (s story) resolution(r resolution) {
	fmt.Fprintf(s.w, "%s\n", s.paint.bold(domainText(r.Domain)))
	if sentence := ruleSentence(r.Rule); sentence != "" {
		fmt.Fprintf(s.w, "%s\n", sentence)
	}
	if len(r.Hosts) > 0 {
		s.hosts(r)
		s.order(r.Order)
	}
	if len(r.DNS) > 0 {
		fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("What the DNS said"))
		s.lookups(r.DNS)
	}
	if len(r.Findings) > 0 || r.Error == "" {
		s.findings(r.Findings)
	}
	if r.Error != "" {
		verdict := "Mail cannot go there:"
		if r.Status[0] == 4 {
			verdict = "Mail cannot go there now:"
		}
		fmt.Fprintf(s.w, "\n%s %s (%s)\n", s.paint.bad(verdict), plain(r.Error), r.Status)
	}
}

func (s story) hosts(r resolution) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("Hosts, with their preference and TTLs in seconds"))
	for _, h := range r.Hosts {
		fmt.Fprintf(s.w, "  %5d  %s%s\n", h.Preference, plain(h.Host), s.ttl(h.TTL, r.Rule == mail.RuleMX))
		if h.Skipped != "" {
			fmt.Fprintf(s.w, "         %s\n", s.paint.bad(plain(h.Skipped)))
		}
		for _, a := range h.Addresses {
			note := ""
			if a.Skipped != "" {
				note = "  " + s.paint.bad("not used: "+plain(a.Skipped))
			}
			fmt.Fprintf(s.w, "         [%s]%s%s\n", a.IP, s.ttl(a.TTL, r.Rule != mail.RuleLiteral), note)
		}
	}
}

// ttl is shown of what comes from a record.
func (s story) ttl(seconds int64, record bool) string {
	if !record {
		return ""
	}
	return s.paint.faint(fmt.Sprintf("  TTL %d", seconds))
}

// order prints the walk: what would be tried one after the other, and below it what would not.
func (s story) order(list []resolvedPlace) {
	tried := slices.DeleteFunc(slices.Clone(list), func(p resolvedPlace) bool { return p.Skipped != "" })
	title := "A delivery tries them in this order"
	if len(tried) == 0 {
		title = "A delivery tries none of them"
	}
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold(title))
	for i, p := range tried {
		line := fmt.Sprintf("  %5d. %s", i+1, placeText(p.Host, p.Address, 0))
		if p.Reason != "" {
			line += "  " + s.paint.faint(p.Reason)
		}
		fmt.Fprintln(s.w, line)
	}
	for _, p := range list {
		if p.Skipped != "" {
			fmt.Fprintf(s.w, "      -  %s  %s\n", placeText(p.Host, p.Address, 0), s.paint.wait("not tried: "+plain(p.Skipped)))
		}
	}
}

func (s story) findings(list []resolver.Finding) {
	fmt.Fprintf(s.w, "\n%s\n", s.paint.bold("Findings"))
	if len(list) == 0 {
		fmt.Fprintf(s.w, "  %s\n", s.paint.good("nothing is wrong"))
	}
	for _, f := range list {
		fmt.Fprintf(s.w, "  %s %s\n%s\n", s.level(f.Level), f.Code, "      "+wrapAfter(plain(f.Text), " ", columns-6, "      "))
	}
}

// level is the word for how much a finding matters.
func (s story) level(l resolver.Level) string {
	switch l {
	case resolver.LevelError:
		return s.paint.bad(string(l))
	case resolver.LevelWarning:
		return s.paint.wait(string(l))
	}
	return s.paint.faint(string(l))
}
