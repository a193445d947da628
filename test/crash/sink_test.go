//go:build crash

package crash

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// zone leads two domains to each of three sites.
const zone = `
a.test. MX 10 mx1.test.
b.test. MX 10 mx1.test.
c.test. MX 10 mx2.test.
d.test. MX 10 mx2.test.
e.test. MX 10 mx3.test.
f.test. MX 10 mx3.test.
mx1.test. A 127.0.0.1
mx2.test. A 127.0.0.2
mx3.test. A 127.0.0.3
agent.test. A 127.0.0.1
`

// sites is how many sets of exchangers the zone has.
const sites = 3

func domains() []string { return []string{"a.test", "b.test", "c.test", "d.test", "e.test", "f.test"} }

// world is what the agent sends mail into: the DNS and the servers of the sites, all on one port.
type world struct {
	dns   *dnstest.Server
	sinks []*smtptest.Server
	port  string
}

// newWorld opens the servers. They are closed when the test ends.
func newWorld(t *testing.T, dns *dnstest.Server, script string) *world {
	t.Helper()
	w := &world{dns: dns}
	for try := 0; w.open(t, script) != nil; try++ {
		w.close(t)
		if try == 20 {
			t.Fatal("no port is free on three loopback addresses")
		}
	}
	t.Cleanup(func() { w.close(t) })
	return w
}

func (w *world) open(t *testing.T, script string) error {
	w.port = "0"
	for i := range sites {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%s", i+1, w.port))
		if err != nil {
			return err
		}
		_, w.port, _ = net.SplitHostPort(l.Addr().String())
		sink, err := smtptest.Start(script, l)
		if err != nil {
			t.Fatal(err)
		}
		w.sinks = append(w.sinks, sink)
	}
	return nil
}

func (w *world) close(t *testing.T) {
	for _, s := range w.sinks {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	w.sinks = nil
}

// script changes how the servers treat connections from now on.
func (w *world) script(t *testing.T, script string) {
	t.Helper()
	for _, s := range w.sinks {
		if err := s.SetScript(script); err != nil {
			t.Fatal(err)
		}
	}
}

// arrived lists all messages whose content came to its end.
func (w *world) arrived() []smtptest.Transaction {
	var list []smtptest.Transaction
	for _, s := range w.sinks {
		list = append(list, s.Messages()...)
	}
	return list
}

// copies counts what arrived.
func (w *world) copies() map[string]int {
	have := map[string]int{}
	for _, m := range w.arrived() {
		name, _, _ := strings.Cut(m.From(), "@")
		for _, to := range m.To() {
			_, domain, _ := strings.Cut(to, "@")
			have[name+" "+domain]++
		}
	}
	return have
}

// lost lists the owed copies that have not arrived.
func (w *world) lost(book *ledger) []string {
	have := w.copies()
	return slices.DeleteFunc(book.owed(), func(c string) bool { return have[c] > 0 })
}

// judge compares both books and returns how many copies came too often.
func (w *world) judge(t *testing.T, book *ledger) (duplicates int) {
	t.Helper()
	if lost := w.lost(book); len(lost) > 0 {
		t.Errorf("LOST: %d copies were answered with 250 and have not arrived, as %q", len(lost), lost[:min(5, len(lost))])
	}
	for _, m := range w.arrived() {
		l, f, known := book.find(m.From())
		switch {
		case !known:
			t.Errorf("%s arrived and was not sent in this round", m.From())
		case f == refused, f == unsynced && !book.syncFails:
			t.Errorf("%s arrived and was refused", m.From())
		case !bytes.Equal(bodyOf(m.Content), l.body()):
			t.Errorf("%s did not arrive as it was sent", m.From())
		}
	}
	for _, n := range w.copies() {
		duplicates += n - 1
	}
	return duplicates
}
