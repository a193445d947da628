//go:build interop

package interop

import (
	"context"
	"net"
	"path/filepath"
	"time"
)

// nsd starts an authoritative server with testdata/test.zone and returns its address.
func (w *world) nsd() string {
	w.t.Helper()
	w.folder("nsd")
	w.render("test.zone", "nsd/test.zone")
	config := w.render("nsd.conf", "nsd/nsd.conf", "@HOST@", "127.0.0.1", "@PORT@", dnsPort)
	p := w.start("nsd", programs()["nsd"], "-d", "-c", config)
	return p.resolves(net.JoinHostPort("127.0.0.1", dnsPort))
}

// unbound starts a recursive server that asks upstream, and returns its address.
func (w *world) unbound(upstream string) string {
	w.t.Helper()
	w.folder("unbound")
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		w.t.Fatal(err)
	}
	config := w.render("unbound.conf", "unbound/unbound.conf",
		"@HOST@", "127.0.0.2", "@PORT@", dnsPort, "@UPSTREAM@", host+"@"+port)
	p := w.start("unbound", programs()["unbound"], "-d", "-p", "-c", config)
	p.logs = append(p.logs, filepath.Join(w.dir, "unbound", "unbound.conf"))
	return p.resolves(net.JoinHostPort("127.0.0.2", dnsPort))
}

// resolves waits until the server at the address knows the zone.
func (p *program) resolves(address string) string {
	p.w.t.Helper()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
	p.await(p.w.t, "an answer", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		hosts, err := resolver.LookupHost(ctx, "ns.test.")
		return err == nil && len(hosts) == 1
	})
	return address
}
