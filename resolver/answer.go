package resolver

import (
	"net/netip"
	"time"

	"sternpost/mail"
)

// Answer is the result of one DNS question. Its slices are shared and must not be written to.
type Answer struct {
	// Lookup is the question and its answer as the attempt tree keeps it. Its TTL is what remains of the smallest TTL of the chain:
	// zero once only our floor keeps the answer in the cache.
	Lookup mail.Lookup
	// Canonical is the last name of the CNAME chain, empty where the name is no alias.
	Canonical string
	// AliasTTL is the smallest TTL of the CNAME records, as the server sent them.
	AliasTTL time.Duration
	// Authoritative says that the servers of the zone answered themselves (AA), so that the TTLs are those of the zone; a cache tells what it has left.
	Authoritative bool
	// MX are the records of an MX question, as they were received.
	MX []MX
	// Addresses are the records of an A or AAAA question, in the order received (RFC 5321 s5.1 has us keep it), at most 64.
	Addresses []Address
	// Expires is when the answer is asked for again; now where it is not cached. Zero: the question cannot be asked.
	Expires time.Time
}

// MX is one mail exchanger record (RFC 1035 s3.3.9). Host is lower case without the trailing dot, and empty for ".".
// TTL is that of the record as the server sent it.
type MX struct {
	Preference int
	Host       string
	TTL        time.Duration
}

// Address is one address of a host.
type Address struct {
	// IP is never an IPv4-mapped IPv6 address: such a record is read as the IPv4 address that it leads to.
	IP netip.Addr
	// TTL is that of the record as the server sent it, also when the answer comes from the cache; zero for a literal.
	TTL time.Duration
	// Skipped says why the address is not to be used ("loopback"); empty: it may be.
	Skipped string
}

// certain says whether the answer is what the DNS holds now, so that mail may fail by it.
func (a Answer) certain() bool { return a.Lookup.RCode.Certain() && !a.Lookup.Stale }

// trouble says for people what went wrong with a question that has no certain answer.
func (a Answer) trouble() string {
	text := string(a.Lookup.RCode)
	switch {
	case a.Lookup.Stale:
		text = "only an answer that has expired is to be had"
	case a.Lookup.RCode == mail.RCodeTimeout: // a refused connection is one too
		text = "no answer"
	}
	if a.Lookup.Error != "" {
		text += " (" + a.Lookup.Error + ")"
	}
	return text
}
