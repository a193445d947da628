package mail

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"time"
)

// What the Marshal methods of this package have written is read back here, for programs that ask an agent. Keys that are not known are passed over: the agent may be newer.

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Attempt) UnmarshalJSON(text []byte) error {
	var t struct {
		ID, Message    string
		Number         int
		Domain         Domain
		Started, Ended time.Time
		Rule           Rule
		Budget         milliseconds `json:"budget_ms"`
		Used           milliseconds `json:"used_ms"`
		Pretended      []string
		DNS            []Lookup
		Candidates     []Candidate
		Outcomes       []Outcome
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	*a = Attempt{
		ID: t.ID, Message: t.Message, Number: t.Number, Domain: t.Domain, Started: t.Started, Ended: t.Ended, Rule: t.Rule,
		Budget: t.Budget.duration(), Used: t.Used.duration(), Pretended: t.Pretended, DNS: t.DNS, Candidates: t.Candidates, Outcomes: t.Outcomes,
	}
	return nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *Lookup) UnmarshalJSON(text []byte) error {
	type plain Lookup
	t := struct {
		*plain
		TTL int
	}{plain: (*plain)(l)}
	err := json.Unmarshal(text, &t)
	l.TTL = time.Duration(t.TTL) * time.Second
	return err
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Candidate) UnmarshalJSON(text []byte) error {
	type plain Candidate
	t := struct {
		*plain
		Address  address
		ClosedBy string `json:"closed_by"`
	}{plain: (*plain)(c)}
	err := json.Unmarshal(text, &t)
	c.Address, c.ClosedBy = netip.Addr(t.Address), t.ClosedBy
	return err
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *StageRecord) UnmarshalJSON(text []byte) error {
	var t struct {
		Stage Stage
		At    time.Time
		MS    milliseconds
		Reply []string
		Error string
	}
	err := json.Unmarshal(text, &t)
	*s = StageRecord{Stage: t.Stage, At: t.At, Took: t.MS.duration(), Reply: replyOf(t.Reply), Error: t.Error}
	return err
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (o *Outcome) UnmarshalJSON(text []byte) error {
	var t struct {
		Recipient    string
		Disposition  Disposition
		InDoubt      bool `json:"in_doubt"`
		Scope        Scope
		Stage        Stage
		Status       Status
		Reply        []string
		Host, Reason string
		Address      address
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	*o = Outcome{
		Disposition: t.Disposition, InDoubt: t.InDoubt, Scope: t.Scope, Stage: t.Stage, Reply: replyOf(t.Reply), Status: t.Status,
		Host: t.Host, IP: netip.Addr(t.Address), Reason: t.Reason,
	}
	o.Recipient, _ = ParseAddress(t.Recipient) // a tree may be of no recipient in particular
	return nil
}

// milliseconds is a duration as it is written.
type milliseconds float64

func (m milliseconds) duration() time.Duration {
	return time.Duration(math.Round(float64(m)*1000)) * time.Microsecond
}

// address is an IP address as it is written; empty: none.
type address netip.Addr

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *address) UnmarshalText(text []byte) error { return (*netip.Addr)(a).UnmarshalText(text) }

// replyOf is the reply with these lines; its code is what the first begins with.
func replyOf(lines []string) Reply {
	if len(lines) == 0 {
		return Reply{}
	}
	code, err := strconv.Atoi(lines[0][:min(3, len(lines[0]))])
	if err != nil {
		return Reply{}
	}
	return Reply{Code: code, Lines: lines}
}
