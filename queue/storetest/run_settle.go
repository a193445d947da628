package storetest

import (
	"errors"
	"fmt"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func settleTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"deferred":                    testSettleDeferred,
		"removed when all are final":  testSettleRemoves,
		"held":                        testSettleHeld,
		"reports":                     testReports,
		"entries":                     testSettleEntries,
		"unknown message":             testSettleUnknown,
		"twice":                       testSettleTwice,
		"what is not leased":          testSettleUnleased,
		"another's recipient":         testSettleStranger,
		"a batch is taken whole":      testSettleBatch,
		"a hundred in one commit":     testSettleHundred,
		"nothing":                     func(r *trial) { r.settle() },
		"one destination of a letter": testSettleOne,
	}
}

// ten is a state of every kind of field.
func ten() queue.RecipientState {
	s := deferred(after(10), "mailbox busy")
	s.Attempts, s.InDoubt, s.Noticed = 10, true, true
	return s
}

func testSettleDeferred(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example"), "text")
	r.settle(all(work[0], ten()))
	r.expectWork("not yet", r.lease(after(9)))
	again := r.lease(after(10))
	r.expectWork("when it is due", again, work[0].ID)
	expect(r, "due", again[0].Due.Equal(after(10)), true)
	expect(r, "attempts", again[0].Recipients[0].Attempts, 10)
	r.expectContent("content", again[0].Content, "text")
	expect(r, "the older Owed is a snapshot", work[0].Recipients[0].Attempts, 0)
	r.settle(all(again[0], delivered()))
	r.expectGone("delivered at last", work[0].ID)
}

func (r *trial) expectGone(what string, id queue.ID) {
	r.Helper()
	expect(r, what+": messages", len(r.messages(queue.Query{ID: id})), 0)
	if _, err := r.store.Content(r.Context(), id); !errors.Is(err, queue.ErrNotFound) {
		r.Errorf("%s: Content: %v", what, err)
	}
	for _, o := range r.lease(never()) {
		expect(r, what+": leased", o.ID == id, false)
		r.store.Return([]queue.Owed{o})
	}
}

func testSettleRemoves(r *trial) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@b.example", "3@b.example"), "text")
	settlement := all(work[0], delivered())
	settlement.States[1] = queue.RecipientState{State: queue.Failed, Reported: true}
	settlement.States[2] = queue.RecipientState{State: queue.Removed}
	r.settle(settlement)
	r.expectGone("all are final", work[0].ID)
}

func testSettleOne(r *trial) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@c.example"), "text")
	r.settle(all(work[0], delivered()))
	found := r.messages(queue.Query{})
	if len(found) != 1 || found[0].Recipients[0].State != queue.Delivered || found[0].Recipients[1].State != queue.Pending {
		r.Fatalf("after the first destination: %+v", found)
	}
	r.expectContent("content of the other lease", work[1].Content, "text")
	r.settle(all(work[1], queue.RecipientState{State: queue.Failed}))
	r.expectGone("after the second", work[0].ID)
}

func testSettleHeld(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example"), "")
	r.settle(all(work[0], queue.RecipientState{State: queue.Held, InDoubt: true}))
	r.expectWork("held", r.lease(never()))
	expect(r, "it is in the queue", len(r.messages(queue.Query{Held: true})), 1)
	r.expectChange("release", queue.Query{}, queue.Release, after(5), 1)
	again := r.lease(after(5))
	r.expectWork("released", again, work[0].ID)
	expect(r, "in doubt", again[0].Recipients[0].InDoubt, true)
}

// report is a report about id.
func report(id queue.ID) queue.Spawned {
	s := letter("", "a@a.example")
	s.Priority, s.Origin, s.Received, s.MessageID = queue.Report, id, after(1), "report@us.example"
	return queue.Spawned{Submission: s, Content: []byte("it failed")}
}

func testReports(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example"), "text")
	settlement := all(work[0], queue.RecipientState{State: queue.Failed, Reported: true})
	settlement.Reports = []queue.Spawned{report(work[0].ID), report(work[0].ID)}
	r.settle(settlement)
	r.expectGone("the message", work[0].ID)
	found := r.messages(queue.Query{})
	if len(found) != 2 {
		r.Fatalf("two reports are in the queue: %+v", found)
	}
	want := queue.Message{
		ID: found[0].ID, Submission: report(work[0].ID).Submission, Size: 9, Recipients: make([]queue.RecipientState, 1),
	}
	expect(r, "the report", text(found[0]), text(want))
	expect(r, "ids increase", found[0].ID > work[0].ID && found[1].ID > found[0].ID, true)
	r.expectNext("due when it was received", after(1), true)
	reports := r.lease(after(1))
	r.expectWork("they are not leased", reports, found[0].ID, found[1].ID)
	for _, o := range reports {
		r.expectContent("content", o.Content, "it failed")
	}
}

func testSettleEntries(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example"), "")
	settlement := all(work[0], ten())
	settlement.Entries = []journal.Entry{
		{Kind: journal.Deferred, Message: work[0].ID.String(), Recipient: "b@b.example", Domain: "b.example", Reason: "mailbox busy"},
		{Kind: journal.Changed, Domain: "b.example"},
	}
	r.settle(settlement)
	found := r.entries(journal.Query{})
	if len(found) != 2 || found[0].Kind != journal.Deferred || found[1].Kind != journal.Changed {
		r.Fatalf("got %+v", found)
	}
	expect(r, "message", found[0].Message, work[0].ID.String())
	expect(r, "the message where an entry names none", found[1].Message, work[0].ID.String())
	expect(r, "cursors increase", compareCursors(found[0].Cursor, found[1].Cursor) < 0, true)
}

// refuse settles and wants an error.
func (r *trial) refuse(what string, work ...queue.Settlement) error {
	r.Helper()
	err := r.store.Settle(r.Context(), work)
	if err == nil {
		r.Errorf("%s: was settled", what)
	}
	select {
	case <-r.store.Failed():
		r.Errorf("%s: stopped the store", what)
	default:
	}
	return err
}

func testSettleUnknown(r *trial) {
	err := r.refuse("unknown", queue.Settlement{ID: 1 << 40, Destination: "b.example", States: map[int]queue.RecipientState{0: delivered()}})
	expect(r, fmt.Sprintf("%v is ErrNotFound", err), errors.Is(err, queue.ErrNotFound), true)
}

func testSettleTwice(r *trial) {
	work := r.accept(letter("a@a.example", "b@b.example"), "")
	settlement := all(work[0], ten())
	settlement.Entries = []journal.Entry{{Kind: journal.Deferred}}
	r.refuse("the same twice in one batch", settlement, settlement)
	r.settle(settlement)
	r.refuse("twice", settlement)
	expect(r, "entries", len(r.entries(journal.Query{})), 1)
	again := r.lease(after(10))
	r.settle(all(again[0], delivered()))
	r.refuse("gone", settlement)
	expect(r, "entries", len(r.entries(journal.Query{})), 1)
}

func testSettleUnleased(r *trial) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@c.example"), "")
	r.store.Return(work[:1])
	r.refuse("returned", all(work[0], delivered()))
	stranger := all(work[1], delivered())
	stranger.Destination = "d.example"
	r.refuse("a destination that it has not", stranger)
	expect(r, "still due", destinations(r.lease(start())), "[b.example]")
}

func testSettleStranger(r *trial) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@c.example"), "")
	for _, i := range []int{1, 2, -1} {
		settlement := all(work[0], ten())
		settlement.States[i] = delivered()
		r.refuse(fmt.Sprintf("recipient %d", i), settlement)
	}
	r.settle(all(work[0], ten()), all(work[1], ten()))
}

func testSettleBatch(r *trial) {
	good := r.accept(letter("a@a.example", "b@b.example"), "")
	settlement := all(good[0], delivered())
	settlement.Entries = []journal.Entry{{Kind: journal.Delivered}}
	settlement.Reports = []queue.Spawned{report(good[0].ID)}
	r.refuse("with an unknown one", settlement, queue.Settlement{ID: 1 << 40, Destination: "b.example"})
	expect(r, "nothing was written", len(r.entries(journal.Query{})), 0)
	expect(r, "nothing was spawned", len(r.messages(queue.Query{})), 1)
	r.settle(settlement)
	expect(r, "entries", len(r.entries(journal.Query{Kind: journal.Delivered})), 1)
}

func testSettleHundred(r *trial) {
	var settlements []queue.Settlement
	for i := range 50 {
		domain := mail.Domain(fmt.Sprintf("%d.example", i%5))
		for _, o := range r.accept(letter("a@a.example", "1@"+string(domain), "2@x.example"), "") {
			settlement := all(o, delivered())
			settlement.Entries = []journal.Entry{{Kind: journal.Delivered, Message: o.ID.String()}}
			settlements = append(settlements, settlement)
		}
	}
	r.settle(settlements...)
	expect(r, "messages", len(r.messages(queue.Query{})), 0)
	expect(r, "entries", len(r.entries(journal.Query{})), 100)
}
