package mail

import (
	"encoding/json"
	"net/netip"
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
func (l Lookup) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Name    string   `json:"name"`
		Type    string   `json:"type"`
		RCode   RCode    `json:"rcode"`
		TTL     int64    `json:"ttl"`
		AD      bool     `json:"ad"`
		Stale   bool     `json:"stale"`
		Answers []string `json:"answers"`
		Error   string   `json:"error"`
	}{l.Name, l.Type, l.RCode, int64(l.TTL / time.Second), l.AD, l.Stale, list(l.Answers), l.Error})
}

// Verdict is what became of a candidate.
type Verdict string

// The verdicts.
const (
	VerdictDelivered Verdict = "delivered" // took the content for at least one recipient
	VerdictFailed    Verdict = "failed"    // refused for good
	VerdictDeferred  Verdict = "deferred"  // was tried, and the mail had to go on
	VerdictSkipped   Verdict = "skipped"   // was not to be tried; the reason says why
	VerdictUnreached Verdict = "unreached" // would have been tried, but it was not needed any more
)

// Candidate is one address of one host in the plan of an attempt, with all that happened there.
type Candidate struct {
	Host       string        `json:"host"`
	Preference int           `json:"preference"`
	Address    netip.Addr    `json:"address"`
	Port       int           `json:"port"`
	Verdict    Verdict       `json:"verdict"`
	Reason     string        `json:"reason"`
	Stages     []StageRecord `json:"stages"`
	TLS        *TLS          `json:"tls"`
	// Reused says that an idle session was taken instead of a new connection.
	Reused bool `json:"reused"`
	// ClosedBy is "us" or "remote"; empty while the session lives on, or where there was none.
	ClosedBy string `json:"closed_by"`
}

// MarshalJSON writes c with a list of stages also where there are none.
func (c Candidate) MarshalJSON() ([]byte, error) {
	type keys Candidate
	c.Stages = list(c.Stages)
	return json.Marshal(keys(c))
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
func (s StageRecord) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Stage Stage     `json:"stage"`
		At    time.Time `json:"at"`
		MS    float64   `json:"ms"`
		Reply []string  `json:"reply"`
		Error string    `json:"error"`
	}{s.Stage, s.At.UTC(), milliseconds(s.Took), list(s.Reply.Lines), s.Error})
}

// TLS is what a connection showed of itself.
type TLS struct {
	Version string `json:"version"` // "TLS 1.3"
	Cipher  string `json:"cipher"`
	// Verified says that the certificate chain and the host's name were proved.
	Verified bool `json:"verified"`
	// Error says why it is not verified.
	Error string `json:"error"`
	// Names, Issuer and Expires describe the leaf certificate.
	Names   []string  `json:"names"`
	Issuer  string    `json:"issuer"`
	Expires time.Time `json:"expires"`
}

// MarshalJSON writes t with a list of names also where there are none, and its time in UTC.
func (t TLS) MarshalJSON() ([]byte, error) {
	type keys TLS
	t.Names = list(t.Names)
	t.Expires = t.Expires.UTC()
	return json.Marshal(keys(t))
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
func (a Attempt) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID         string      `json:"id"`
		Message    string      `json:"message"`
		Number     int         `json:"number"`
		Domain     Domain      `json:"domain"`
		Started    time.Time   `json:"started"`
		Ended      time.Time   `json:"ended"`
		Rule       Rule        `json:"rule"`
		BudgetMS   float64     `json:"budget_ms"`
		UsedMS     float64     `json:"used_ms"`
		Pretended  []string    `json:"pretended"`
		DNS        []Lookup    `json:"dns"`
		Candidates []Candidate `json:"candidates"`
		Outcomes   []Outcome   `json:"outcomes"`
	}{
		a.ID, a.Message, a.Number, a.Domain, a.Started.UTC(), a.Ended.UTC(), a.Rule, milliseconds(a.Budget),
		milliseconds(a.Used), list(a.Pretended), list(a.DNS), list(a.Candidates), list(a.Outcomes),
	})
}

// list is s, never nil, so that readers of the JSON always find a list.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// milliseconds is d as every duration is written in JSON.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
