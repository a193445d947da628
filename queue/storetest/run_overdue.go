package storetest

import (
	"time"

	"sternpost/queue"
)

func overdueTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"end of the lifetime":              testExpiry,
		"deadline of a settlement":         testDeadline,
		"suspended":                        testOverdueSuspended,
		"most":                             testOverdueMost,
		"before send at":                   testOverdueSendAt,
		"deadlines of two destinations":    testTwoDeadlines,
		"gone when the message is settled": testOverdueGone,
	}
}

// short is a letter with a lifetime of one hour.
func short(recipients ...string) queue.Submission {
	s := letter("a@a.example", recipients...)
	s.Expires = after(60)
	return s
}

func testExpiry(r *trial) {
	work := r.accept(short("b@b.example", "c@c.example"), "text")
	r.expectWork("leased work", r.overdue(after(61)))
	r.settle(all(work[0], deferred(after(600), "busy")))
	r.store.Return(work[1:])
	r.expectWork("before the end", r.overdue(after(59)))
	late := r.overdue(after(61))
	r.expectWork("behind the end", late, work[0].ID, work[0].ID)
	r.expectWork("leased by Overdue", r.overdue(after(61)))
	r.expectWork("leased by Overdue", r.lease(never()))
	for _, o := range late {
		r.expectContent("content", o.Content, "text")
	}
	r.store.Return(late)
	r.expectWork("returned", r.overdue(after(61)), work[0].ID, work[0].ID)
}

func testDeadline(r *trial) {
	work := r.accept(short("b@b.example"), "")
	settlement := all(work[0], deferred(after(600), "busy"))
	settlement.Deadline = after(10)
	r.settle(settlement)
	r.expectWork("before the deadline", r.overdue(after(9)))
	late := r.overdue(after(11))
	r.expectWork("behind the deadline", late, work[0].ID)
	r.settle(all(work[0], deferred(after(600), "busy")))
	r.expectWork("the end of the lifetime is next", r.overdue(after(59)))
	late = r.overdue(after(61))
	r.expectWork("the end of the lifetime", late, work[0].ID)
	settlement.Deadline = after(90)
	r.settle(settlement)
	r.expectWork("moved behind the end", r.overdue(after(89)))
	r.expectWork("and there", r.overdue(after(91)), work[0].ID)
}

func testOverdueSuspended(r *trial) {
	id := r.waiting(short("b@b.example"))
	r.suspend("b.example", never())
	r.expectWork("suspended", r.lease(after(61)))
	r.expectWork("but over", r.overdue(after(61)), id)
}

func testOverdueMost(r *trial) {
	var want []queue.ID
	for i := range 10 {
		s := short("b@b.example")
		s.Expires = after(60 - i)
		want = append(want, r.waiting(s))
	}
	var got []queue.ID
	for range 4 {
		work, err := r.store.Overdue(r.Context(), after(61), 3)
		if err != nil || len(work) > 3 {
			r.Fatalf("Overdue: %v, %v", work, err)
		}
		got = append(got, ids(work)...)
	}
	expect(r, "all are given", len(got), len(want))
	for i, id := range got {
		expect(r, "the earliest deadline first", id, want[len(want)-1-i])
	}
}

func testOverdueSendAt(r *trial) {
	s := short("b@b.example")
	s.SendAt = after(500)
	id := r.waiting(s)
	r.expectWork("not due", r.lease(after(61)))
	r.expectWork("but over", r.overdue(after(61)), id)
}

// testTwoDeadlines: what one destination was promised is not forgotten when the other is settled.
func testTwoDeadlines(r *trial) {
	work := r.accept(short("b@b.example", "c@c.example"), "")
	settlement := all(work[0], deferred(after(600), "busy"))
	settlement.Deadline = after(10)
	r.settle(settlement)
	r.settle(all(work[1], deferred(after(600), "busy")))
	found := false
	for _, o := range r.overdue(after(11)) {
		found = found || o.Destination == "b.example"
	}
	expect(r, "the first destination is given at its deadline", found, true)
}

func testOverdueGone(r *trial) {
	work := r.accept(short("b@b.example"), "")
	r.settle(all(work[0], delivered()))
	id := r.waiting(short("b@b.example"))
	r.expectChange("remove", queue.Query{ID: id}, queue.Remove, start(), 1)
	r.expectWork("nothing is left", r.overdue(never().Add(10*365*24*time.Hour)))
}
