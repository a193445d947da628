package delivery

import (
	"strings"
	"testing"

	"sternpost/mail"
)

// Where a person is to decide, a recipient in doubt goes to no other host; one that is not goes on.
func TestHoldInDoubt(t *testing.T) {
	for _, c := range []struct {
		script, want string
		messages     int // at the backup
	}{
		{"dot close", "deferred/4.4.2? deferred/4.4.2?", 0},
		{"dot 354 what", "deferred/4.4.2? deferred/4.4.2?", 0},
		{"offer PIPELINING / CHUNKING\ndot close", "deferred/4.4.2? deferred/4.4.2?", 0},
		{"rcpt <b@.*> 450 4.2.0 later\ndot close", "deferred/4.4.2? sent@mx2.test", 1},
		{"dot 451 4.3.0 later", "sent@mx2.test sent@mx2.test", 1},
	} {
		t.Run(c.script, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, twoHosts)
				w.serve("192.0.2.1", c.script)
				backup := w.serve("192.0.2.2", "")
				tr := transactionTo(t, plain, "a@example.test", "b@example.test")
				tr.HoldInDoubt = true
				at := w.deliverTransaction(tr)
				if got := summaries(at); got != c.want || len(backup.Messages()) != c.messages {
					t.Errorf("%s, want %s; the backup has %d messages", got, c.want, len(backup.Messages()))
				}
				if o := at.Outcomes[0]; o.InDoubt && o.Host != "mx1.test" {
					t.Errorf("in doubt at %q", o.Host)
				}
			})
		})
	}
}

// A remote that ends its side in mid-content is the one that closed, not a timeout of ours.
func TestRemoteEndsInMidContent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "data 354 go / flush / sleep 5s / close")
		at := w.deliver(text(strings.Repeat("a line of a large message\r\n", 100_000)), you)
		if o := at.Outcomes[0]; o.Stage != mail.StageContent || o.InDoubt || !strings.Contains(o.Reason, "remote closed") && !strings.Contains(o.Reason, "remote reset") {
			t.Errorf("%s at %s: %s", summary(o), o.Stage, o.Reason)
		}
		if c := at.Candidates[0]; c.ClosedBy != "remote" {
			t.Errorf("closed by %q", c.ClosedBy)
		}
	})
}
