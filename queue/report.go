package queue

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"time"

	"go.uber.org/zap"

	"sternpost/dsn"
	"sternpost/mail"
)

// addReports adds the report that a settlement owes to the sender: of failures, or of delay. It is accepted in the same commit that marks its
// recipients, so there is exactly one. None is owed for the null reverse-path (RFC 5321 s4.5.5) nor for those who asked for none.
func (q *Queue) addReports(o Owed, s *Settlement, t terms) {
	failed := concerned(o, s, func(was, is RecipientState) bool { return is.State == Failed && !is.Reported })
	delayed := concerned(o, s, func(was, is RecipientState) bool { return is.State == Pending && is.Noticed && !was.Noticed })
	q.addReport(o, s, t, wanted(o, failed, "FAILURE"), dsn.Failed)
	q.addReport(o, s, t, wanted(o, delayed, "DELAY"), dsn.Delayed)
	for _, i := range failed {
		state := s.States[i]
		state.Reported = true
		s.States[i] = state
	}
}

// concerned lists the recipients that a report would be about, in their order.
func concerned(o Owed, s *Settlement, about func(was, is RecipientState) bool) []int {
	var list []int
	for i, is := range s.States {
		if about(o.Recipients[i], is) {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list
}

// wanted keeps those recipients whose NOTIFY asks for such a report (RFC 3461 s4.1). Who did not say gets reports of failure, and of delay too: silence for
// days is no answer.
func wanted(o Owed, list []int, condition string) []int {
	return slices.DeleteFunc(slices.Clone(list), func(i int) bool {
		notify := o.Envelope.Recipients[i].Notify
		return len(notify) > 0 && !slices.Contains(notify, condition)
	})
}

func (q *Queue) addReport(o Owed, s *Settlement, t terms, about []int, action dsn.Action) {
	if len(about) == 0 || o.Envelope.From.IsNull() || o.Origin != 0 {
		return
	}
	r := q.report(o, s, t, about, action)
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil {
		q.log.Error("the original cannot be read for a report; it goes without", zap.Stringer("id", o.ID), zap.Error(err))
		r.Original = nil
		text.Reset()
		if _, err := r.WriteTo(&text); err != nil {
			q.log.Error("a report cannot be written", zap.Stringer("id", o.ID), zap.Error(err))
			return
		}
	}
	s.Reports = append(s.Reports, Spawned{Content: text.Bytes(), Submission: Submission{
		Envelope: mail.Envelope{Recipients: []mail.Recipient{{Address: o.Envelope.From.Address}}},
		Sender:   "", Priority: Report, Received: t.now, Expires: t.now.Add(t.config.ReportLifetime), MessageID: r.MessageID, Origin: o.ID,
		Peer: "report about " + o.ID.String(),
	}})
}

// report is the document (RFC 3464).
func (q *Queue) report(o Owed, s *Settlement, t terms, about []int, action dsn.Action) dsn.Report {
	mark := fmt.Sprintf("%s.%x", o.ID, uint64(random(q.seed, o.ID, int(t.now.UnixMilli()))*(1<<52)))
	r := dsn.Report{
		From: mail.Address{Local: "MAILER-DAEMON", Domain: mail.Domain(q.hostname)}, To: o.Envelope.From.Address,
		MessageID: mark + "@" + q.hostname, Date: t.now, Boundary: "report-" + mark, ReportingMTA: q.hostname, Received: o.Received,
		EnvelopeID: o.Envelope.EnvelopeID, HeadersOnly: action == dsn.Delayed || o.Envelope.Return == "HDRS",
		Original: func() (io.ReadCloser, error) { return o.Content.Open() },
	}
	for _, i := range about {
		state, rcpt := s.States[i], o.Envelope.Recipients[i]
		entry := dsn.Recipient{
			Final: rcpt.Address, OriginalType: rcpt.OriginalType, Original: rcpt.Original, Action: action, Status: state.Last.Status,
			RemoteMTA: state.Last.Host, Diagnostic: state.Last.Reply, LastAttempt: state.Tried, Reason: state.Last.Reason, InDoubt: state.InDoubt,
		}
		if action == dsn.Delayed {
			entry.RetryUntil = t.expires(o)
			if entry.Status.IsZero() {
				entry.Status = mail.Status{4, 4, 7}
			}
		}
		r.Recipients = append(r.Recipients, entry)
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
		state.Last.Reason = "returned to the sender by the operator"
		s.States[i] = state
		s.Entries = append(s.Entries, entry(o, i, state.Last, state))
	}
	q.addReports(o, &s, terms{config: *q.current(), now: now})
	return s
}
