package delivery

import (
	"context"
	"testing"
	"time"

	"sternpost/mail"
)

// When nothing new is to begin, what waits for a greeting or for the answer to a command ends at once and counts against nobody; content on its way goes on to its answer.
func TestStopping(t *testing.T) {
	large := text(plain + text(make([]byte, 64<<10)))
	for _, c := range []struct {
		name, script string
		content      mail.Content
		want         string
		took         time.Duration
	}{
		{"before the greeting", "banner sleep 1m / 220 mx1.test", plain, "deferred/4.3.0", time.Second},
		{"before the answer to EHLO", "ehlo sleep 1m / 250 mx1.test", plain, "deferred/4.3.0", time.Second},
		{"before the answer to RCPT", "rcpt sleep 1m / 250 ok", plain, "deferred/4.3.0", time.Second},
		{"after the dot", "dot sleep 1m / 250 ok", plain, "sent@mx1.test", time.Minute},
		{"after the dot of a large message", "dot sleep 1m / 250 ok", large, "sent@mx1.test", time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost)
				w.serve("192.0.2.1", c.script)
				tr := transactionTo(t, c.content, "you@example.test")
				stopping, stop := context.WithCancel(context.Background())
				defer stop()
				tr.Stopping = stopping
				time.AfterFunc(time.Second, stop)
				began := time.Now()
				at := w.deliverTransaction(tr)
				if got := summaries(at); got != c.want {
					t.Errorf("%s, want %s: %+v", got, c.want, at.Outcomes)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %s, want %s", took, c.took)
				}
				if o := at.Outcomes[0]; o.Disposition == mail.Deferred && o.Scope != mail.ScopeLocal {
					t.Errorf("it is counted against %s", o.Scope)
				}
			})
		})
	}
}

// What is cut off after the dot is in doubt.
func TestCutOffAfterTheDot(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "dot sleep 1m / 250 ok")
		ctx, cancel := context.WithCancel(context.Background())
		stopping, stop := context.WithCancel(ctx)
		defer stop()
		tr := transactionTo(t, plain, "you@example.test")
		tr.Stopping = stopping
		time.AfterFunc(time.Second, stop)
		time.AfterFunc(10*time.Second, cancel)
		began := time.Now()
		o := w.agent.Deliver(ctx, tr).Outcomes[0]
		if o.Disposition != mail.Deferred || !o.InDoubt || time.Since(began) != 10*time.Second {
			t.Errorf("%+v after %s", o, time.Since(began))
		}
	})
}
