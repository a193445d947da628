package delivery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sternpost/mail"
)

// ProbeChange is a difference between two probes of one address. Codes are stable; docs/probe.md lists them. The texts are escaped.
type ProbeChange struct {
	Code string `json:"code"`
	// Host and Address are what it is about; empty: all of the domain.
	Host    string `json:"host"`
	Address string `json:"address"`
	Before  string `json:"before"`
	After   string `json:"after"`
	// Routine says that such a change is expected: a certificate that was renewed. It does not change the exit status.
	Routine bool `json:"routine"`
}

// Changes tells what differs between an earlier probe and a later one: the hosts and addresses, what they answer, their certificates, TLS and extensions. How long anything
// took does not count. It is a pure function.
func Changes(before, after Probe) []ProbeChange {
	c := changes{list: []ProbeChange{}}
	if before.Through == after.Through {
		c.add("verdict", ProbedHost{}, string(before.Verdict), string(after.Verdict))
	}
	c.add("rule", ProbedHost{}, string(before.Rule), string(after.Rule))
	c.add("dns", ProbedHost{}, before.Error, after.Error)
	for _, old := range before.Hosts {
		i := slices.IndexFunc(after.Hosts, old.samePlace)
		if i < 0 {
			c.add("address-gone", old, old.place(), "")
			continue
		}
		c.compare(old, after.Hosts[i])
	}
	for _, h := range after.Hosts {
		if !slices.ContainsFunc(before.Hosts, h.samePlace) {
			c.add("address-new", h, "", h.place())
		}
	}
	return c.list
}

func (h ProbedHost) samePlace(o ProbedHost) bool {
	return h.Host == o.Host && h.Address == o.Address && h.Port == o.Port
}

func (h ProbedHost) place() string { return fmt.Sprintf("preference %d", h.Preference) }

type changes struct{ list []ProbeChange }

func (c *changes) add(code string, h ProbedHost, before, after string) {
	c.note(ProbeChange{Code: code, Before: before, After: after}, h)
}

// note keeps a change at a host, where it is one.
func (c *changes) note(change ProbeChange, h ProbedHost) {
	if change.Before == change.After {
		return
	}
	change.Host = h.Host
	if h.Address.IsValid() {
		change.Address = h.Address.String()
	}
	change.Before, change.After = mail.Escape(change.Before), mail.Escape(change.After)
	c.list = append(c.list, change)
}

// compare tells what changed at one address. What was not asked, or could not be asked from here, tells nothing about the host.
func (c *changes) compare(old, now ProbedHost) {
	c.add("preference", now, old.place(), now.place())
	if old.unheard() || now.unheard() {
		return
	}
	c.add("answer", now, old.word(), now.word())
	if old.Unknown != nil && now.Unknown != nil {
		c.add("unknown-users", now, old.Unknown.word(), now.Unknown.word())
	}
	if old.StartTLS == StartTLSUnknown || now.StartTLS == StartTLSUnknown {
		return
	}
	c.add("starttls", now, string(old.StartTLS), string(now.StartTLS))
	if old.TLS != nil && now.TLS != nil {
		c.add("tls-version", now, old.TLS.Version, now.TLS.Version)
	}
	c.extensions(old, now)
	c.certificate(old, now)
}

// unheard says whether the host had no chance to answer, for a reason that is ours.
func (h ProbedHost) unheard() bool {
	ours := strings.HasPrefix(h.Reason, reasonNotAsked) || strings.HasPrefix(h.Reason, reasonOnly)
	return h.Answer == AnswerUntested || h.Answer == AnswerSkipped && ours
}

// word is an answer with its code, as "refuses 554". The text may hold a time or a queue's number.
func (r ProbedReply) word() string {
	if r.Code == nil {
		return string(r.Answer)
	}
	return fmt.Sprintf("%s %d", r.Answer, *r.Code)
}

func (c *changes) extensions(old, now ProbedHost) {
	for _, line := range old.Extensions {
		keyword, was, _ := strings.Cut(line, " ")
		if is, ok := now.parameters(keyword); !ok {
			c.add("extension-gone", now, line, "")
		} else if is != was {
			c.add("extension-changed", now, line, keyword+" "+is)
		}
	}
	for _, line := range now.Extensions {
		if keyword, _, _ := strings.Cut(line, " "); !old.offers(keyword) {
			c.add("extension-new", now, "", line)
		}
	}
}

func (c *changes) certificate(old, now ProbedHost) {
	c.add("certificate-faults", now, faultText(old.Faults), faultText(now.Faults))
	if len(old.Certificates) == 0 || len(now.Certificates) == 0 || old.Certificates[0].SHA256 == now.Certificates[0].SHA256 {
		return
	}
	was, is := old.Certificates[0], now.Certificates[0]
	routine := was.Issuer == is.Issuer && was.Subject == is.Subject && slices.Equal(was.Names, is.Names) && is.Expires.After(was.Expires)
	c.note(ProbeChange{Code: "certificate", Before: certificateText(was), After: certificateText(is), Routine: routine}, now)
}

func faultText(faults []Fault) string {
	var words []string
	for _, f := range faults {
		words = append(words, string(f))
	}
	return strings.Join(words, ", ")
}

func certificateText(c Certificate) string {
	return fmt.Sprintf("%s until %s by %s (%.16s)", strings.Join(c.Names, " "), c.Expires.Format(time.DateOnly), c.Issuer, c.SHA256)
}
