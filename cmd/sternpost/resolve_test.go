package main

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"os"
	"testing"

	"sternpost/resolver"
	"sternpost/resolver/dnstest"
)

// goldenZone has two preferences, a pair of equals, an address that is refused, a host without address and an alias; all of it is vouched for.
const goldenZone = `
golden.test.      300 MX 10 a.golden.test.
golden.test.      300 MX 10 b.golden.test.
golden.test.      300 MX 20 c.golden.test.
golden.test.      300 MX 20 none.golden.test.
a.golden.test.    600 A 192.0.2.1
a.golden.test.    600 AAAA 2001:db8:1::1
b.golden.test.    600 A 198.51.100.1
c.golden.test.    120 CNAME real.golden.test.
real.golden.test. 600 A 127.0.0.1
real.golden.test. 600 A 203.0.113.1
; fault: * * ad
`

// TestResolveAsAWhole holds all that resolve says of one zone, as JSON and for people. A change of it is to be seen in the golden files.
func TestResolveAsAWhole(t *testing.T) {
	server := dnstest.New(t, goldenZone)
	c := resolver.DefaultConfig()
	c.Servers = []string{server.Addr()}
	r, err := resolver.New(c, new(net.Dialer).DialContext)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	screen := resolver.Screen{Port: 25, OwnAddresses: []netip.Addr{netip.MustParseAddr("192.0.2.99")}}
	x := screen.Apply(r.Exchangers(context.Background(), "golden.test"))
	found := newResolution(x, resolver.Shuffle{Seed: 1, Attempt: 1, Limit: 4}.Order(x.Hosts))
	var told, said bytes.Buffer
	if err := printJSON(&told, found); err != nil {
		t.Fatal(err)
	}
	story{w: &said}.resolution(found)
	for name, got := range map[string][]byte{"resolve.json": told.Bytes(), "resolve.txt": said.Bytes()} {
		want, err := os.ReadFile("testdata/golden/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}
