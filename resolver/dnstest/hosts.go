package dnstest

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Host is a name of zone text with one of its addresses.
type Host struct {
	Name    string // in lower case, without the last dot
	Address netip.Addr
}

// Hosts lists the A and AAAA records of zone text in the order in which they stand there. The error is that of Make.
func Hosts(text string) ([]Host, error) {
	if _, err := parseZone(text); err != nil {
		return nil, err
	}
	var hosts []Host
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	parser.SetDefaultTTL(defaultTTL)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		var address netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			address, ok = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			address, ok = netip.AddrFromSlice(rr.AAAA.To16())
		default:
			continue
		}
		name := strings.TrimSuffix(dns.CanonicalName(rr.Header().Name), ".")
		if !ok {
			return nil, fmt.Errorf("zone text: %s has no address that can be read", name)
		}
		hosts = append(hosts, Host{Name: name, Address: address})
	}
	return hosts, nil
}
