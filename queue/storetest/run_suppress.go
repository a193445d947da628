package storetest

import (
	"fmt"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func suppressionTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"with the failure":     testSuppressedWithTheFailure,
		"after some failures":  testSuppressedAfterSome,
		"what a person does":   testSuppressedByAPerson,
		"in the order of text": testSuppressionsInOrder,
	}
}

func mailbox(local string) mail.Address { return mail.Address{Local: local, Domain: "b.example"} }

// refusal is one failure of a mailbox, some minutes after the start.
func refusal(local string, needed, minutes int) queue.Suppression {
	return queue.Suppression{
		Address: mailbox(local), Failures: 1, Needed: needed, Since: after(minutes), Last: after(minutes), Until: after(minutes + 100),
		Code: 550, Status: mail.Status{5, 1, 1}, Reason: "550 5.1.1 no such user", Message: 7,
		Sender: "a@a.example",
	}
}

// failed settles a new message with failures for the list.
func (r *trial) failed(list ...queue.Suppression) {
	r.Helper()
	work := r.accept(letter("a@a.example", "x@b.example"), "text")
	s := all(work[0], queue.RecipientState{State: queue.Failed})
	s.Suppress = list
	r.settle(s)
}

func (r *trial) expectSuppression(what, local string, want *queue.Suppression) {
	r.Helper()
	got, known, err := r.store.Suppression(r.Context(), mailbox(local))
	switch {
	case err != nil || known != (want != nil):
		r.Errorf("%s: known %t, %v", what, known, err)
	case known && suppressionText(got) != suppressionText(*want):
		r.Errorf("%s: got %s, want %s", what, suppressionText(got), suppressionText(*want))
	}
}

func suppressionText(s queue.Suppression) string {
	s.Since, s.Last, s.Until = s.Since.UTC(), s.Last.UTC(), s.Until.UTC()
	return fmt.Sprintf("%+v", s)
}

func (r *trial) expectEntries(what string, want int) []journal.Entry {
	r.Helper()
	got := r.entries(journal.Query{Kind: journal.Suppressed})
	expect(r, what+": entries", len(got), want)
	return got
}

func testSuppressedWithTheFailure(r *trial) {
	r.expectSuppression("before", "x", nil)
	one := refusal("x", 1, 0)
	r.failed(one)
	r.expectSuppression("after", "x", &one)
	if list := r.expectEntries("once", 1); len(list) == 1 && (list[0].Recipient != "x@b.example" || list[0].Reason != one.Reason || list[0].Message != queue.ID(7).String()) {
		r.Errorf("%+v", list[0])
	}
	again := refusal("x", 1, 10)
	r.failed(again)
	r.expectEntries("it was on the list", 1)
	again.Failures, again.Since = 2, one.Since
	r.expectSuppression("again", "x", &again)
	late := refusal("x", 1, 1000)
	r.failed(late)
	r.expectSuppression("when it was forgotten", "x", &late)
	r.expectEntries("when it was forgotten", 2)
}

func testSuppressedAfterSome(r *trial) {
	r.failed(refusal("x", 3, 0))
	r.expectEntries("first", 0)
	r.failed(refusal("x", 3, 1), refusal("y", 3, 1), refusal("x", 3, 2)) // two in one commit
	r.expectEntries("third", 1)
	want := refusal("x", 3, 2)
	want.Failures, want.Since = 3, after(0)
	r.expectSuppression("third", "x", &want)
}

func testSuppressedByAPerson(r *trial) {
	person := queue.Suppression{Address: mailbox("x"), Since: after(0), Last: after(0), Reason: "asked us to"}
	if err := r.store.Suppress(r.Context(), []queue.Suppression{person, refusal("y", 1, 0)}); err != nil {
		r.Fatal(err)
	}
	r.expectEntries("both", 2)
	r.failed(refusal("x", 1, 5))
	r.expectSuppression("what a person said stays", "x", &person)
	r.expectEntries("and is not told again", 2)
	n, err := r.store.Unsuppress(r.Context(), []mail.Address{mailbox("x"), mailbox("x"), mailbox("z")})
	if err != nil || n != 1 {
		r.Errorf("removed %d, %v", n, err)
	}
	r.expectSuppression("removed", "x", nil)
	n, err = r.store.Unsuppress(r.Context(), []mail.Address{mailbox("z")})
	if err != nil || n != 0 {
		r.Errorf("removed %d of none, %v", n, err)
	}
}

func testSuppressionsInOrder(r *trial) {
	var list []queue.Suppression
	for _, local := range []string{"c", "a", "b"} {
		list = append(list, refusal(local, 1, 0))
	}
	if err := r.store.Suppress(r.Context(), list); err != nil {
		r.Fatal(err)
	}
	locals := func(behind mail.Address) (text string) {
		for _, s := range collect(r, "Suppressions", r.store.Suppressions(r.Context(), behind)) {
			text += s.Address.Local
		}
		return text
	}
	expect(r, "all", locals(mail.Address{}), "abc")
	expect(r, "behind a", locals(mailbox("a")), "bc")
	expect(r, "behind c", locals(mailbox("c")), "")
}

func bookmarkTests() map[string]func(*trial) {
	return map[string]func(*trial){"moves": testBookmark}
}

func testBookmark(r *trial) {
	find := func(reader string) string {
		at, known, err := r.store.Bookmark(r.Context(), reader)
		if err != nil {
			r.Fatal(err)
		}
		return fmt.Sprint(known, at.Time.UTC().Format(time.RFC3339Nano), at.Seq)
	}
	unknown := find("one")
	for i, place := range []journal.Cursor{{Time: after(1), Seq: 3}, {Time: after(2).Add(1)}, {Time: after(1)}} {
		if err := r.store.SetBookmark(r.Context(), "one", place); err != nil {
			r.Fatal(err)
		}
		expect(r, fmt.Sprint("place ", i), find("one"), fmt.Sprint(true, place.Time.Format(time.RFC3339Nano), place.Seq))
	}
	expect(r, "another reader", find("on"), unknown)
}

func testReopenSuppression(r *trial, reopen func()) {
	one, place := refusal("x", 1, 0), journal.Cursor{Time: after(3), Seq: 4}
	r.failed(one)
	if err := r.store.SetBookmark(r.Context(), "reader", place); err != nil {
		r.Fatal(err)
	}
	reopen()
	r.expectSuppression("after the next start", "x", &one)
	at, known, err := r.store.Bookmark(r.Context(), "reader")
	if err != nil || !known || !at.Time.Equal(place.Time) || at.Seq != place.Seq {
		r.Errorf("bookmark: %v, %t, %v", at, known, err)
	}
}
