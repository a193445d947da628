//go:build interop

package interop

import (
	"path/filepath"
	"strings"
	"testing"
)

// exim starts a private Exim with the listeners of testdata/exim.conf.
func (w *world) exim() *receiver {
	w.t.Helper()
	return w.eximBy("exim.conf", "127.0.0.12", "127.0.0.24", "127.0.0.25")
}

// eximBy starts it with a configuration of testdata that has these listeners.
func (w *world) eximBy(config string, listeners ...string) *receiver {
	w.t.Helper()
	dir := w.folder("exim")
	for _, folder := range []string{"spool", "mail", "log"} {
		w.owned("exim/"+folder, "Debian-exim")
	}
	p := w.start("exim4-daemon-light", programs()["exim4-daemon-light"], "-C", w.render(config, "exim/exim.conf"), "-bdf")
	p.logs = append(p.logs, filepath.Join(dir, "log", "mainlog"), filepath.Join(dir, "log", "rejectlog"), filepath.Join(dir, "log", "paniclog"))
	p.greets(listeners...)
	return &receiver{program: p, mailbox: one(filepath.Join(dir, "mail")), lineEnd: "\n"}
}

func TestExim(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	exim := w.exim()

	t.Run("limit raised", func(t *testing.T) {
		arrive(t, a, exim, "you@exim.test", append(everywhere(), longLines("lines10000", 10000)))
	})
	t.Run("limit of Debian", func(t *testing.T) {
		arrive(t, a, exim, "you@debian.exim.test", everywhere())
	})
	t.Run("over the limit of Debian", func(t *testing.T) {
		r := a.deliver(t, longLines("lines10000", 10000), "you@debian.exim.test")
		r.exits(t, exitFailed)
		r.refused(t, outcome{Recipient: "you@debian.exim.test", Disposition: "failed", Stage: "dot", Status: "5.0.0"}, 550)
		if reason := r.Recipients[0].Reason; !strings.Contains(reason, "maximum allowed line length is 998 octets, got 10000") {
			t.Errorf("reason %q", reason)
		}
	})
}
