package delivery

import (
	"crypto/x509"
	"math"
	"net/netip"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/resolver"
)

// Answer is what an exchanger would do with the mail.
type Answer string

// The answers. What "down" and "unable" have in common is that a sender goes on to the next host.
const (
	AnswerAccepts  Answer = "accepts"  // RCPT was answered with 2xx
	AnswerDefers   Answer = "defers"   // 4xx at MAIL or RCPT
	AnswerRefuses  Answer = "refuses"  // 5xx at MAIL or RCPT: no other host is asked
	AnswerUnable   Answer = "unable"   // it cannot take such a message: SIZE, SMTPUTF8
	AnswerDown     Answer = "down"     // no session, or none that lasted until RCPT was answered
	AnswerUntested Answer = "untested" // trouble on our side: no IPv6 here, no route, called off
	AnswerSkipped  Answer = "skipped"  // not asked; the reason says why
)

// Probe is what every exchanger of a domain answered. It is also what `sternpost probe --json` prints and `--save` keeps: the texts of remotes in it are verbatim.
type Probe struct {
	Recipient mail.Address     `json:"recipient"`
	Unknown   mail.Address     `json:"unknown"`
	Sender    mail.ReversePath `json:"sender"`
	Domain    mail.Domain      `json:"domain"`
	Hostname  string           `json:"hostname"`
	Started   time.Time        `json:"started"`
	Ended     time.Time        `json:"ended"`
	Rule      mail.Rule        `json:"rule"`
	Pretended []string         `json:"pretended"`
	Through   string           `json:"through"`
	Hosts     []ProbedHost     `json:"hosts"`
	// Status and Error say why there is nobody to ask.
	Status   mail.Status    `json:"status"`
	Error    string         `json:"error"`
	Findings []ProbeFinding `json:"findings"`
	Verdict  Verdict        `json:"verdict"`
	Text     string         `json:"text"`
	Attempt  mail.Attempt   `json:"attempt"`

	exchangers resolver.Exchangers
	failure    *resolver.Failure
}

// ProbedReply is what was answered for one address.
type ProbedReply struct {
	Answer Answer      `json:"answer"`
	Stage  mail.Stage  `json:"stage"`
	Code   *int        `json:"code"`
	Status mail.Status `json:"status"`
	Reply  []string    `json:"reply"`
	Reason string      `json:"reason"`
}

// ProbedHost is one address of one exchanger.
type ProbedHost struct {
	// Number counts the hosts from 1 in the order of the walk; equal ones stand by their names.
	Number     int        `json:"number"`
	Host       string     `json:"host"`
	Preference int        `json:"preference"`
	Address    netip.Addr `json:"address"`
	Port       int        `json:"port"`
	// Pretended says that a mask answered, not the host.
	Pretended bool `json:"pretended"`
	ProbedReply
	// Unknown is what was answered for an address that nobody has; nil: that was not asked.
	Unknown *ProbedReply `json:"unknown"`
	// Took is the time up to the reply to RCPT, in ms.
	Took float64 `json:"ms"`
	// Extensions are the lines of the last reply to EHLO behind the first, in upper case.
	Extensions []string `json:"extensions"`
	// StartTLS is what became of TLS.
	StartTLS StartTLS  `json:"starttls"`
	TLS      *mail.TLS `json:"tls"`
	// Certificates are those that were shown, the host's own first; Faults is what is wrong with that.
	Certificates []Certificate `json:"certificates"`
	Faults       []Fault       `json:"faults"`
}

// StartTLS says how far TLS came.
type StartTLS string

// What became of TLS at an address.
const (
	StartTLSUnknown StartTLS = ""        // there was no EHLO
	StartTLSNone    StartTLS = "none"    // it is not offered
	StartTLSRefused StartTLS = "refused" // it is offered, and answered with 4xx or 5xx
	StartTLSBroken  StartTLS = "broken"  // the handshake failed
	StartTLSRaised  StartTLS = "raised"
)

func (h *ProbedHost) took(d time.Duration) { h.Took = math.Round(float64(d)/1e3) / 1e3 }

// Elapsed is the time up to the reply to RCPT.
func (h ProbedHost) Elapsed() time.Duration { return time.Duration(h.Took * float64(time.Millisecond)) }

// LeftOut says whether the address was not asked because the list is too long.
func (h ProbedHost) LeftOut() bool { return h.Answer == AnswerSkipped && h.Reason == reasonLimit }

func (h *ProbedHost) skipped(reason string) {
	h.Answer, h.Reason, h.Reply = AnswerSkipped, reason, []string{}
}

// observe takes from the conversation what only a probe wants to know.
func (h *ProbedHost) observe(c *candidate, seen []*x509.Certificate, roots *x509.CertPool) {
	greeted, offered := false, false
	for _, s := range c.Stages {
		switch {
		case s.Stage == mail.StageHello && s.Reply.Positive():
			greeted = true
			h.Extensions = extensionLines(s.Reply)
			offered = offered || h.offers("STARTTLS")
		case s.Stage == mail.StageStartTLS && s.Error != "":
			h.StartTLS = StartTLSBroken
		case s.Stage == mail.StageStartTLS && !s.Reply.IsZero() && s.Reply.Code != 220:
			h.StartTLS = StartTLSRefused
		}
	}
	h.TLS = c.TLS
	switch {
	case h.TLS != nil:
		h.StartTLS = StartTLSRaised
	case h.StartTLS == StartTLSUnknown && greeted && !offered:
		h.StartTLS = StartTLSNone
	}
	h.Certificates = append(h.Certificates, describeChain(seen)...)
	if len(seen) > 0 {
		h.Faults = findFaults(seen, h.Host, roots, time.Now())
	}
}

func extensionLines(r mail.Reply) []string {
	list := []string{}
	for _, line := range r.Lines[1:] {
		if len(line) > 4 {
			list = append(list, strings.ToUpper(line[4:]))
		}
	}
	return list
}

// offers says whether the host offers an extension, and with which parameters.
func (h ProbedHost) offers(keyword string) bool { _, ok := h.parameters(keyword); return ok }

func (h ProbedHost) parameters(keyword string) (string, bool) {
	for _, line := range h.Extensions {
		if word, rest, _ := strings.Cut(line, " "); word == keyword {
			return rest, true
		}
	}
	return "", false
}
