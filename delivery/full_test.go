package delivery

import (
	"context"
	"testing"
	"time"
)

// "Too many recipients" is never the last word about a recipient whose turn another transaction would have been.
func TestTooManyRecipientsIsNoAnswer(t *testing.T) {
	const three = "a@example.test b@example.test c@example.test"
	const full = "rcpt #2+ 552 too many recipients\n"
	for _, c := range []struct{ name, script, alone, backup string }{
		{"lost at DATA", full + "data close", "deferred/4.4.2 deferred/4.4.2 deferred/4.4.2", "sent@mx2.test sent@mx2.test sent@mx2.test"},
		{"421 at DATA", full + "data 421 4.3.2 bye / close", "deferred/4.3.2 deferred/4.4.2 deferred/4.4.2", "sent@mx2.test sent@mx2.test sent@mx2.test"},
		{"5.5.3, lost at the dot", "rcpt #2+ 552 5.5.3 too many recipients\ndot close",
			"deferred/4.4.2? deferred/4.4.2 deferred/4.4.2", "sent@mx2.test sent@mx2.test sent@mx2.test"},
		{"gone behind the 250", full + "dot 250 ok / close", "sent@mx1.test deferred/4.4.2 deferred/4.4.2", "sent@mx1.test sent@mx2.test sent@mx2.test"},
		{"MAILMAX of one, 552", "offer PIPELINING / LIMITS MAILMAX=1\n" + full, "sent@mx1.test sent@mx1.test deferred/4.3.0", "sent@mx1.test sent@mx2.test sent@mx2.test"},
		{"MAILMAX of one, 452", "offer PIPELINING / LIMITS MAILMAX=1\nrcpt #2+ 452 too many recipients", "sent@mx1.test sent@mx1.test deferred/4.3.0",
			"sent@mx1.test sent@mx2.test sent@mx2.test"},
		{"until one accepts none", "connection #1\nrcpt #2+ 552 too many recipients\nmail #1 250 ok\nrcpt <[bc]@.*> 552 too many recipients",
			"sent@mx1.test bounced/5.0.0@mx1.test bounced/5.0.0@mx1.test", "sent@mx1.test bounced/5.0.0@mx1.test bounced/5.0.0@mx1.test"},
	} {
		trouble{c.name, oneHost, map[string]string{"192.0.2.1": c.script}, three, c.alone}.run(t)
		trouble{c.name + ", with a backup", twoHosts, map[string]string{"192.0.2.1": c.script, "192.0.2.2": ""}, three, c.backup}.run(t)
	}
}

// Stopped while the first transaction waits for its dot, the others have had no turn.
func TestStoppedBeforeTheTransactionForTheRest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "rcpt #2+ 552 too many recipients\ndot sleep 10s / 250 ok")
		tr := transactionTo(t, plain, "a@example.test", "b@example.test")
		stopping, stop := context.WithCancel(context.Background())
		tr.Stopping = stopping
		time.AfterFunc(time.Second, stop)
		if got := summaries(w.deliverTransaction(tr)); got != "sent@mx1.test deferred/4.3.0" {
			t.Error(got)
		}
	})
}

// Content that was refused for now is not sent again to the same host for the recipients that are left.
func TestRefusedContentIsNotSentAgain(t *testing.T) {
	to := []string{"a@example.test", "b@example.test", "c@example.test"}
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, twoHosts)
		first := w.serve("192.0.2.1", "offer PIPELINING / LIMITS RCPTMAX=1\ndot 451 4.3.0 later")
		w.serve("192.0.2.2", "")
		if got := summaries(w.deliver(plain, to...)); got != "sent@mx2.test sent@mx2.test sent@mx2.test" {
			t.Error(got)
		}
		if n := len(first.Messages()); n != 1 {
			t.Errorf("the content was sent %d times", n)
		}
	})
	trouble{"one host", oneHost, map[string]string{"192.0.2.1": "offer PIPELINING / LIMITS RCPTMAX=1\ndot 451 4.3.0 later"}, "a@example.test b@example.test",
		"deferred/4.3.0 deferred/4.3.0"}.run(t)
}

// Another session with a host that took the message, which comes to nothing, does not make it untrue that the host took it.
func TestVerdictOfTheSecondSession(t *testing.T) {
	for _, second := range []string{"banner 421 no / close", "mail 451 no"} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			w.serve("192.0.2.1", "offer PIPELINING / LIMITS MAILMAX=1 RCPTMAX=1\nconnection #2\n"+second)
			if got := story(w.deliver(plain, "a@example.test", "b@example.test")); got != "mx1.test delivered" {
				t.Errorf("%s: %s", second, got)
			}
		})
	}
}
