package storetest

import (
	"fmt"
	"time"

	"sternpost/journal"
	"sternpost/queue"
)

func changeTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"retry":                testRetry,
		"hold and release":     testHold,
		"remove":               testRemove,
		"leased work":          testChangeLeased,
		"only the recipients":  testChangeRecipient,
		"the journal tells it": testChangeEntries,
		"limit":                testChangeLimit,
		"retry before send at": testRetrySendAt,
		"unknown action":       testChangeUnknown,
	}
}

func (r *trial) expectChange(what string, q queue.Query, a queue.Action, now time.Time, want int) {
	r.Helper()
	changed, err := r.store.Change(r.Context(), q, a, now)
	if err != nil || changed != want {
		r.Errorf("%s: %d were changed, want %d: %v", what, changed, want, err)
	}
}

// late is a message whose recipients are due after so many minutes.
func (r *trial) late(minutes int, s queue.Submission) queue.ID {
	r.Helper()
	var id queue.ID
	for _, o := range r.accept(s, "text") {
		r.settle(all(o, deferred(after(minutes), "busy")))
		id = o.ID
	}
	return id
}

func testRetry(r *trial) {
	id := r.late(60, letter("a@a.example", "1@b.example", "2@b.example", "3@c.example"))
	r.late(60, letter("other@a.example", "1@b.example"))
	r.expectChange("retry", queue.Query{ID: id}, queue.Retry, after(5), 3)
	r.expectNext("due now", after(5), true)
	work := r.lease(after(5))
	r.expectWork("due now", work, id, id)
	for _, o := range work {
		expect(r, "attempts stay", o.Recipients[0].Attempts, 1)
	}
	r.expectChange("nothing fits", queue.Query{Sender: "nobody@a.example"}, queue.Retry, after(5), 0)
}

func testHold(r *trial) {
	id := r.late(10, letter("a@a.example", "1@b.example", "2@b.example", "3@c.example"))
	other := r.late(10, letter("other@a.example", "1@b.example"))
	r.expectChange("release what is not held", queue.Query{}, queue.Release, start(), 0)
	r.expectChange("hold", queue.Query{Sender: "a@a.example"}, queue.Hold, start(), 3)
	r.expectChange("hold twice", queue.Query{Sender: "a@a.example"}, queue.Hold, start(), 0)
	r.expectChange("retry does not release", queue.Query{ID: id}, queue.Retry, start(), 0)
	work := r.lease(never())
	r.expectWork("only the other", work, other)
	r.store.Return(work)
	r.expectChange("release", queue.Query{Held: true}, queue.Release, after(3), 3)
	r.expectWork("due now", r.lease(after(3)), id, id)
}

func testRemove(r *trial) {
	id := r.late(10, letter("a@a.example", "1@b.example", "2@c.example"))
	held := r.late(10, letter("a@a.example", "1@b.example"))
	r.expectChange("hold", queue.Query{ID: held}, queue.Hold, start(), 1)
	r.expectChange("remove", queue.Query{Sender: "a@a.example"}, queue.Remove, start(), 3)
	r.expectGone("removed", id)
	r.expectGone("removed though held", held)
	r.expectNext("nothing is left", never(), false)
	expect(r, "destinations", len(r.summaries()), 0)
}

func testChangeLeased(r *trial) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@c.example"), "")
	r.store.Return(work[1:]) // one destination is still under way: the message is passed over
	for _, a := range []queue.Action{queue.Retry, queue.Hold, queue.Release, queue.Remove} {
		r.expectChange(string(a), queue.Query{}, a, start(), 0)
	}
	r.settle(all(work[0], delivered()))
	r.expectChange("nobody holds a lease", queue.Query{}, queue.Remove, start(), 1)
	r.expectGone("removed", work[0].ID)
}

// testChangeRecipient: a person who asks for one recipient does not lose the mail to the others.
func testChangeRecipient(r *trial) {
	id := r.late(10, letter("a@a.example", "1@b.example", "2@b.example", "3@c.example"))
	r.expectChange("one recipient", queue.Query{Recipient: "2@b.example"}, queue.Remove, start(), 1)
	r.expectChange("one destination", queue.Query{Destination: "c.example"}, queue.Hold, start(), 1)
	found := r.messages(queue.Query{ID: id})
	if len(found) != 1 {
		r.Fatalf("the message is gone: %v", found)
	}
	for i, want := range []queue.State{queue.Pending, queue.Removed, queue.Held} {
		expect(r, fmt.Sprintf("recipient %d", i), found[0].Recipients[i].State, want)
	}
	work := r.lease(after(10))
	expect(r, "leased", destinations(work), "[b.example]")
	expect(r, "indices", fmt.Sprint(work[0].Indices), "[0]")
}

func testChangeEntries(r *trial) {
	s := letter("a@a.example", "1@b.example", "2@c.example")
	s.MessageID = "1@us.example"
	id := r.waiting(s)
	r.expectChange("hold", queue.Query{}, queue.Hold, start(), 2)
	r.expectChange("remove", queue.Query{}, queue.Remove, start(), 2)
	for _, kind := range []journal.Kind{journal.Changed, journal.Removed} {
		found := r.entries(journal.Query{Kind: kind})
		if len(found) != 2 {
			r.Errorf("an entry %s for each recipient: %+v", kind, found)
			continue
		}
		for _, e := range found {
			expect(r, "message", e.Message, id.String())
			expect(r, "sender", e.Sender, "a@a.example")
			expect(r, "message id", e.MessageID, "1@us.example")
			expect(r, "domain of the recipient", e.Recipient[2:], string(e.Domain))
		}
	}
}

func testChangeLimit(r *trial) {
	for range 5 {
		r.waiting(letter("a@a.example", "1@b.example"))
	}
	r.expectChange("two messages", queue.Query{Limit: 2}, queue.Hold, start(), 2)
	expect(r, "held", len(r.messages(queue.Query{Held: true})), 2)
}

func testRetrySendAt(r *trial) {
	s := letter("a@a.example", "b@b.example")
	s.SendAt = after(60)
	id := r.waiting(s)
	r.expectChange("retry", queue.Query{ID: id}, queue.Retry, after(5), 1)
	r.expectWork("due now", r.lease(after(5)), id)
}

func testChangeUnknown(r *trial) {
	id := r.waiting(letter("a@a.example", "b@b.example"))
	if changed, _ := r.store.Change(r.Context(), queue.Query{}, "burn", start()); changed != 0 {
		r.Errorf("an unknown action changed %d", changed)
	}
	r.expectWork("unharmed", r.lease(start()), id)
}
