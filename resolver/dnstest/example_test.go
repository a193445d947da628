package dnstest_test

import (
	"context"
	"fmt"
	"net"

	"sternpost/resolver/dnstest"
)

// A zone with a primary and a backup, and another name that the server will not answer for. In a test, New spares the closing.
func Example() {
	server, err := dnstest.Start(`
example.test.  MX  20 mx2.example.test.
example.test.  MX  10 mx1.example.test.
; fault: broken.test MX SERVFAIL
`)
	if err != nil {
		panic(err)
	}
	defer server.Close()

	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Addr())
	}}
	exchangers, err := resolver.LookupMX(context.Background(), "example.test.")
	if err != nil {
		panic(err)
	}
	for _, mx := range exchangers {
		fmt.Println(mx.Pref, mx.Host)
	}
	_, err = resolver.LookupMX(context.Background(), "broken.test.")
	fmt.Println("broken.test:", err != nil)
	fmt.Println("asked for example.test:", server.Asked("example.test", "MX"))
	// Output:
	// 10 mx1.example.test.
	// 20 mx2.example.test.
	// broken.test: true
	// asked for example.test: 1
}
