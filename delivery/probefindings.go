package delivery

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/resolver"
)

// ProbeFinding is something that is wrong with, or different between, the exchangers of a domain. Codes are stable; docs/probe.md lists them. Text and Advice are
// lines for people; they may quote a stranger and are escaped.
type ProbeFinding struct {
	Level resolver.Level `json:"level"`
	Code  string         `json:"code"`
	// Host is what it is about; empty: all of the domain.
	Host   string `json:"host"`
	Text   string `json:"text"`
	Advice string `json:"advice"`
}

// When a probe calls something slow, and a certificate old.
const (
	slowAnswer  = 10 * time.Second // up to the reply to RCPT; greet delays are shorter
	expiresSoon = 14 * 24 * time.Hour
)

// Conclude compares the answers, and fills in the findings and the verdict. now is when certificates are judged. It is a pure function of p: what the DNS says first, then the
// hosts, errors before all else.
func (p *Probe) Conclude(now time.Time) {
	p.Findings = append([]ProbeFinding{}, p.lint()...)
	c := comparison{Probe: p, now: now, hosts: p.byHost()}
	dns := len(p.Findings)
	for _, host := range c.hosts {
		c.compare(host)
	}
	slices.SortStableFunc(p.Findings[dns:], func(a, b ProbeFinding) int { return cmp.Compare(weight(a.Level), weight(b.Level)) })
	p.Verdict, p.Text = c.judge()
	if len(p.Pretended) > 0 {
		p.Text = "As pretended: " + p.Text
	}
}

func weight(l resolver.Level) int {
	return slices.Index([]resolver.Level{resolver.LevelError, resolver.LevelWarning, resolver.LevelNotice}, l)
}

// lint is what is wrong in the DNS. Addresses that delivery.allow_addresses allows are right where that is set: in a laboratory.
func (p *Probe) lint() []ProbeFinding {
	var list []ProbeFinding
	refused := slices.ContainsFunc(p.exchangers.Hosts, func(e resolver.Exchanger) bool {
		return slices.ContainsFunc(e.Addresses, func(a resolver.Address) bool { return a.Skipped != "" })
	})
	for _, f := range resolver.Lint(p.exchangers) {
		special := f.Code == "loopback-address" || f.Code == "unusable-address"
		if special && !refused {
			continue
		}
		list = append(list, ProbeFinding{Level: f.Level, Code: f.Code, Text: f.Text})
	}
	return list
}

// probedHost is all addresses of one host, in the order in which a delivery tries them.
type probedHost []ProbedHost

func (p *Probe) byHost() []probedHost {
	var hosts []probedHost
	for _, h := range p.Hosts {
		if last := len(hosts) - 1; last >= 0 && hosts[last][0].Number == h.Number {
			hosts[last] = append(hosts[last], h)
		} else {
			hosts = append(hosts, probedHost{h})
		}
	}
	return hosts
}

func (h probedHost) name() string { return mail.Escape(h[0].Host) }

// decided says whether a is the word of a host, which stands for all its addresses.
func (a Answer) decided() bool {
	return a == AnswerAccepts || a == AnswerDefers || a == AnswerRefuses || a == AnswerUnable
}

// speaks says whether what became of an address stands for all of its host: the session got as far as MAIL.
func (r ProbedReply) speaks() bool {
	return r.Answer.decided() || r.Answer == AnswerDown && !beforeMail(r.Stage)
}

// speaker is the address that speaks for the host: the first whose session got as far as MAIL, else the first that tells more than others.
func (h probedHost) speaker() ProbedHost {
	for i, a := range h {
		if !a.speaks() {
			continue
		}
		if a.Answer == AnswerRefuses && a.Status[1] == 7 { // a delivery asks the other family once
			for _, b := range h[i+1:] {
				if b.Answer == AnswerAccepts && b.Address.Is4() != a.Address.Is4() {
					return b
				}
			}
		}
		return a
	}
	for _, answer := range []Answer{AnswerDown, AnswerUntested} {
		if i := slices.IndexFunc(h, func(a ProbedHost) bool { return a.Answer == answer }); i >= 0 {
			return h[i]
		}
	}
	return h[0]
}

// comparison is a probe whose hosts are compared.
type comparison struct {
	*Probe
	now   time.Time
	hosts []probedHost
}

func (c *comparison) find(level resolver.Level, code string, h probedHost, text, advice string) {
	if h.speaker().Pretended {
		text, advice = strings.TrimSuffix(text, ".")+" (pretended).", ""
	}
	c.Findings = append(c.Findings, ProbeFinding{Level: level, Code: code, Host: h[0].Host, Text: text, Advice: advice})
}

// compare finds what is wrong with one host, alone and beside the others.
func (c *comparison) compare(h probedHost) {
	c.compareAnswer(h)
	c.compareAddresses(h)
	c.compareUnknown(h)
	c.compareTLS(h)
	c.compareCertificate(h)
	c.compareExtensions(h)
	c.compareTime(h)
}

// others says whether it is so of another host.
func (c *comparison) others(h probedHost, so func(ProbedHost) bool) bool {
	return slices.ContainsFunc(c.hosts, func(o probedHost) bool { return o[0].Number != h[0].Number && so(o.speaker()) })
}

func accepts(h ProbedHost) bool { return h.Answer == AnswerAccepts }

// why is what a host said, for people.
func (h ProbedReply) why() string {
	if len(h.Reply) > 0 {
		return clip(mail.Escape(strings.Join(h.Reply, " / ")))
	}
	return cmp.Or(h.Reason, "no reason is known")
}

func (c *comparison) compareAnswer(h probedHost) {
	s := h.speaker()
	switch s.Answer {
	case AnswerDown:
		c.find(resolver.LevelError, "host-down", h, fmt.Sprintf("%s does not take mail now: %s.", h.name(), s.why()),
			"Look whether its SMTP service runs and port "+strconv.Itoa(s.Port)+" is open to the world; remove its MX record if it is gone.")
	case AnswerUntested:
		c.find(resolver.LevelWarning, "not-tested", h, fmt.Sprintf("%s could not be asked from here: %s.", h.name(), s.why()),
			"It says nothing about the host. Probe from another network.")
	case AnswerSkipped:
		c.compareSkipped(h, s)
	case AnswerUnable:
		c.find(resolver.LevelError, "unable", h, fmt.Sprintf("%s cannot take such a message: %s.", h.name(), s.why()), "Let all exchangers offer the same extensions.")
	case AnswerDefers:
		c.compareDeferral(h, s)
	case AnswerRefuses:
		c.compareRefusal(h, s)
	}
}

func (c *comparison) compareSkipped(h probedHost, s ProbedHost) {
	if c.Through != "" && c.Through != s.Host {
		return
	}
	if s.LeftOut() {
		if !c.told("list-too-long") {
			c.find(resolver.LevelError, "list-too-long", h, fmt.Sprintf("%s, and what stands behind it, was not asked: there are more than %d addresses.", h.name(), maxProbed),
				"No sender tries so many. Name fewer, or ask one host with --through.")
		}
		return
	}
	if s.Reason == reasonNoTime || s.Reason == reasonCalledOff {
		c.find(resolver.LevelError, "not-asked", h, fmt.Sprintf("%s was %s.", h.name(), s.Reason), "Give the probe more time with --budget.")
		return
	}
	if !c.linted(s.Host) {
		c.find(resolver.LevelError, "skipped", h, fmt.Sprintf("%s gets no mail: %s.", h.name(), s.why()), "Mend its DNS, or remove its MX record.")
	}
}

// linted says whether what the DNS says of a host is a finding already.
func (c *comparison) linted(host string) bool {
	return slices.ContainsFunc(c.Findings, func(f ProbeFinding) bool {
		return f.Host == "" && f.Level == resolver.LevelError && strings.Contains(f.Text, mail.Escape(host))
	})
}

func (c *comparison) compareDeferral(h probedHost, s ProbedHost) {
	if greylists(s.ProbedReply) {
		if c.others(h, accepts) {
			c.find(resolver.LevelWarning, "greylisting-on-one", h, fmt.Sprintf("%s greylists (%s), and others do not.", h.name(), s.why()),
				"Senders go around it to the hosts that do not. Let all exchangers greylist, with one memory, or none.")
		} else {
			c.find(resolver.LevelNotice, "greylisting", h, fmt.Sprintf("%s greylists: %s.", h.name(), s.why()), "Probe again in some minutes: it should accept then.")
		}
		return
	}
	c.find(resolver.LevelError, "host-defers", h, fmt.Sprintf("%s does not take the mail now: %s.", h.name(), s.why()), "Its own log tells why it answers so.")
}

// greylists finds replies that ask for another try in some minutes and are about who sends, not about a mailbox.
func greylists(r ProbedReply) bool {
	if len(r.Reply) == 0 || r.Code == nil || *r.Code != 450 && *r.Code != 451 {
		return false
	}
	text := strings.ToLower(strings.Join(r.Reply, " "))
	return r.Status == mail.Status{4, 7, 1} || strings.Contains(text, "greylist") || strings.Contains(text, "graylist") || strings.Contains(text, "grey list")
}

func (c *comparison) compareRefusal(h probedHost, s ProbedHost) {
	text := fmt.Sprintf("%s refuses the mail for good: %s.", h.name(), s.why())
	switch {
	case deniesRelay(s.ProbedReply):
		c.find(resolver.LevelError, "refuses-relay", h, text,
			"It does not know that it takes mail for the domain (Postfix: relay_domains, Exim: relay_to_domains): mail that comes to it is returned.")
	case c.others(h, accepts):
		c.find(resolver.LevelError, "refuses", h, text, "Other exchangers accept. Who sends gives up at the first refusal: let all of them know the same recipients.")
	default:
		c.find(resolver.LevelError, "refused", h, text, "Is the address right? No exchanger that could be asked accepts it.")
	}
}

// deniesRelay finds refusals that are about the domain, not about the mailbox.
func deniesRelay(r ProbedReply) bool {
	text := strings.ToLower(strings.Join(r.Reply, " "))
	return strings.Contains(text, "relay") || strings.Contains(text, "rcpthosts") || r.Status == mail.Status{5, 7, 54} || r.Status == mail.Status{5, 1, 2}
}

// compareAddresses finds addresses of one host that answer differently.
func (c *comparison) compareAddresses(h probedHost) {
	s := h.speaker()
	if !s.Answer.decided() {
		return
	}
	for _, a := range h {
		place := fmt.Sprintf("%s [%s]", h.name(), a.Address)
		switch {
		case a.Answer == AnswerDown:
			c.find(resolver.LevelError, "address-down", h, fmt.Sprintf("%s does not take mail now, another address of it does: %s.", place, a.why()),
				"Senders that try it first lose time. Mend the address, or take it out of the DNS.")
		case a.Answer == AnswerUntested:
			c.find(resolver.LevelNotice, "address-not-tested", h, fmt.Sprintf("%s could not be asked from here: %s.", place, a.why()), "Probe from a network that reaches it.")
		case a.Answer.decided() && a.Answer != s.Answer:
			c.find(resolver.LevelError, "addresses-differ", h, fmt.Sprintf("%s %s, and [%s] %s: %s.", h.name(), s.Answer, a.Address, a.Answer, a.why()),
				"What happens to mail depends on the address that a sender takes.")
		}
	}
}

// compareUnknown compares what hosts say of an address that nobody has: where one knows who is there, the others should.
func (c *comparison) compareUnknown(h probedHost) {
	s := h.speaker()
	if s.Unknown == nil || s.Unknown.Answer != AnswerAccepts && s.Unknown.Answer != AnswerRefuses {
		return
	}
	knows := func(o ProbedHost) bool { return accepts(o) && o.Unknown != nil && o.Unknown.Answer == AnswerRefuses }
	switch {
	case s.Unknown.Answer == AnswerAccepts && c.others(h, knows):
		c.find(resolver.LevelError, "takes-unknown-users", h,
			fmt.Sprintf("%s takes mail for %s, whom nobody knows and another exchanger refuses.", h.name(), mail.Escape(c.Unknown.String())),
			"It will have to send failure reports to forged senders (backscatter). Let it know the recipients (Postfix: relay_recipient_maps) or ask the primary before it accepts.")
	case s.Unknown.Answer == AnswerAccepts:
		c.find(resolver.LevelNotice, "catch-all", h, fmt.Sprintf("%s takes mail for %s, whom nobody knows.", h.name(), mail.Escape(c.Unknown.String())), "")
	case s.Unknown.Answer == AnswerRefuses && s.Answer == AnswerRefuses:
		c.find(resolver.LevelNotice, "refuses-everybody", h, fmt.Sprintf("%s refuses an invented address as it refuses %s.", h.name(), mail.Escape(c.Recipient.String())), "")
	}
}

func (c *comparison) compareTime(h probedHost) {
	s := h.speaker()
	if s.Answer.decided() && s.Elapsed() >= slowAnswer {
		c.find(resolver.LevelWarning, "slow", h, fmt.Sprintf("%s took %s up to its answer.", h.name(), s.Elapsed().Round(100*time.Millisecond)),
			"Impatient senders give up. A DNS block list that does not answer is a common cause.")
	}
}
