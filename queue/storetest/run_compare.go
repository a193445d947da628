package storetest

import (
	"fmt"
	"slices"

	"sternpost/journal"
	"sternpost/queue"
)

// compare compares all that can be seen of the two queues.
func (w *twin) compare() {
	w.Helper()
	model, store := (&trial{T: w.T, store: w.model}).messages(queue.Query{}), w.messages(queue.Query{})
	if len(model) != len(store) {
		w.Fatalf("%d messages, want %d", len(store), len(model))
	}
	for i, m := range store {
		if id, known := w.ids[m.ID]; known && id != model[i].ID || !known && w.own[model[i].ID] != 0 {
			w.Fatalf("message %v stands in the place of %v", m.ID, w.own[model[i].ID])
		}
		w.know(model[i].ID, m.ID)
		m.ID = model[i].ID
		expect(w.trial, "message", text(m), text(model[i]))
	}
	w.compareNext()
	w.compareSummaries()
}

// compareNext leaves open which time in the past Next answers.
func (w *twin) compareNext() {
	w.Helper()
	want, found, err := w.model.Next(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	next, ok, err := w.store.Next(w.Context())
	if past := found && !want.After(w.now); past && err == nil && ok && !next.After(w.now) {
		return
	}
	w.expectNext("Next", want, found)
}

func (w *twin) compareSummaries() {
	w.Helper()
	model, store := (&trial{T: w.T, store: w.model}).summaries(), w.summaries()
	for d, want := range model {
		got, found := store[d]
		if !found && want.Waiting+want.Held == 0 {
			continue // all of it is under way: nothing waits
		}
		expect(w.trial, "summary", w.summary(got), w.summary(want))
	}
	for d := range store {
		if _, found := model[d]; !found {
			w.Errorf("a summary of %s, where nothing waits: %+v", d, store[d])
		}
	}
}

// summary is s without its reason, and without a suspension that has ended.
func (w *twin) summary(s queue.Summary) string {
	suspended := "no"
	if s.Suspended.After(w.now) {
		suspended = s.Suspended.UTC().String()
	}
	return fmt.Sprint(s.Destination, s.Waiting, s.Leased, s.Held, s.Oldest.UTC(), s.Next.UTC(), suspended)
}

// drain delivers the rest, and compares the journals.
func (w *twin) drain() {
	for _, p := range w.held {
		w.model.Return([]queue.Owed{p.model})
		w.store.Return([]queue.Owed{p.store})
	}
	w.held = nil
	w.expectChange("release", queue.Query{Held: true}, queue.Release, w.now, w.releases())
	w.compare()
	for range 2 {
		for _, o := range w.lease(never()) {
			w.settle(all(o, delivered()))
		}
	}
	for _, m := range w.messages(queue.Query{}) {
		expect(w.trial, "owes a report", queue.ReportDue(m.Recipients).IsZero(), false)
	}
	owed, _, _ := w.model.Reports(w.Context(), never(), 10_000)
	reports, _, err := w.store.Reports(w.Context(), never(), 10_000)
	expect(w.trial, "reports", len(reports), len(owed))
	for _, o := range reports {
		w.settle(told(o))
	}
	expect(w.trial, "Reports", err, nil)
	expect(w.trial, "messages at the end", len(w.messages(queue.Query{})), 0)
	w.expectNext("Next at the end", never(), false)
	store, model := w.tale(w.store.Journal(), w.ids), w.tale(w.model.Journal(), nil)
	expect(w.trial, "the journal", fmt.Sprint(store), fmt.Sprint(model))
}

// releases releases in the model.
func (w *twin) releases() int {
	changed, err := w.model.Change(w.Context(), queue.Query{Held: true}, queue.Release, w.now)
	if err != nil {
		w.Fatal(err)
	}
	return changed
}

// tale is what a journal tells, with the ids of the model, sorted.
func (w *twin) tale(j journal.Journal, ids map[queue.ID]queue.ID) []string {
	var told []string
	for e, err := range j.Find(w.Context(), journal.Query{}) {
		if err != nil {
			w.Fatalf("Find: %v", err)
		}
		if e.Kind == journal.Accepted {
			continue // of a report: a store may write one
		}
		id, err := queue.ParseID(e.Message)
		if err != nil {
			w.Errorf("entry %+v: %v", e, err)
		}
		if ids != nil {
			id = ids[id]
		}
		reason := e.Reason
		if e.Kind != journal.Deferred {
			reason = ""
		}
		told = append(told, fmt.Sprintf("\n%s %s %s %s", e.Kind, id, e.Recipient, reason))
	}
	slices.Sort(told)
	return told
}
