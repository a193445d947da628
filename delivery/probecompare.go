package delivery

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/resolver"
)

func (c *comparison) compareTLS(h probedHost) {
	s := h.speaker()
	secured := func(o ProbedHost) bool { return o.StartTLS == StartTLSRaised }
	switch {
	case s.StartTLS == StartTLSBroken || s.StartTLS == StartTLSRefused:
		c.find(resolver.LevelError, "starttls-broken", h, fmt.Sprintf("%s offers STARTTLS, and it fails%s.", h.name(), handshakeError(c.Attempt, s)),
			"Mail goes there in clear, and not at all from senders that require TLS.")
	case s.StartTLS == StartTLSNone && c.others(h, secured):
		c.find(resolver.LevelError, "no-starttls", h, fmt.Sprintf("%s does not offer STARTTLS, and others do.", h.name()),
			"Whoever stops the others from answering reads the mail. Give it a certificate and switch STARTTLS on.")
	case s.StartTLS == StartTLSNone && !c.told("no-starttls-anywhere"):
		c.find(resolver.LevelWarning, "no-starttls-anywhere", h, "No exchanger offers STARTTLS.", "Mail crosses the network in clear.")
	}
}

// told says whether there is such a finding already.
func (c *comparison) told(code string) bool {
	return slices.ContainsFunc(c.Findings, func(f ProbeFinding) bool { return f.Code == code })
}

// handshakeError is what the attempt tree says of the handshake with an address.
func handshakeError(a mail.Attempt, h ProbedHost) string {
	for _, c := range a.Candidates {
		if c.Host != h.Host || c.Address != h.Address {
			continue
		}
		for _, s := range c.Stages {
			if s.Stage == mail.StageStartTLS && (s.Error != "" || !s.Reply.IsZero() && s.Reply.Code != 220) {
				return ": " + strings.Trim(s.Error+" "+s.Reply.String(), " ")
			}
		}
	}
	return ""
}

// compareCertificate looks at the certificate of each address: they may be different machines.
func (c *comparison) compareCertificate(h probedHost) {
	told := map[string]bool{}
	for _, a := range h {
		if len(a.Certificates) == 0 || told[a.Certificates[0].SHA256] {
			continue
		}
		told[a.Certificates[0].SHA256] = true
		c.judgeCertificate(h, a)
	}
}

func (c *comparison) judgeCertificate(h probedHost, a ProbedHost) {
	leaf := a.Certificates[0]
	day := leaf.Expires.Format(time.DateOnly)
	good := c.others(h, func(o ProbedHost) bool { return len(o.Certificates) > 0 && len(o.Faults) == 0 })
	level := resolver.LevelWarning // without a policy senders take any certificate
	if good {
		level = resolver.LevelError
	}
	const strict = "Senders that prove certificates (MTA-STS) do not deliver there."
	for _, fault := range a.Faults {
		switch fault {
		case FaultExpired:
			c.find(resolver.LevelError, "certificate-expired", h, fmt.Sprintf("The certificate of %s expired on %s.", h.name(), day), "Renew it. "+strict)
		case FaultNotYet:
			c.find(resolver.LevelError, "certificate-not-yet-valid", h, fmt.Sprintf("The certificate of %s begins on %s.", h.name(), leaf.Begins.Format(time.DateOnly)), "Look at its clock. "+strict)
		case FaultWrongName:
			c.find(level, "certificate-wrong-name", h, fmt.Sprintf("The certificate of %s is for %s.", h.name(), certificateNames(leaf)), "It must have the name of the MX record. "+strict)
		case FaultUntrusted:
			c.find(level, "certificate-untrusted", h, fmt.Sprintf("The certificate of %s is signed by no authority that is trusted here (issuer %s).", h.name(), mail.Escape(leaf.Issuer)),
				"Take one of a public authority, and send the whole chain. "+strict)
		}
	}
	left := leaf.Expires.Sub(c.now)
	if !slices.Contains(a.Faults, FaultExpired) && left < expiresSoon {
		c.find(resolver.LevelError, "certificate-expires-soon", h, fmt.Sprintf("The certificate of %s expires on %s, in %d days.", h.name(), day, int(left.Hours()/24)),
			"Most are renewed weeks before: look whether the renewal works.")
	}
}

func certificateNames(c Certificate) string {
	names := c.Names
	if len(names) == 0 {
		return mail.Escape(c.Subject)
	}
	more := ""
	if len(names) > 3 {
		more = fmt.Sprintf(" and %d more", len(names)-3)
		names = names[:3]
	}
	return mail.Escape(strings.Join(names, ", ")) + more
}

// compareExtensions compares a backup with the first host that told its extensions.
func (c *comparison) compareExtensions(h probedHost) {
	s := h.speaker()
	i := slices.IndexFunc(c.hosts, func(o probedHost) bool { return len(o.speaker().Extensions) > 0 })
	if i < 0 || c.hosts[i][0].Number == h[0].Number || s.StartTLS == StartTLSUnknown {
		return
	}
	first := c.hosts[i].speaker()
	var missing []string
	for _, keyword := range []string{"8BITMIME", "SMTPUTF8"} {
		if first.offers(keyword) && !s.offers(keyword) {
			missing = append(missing, keyword)
		}
	}
	if len(missing) > 0 {
		c.find(resolver.LevelWarning, "extension-missing", h, fmt.Sprintf("%s does not offer %s, %s does.", h.name(), strings.Join(missing, " and "), mail.Escape(first.Host)),
			"Some mail is converted for it, or returned (addresses that need SMTPUTF8).")
	}
	most, least := first.size(), s.size()
	if least > 0 && (most == 0 && first.offers("SIZE") || least < most) {
		c.find(resolver.LevelWarning, "size-smaller", h, fmt.Sprintf("%s takes messages up to %d octets, %s up to %s.", h.name(), least, mail.Escape(first.Host), sizeText(most)),
			"Larger ones are returned while it is the only one that answers.")
	}
}

// size is the limit that a host tells; 0: none (RFC 1870 s4).
func (h ProbedHost) size() int64 {
	text, _ := h.parameters("SIZE")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func sizeText(n int64) string {
	if n == 0 {
		return "any size"
	}
	return strconv.FormatInt(n, 10)
}
