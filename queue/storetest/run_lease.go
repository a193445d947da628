package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

func leaseTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"exclusive":                 testExclusive,
		"return":                    testReturn,
		"by due time":               testDueOrder,
		"most and per destination":  testMost,
		"room":                      testRoom,
		"what has gone is no work":  testGone,
		"send at":                   testSendAt,
		"suspend":                   testSuspend,
		"suspend what is empty":     testSuspendEmpty,
		"lift all suspensions":      testLiftAll,
		"next":                      testNext,
		"next of a held message":    testNextHeld,
		"recipients with own times": testOwnTimes,
	}
}

func testExclusive(r *trial) {
	const messages = 200
	for i := range messages {
		s := letter(fmt.Sprintf("%d@a.example", i%3), fmt.Sprintf("x@%d.example", i%7), "y@y.example")
		s.Expires = after(1)
		r.waiting(s)
	}
	var mutex sync.Mutex
	given := map[string]int{}
	var takers sync.WaitGroup
	for taker := range 8 {
		takers.Go(func() {
			for work := r.take(taker); len(work) > 0; work = r.take(taker) {
				mutex.Lock()
				for _, o := range work {
					given[o.ID.String()+" "+string(o.Destination)]++
				}
				mutex.Unlock()
			}
		})
	}
	takers.Wait()
	expect(r, "given", len(given), 2*messages)
	for unit, times := range given {
		expect(r, unit, times, 1)
	}
	r.expectNext("all is leased", never(), false)
}

// take leases a little, by the deadline when taker is 0.
func (r *trial) take(taker int) []queue.Owed {
	var work []queue.Owed
	var err error
	if taker == 0 {
		work, err = r.store.Overdue(r.Context(), after(2), 3)
	} else {
		work, err = r.store.Lease(r.Context(), queue.Want{Now: after(2), Most: 7, PerDestination: 3})
	}
	if err != nil {
		r.Errorf("taker %d: %v", taker, err)
	}
	return work
}

func testReturn(r *trial) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@c.example"), "text")
	r.expectWork("both are leased", r.lease(start()))
	r.store.Return(work[:1])
	again := r.lease(start())
	expect(r, "what was returned", destinations(again), "[b.example]")
	r.store.Return(again)
	r.store.Return(again) // twice is once
	r.store.Return(nil)
	expect(r, "and again", destinations(r.lease(start())), "[b.example]")
	r.settle(all(work[0], delivered()), all(work[1], delivered()))
	r.store.Return(work) // settled: passed over
	r.expectWork("settled", r.lease(never()))
}

func testDueOrder(r *trial) {
	for _, at := range []int{30, 10, 50, 20, 40} {
		s := letter("a@a.example", fmt.Sprintf("x@d%d.example", at))
		s.Received = after(at)
		r.waiting(s)
	}
	expect(r, "what is due", destinations(r.lease(after(31))), "[d10.example d20.example d30.example]")
	r.expectWork("not before its time", r.lease(after(39)))
	expect(r, "the rest", destinations(r.lease(after(50))), "[d40.example d50.example]")
}

func testMost(r *trial) {
	for i := range 12 {
		s := letter("a@a.example", fmt.Sprintf("x@%d.example", i%2))
		s.Received = start().Add(time.Duration(i%2) * time.Second)
		r.waiting(s)
	}
	work := r.want(queue.Want{Now: after(1), Most: 100, PerDestination: 2})
	expect(r, "two of each", destinations(work), "[0.example 0.example 1.example 1.example]")
	work = r.want(queue.Want{Now: after(1), Most: 3, PerDestination: 2})
	expect(r, "three of all", destinations(work), "[0.example 0.example 1.example]")
	expect(r, "the rest", len(r.lease(after(1))), 5)
}

func testRoom(r *trial) {
	for i := range 12 {
		r.waiting(letter("a@a.example", fmt.Sprintf("x@%d.example", i%4)))
	}
	asked := map[mail.Domain]bool{}
	work := r.want(queue.Want{Now: start(), Most: 9, PerDestination: 2, Room: func(d mail.Domain) int {
		asked[d] = true
		return map[mail.Domain]int{"1.example": 10, "2.example": 1}[d]
	}})
	expect(r, "as much as there is room for", destinations(work), "[1.example 1.example 2.example]")
	expect(r, "all were asked", len(asked), 4)
	expect(r, "the rest is there", len(r.lease(start())), 9)
}

// testGone: what was taken or changed by another way does not stand in the place of what is due.
func testGone(r *trial) {
	for _, take := range []func(queue.ID){
		func(id queue.ID) { r.expectWork("overdue", r.overdue(after(61)), id) },
		func(id queue.ID) { r.expectChange("remove", queue.Query{ID: id}, queue.Remove, after(2), 1) },
		func(id queue.ID) { r.expectChange("hold", queue.Query{ID: id}, queue.Hold, after(2), 1) },
	} {
		gone := r.waiting(short("b@b.example"))
		s := letter("a@a.example", "c@c.example")
		s.Received = after(1)
		due := r.waiting(s)
		r.expectNext("the earlier", start(), true)
		take(gone)
		r.expectWork("the other", r.want(queue.Want{Now: after(2), Most: 1, PerDestination: 1}), due)
	}
}

func testSendAt(r *trial) {
	s := letter("a@a.example", "b@b.example")
	s.SendAt = after(60)
	id := r.waiting(s)
	r.expectNext("at SendAt", after(60), true)
	r.expectWork("before", r.lease(after(59)))
	work := r.lease(after(60))
	r.expectWork("then", work, id)
	expect(r, "Due", len(work) == 1 && work[0].Due.Equal(after(60)), true)
}

func testSuspend(r *trial) {
	b := r.waiting(letter("a@a.example", "b@b.example"))
	c := r.waiting(letter("a@a.example", "c@c.example"))
	r.suspend("b.example", after(10))
	r.suspend("empty.example", after(10))
	r.expectWork("only the other", r.lease(start()), c)
	r.expectNext("when it ends", after(10), true)
	later := r.waiting(letter("a@a.example", "later@b.example"))
	r.expectWork("what comes later waits too", r.lease(after(9)))
	work := r.lease(after(10))
	r.expectWork("it has ended", work, b, later)
	r.store.Return(work)
	r.suspend("b.example", after(90))
	r.expectWork("again", r.lease(after(89)))
	r.suspend("b.example", after(20))
	r.expectNext("moved", after(20), true)
	r.suspend("b.example", time.Time{})
	r.expectNext("lifted", start(), true)
	r.expectWork("lifted", r.lease(start()), b, later)
	r.suspend("b.example", time.Time{}) // lifting what is not suspended
}

// testSuspendEmpty: a suspension is kept also while nothing waits.
func testSuspendEmpty(r *trial) {
	r.suspend("b.example", after(10))
	r.expectNext("nothing waits", never(), false)
	r.expectWork("nothing waits", r.lease(start()))
	id := r.waiting(letter("a@a.example", "b@b.example"))
	r.expectWork("suspended", r.lease(after(9)))
	expect(r, "summary", r.summaries()["b.example"].Suspended.Equal(after(10)), true)
	r.expectNext("when it ends", after(10), true)
	r.expectWork("it has ended", r.lease(after(10)), id)
}

// testLiftAll: one call lifts all suspensions, of destinations with and without work, leased or not.
func testLiftAll(r *trial) {
	r.suspend("", time.Time{}) // nothing is suspended
	b := r.waiting(letter("a@a.example", "x@b.example"))
	c := r.accept(letter("a@a.example", "x@c.example"), "")
	d := r.late(30, letter("a@a.example", "x@d.example"))
	for _, name := range []mail.Domain{"b.example", "c.example", "d.example", "empty.example"} {
		r.suspend(name, after(60))
	}
	r.expectNext("all is suspended", after(60), true)
	r.expectWork("all is suspended", r.lease(after(59)))
	r.suspend("", time.Time{})
	r.expectNext("lifted", start(), true)
	r.expectWork("what is due", r.lease(start()), b)
	r.store.Return(c)
	r.expectWork("what was leased", r.lease(start()), c[0].ID)
	r.expectNext("what is due later", after(30), true)
	r.expectWork("what is due later", r.lease(after(30)), d)
	empty := r.waiting(letter("a@a.example", "x@empty.example"))
	r.expectWork("nothing waited", r.lease(start()), empty)
	for name, summary := range r.summaries() {
		expect(r, string(name)+" is suspended", summary.Suspended.IsZero(), true)
	}
	if err := r.store.Suspend(r.Context(), "", after(60)); err == nil {
		r.Error("no destination was suspended without an error")
	}
}

// expectNext allows an answer that is too early once or twice, as the interface does: a Lease at that time gives nothing and corrects it.
func (r *trial) expectNext(what string, want time.Time, found bool) {
	r.Helper()
	var last time.Time
	for range 5 {
		next, ok, err := r.store.Next(r.Context())
		if err != nil {
			r.Fatalf("%s: Next: %v", what, err)
		}
		if ok == found && (!ok || next.Equal(want)) {
			return
		}
		if !ok || !next.After(last) || found && next.After(want) {
			r.Errorf("%s: Next is %v, %v; want %v, %v", what, next, ok, want, found)
			return
		}
		r.expectWork(what+": at Next", r.lease(next))
		last = next
	}
	r.Errorf("%s: Next stays too early: %v, want %v, %v", what, last, want, found)
}

func testNext(r *trial) {
	r.expectNext("empty", never(), false)
	work := r.accept(letter("a@a.example", "b@b.example"), "")
	r.expectNext("leased", never(), false)
	r.store.Return(work)
	r.expectNext("returned", start(), true)
	work = r.lease(start())
	r.expectNext("leased again", never(), false)
	r.settle(all(work[0], deferred(after(30), "busy")))
	r.expectNext("deferred", after(30), true)
	s := letter("a@a.example", "c@c.example")
	s.Received = after(20)
	r.waiting(s)
	r.expectNext("the earlier", after(20), true)
	r.suspend("c.example", after(40))
	r.expectNext("the earlier is suspended", after(30), true)
	r.suspend("b.example", after(50))
	r.expectNext("both are suspended", after(40), true)
	expect(r, "leased", destinations(r.lease(after(45))), "[c.example]")
	r.expectNext("the last", after(50), true)
}

func testNextHeld(r *trial) {
	id := r.waiting(letter("a@a.example", "b@b.example"))
	r.expectChange("hold", queue.Query{ID: id}, queue.Hold, start(), 1)
	r.expectNext("held", never(), false)
	r.expectWork("held", r.lease(never()))
}

// testOwnTimes: recipients of one destination that a settlement leaves out keep their state.
func testOwnTimes(r *trial) {
	work := r.accept(letter("a@a.example", "1@b.example", "2@b.example", "3@b.example"), "")
	r.settle(queue.Settlement{ID: work[0].ID, Destination: "b.example", States: map[int]queue.RecipientState{
		0: delivered(), 1: deferred(after(30), "busy"),
	}})
	again := r.lease(start())
	if len(again) != 1 || !slices.Contains(again[0].Indices, 2) || slices.Contains(again[0].Indices, 0) {
		r.Fatalf("the recipient without a verdict is still due: %v", again)
	}
	expect(r, "the delivered one", again[0].Recipients[0].State, queue.Delivered)
	expect(r, "the deferred one is not due", slices.Contains(again[0].Indices, 1), false)
	r.settle(all(again[0], deferred(after(50), "busy")))
	r.expectNext("the earlier of the two", after(30), true)
	expect(r, "its own time", fmt.Sprint(r.lease(after(40))[0].Indices), "[1]")
}
