package storetest

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func reopenTests(reopen Reopen) map[string]func(*trial) {
	tests := map[string]func(*trial, func()){
		"everything committed is there": testReopenAll,
		"leases are gone":               testReopenLeases,
		"ids increase":                  testReopenIDs,
		"drafts are forgotten":          testReopenDraft,
		"suspensions":                   testReopenSuspended,
		"deadlines":                     testReopenDeadlines,
		"the journal":                   testReopenJournal,
		"reports":                       testReopenReports,
		"reports with a message":        testReopenAcceptReports,
		"content of any size":           testReopenContent,
		"keys":                          testReopenKeys,
		"suppression and bookmarks":     testReopenSuppression,
	}
	bound := map[string]func(*trial){}
	for name, test := range tests {
		bound[name] = func(r *trial) {
			test(r, func() { r.store = reopen(r.T, r.store) })
		}
	}
	return bound
}

// seen is all that can be seen of the queue without changing it.
func (r *trial) seen() string {
	r.Helper()
	var b strings.Builder
	for _, message := range r.messages(queue.Query{}) {
		b.WriteString(text(message) + "\n")
	}
	return b.String()
}

func testReopenAll(r *trial, reopen func()) {
	r.late(30, letter("a@a.example", "1@b.example", "2@b.example", "3@c.example"))
	held := r.waiting(letter("b@a.example", "1@b.example"))
	r.expectChange("hold", queue.Query{ID: held}, queue.Hold, start(), 1)
	retried := r.late(90, letter("c@a.example", "1@d.example"))
	r.expectChange("retry", queue.Query{ID: retried}, queue.Retry, after(10), 1)
	half := r.accept(letter("d@a.example", "1@b.example", "2@c.example"), "text")
	r.settle(all(half[0], delivered()))
	gone := r.accept(letter("e@a.example", "1@b.example"), "text")
	r.settle(all(gone[0], delivered()))
	r.expectChange("remove", queue.Query{ID: r.waiting(letter("f@a.example", "1@b.example"))}, queue.Remove, start(), 1)
	r.store.Return(half)
	before := r.seen()
	for range 2 {
		reopen()
		expect(r, "messages", r.seen(), before)
		r.expectNext("next", start(), true)
		expect(r, "destinations", len(r.summaries()), 3)
		expect(r, "due", destinations(r.lease(after(10))), "[c.example d.example]")
		expect(r, "later", len(r.lease(after(30))), 2)
	}
	r.expectGone("delivered", gone[0].ID)
}

func testReopenLeases(r *trial, reopen func()) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@c.example"), "text")
	reopen()
	r.refuse("with a lease of the last process", all(work[0], delivered()))
	r.expectNext("next", start(), true)
	again := r.lease(start())
	r.expectWork("leased again", again, work[0].ID, work[0].ID)
	r.expectContent("content", again[0].Content, "text")
	reopen()
	late := r.overdue(never().AddDate(9, 0, 0))
	r.expectWork("leased by Lease before", late, work[0].ID, work[0].ID)
	reopen()
	again = r.lease(start())
	r.expectWork("leased by Overdue before", again, work[0].ID, work[0].ID)
	r.settle(all(again[0], delivered()), all(again[1], delivered()))
	reopen()
	r.expectGone("settled", work[0].ID)
}

func testReopenIDs(r *trial, reopen func()) {
	last := queue.ID(0)
	for range 4 {
		for range 5 {
			work := r.accept(letter("a@a.example", "1@b.example"), "", journal.Entry{Kind: journal.Accepted})
			expect(r, "ids increase", work[0].ID > last, true)
			last = work[0].ID
			r.settle(all(work[0], delivered())) // nothing in the queue tells the last id
		}
		reopen()
	}
	work := r.accept(letter("a@a.example", "1@b.example"), "", journal.Entry{Kind: journal.Accepted})
	settlement := all(work[0], delivered())
	settlement.Reports = []queue.Spawned{report(work[0].ID)}
	r.settle(settlement)
	spawned := r.messages(queue.Query{})[0].ID
	r.expectChange("remove", queue.Query{}, queue.Remove, start(), 1)
	reopen()
	expect(r, "behind the report", r.accept(letter("a@a.example", "1@b.example"), "")[0].ID > spawned, true)
}

func testReopenDraft(r *trial, reopen func()) {
	for _, size := range []int64{5, 400_000} {
		draft, err := r.store.Begin(r.Context())
		if err != nil {
			r.Fatalf("Begin: %v", err)
		}
		if _, err := io.Copy(draft, noise(size)); err != nil {
			r.Fatalf("Write: %v", err)
		}
		draft.Abort()
	}
	id := r.waiting(letter("a@a.example", "1@b.example"))
	reopen()
	r.expectWork("only what was committed", r.lease(start()), id)
	expect(r, "messages", len(r.messages(queue.Query{})), 1)
}

func testReopenSuspended(r *trial, reopen func()) {
	b := r.waiting(letter("a@a.example", "1@b.example"))
	c := r.waiting(letter("a@a.example", "1@c.example"))
	r.suspend("b.example", after(10))
	r.suspend("c.example", after(10))
	r.suspend("c.example", time.Time{})
	reopen = r.commits(reopen)
	reopen()
	r.expectNext("the other", start(), true)
	r.expectWork("the other", r.lease(after(9)), c)
	r.expectNext("when it ends", after(10), true)
	expect(r, "summary", r.summaries()["b.example"].Suspended.Equal(after(10)), true)
	r.suspend("b.example", time.Time{})
	reopen()
	r.expectWork("lifted", r.lease(start()), b, c)
	reopen()
	r.suspend("b.example", after(10))
	r.suspend("c.example", after(10))
	reopen()
	r.expectWork("suspended", r.lease(after(9)))
	r.suspend("", time.Time{}) // nobody remembers them in memory
	r.expectNext("all are lifted", start(), true)
	reopen()
	r.expectWork("all are lifted", r.lease(start()), b, c)
}

// commits is reopen behind a commit: what a crash may undo comes after the last of them.
func (r *trial) commits(reopen func()) func() {
	return func() {
		work := r.accept(letter("a@a.example", "1@z.example"), "")
		r.settle(all(work[0], delivered()))
		reopen()
	}
}

func testReopenDeadlines(r *trial, reopen func()) {
	work := r.accept(short("b@b.example"), "")
	settlement := all(work[0], deferred(after(600), "busy"))
	settlement.Deadline = after(10)
	r.settle(settlement)
	id := r.waiting(short("c@c.example"))
	reopen()
	r.expectWork("before", r.overdue(after(9)))
	late := r.overdue(after(11))
	r.expectWork("the deadline", late, work[0].ID)
	r.settle(all(work[0], deferred(after(600), "busy")))
	reopen()
	r.expectWork("before the end", r.overdue(after(59)))
	r.expectWork("the ends", r.overdue(after(61)), work[0].ID, id)
}

func testReopenJournal(r *trial, reopen func()) {
	r.tell(story(), 4)
	before := r.entries(journal.Query{})
	for range 2 {
		reopen()
		after := r.entries(journal.Query{Limit: len(before)})
		expect(r, "entries and cursors", cursorText(after), cursorText(before))
	}
	r.tell(story()[:1], 1)
	found := r.entries(journal.Query{After: before[len(before)-1].Cursor})
	r.expectStory("only what is new", found, 0)
	r.expectStory("by field", r.entries(journal.Query{Code: 550}), 4)
}

func cursorText(entries []journal.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		e.Cursor.Time = e.Cursor.Time.UTC().Round(0)
		fmt.Fprintf(&b, "%+v\n", e)
	}
	return b.String()
}

func testReopenReports(r *trial, reopen func()) {
	work := r.accept(letter("a@a.example", "b@b.example"), "text")
	settlement := all(work[0], queue.RecipientState{State: queue.Failed, Reported: true})
	settlement.Reports = []queue.Spawned{report(work[0].ID)}
	r.settle(settlement)
	before := r.seen()
	reopen()
	expect(r, "the report", r.seen(), before)
	reports := r.lease(after(1))
	expect(r, "leased", destinations(reports), fmt.Sprint([]mail.Domain{"a.example"}))
	r.expectContent("content", reports[0].Content, "it failed")
}

func testReopenContent(r *trial, reopen func()) {
	sizes := map[queue.ID]int64{}
	for _, size := range []int64{0, 5_000, 262_143, 262_144, 262_145, 3_000_000} {
		draft, err := r.store.Begin(r.Context())
		if err != nil {
			r.Fatalf("Begin: %v", err)
		}
		if _, err := io.Copy(draft, noise(size)); err != nil {
			r.Fatalf("Write: %v", err)
		}
		work, err := draft.Commit(r.Context(), letter("a@a.example", "b@b.example"), nil)
		if err != nil {
			r.Fatalf("Commit: %v", err)
		}
		sizes[work[0].ID] = size
	}
	reopen()
	work := r.lease(start())
	expect(r, "messages", len(work), len(sizes))
	for _, o := range work {
		r.expectNoise(fmt.Sprintf("content of %d octets", sizes[o.ID]), o.Content, sizes[o.ID])
		expect(r, "size", o.Size, sizes[o.ID])
	}
}

func testReopenAcceptReports(r *trial, reopen func()) {
	r.accept(withReports(1), "text")
	before := r.seen()
	reopen()
	expect(r, "after a start", r.seen(), before)
	expect(r, "leased", destinations(r.lease(after(1))), fmt.Sprint([]mail.Domain{"b.example", "c.example", "a.example"}))
}
