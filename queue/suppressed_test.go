package queue_test

import (
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func noSuchUser(mail.Transaction) mail.Outcome {
	return mail.Outcome{Disposition: mail.Failed, Stage: mail.StageRcpt, Scope: mail.ScopeRecipient, Status: mail.Status{5, 1, 1},
		Reply: mail.Reply{Code: 550, Lines: []string{"550 5.1.1 no such user"}}}
}

func (w *world) suppressed(sender, to string) bool {
	w.t.Helper()
	address, err := mail.ParseAddress(to)
	if err != nil {
		w.t.Fatal(err)
	}
	_, suppressed, err := w.queue.Suppressed(w.t.Context(), sender, address)
	if err != nil {
		w.t.Fatal(err)
	}
	return suppressed
}

func (w *world) suppression(c queue.SuppressionConfig) {
	w.t.Helper()
	if err := w.queue.ReloadSuppression(c); err != nil {
		w.t.Fatal(err)
	}
}

func TestFailureSuppresses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("dead.test", noSuchUser)
		send := func(to string) {
			w.submit("me@us.test", to)
			pass(time.Second)
		}
		send("off@dead.test")
		c := queue.DefaultSuppressionConfig()
		c.Enabled, c.Failures, c.Except = true, 2, []string{"other@us.test"}
		w.suppression(c)
		send("Box@dead.test")
		send("postmaster@dead.test")
		send("postmaster@dead.test")
		if w.suppressed("me@us.test", "box@dead.test") {
			t.Error("suppressed after one failure")
		}
		w.submit("other@us.test", "box@dead.test") // does not count
		pass(time.Second)
		if w.suppressed("me@us.test", "box@dead.test") {
			t.Error("the failure of a sender without suppression counts")
		}
		send("box@dead.test")
		for to, want := range map[string]bool{"box@dead.test": true, "BOX@dead.test": true, "off@dead.test": false, "postmaster@dead.test": false} {
			if w.suppressed("me@us.test", to) != want {
				t.Errorf("%s: want %t", to, want)
			}
		}
		if w.suppressed("other@us.test", "box@dead.test") {
			t.Error("suppressed for a sender without suppression")
		}
		told := 0
		for e, err := range w.store.Journal().Find(t.Context(), journal.Query{Kind: journal.Suppressed}) {
			if err != nil || e.Recipient != "box@dead.test" || e.Status != (mail.Status{5, 1, 1}) {
				t.Errorf("%+v, %v", e, err)
			}
			told++
		}
		if told != 1 {
			t.Errorf("told %d times", told)
		}
		pass(c.Forget)
		if w.suppressed("me@us.test", "box@dead.test") {
			t.Error("it is not forgotten")
		}
		if err := w.queue.ReloadSuppression(queue.SuppressionConfig{}); err == nil {
			t.Error("a wrong configuration is taken")
		}
	})
}
