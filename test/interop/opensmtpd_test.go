//go:build interop

package interop

import (
	"path/filepath"
	"testing"
)

// opensmtpd starts an OpenSMTPD, whose queue and socket are where they always are: the namespace has them for itself.
func (w *world) opensmtpd() *receiver {
	w.t.Helper()
	return w.opensmtpdBy("opensmtpd.conf")
}

// opensmtpdBy starts it with a configuration of testdata.
func (w *world) opensmtpdBy(config string) *receiver {
	w.t.Helper()
	dir := w.folder("opensmtpd")
	w.owned("opensmtpd/mail", postman)
	file := w.render(config, "opensmtpd/smtpd.conf")
	p := w.start("opensmtpd", programs()["opensmtpd"], "-d", "-f", file)
	p.greets("127.0.0.13")
	return &receiver{program: p, mailbox: one(filepath.Join(dir, "mail")), lineEnd: "\n"}
}

func TestOpenSMTPD(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	arrive(t, a, w.opensmtpd(), postman+"@opensmtpd.test", append(everywhere(), longLines("lines10000", 10000)))
}
