//go:build interop

package interop

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestPrimaryDown(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	postfix, exim := w.postfix(), w.exim()

	t.Run("both up", func(t *testing.T) {
		m := note("both")
		a.deliver(t, m, "you@pair.test").delivered(t, "mx.exim.test")
		exim.keeps(t, "you@pair.test", m)
	})
	t.Run("pretended", func(t *testing.T) {
		m := note("pretended")
		r := a.pretend(t, "mx.exim.test=down", m, "you@pair.test")
		r.delivered(t, "mx.data.postfix.test")
		postfix.keeps(t, "you@pair.test", m)
	})
	t.Run("really", func(t *testing.T) {
		exim.stop()
		m := note("really")
		r := a.deliver(t, m, "you@pair.test")
		r.delivered(t, "mx.data.postfix.test")
		c := r.tried(t, "127.0.0.12")
		if c.Verdict != "deferred" || len(c.Stages) != 1 || !strings.Contains(c.Stages[0].Error, "refused") {
			t.Errorf("the primary is told as %+v, want deferred with a refused connection", c)
		}
		postfix.keeps(t, "you@pair.test", m)
	})
	t.Run("where nobody ever was", func(t *testing.T) {
		m := attachment()
		a.deliver(t, m, "you@down.test").delivered(t, "mx.data.postfix.test")
		postfix.keeps(t, "you@down.test", m)
	})
	t.Run("backup down too", func(t *testing.T) {
		postfix.stop()
		r := a.deliver(t, note("none"), "you@pair.test")
		r.exits(t, exitAgain)
		r.refused(t, outcome{Recipient: "you@pair.test", Disposition: "deferred", Stage: "connect", Status: "4.4.1"}, 0)
	})
}

func TestNoMX(t *testing.T) {
	w := newWorld(t)
	authority := w.nsd()
	postfix := w.postfix()

	// The same answers come from the authority itself and through a recursive server.
	for name, dns := range map[string]string{"nsd": authority, "unbound": w.unbound(authority)} {
		a := w.agent(dns, "")
		t.Run("implicit by "+name, func(t *testing.T) {
			m := note("implicit")
			r := a.deliver(t, m, "you@implicit.test")
			r.delivered(t, "implicit.test")
			if len(r.Attempts) != 1 || r.Attempts[0].Rule != "implicit" {
				t.Errorf("attempts %+v, want one by the rule implicit", r.Attempts)
			}
			postfix.keeps(t, "you@implicit.test", m)
		})
		t.Run("host unknown by "+name, func(t *testing.T) {
			r := a.deliver(t, note("unknown"), "you@absent.test")
			r.exits(t, exitFailed)
			r.refused(t, outcome{Recipient: "you@absent.test", Disposition: "failed", Stage: "resolve", Status: "5.1.2"}, 0)
			if reason := r.Recipients[0].Reason; !strings.Contains(reason, "host unknown") {
				t.Errorf("reason %q, want host unknown", reason)
			}
		})
		t.Run("null MX by "+name, func(t *testing.T) {
			r := a.deliver(t, note("null"), "you@null.test")
			r.exits(t, exitFailed)
			r.refused(t, outcome{Recipient: "you@null.test", Disposition: "failed", Stage: "resolve", Status: "5.1.10"}, 0)
		})
		t.Run("MX by "+name, func(t *testing.T) {
			m := note("mx")
			a.deliver(t, m, "you@data.postfix.test").delivered(t, "mx.data.postfix.test")
			postfix.keeps(t, "you@data.postfix.test", m)
		})
	}
}

// One command, four servers of four makers.
func TestEveryReceiverAtOnce(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	receivers := map[string]*receiver{
		"you@postfix.test":          w.postfix(),
		"you@exim.test":             w.exim(),
		postman + "@opensmtpd.test": w.opensmtpd(),
		"you@aiosmtpd.test":         w.aiosmtpd(),
	}
	m := attachment()
	r := a.deliver(t, m, slices.Sorted(maps.Keys(receivers))...)
	r.exits(t, exitDone)
	if len(r.Attempts) != len(receivers) {
		t.Errorf("%d attempts, want one for each domain", len(r.Attempts))
	}
	for address, receiver := range receivers {
		receiver.keeps(t, address, m)
	}
}
