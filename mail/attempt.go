package mail

import (
	"net/netip"
	"slices"
	"time"
)

// Rule is the rule of RFC 5321 s5.1 (or of the configuration) that made the list of hosts.
type Rule string

// The rules.
const (
	RuleMX        Rule = "mx"        // the domain has MX records
	RuleImplicit  Rule = "implicit"  // it has none, but an address: the implicit MX
	RuleNullMX    Rule = "null-mx"   // "MX 0 .": the domain takes no mail (RFC 7505)
	RuleLiteral   Rule = "literal"   // user@[192.0.2.1]
	RuleSmarthost Rule = "smarthost" // a route of the configuration
	RuleNone      Rule = "none"      // nothing was found, or nothing could be learnt
)

// RCode is what became of a DNS question. Next to the codes of RFC 1035 s4.1.1 it names what a bare code does not tell.
type RCode string

// The results of a DNS question.
const (
	RCodeSuccess  RCode = "NOERROR"  // there are answers
	RCodeNoData   RCode = "NODATA"   // the name exists, this type does not (RFC 2308 s2.2)
	RCodeNXDomain RCode = "NXDOMAIN" // the name does not exist (RFC 2308 s2.1)
	RCodeServFail RCode = "SERVFAIL" // the server could not tell
	RCodeRefused  RCode = "REFUSED"  // the server would not tell
	RCodeTimeout  RCode = "TIMEOUT"  // nobody answered in time
	RCodeBogus    RCode = "BOGUS"    // DNSSEC validation failed (RFC 8914 s4.7)
	RCodeLoop     RCode = "LOOP"     // a CNAME chain without end
	RCodeInvalid  RCode = "INVALID"  // the answer was to another question, or was no answer
)

// Certain says whether r tells what the DNS holds; all other results may be different a moment later.
func (r RCode) Certain() bool {
	return r == RCodeSuccess || r == RCodeNoData || r == RCodeNXDomain
}

// Lookup is one DNS question and what was answered, as the attempt tree keeps it.
type Lookup struct {
	Name  string // without the trailing dot
	Type  string // "MX", "A", "AAAA"
	RCode RCode
	// TTL is how long the answer was still good when it was used; the smallest of a chain. Zero for failures.
	TTL time.Duration
	// AD says that a validating server vouched for the whole chain (RFC 4035 s3.2.3).
	AD bool
	// Stale says that upstream was dead and an expired answer was served (RFC 8767).
	Stale bool
	// Answers are the record data in presentation form ("10 mx1.example.org"), CNAMEs first ("CNAME x.example.org").
	Answers []string
	// Error says for people why it failed; empty where it did not.
	Error string
}

// MarshalJSON writes the keys that docs/json.md lists; ttl is in seconds, as everywhere in the DNS.
func (l Lookup) MarshalJSON() ([]byte, error) { return l.appendJSON(nil), nil }

func (l Lookup) appendJSON(b []byte) []byte {
	o := begin(b)
	o.text("name", l.Name)
	o.text("type", l.Type)
	o.text("rcode", string(l.RCode))
	o.number("ttl", int(l.TTL/time.Second))
	o.flag("ad", l.AD)
	o.flag("stale", l.Stale)
	o.texts("answers", l.Answers)
	o.text("error", l.Error)
	return o.end()
}

// Verdict is what became of a candidate.
type Verdict string

// The verdicts.
const (
	VerdictDelivered Verdict = "delivered" // took the content for at least one recipient
	VerdictFailed    Verdict = "failed"    // refused for good
	VerdictDeferred  Verdict = "deferred"  // was tried, and the mail had to go on
	VerdictSkipped   Verdict = "skipped"   // was not to be tried; the reason says why
	VerdictAccepted  Verdict = "accepted"  // would take the mail: a probe asked it, and sent nothing
	VerdictUnreached Verdict = "unreached" // would have been tried, but it was not needed any more
)

// Candidate is one address of one host in the plan of an attempt, with all that happened there.
type Candidate struct {
	Host       string
	Preference int
	Address    netip.Addr
	Port       int
	Verdict    Verdict
	Reason     string
	Stages     []StageRecord
	TLS        *TLS
	// Reused says that an idle session was taken instead of a new connection.
	Reused bool
	// ClosedBy is "us" or "remote"; empty while the session lives on, or where there was none.
	ClosedBy string
}

// Setback is why c did not take the mail, in one line for people: the last refusal or error there, escaped; where there is none, the reason. Of several
// recipients that were refused in different words it quotes none.
func (c Candidate) Setback() string {
	if c.Verdict == VerdictSkipped {
		return c.Reason
	}
	for i, s := range slices.Backward(c.Stages) {
		switch {
		case s.Stage == StageQuit, c.follows(i):
		case s.Error != "":
			return s.Error
		case s.Reply.Code >= 400 && s.Stage == StageRcpt && c.differ():
			return RefusedRecipients
		case s.Reply.Code >= 400:
			return s.Reply.String()
		}
	}
	return c.Reason
}

// RefusedRecipients is the Setback of a host that refused several recipients in different words.
const RefusedRecipients = "refused its recipients"

// follows says whether a refusal only follows from that of a command before it: they are sent together (RFC 2920).
func (c Candidate) follows(i int) bool {
	switch c.Stages[i].Stage {
	case StageRcpt, StageData:
		for _, before := range slices.Backward(c.Stages[:i]) {
			if before.Stage == StageMail {
				return before.Reply.Code >= 400 || c.Stages[i].Stage == StageData && !c.tookRecipient()
			}
		}
		return c.Stages[i].Stage == StageData && !c.tookRecipient()
	}
	return false
}

// tookRecipient says whether RCPT was answered with 2xx.
func (c Candidate) tookRecipient() bool {
	return slices.ContainsFunc(c.Stages, func(s StageRecord) bool { return s.Stage == StageRcpt && s.Reply.Positive() })
}

// differ says whether several recipients were refused in different words.
func (c Candidate) differ() bool {
	said := ""
	for _, s := range c.Stages {
		if s.Stage != StageRcpt || s.Reply.Code < 400 {
			continue
		}
		if text := s.Reply.String(); said != "" && said != text {
			return true
		} else {
			said = text
		}
	}
	return false
}

// MarshalJSON writes the keys that docs/json.md lists.
func (c Candidate) MarshalJSON() ([]byte, error) { return c.appendJSON(nil), nil }

func (c Candidate) appendJSON(b []byte) []byte {
	o := begin(b)
	o.text("host", c.Host)
	o.number("preference", c.Preference)
	o.ip("address", c.Address)
	o.number("port", c.Port)
	o.text("verdict", string(c.Verdict))
	o.text("reason", c.Reason)
	objects(&o, "stages", c.Stages)
	if c.TLS == nil {
		o.null("tls")
	} else {
		o.b = c.TLS.appendJSON(o.key("tls"))
	}
	o.flag("reused", c.Reused)
	o.text("closed_by", c.ClosedBy)
	return o.end()
}

// StageRecord is one command and its reply, or the error in its place.
type StageRecord struct {
	Stage Stage
	At    time.Time
	Took  time.Duration
	Reply Reply
	Error string
}

// MarshalJSON writes the keys that docs/json.md lists; ms has microseconds as its decimals.
func (s StageRecord) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

func (s StageRecord) appendJSON(b []byte) []byte {
	o := begin(b)
	o.text("stage", string(s.Stage))
	o.time("at", s.At)
	o.milliseconds("ms", s.Took)
	o.texts("reply", s.Reply.Lines)
	o.text("error", s.Error)
	return o.end()
}

// TLS is what a connection showed of itself.
type TLS struct {
	Version string // "TLS 1.3"
	Cipher  string
	// Verified says that the certificate chain and the host's name were proved.
	Verified bool
	// Error says why it is not verified.
	Error string
	// Names, Issuer and Expires describe the leaf certificate.
	Names   []string
	Issuer  string
	Expires time.Time
}

// MarshalJSON writes the keys that docs/json.md lists.
func (t TLS) MarshalJSON() ([]byte, error) { return t.appendJSON(nil), nil }

func (t TLS) appendJSON(b []byte) []byte {
	o := begin(b)
	o.text("version", t.Version)
	o.text("cipher", t.Cipher)
	o.flag("verified", t.Verified)
	o.text("error", t.Error)
	o.texts("names", t.Names)
	o.text("issuer", t.Issuer)
	o.time("expires", t.Expires)
	return o.end()
}

// Attempt is one try of a transaction over a plan: the whole story, kept.
type Attempt struct {
	ID      string
	Message string
	Number  int // the first is 1
	Domain  Domain
	Started time.Time
	Ended   time.Time
	Rule    Rule
	// Budget is the time allowed up to DATA, and Used what of it was spent.
	Budget, Used time.Duration
	// Pretended lists the masks that were set (--pretend), as they were written.
	Pretended  []string
	DNS        []Lookup
	Candidates []Candidate
	Outcomes   []Outcome
}

// MarshalJSON writes the keys that docs/json.md lists.
func (a Attempt) MarshalJSON() ([]byte, error) { return a.appendJSON(nil), nil }

func (a Attempt) appendJSON(b []byte) []byte {
	o := begin(b)
	o.text("id", a.ID)
	o.text("message", a.Message)
	o.number("number", a.Number)
	o.text("domain", string(a.Domain))
	o.time("started", a.Started)
	o.time("ended", a.Ended)
	o.text("rule", string(a.Rule))
	o.milliseconds("budget_ms", a.Budget)
	o.milliseconds("used_ms", a.Used)
	o.texts("pretended", a.Pretended)
	objects(&o, "dns", a.DNS)
	objects(&o, "candidates", a.Candidates)
	objects(&o, "outcomes", a.Outcomes)
	return o.end()
}
