package lab

import (
	"slices"
	"strings"
	"time"
)

// WorldReport is what a world says of itself.
type WorldReport struct {
	Scenario  string       `json:"scenario"`
	Title     string       `json:"title"`
	Began     time.Time    `json:"began"`
	Lasted    float64      `json:"lasted_ms"` // until now
	Questions int          `json:"questions"` // that the DNS server was asked
	Messages  int          `json:"messages"`  // whose content came to its end
	Hosts     []HostReport `json:"hosts"`
	Verdicts  []Verdict    `json:"expectations"`
}

// HostReport is what one host saw.
type HostReport struct {
	Name        string `json:"host"`
	Address     string `json:"address"` // with the port
	Behaviour   List   `json:"behaviour"`
	Connections int    `json:"connections"` // that came through
	Delivered   int    `json:"delivered"`   // contents that it took
	Unanswered  int    `json:"unanswered"`  // contents that it had whole and did not answer
	Refused     int    `json:"refused"`     // clients, messages, recipients and contents that it refused
}

// Met says whether all expectations are.
func (r WorldReport) Met() bool {
	return !slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return !v.Met })
}

// Report sums up what happened so far, and judges the expectations as Check does.
func (w *World) Report(fates ...Fate) WorldReport {
	r := WorldReport{
		Scenario: w.scenario.Name, Title: w.scenario.Title, Began: w.began,
		Lasted: float64(time.Since(w.began).Microseconds()) / 1000, Hosts: []HostReport{}, Verdicts: []Verdict{},
	}
	r.Verdicts = append(r.Verdicts, w.Check(fates...)...)
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Questions, r.Messages = w.questions, w.kept.number
	for _, h := range w.hosts {
		counted := h.counted
		counted.Name, counted.Address, counted.Behaviour = h.Name, h.door.at.String(), h.Behaviour.Strings()
		r.Hosts = append(r.Hosts, counted)
	}
	return r
}

// count takes an event into the report. The caller holds the lock of the world.
func (r *HostReport) count(e Event) {
	switch {
	case e.Kind == EventConnected:
		r.Connections++
	case e.refuses, e.Kind == EventRecipient && !strings.HasPrefix(e.Reply.Last(), "2"):
		r.Refused++
	case e.Message == nil:
	case e.Message.Accepted:
		r.Delivered++
	case e.Message.Reply.Last() == "":
		r.Unanswered++
	default:
		r.Refused++
	}
}
