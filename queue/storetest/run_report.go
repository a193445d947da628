package storetest

import (
	"slices"
	"time"

	"sternpost/queue"
)

func reportTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"when nothing is under way": testReportAlone,
		"when it is due":            testReportDue,
		"most":                      testReportMost,
		"returned":                  testReportReturned,
		"changed by a person":       testReportChange,
		"held by a person":          testReportHeld,
		"suspended before":          testReportSuspended,
		"suspended meanwhile":       testReportSuspendedLater,
		"not owed":                  testReportNotOwed,
		"one notice a message":      testNoticeOnce,
	}
}

// owing is a failure whose report is due after so many minutes.
func owing(minutes int) queue.RecipientState {
	return queue.RecipientState{State: queue.Failed, ReportBy: after(minutes)}
}

// reports leases the reports that may go, and expects them of these messages.
func (r *trial) reports(what string, now time.Time, want ...queue.ID) []queue.Owed {
	r.Helper()
	work, _, err := r.store.Reports(r.Context(), now, 10_000)
	if err != nil {
		r.Fatalf("Reports: %v", err)
	}
	slices.SortFunc(work, func(a, b queue.Owed) int { return int(a.ID) - int(b.ID) })
	r.expectWork(what, work, want...)
	return work
}

// told is the settlement of a report that was made.
func told(o queue.Owed) queue.Settlement {
	s := queue.Settlement{ID: o.ID, Destination: queue.ReportWork, States: map[int]queue.RecipientState{}}
	for _, i := range o.Indices {
		state := o.Recipients[i]
		state.Reported, state.ReportBy = true, time.Time{}
		s.States[i] = state
	}
	return s
}

func testReportAlone(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example"), "text")
	id := work[0].ID
	r.settle(all(work[0], owing(5)))
	r.reports("while the other is under way", after(4))
	_, next, err := r.store.Reports(r.Context(), after(4), 10)
	expect(r, "next", next.Equal(after(5)), err == nil)
	r.settle(all(work[1], owing(7)))
	expect(r, "it stays", len(r.messages(queue.Query{ID: id})), 1)
	r.expectWork("nobody waits for a host", r.lease(after(600)))
	reports := r.reports("nothing is under way", after(4), id)
	expect(r, "about both", len(reports[0].Indices), 2)
	expect(r, "destination", reports[0].Destination, queue.ReportWork)
	r.expectContent("content", reports[0].Content, "text")
	r.reports("leased", after(600))
	settlement := told(reports[0])
	settlement.Reports = []queue.Spawned{report(id)}
	r.settle(settlement)
	r.expectGone("it is reported", id)
	expect(r, "the report", len(r.messages(queue.Query{})), 1)
	r.reports("and not again", after(600))
}

func testReportDue(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example"), "text")
	r.settle(all(work[0], owing(5)))
	reports := r.reports("due", after(5), work[0].ID)
	r.settle(all(work[1], deferred(after(60), "busy")))
	r.settle(told(reports[0]))
	again := r.lease(after(60))
	r.expectWork("the other goes on", again, work[0].ID)
	r.reports("none is owed", after(60))
	r.settle(all(again[0], owing(65)))
	r.settle(told(r.reports("the other", after(60), work[0].ID)[0]))
	r.expectGone("both are reported", work[0].ID)
}

func testReportMost(r *trial) {
	for range 5 {
		r.settle(all(r.accept(letter("a@a.example", "b@b.example"), "")[0], owing(5)))
	}
	seen := map[queue.ID]bool{}
	for range 3 {
		work, _, err := r.store.Reports(r.Context(), after(0), 2)
		if err != nil || len(work) > 2 {
			r.Fatalf("Reports: %v, %v", work, err)
		}
		for _, o := range work {
			seen[o.ID] = true
		}
	}
	expect(r, "all are given", len(seen), 5)
}

func testReportReturned(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example"), "text")
	r.settle(all(work[0], owing(5)))
	r.store.Return(work[1:])
	r.reports("the other is about to be tried", after(1))
	r.settle(all(r.lease(after(1))[0], deferred(after(60), "busy")))
	reports := r.reports("the other waits for later", after(1), work[0].ID)
	r.store.Return(reports)
	r.settle(told(r.reports("given back", after(1), work[0].ID)[0]))
	r.expectWork("the other", r.lease(after(60)), work[0].ID)
}

func testReportChange(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example"), "text")
	r.settle(all(work[0], owing(5)))
	r.store.Return(work[1:])
	r.expectChange("remove", queue.Query{ID: work[0].ID}, queue.Remove, start(), 1)
	r.expectChange("remove", queue.Query{ID: work[0].ID}, queue.Remove, start(), 0)
	r.settle(told(r.reports("removed is not reported", after(1), work[0].ID)[0]))
	r.expectGone("it is reported", work[0].ID)
}

func testReportHeld(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example"), "text")
	r.settle(all(work[0], owing(5)))
	r.store.Return(work[1:])
	r.reports("the other is about to be tried", after(1))
	r.expectChange("hold", queue.Query{ID: work[0].ID, Destination: "c.example"}, queue.Hold, start(), 1)
	r.reports("who is held is not under way", after(1), work[0].ID)
}

// testReportSuspended: who waits where nothing is given out is not under way.
func testReportSuspended(r *trial) {
	r.suspend("c.example", after(60))
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example"), "text")
	r.settle(all(work[0], owing(5)))
	r.reports("the other is under way", after(1))
	r.store.Return(work[1:])
	r.reports("its destination is suspended", after(1), work[0].ID)
}

func testReportSuspendedLater(r *trial) {
	var both []queue.ID
	for _, other := range []string{"c@c.example", "d@d.example"} {
		work := r.accept(letter("a@a.example", "b@b.example", other), "text")
		r.settle(all(work[0], owing(5)))
		r.store.Return(work[1:])
		both = append(both, work[0].ID)
	}
	r.reports("the others are about to be tried", after(1))
	r.suspend("c.example", after(60))
	r.suspend("d.example", after(60))
	r.suspend("d.example", time.Time{})
	r.settle(told(r.reports("one is suspended", after(2), both[0])[0]))
	r.reports("the other is not", after(4))
	r.reports("until it is due", after(5), both[1])
}

func testReportNotOwed(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example"), "text")
	r.settle(all(work[0], queue.RecipientState{State: queue.Failed, Reported: true}))
	r.reports("none is owed", after(600))
	wrong := queue.Settlement{ID: work[1].ID, Destination: queue.ReportWork}
	r.refuse("a report that is not leased", wrong)
	waits := deferred(after(60), "busy")
	waits.ReportBy = after(5)
	r.settle(all(work[1], waits))
	r.reports("who waits is owed none", after(600))
}

func testNoticeOnce(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example", "c@c.example", "d@d.example"), "text")
	r.settle(all(work[2], delivered()))
	notice := report(work[0].ID)
	for _, o := range work[:2] {
		s := all(o, deferred(after(60), "busy"))
		s.Notice = &notice
		r.settle(s)
	}
	expect(r, "the message and one notice", len(r.messages(queue.Query{})), 2)
	for i, state := range r.messages(queue.Query{ID: work[0].ID})[0].Recipients {
		expect(r, "who waits is noticed", state.Noticed, i < 2)
	}
	for _, o := range r.lease(after(60)) {
		if o.ID == work[0].ID {
			expect(r, "noticed", o.Recipients[0].Noticed, true)
		}
	}
}
