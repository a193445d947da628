package delivery

import "testing"

// Who takes a message and offers DSN was told the wishes of the sender, and reports itself (RFC 3461 s5.2.1).
func TestKeepsDSN(t *testing.T) {
	for script, want := range map[string]bool{fullOffer: true, "offer SIZE 0 / DSN\n": true, "offer PIPELINING\n": false} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			w.serve("192.0.2.1", script)
			if o := w.deliver(plain, "you@example.test").Outcomes[0]; summary(o) != "sent@mx1.test" || o.KeepsDSN != want {
				t.Errorf("%q: %s, %v", script, summary(o), o.KeepsDSN)
			}
		})
	}
}
