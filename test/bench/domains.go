//go:build bench

package main

import (
	"fmt"
	"net"
	"strings"
)

// The names that mail goes to, with the number of the domain for %d, and how many domains the cases with many have.
const (
	sharedDomains = "d%d.shared.test"
	ownDomains    = "d%d.own.test"
	tarpitDomains = "d%d.tarpit.test"
	deadDomain    = "dead.test"
	manyDomains   = 1000
)

// deadAddress is where nothing listens, so that connections are refused.
const deadAddress = "127.3.0.1"

// traffic is where the mail of a case goes. For a single domain Debian's smtp-source sends; it cannot vary the domain, so that for
// many a client of ours does.
type traffic struct {
	name    string
	domain  string // %d stands for a number below domains
	domains int
}

func oneDomain() traffic { return traffic{"1 domain", domain, 1} }

// traffics are all there are. To share an MX set means one site, with one limit; 1,000 exchangers are 1,000 sites with an address each.
func traffics() []traffic {
	return []traffic{
		oneDomain(),
		{"1,000 domains that share an MX set", sharedDomains, manyDomains},
		{"1,000 domains with an MX each", ownDomains, manyDomains},
	}
}

// zone is what NSD answers: the single domain that is well, the thousands, the dead one, and so many tarpits.
func zone(tarpits int) string {
	var text strings.Builder
	text.WriteString(`$ORIGIN test.
$TTL 3600
@	SOA	ns hostmaster 1 3600 600 86400 60
	NS	ns
ns	A	127.0.0.1
bench	A	127.0.0.1
example	MX	10 mx.example
mx.example	A	` + sinkHost + "\n")
	exchanger := func(domain, address string) {
		fmt.Fprintf(&text, "%s.	MX	10 mx.%s.\nmx.%s.	A	%s\n", domain, domain, domain, address)
	}
	for i := range manyDomains {
		fmt.Fprintf(&text, sharedDomains+".	MX	10 mx.example\n", i)
		exchanger(fmt.Sprintf(ownDomains, i), loopback(1, i))
	}
	exchanger(deadDomain, deadAddress)
	for i := range tarpits {
		exchanger(fmt.Sprintf(tarpitDomains, i), loopback(2, i))
	}
	return text.String()
}

// loopback is the address number n of a network 127.NET.0.0/16.
func loopback(network byte, n int) string {
	return net.IPv4(127, network, byte(n/250), byte(n%250+1)).String()
}
