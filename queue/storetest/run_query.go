package storetest

import (
	"fmt"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

func messagesTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"each field":         testMessages,
		"within a sequence":  testMessagesWithin,
		"final destinations": testMessagesHeld,
	}
}

func destinationsTests() map[string]func(*trial) {
	return map[string]func(*trial){"counts": testSummaryCounts, "times": testSummaryTimes, "last reason": testSummaryReason}
}

func testMessages(r *trial) {
	s := letter("b@a.example", "x@b.example", "y@c.example")
	s.Sender, s.Received = "user", after(1)
	letters := []queue.Submission{
		letter("a@a.example", "x@b.example"), s, letter("", "y@c.example"), letter("c@a.example", `"y y"@xn--bcher-kva.example`),
	}
	var ids []queue.ID
	for _, s := range letters {
		ids = append(ids, r.waiting(s))
	}
	for _, test := range []struct {
		query queue.Query
		want  []int
	}{
		{queue.Query{}, []int{0, 1, 2, 3}},
		{queue.Query{ID: ids[1]}, []int{1}},
		{queue.Query{ID: 12345}, nil},
		{queue.Query{Sender: "a@a.example"}, []int{0}},
		{queue.Query{Sender: "user"}, []int{1}},
		{queue.Query{Sender: "b@a.example"}, []int{1}},
		{queue.Query{Sender: "use"}, nil},
		{queue.Query{Recipient: "y@c.example"}, []int{1, 2}},
		{queue.Query{Recipient: `"y y"@xn--bcher-kva.example`}, []int{3}},
		{queue.Query{Destination: "b.example"}, []int{0, 1}},
		{queue.Query{Destination: "example"}, nil},
		{queue.Query{Destination: "c.example", Sender: "user"}, []int{1}},
		{queue.Query{ID: ids[0], Destination: "c.example"}, nil},
		{queue.Query{ReceivedBefore: after(1)}, []int{0, 2, 3}},
		{queue.Query{ReceivedBefore: start()}, nil},
		{queue.Query{ReceivedBefore: after(2)}, []int{0, 1, 2, 3}},
		{queue.Query{Held: true}, nil},
		{queue.Query{Limit: 2}, []int{0, 1}},
		{queue.Query{Limit: 2, Recipient: "y@c.example"}, []int{1, 2}},
		{queue.Query{Limit: 1, Destination: "c.example"}, []int{1}},
		{queue.Query{Limit: 9}, []int{0, 1, 2, 3}},
	} {
		var want []queue.ID
		for _, i := range test.want {
			want = append(want, ids[i])
		}
		var got []queue.ID
		for _, message := range r.messages(test.query) {
			got = append(got, message.ID)
		}
		expect(r, fmt.Sprintf("%+v", test.query), fmt.Sprint(got), fmt.Sprint(want))
	}
}

// testMessagesWithin: a reader may stop early, and may use the store while it reads.
func testMessagesWithin(r *trial) {
	for range 4 {
		r.waiting(letter("a@a.example", "b@b.example"))
	}
	seen := 0
	for message, err := range r.store.Messages(r.Context(), queue.Query{}) {
		if err != nil {
			r.Fatalf("Messages: %v", err)
		}
		if seen++; seen == 3 {
			break
		}
		if _, err := r.store.Content(r.Context(), message.ID); err != nil {
			r.Errorf("Content: %v", err)
		}
		r.expectChange("hold", queue.Query{ID: message.ID}, queue.Hold, start(), 1)
	}
	expect(r, "held", len(r.messages(queue.Query{Held: true})), 2)
	for range r.store.Destinations(r.Context()) {
		break
	}
}

func testMessagesHeld(r *trial) {
	work := r.accept(letter("a@a.example", "x@b.example", "y@c.example"), "")
	r.settle(all(work[0], queue.RecipientState{State: queue.Held}), all(work[1], ten()))
	r.waiting(letter("a@a.example", "x@b.example"))
	r.expectWork("held", []queue.Owed{{Message: r.messages(queue.Query{Held: true})[0]}}, work[0].ID)
	expect(r, "one is held", len(r.messages(queue.Query{Held: true})), 1)
	expect(r, "and none of those who are not", len(r.messages(queue.Query{Held: true, Destination: "c.example"})), 0)
	r.expectChange("remove what is held, and leave the other recipient", queue.Query{Held: true}, queue.Remove, start(), 1)
	expect(r, "none is held", len(r.messages(queue.Query{Held: true})), 0)
	expect(r, "the other recipient waits", len(r.messages(queue.Query{ID: work[0].ID})), 1)
}

// summaries is what Destinations yields.
func (r *trial) summaries() map[mail.Domain]queue.Summary {
	r.Helper()
	found := map[mail.Domain]queue.Summary{}
	for s, err := range r.store.Destinations(r.Context()) {
		if err != nil {
			r.Fatalf("Destinations: %v", err)
		}
		if _, twice := found[s.Destination]; twice {
			r.Errorf("Destinations yields %s twice", s.Destination)
		}
		found[s.Destination] = s
	}
	return found
}

func testSummaryCounts(r *trial) {
	r.accept(letter("a@a.example", "1@b.example", "2@b.example"), "") // stays leased
	r.waiting(letter("a@a.example", "1@b.example", "2@b.example", "3@c.example"))
	both := r.waiting(letter("a@a.example", "1@b.example", "2@b.example"))
	held := r.waiting(letter("a@a.example", "1@b.example", "2@b.example"))
	r.expectChange("hold one of two", queue.Query{ID: both, Recipient: "2@b.example"}, queue.Hold, start(), 1)
	r.expectChange("hold", queue.Query{ID: held}, queue.Hold, start(), 2)
	found := r.summaries()
	b, c := found["b.example"], found["c.example"]
	expect(r, "destinations", len(found), 2)
	expect(r, "b waiting, leased, held", fmt.Sprint(b.Waiting, b.Leased, b.Held), "2 1 1")
	expect(r, "c waiting, leased, held", fmt.Sprint(c.Waiting, c.Leased, c.Held), "1 0 0")
	r.lease(start())
	b = r.summaries()["b.example"]
	expect(r, "b under way", fmt.Sprint(b.Waiting, b.Leased, b.Held), "0 3 1")
}

func testSummaryTimes(r *trial) {
	early := letter("a@a.example", "1@b.example")
	r.late(90, early)
	later := letter("a@a.example", "1@b.example")
	later.Received = after(5)
	r.late(30, later)
	b := r.summaries()["b.example"]
	expect(r, "oldest", b.Oldest.Equal(start()), true)
	expect(r, "next", b.Next.Equal(after(30)), true)
	expect(r, "not suspended", b.Suspended.IsZero(), true)
	r.suspend("b.example", after(60))
	b = r.summaries()["b.example"]
	expect(r, "suspended", b.Suspended.Equal(after(60)), true)
	r.suspend("b.example", time.Time{})
	expect(r, "lifted", r.summaries()["b.example"].Suspended.IsZero(), true)
}

func testSummaryReason(r *trial) {
	for _, reason := range []string{"busy", "greylisted"} {
		r.late(10, letter("a@a.example", "1@b.example"))
		work := r.lease(after(10))
		for _, o := range work {
			r.settle(all(o, deferred(after(10), reason)))
		}
		expect(r, "last reason", r.summaries()["b.example"].LastReason, reason)
	}
	r.waiting(letter("a@a.example", "1@c.example"))
	expect(r, "no deferral yet", r.summaries()["c.example"].LastReason, "")
}
