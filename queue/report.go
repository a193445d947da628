package queue

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"

	"go.uber.org/zap"

	"sternpost/bounce"
	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
)

// reportWait is how long the failure of one recipient waits for what becomes of the others, so that the sender gets one report and not several.
const reportWait = 5 * time.Minute

// addReports adds the report that a settlement owes to the sender. It is accepted in the same commit that marks its recipients, so there is exactly one. Where other
// recipients of the message are not settled, the report waits for them: its recipients say durably that it is owed (RecipientState.Owes), and reporter.go writes it.
func (q *Queue) addReports(o Owed, s *Settlement, t terms) {
	owed := q.owe(o, s, t)
	if len(owed) > 0 && alone(o, s) {
		if report, ok := q.spawn(o, q.report(o, q.entries(o, s, owed, t), t), t); ok {
			s.Reports = append(s.Reports, report)
		}
		for _, i := range owed {
			s.States[i] = reported(s.States[i])
		}
	}
	q.addNotice(o, s, t)
}

// owe marks the recipients of a settlement that a report is owed about, and lists them in their order.
func (q *Queue) owe(o Owed, s *Settlement, t terms) []int {
	var list []int
	for i, state := range s.States {
		switch {
		case state.State != Failed && state.State != Delivered:
			continue
		case state.State == Failed && o.Origin != 0:
			q.log.Warn("a report of ours failed; nobody is told", zap.Stringer("id", o.ID), zap.Stringer("about", o.Origin),
				zap.Stringer("to", o.Envelope.Recipients[i].Address), zap.String("reason", state.Last.Reason))
		}
		if !o.wants(i, condition(state)) {
			if state.State == Failed {
				s.States[i] = reported(state)
			}
			continue
		}
		state.ReportBy = t.now.Add(reportWait)
		s.States[i] = state
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}

// reported is a state whose report was accepted, or is not owed.
func reported(state RecipientState) RecipientState {
	state.Reported, state.ReportBy = true, time.Time{}
	return state
}

// condition is what NOTIFY has to name for a report of an end. A delivery is only reported where the next host makes no reports, and then as success (RFC 3461 s5.2.2).
func condition(state RecipientState) string {
	switch {
	case state.State == Failed:
		return "FAILURE"
	case state.Last.KeepsDSN:
		return ""
	}
	return "SUCCESS"
}

// wants says whether the sender wants to be told (RFC 3461 s4.1). Who did not say gets reports of failure, and of delay too: silence for days is no answer. None is owed for
// the null reverse-path (RFC 5321 s4.5.5), nor about a report.
func (s Submission) wants(i int, condition string) bool {
	notify := s.Envelope.Recipients[i].Notify
	if s.Envelope.From.IsNull() || s.Origin != 0 || condition == "" {
		return false
	}
	if len(notify) == 0 {
		return condition != "SUCCESS"
	}
	return slices.Contains(notify, condition)
}

// alone says whether nobody else of the message can still owe a report, or come to owe one: then there is nothing to wait for. What o knows of the others may be old, but final
// states stay what they are.
func alone(o Owed, s *Settlement) bool {
	for i, state := range o.Recipients {
		if _, here := s.States[i]; !here && o.Envelope.Recipients[i].Address.Domain != o.Destination && (!state.State.Final() || state.Owes()) {
			return false
		}
	}
	return true
}

// addNotice adds the notice of delay where a settlement is the first to see that it is time: it tells of all that wait, wherever they are to go.
func (q *Queue) addNotice(o Owed, s *Settlement, t terms) {
	if slices.ContainsFunc(o.Recipients, func(state RecipientState) bool { return state.Noticed }) {
		return
	}
	first := false
	var list []dsn.Recipient
	for i, state := range o.Recipients {
		is, here := s.States[i]
		if here {
			state = is
		}
		first = first || here && state.State == Pending && state.Noticed
		if state.State == Pending && o.wants(i, "DELAY") {
			list = append(list, q.delayed(o, i, state, t))
		}
	}
	if !first || len(list) == 0 {
		return
	}
	q.addTried(o, s, list, t.now)
	if notice, ok := q.spawn(o, q.report(o, list, t), t); ok {
		s.Notice = &notice
	}
}

// spawn is the message that carries a report. A report goes without the original where that cannot be read.
func (q *Queue) spawn(o Owed, r dsn.Report, t terms) (Spawned, bool) {
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil {
		q.log.Error("the original cannot be read for a report; it goes without", zap.Stringer("id", o.ID), zap.Error(err))
		r.Original = nil
		text.Reset()
		if _, err := r.WriteTo(&text); err != nil {
			q.log.Error("a report cannot be written", zap.Stringer("id", o.ID), zap.Error(err))
			return Spawned{}, false
		}
	}
	return Spawned{Content: text.Bytes(), Submission: Submission{
		Envelope: mail.Envelope{Recipients: []mail.Recipient{{Address: o.Envelope.From.Address}}},
		Sender:   "", Priority: Report, Received: t.now, Expires: t.now.Add(t.config.ReportLifetime), MessageID: r.MessageID, Origin: o.ID,
		Peer: "report about " + o.ID.String(),
	}}, true
}

// report is the document (RFC 3464).
func (q *Queue) report(o Owed, about []dsn.Recipient, t terms) dsn.Report {
	// The action tells a report from the notice, or the word about an alias, of the same moment.
	mark := fmt.Sprintf("%s.%x.%s", o.ID, uint64(random(q.seed, o.ID, int(t.now.UnixMilli()))*(1<<52)), about[0].Action)
	return dsn.Report{
		From: mail.Address{Local: "MAILER-DAEMON", Domain: mail.Domain(q.hostname)}, To: o.Envelope.From.Address,
		MessageID: mark + "@" + q.hostname, Date: t.now, Boundary: "report-" + mark, ReportingMTA: q.hostname, Received: o.Received,
		EnvelopeID: o.Envelope.EnvelopeID, HeadersOnly: o.Envelope.Return == "HDRS", Recipients: about, Text: q.text.Load(),
		Original: func() (io.ReadCloser, error) { return o.Content.Open() },
	}
}

// entries are the recipients of a report about the ends of some.
func (q *Queue) entries(o Owed, s *Settlement, about []int, t terms) []dsn.Recipient {
	list := make([]dsn.Recipient, 0, len(about))
	for _, i := range about {
		list = append(list, q.recipient(o, i, s.States[i]))
	}
	q.addTried(o, s, list, t.now)
	return list
}

// recipient is what a report says of one recipient.
func (q *Queue) recipient(o Owed, i int, state RecipientState) dsn.Recipient {
	rcpt := o.Envelope.Recipients[i]
	r := dsn.Recipient{
		Final: rcpt.Address, OriginalType: rcpt.OriginalType, Original: rcpt.Original, Action: dsn.Failed, Status: state.Last.Status,
		RemoteMTA: state.Last.Host, Diagnostic: state.Last.Reply, LastAttempt: state.Tried, Reason: state.Last.Reason, InDoubt: state.InDoubt,
		Cause: cause(q.rules.Load(), state.Last), Expired: journal.Entry{Kind: kindOf(state), Reason: state.Last.Reason}.Expired(),
	}
	if state.State == Delivered {
		r.Action, r.InDoubt = dsn.Relayed, false
	}
	return r
}

// cause is what a failure or delay comes to for the sender, by the rules that judge it everywhere; empty: no more than the status says.
func cause(rules *bounce.Classifier, o mail.Outcome) dsn.Cause {
	v := rules.Classify(bounce.FromOutcome(o))
	if v.Category == bounce.Policy && v.Fault == bounce.FaultUs { // a rule of ours
		return dsn.CauseOther
	}
	switch v.Cause {
	case bounce.BadMailbox:
		return dsn.CauseAddress
	case bounce.Inactive:
		return dsn.CauseInactive
	case bounce.MailboxFull:
		return dsn.CauseFull
	case bounce.TooLarge:
		return dsn.CauseSize
	case bounce.Content:
		return dsn.CauseContent
	case bounce.Policy, bounce.Filtered:
		return dsn.CausePolicy
	case bounce.Spam:
		return dsn.CauseSpam
	case bounce.Reputation, bounce.Authentication:
		return dsn.CauseReputation
	case bounce.RejectedSender:
		return dsn.CauseSender
	case bounce.RelayDenied:
		return dsn.CauseRoute
	case bounce.TLS:
		return dsn.CauseTLS
	case bounce.Greylisted, bounce.RateLimited:
		return dsn.CauseWait
	case bounce.DNS:
		return dsn.CauseDNS
	case bounce.System:
		if o.Reply.IsZero() { // it may be our own
			return dsn.CauseOther
		}
		return dsn.CauseTrouble
	case bounce.Network:
		if o.Stage == mail.StageConnect || o.Stage == mail.StageGreeting {
			return dsn.CauseNetwork
		}
	}
	return ""
}

// delayed is what a notice says of one recipient.
func (q *Queue) delayed(o Owed, i int, state RecipientState, t terms) dsn.Recipient {
	r := q.recipient(o, i, state)
	r.Action = dsn.Delayed
	own := o
	own.Destination = o.Envelope.Recipients[i].Address.Domain
	r.RetryUntil = t.expires(own)
	if r.Status.IsZero() {
		r.Status = mail.Status{4, 4, 7}
	}
	return r
}

// giveUp is the settlement of work that a person returns to its sender.
func (q *Queue) giveUp(o Owed, now time.Time) Settlement {
	s := Settlement{ID: o.ID, Destination: o.Destination, States: make(map[int]RecipientState, len(o.Indices))}
	for _, i := range o.Indices {
		state := o.Recipients[i]
		state.State = Failed
		state.Last.Disposition, state.Last.InDoubt = mail.Failed, state.InDoubt
		state.Last.Status = mail.Status{5, 0, 0}
		state.Last.Reason = journal.Returned
		s.States[i] = state
		s.Entries = append(s.Entries, entry(o, i, state.Last, state))
	}
	q.addReports(o, &s, terms{config: *q.current(), now: now})
	return s
}
