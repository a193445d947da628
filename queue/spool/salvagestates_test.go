package spool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// told is a message that has one failure recorded, whose report waits, and of which the states are lost then.
type told struct {
	t    *testing.T
	s    *Store
	id   queue.ID
	work []queue.Owed
}

const failedOne, failedTwo = "a@b.example", "c@d.example"

func newTold(t *testing.T, fs vfs.FS, notify ...string) *told {
	t.Helper()
	s := openAt(t, fs, "/spool")
	d, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := submission(failedOne)
	m.Envelope.Recipients = append(m.Envelope.Recipients, submission(failedTwo).Envelope.Recipients...)
	m.Envelope.From = mail.ReversePath{Address: mail.Address{Local: "us", Domain: "a.example"}}
	for i := range m.Envelope.Recipients {
		m.Envelope.Recipients[i].Notify = notify
	}
	work, err := d.Commit(t.Context(), m, []journal.Entry{{Kind: journal.Accepted, Sender: "us@a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	return &told{t: t, s: s, id: work[0].ID, work: work}
}

// fail settles the work for a recipient as failed, with a report that waits or with one at once.
func (w *told) fail(n int, reports ...queue.Spawned) {
	w.t.Helper()
	state := queue.RecipientState{State: queue.Failed, Reported: len(reports) > 0}
	if !state.Reported {
		state.ReportBy = at(5)
	}
	to := w.work[n].Envelope.Recipients[n].Address.String()
	w.settle(queue.Settlement{ID: w.id, Destination: w.work[n].Destination, States: map[int]queue.RecipientState{n: state}, Reports: reports, Entries: []journal.Entry{{
		Kind: journal.Failed, Sender: "us@a.example", Recipient: to, Domain: w.work[n].Destination, Host: "mx.b.example", Code: 550, Status: mail.Status{5, 1, 1},
		Reply: []string{"550 5.1.1 nobody"}, Reason: "refused at rcpt",
	}}})
}

func (w *told) settle(s queue.Settlement) {
	w.t.Helper()
	if err := w.s.Settle(w.t.Context(), []queue.Settlement{s}); err != nil {
		w.t.Fatal(err)
	}
}

// reportOn is a report with some action about some recipients.
func (w *told) reportOn(action string, recipients ...string) queue.Spawned {
	text := "From: MAILER-DAEMON@us.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
		"Reporting-MTA: dns; us.example\r\n"
	for _, r := range recipients {
		text += "\r\nFinal-Recipient: rfc822; " + r + "\r\nAction: " + action + "\r\nStatus: 5.1.1\r\n"
	}
	s := submission("us@a.example")
	s.Origin, s.Priority, s.MessageID = w.id, queue.Report, fmt.Sprintf("%s.1f.%s@us.example", w.id, action)
	return queue.Spawned{Submission: s, Content: []byte(text + "\r\n--b--\r\n")}
}

// write writes the report that waits, as the reporter does.
func (w *told) write(report queue.Spawned) {
	w.t.Helper()
	work, _, err := w.s.Reports(w.t.Context(), at(60), 10)
	if err != nil || len(work) != 1 {
		w.t.Fatal(work, err)
	}
	s := queue.Settlement{ID: w.id, Destination: queue.ReportWork, States: map[int]queue.RecipientState{}, Reports: []queue.Spawned{report}}
	for _, i := range work[0].Indices {
		s.States[i] = work[0].Recipients[i].Settled()
	}
	w.settle(s)
}

// deliver delivers all reports, so that nothing is left of them but the journal.
func (w *told) deliver() {
	w.t.Helper()
	for _, o := range lease(w.t, w.s, at(60)) {
		settle(w.t, w.s, o, queue.RecipientState{State: queue.Delivered})
	}
}

// owedAfter loses the states of the message and rebuilds the store. It says of whom a report is owed then, and the states.
func (w *told) owedAfter(fs vfs.FS, lose bool) (owed string, states []queue.RecipientState) {
	w.t.Helper()
	if lose {
		if err := w.s.db.Delete(idKey(kindStates, w.id), pebble.Sync); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
	harmManifest(w.t, fs)
	s := openAt(w.t, fs, "/spool")
	defer func() { _ = s.Close() }()
	work, _, err := s.Reports(w.t.Context(), time.Now().Add(time.Hour), 10)
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for _, o := range work {
		states = o.Recipients
		for _, i := range o.Indices {
			list = append(list, o.Envelope.Recipients[i].Address.String())
		}
	}
	return strings.Join(list, " "), states
}

// The states of a message are lost, and the journal tells how its recipients ended: the report is made that was not, and none is made twice.
func TestReportAfterLostStates(t *testing.T) {
	both := func(w *told) { w.fail(0); w.fail(1) }
	for name, test := range map[string]struct {
		notify []string
		before func(w *told)
		keep   bool // the states are not lost
		want   string
	}{
		"one failed, and waits":                 {before: func(w *told) { w.fail(0) }, want: failedOne},
		"both failed, and wait":                 {before: both, want: failedOne + " " + failedTwo},
		"none is wanted":                        {notify: []string{"NEVER"}, before: func(w *told) { w.fail(0) }},
		"the report is in the queue":            {before: func(w *told) { both(w); w.write(w.reportOn("failed", failedOne, failedTwo)) }},
		"the report has gone":                   {before: func(w *told) { w.fail(0); w.write(w.reportOn("failed", failedOne)); w.deliver() }},
		"one is reported, the other waits":      {before: func(w *told) { w.fail(0); w.write(w.reportOn("failed", failedOne)); w.fail(1) }, want: failedTwo},
		"that one's report has gone":            {before: func(w *told) { w.fail(0); w.write(w.reportOn("failed", failedOne)); w.deliver(); w.fail(1) }, want: failedTwo},
		"only a notice went":                    {before: func(w *told) { w.fail(0); w.fail(1, w.reportOn("delayed", failedOne)); w.deliver() }, want: failedOne + " " + failedTwo},
		"only a word about an alias went":       {before: func(w *told) { w.fail(0); w.fail(1, w.reportOn("expanded", failedOne)); w.deliver() }, want: failedOne + " " + failedTwo},
		"the states that are left are old":      {keep: true, before: func(w *told) { w.fail(0); w.write(w.reportOn("failed", failedOne)); w.restore() }},
		"old states, and the report has gone":   {keep: true, before: func(w *told) { w.fail(0); w.write(w.reportOn("failed", failedOne)); w.deliver(); w.restore() }},
		"nothing is lost, and the report waits": {keep: true, before: func(w *told) { w.fail(0) }, want: failedOne},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			w := newTold(t, fs, test.notify...)
			test.before(w)
			owed, states := w.owedAfter(fs, !test.keep)
			if owed != test.want {
				t.Errorf("a report is owed about %q, want %q", owed, test.want)
			}
			for i, s := range states {
				if s.Owes() && !test.keep && (s.Last.Host != "mx.b.example" || s.Last.Status != mail.Status{5, 1, 1} || !slices.Equal(s.Last.Reply.Lines, []string{"550 5.1.1 nobody"}) || s.Tried.IsZero()) {
					t.Errorf("of recipient %d the report would say %+v", i, s)
				}
			}
		})
	}
}

// restore writes the states as they were when the report waited, as if the newer ones were lost.
func (w *told) restore() {
	w.t.Helper()
	states := []queue.RecipientState{{State: queue.Failed, ReportBy: at(5)}, {}}
	if err := w.s.db.Set(idKey(kindStates, w.id), encodeStates(states), pebble.Sync); err != nil {
		w.t.Fatal(err)
	}
}

// What the journal and the queue do not tell: of two failures the second was recorded while the report about the first was written. If then the states are lost, and the report has been
// delivered, that second one is taken for reported (ADR 0012).
func TestFailureWithinTheCommitOfAReport(t *testing.T) {
	fs := vfs.NewMem()
	w := newTold(t, fs)
	w.fail(0)
	work, _, err := w.s.Reports(t.Context(), at(60), 10)
	if err != nil || len(work) != 1 {
		t.Fatal(work, err)
	}
	w.fail(1)
	w.settle(queue.Settlement{
		ID: w.id, Destination: queue.ReportWork, States: map[int]queue.RecipientState{0: work[0].Recipients[0].Settled()}, Reports: []queue.Spawned{w.reportOn("failed", failedOne)},
	})
	w.deliver()
	if owed, _ := w.owedAfter(fs, true); owed != "" {
		t.Errorf("a report is owed about %q: better than ADR 0012 says", owed)
	}
}
