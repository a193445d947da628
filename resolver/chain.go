package resolver

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"sternpost/mail"
)

// maxChain is how many aliases are followed for one question; longer chains are taken for loops.
const maxChain = 10

// chain gathers the answer to one question over the aliases on the way to it.
type chain struct {
	question question
	aliases  []string // the names that were led to, in order
	records  []dns.RR
	rcode    mail.RCode
	ttl      uint32
	ttlKnown bool
	aliasTTL uint32
	aa       bool
	ad       bool
	stale    bool
	error    string
}

// resolve asks q and follows CNAMEs, within a reply and by further questions (RFC 1034 s3.6.2).
func (u *upstream) resolve(ctx context.Context, q question) Answer {
	c := chain{question: q, aa: true, ad: true}
	for name, more := q.name, true; more; {
		r, fail := u.ask(ctx, question{name, q.qtype})
		if fail != nil {
			c.fail(fail.rcode, fail.text)
			break
		}
		name, more = c.follow(name, r)
	}
	return c.answer()
}

// follow reads what r says about name. It returns the name to ask for next, and whether there is one.
func (c *chain) follow(name string, r reply) (next string, more bool) {
	c.ad = c.ad && r.trusted && r.message.AuthenticatedData
	c.aa = c.aa && r.message.Authoritative
	c.stale = c.stale || isStale(r.message)
	asked := name
	for {
		if c.take(name, r.message) {
			return "", false
		}
		target, ok := c.alias(name, r.message)
		if !ok {
			break
		}
		if len(c.aliases) == maxChain {
			c.fail(mail.RCodeLoop, "the aliases of "+mail.Escape(c.question.name)+" have no end")
			return "", false
		}
		c.aliases = append(c.aliases, target)
		name = target
	}
	if name != asked && !isFinal(r.message, name) {
		return name, true
	}
	c.negative(name, r.message)
	return "", false
}

// maxAddresses is how many A or AAAA records of one answer are kept. Large providers have about ten; a stranger's answer may have thousands, for
// each of hundreds of exchangers.
const maxAddresses = 64

// take keeps the records of the wanted type at name, and says whether there are any.
func (c *chain) take(name string, m *dns.Msg) bool {
	found := false
	limited := c.question.qtype == dns.TypeA || c.question.qtype == dns.TypeAAAA
	for _, rr := range m.Answer {
		if limited && len(c.records) == maxAddresses {
			break
		}
		if at(rr, name, c.question.qtype) {
			found = true
			c.records = append(c.records, rr)
			c.lower(rr.Header().Ttl)
		}
	}
	if found && m.Rcode != dns.RcodeSuccess {
		c.fail(mail.RCodeInvalid, "the answer has records and says that the name does not exist")
	} else if found {
		c.rcode = mail.RCodeSuccess
	}
	return found
}

// alias returns the name that name is an alias of.
func (c *chain) alias(name string, m *dns.Msg) (target string, ok bool) {
	for _, rr := range m.Answer {
		if at(rr, name, dns.TypeCNAME) && c.question.qtype != dns.TypeCNAME {
			ttl := plainTTL(rr.Header().Ttl)
			if len(c.aliases) == 0 || ttl < c.aliasTTL {
				c.aliasTTL = ttl
			}
			c.lower(ttl)
			return canonical(rr.(*dns.CNAME).Target), true
		}
	}
	return "", false
}

// negative notes that name, the last one, has no such record, or does not exist: with aliases, NXDOMAIN is about the last one (RFC 6604 s3). The
// TTL is the lesser of that of the SOA and its minimum (RFC 2308 s5); without the SOA of a zone that name is in it is zero.
func (c *chain) negative(name string, m *dns.Msg) {
	c.rcode = mail.RCodeNoData
	if m.Rcode == dns.RcodeNameError {
		c.rcode = mail.RCodeNXDomain
	}
	if soa := soaOf(name, m); soa != nil {
		c.lower(min(plainTTL(soa.Hdr.Ttl), plainTTL(soa.Minttl)))
	} else {
		c.lower(0)
	}
}

func (c *chain) fail(rcode mail.RCode, text string) {
	c.rcode, c.error, c.records, c.stale = rcode, text, nil, false // a failure has nothing to serve, so it is not stale
}

func (c *chain) lower(ttl uint32) {
	if ttl = plainTTL(ttl); !c.ttlKnown || ttl < c.ttl {
		c.ttl, c.ttlKnown = ttl, true
	}
}

// plainTTL is ttl, or zero where its highest bit is set (RFC 2181 s8).
func plainTTL(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}

// at says whether rr is a record of name with the given type.
func at(rr dns.RR, name string, qtype uint16) bool {
	h := rr.Header()
	return h.Rrtype == qtype && h.Class == dns.ClassINET && strings.EqualFold(strings.TrimSuffix(h.Name, "."), name)
}

// isFinal says whether the reply settles what is at name, the last of its aliases: it says NXDOMAIN, or has the SOA of a zone that name is in
// (RFC 2308 s2.2). Where it does not, the server has stopped at the border of its zone, and name is to be asked for.
func isFinal(m *dns.Msg, name string) bool {
	return m.Rcode == dns.RcodeNameError || soaOf(name, m) != nil
}

// soaOf returns the SOA of a zone that name is in, or nil.
func soaOf(name string, m *dns.Msg) *dns.SOA {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, dns.Fqdn(name)) {
			return soa
		}
	}
	return nil
}

// isStale says whether the server tells that it served an expired answer (RFC 8914 s4.4 and s4.20).
func isStale(m *dns.Msg) bool {
	code, _ := extended(m)
	return code == dns.ExtendedErrorCodeStaleAnswer || code == dns.ExtendedErrorCodeStaleNXDOMAINAnswer
}

// answer is what the chain came to.
func (c *chain) answer() Answer {
	a := Answer{Lookup: mail.Lookup{
		Name: c.question.name, Type: dns.TypeToString[c.question.qtype], RCode: c.rcode, Error: c.error, Stale: c.stale,
	}}
	for _, alias := range c.aliases {
		a.Lookup.Answers = append(a.Lookup.Answers, "CNAME "+cmp.Or(alias, "."))
		a.Canonical = alias
	}
	a.AliasTTL, a.Authoritative = seconds(c.aliasTTL), c.aa
	if !c.rcode.Certain() {
		return a
	}
	a.Lookup.TTL, a.Lookup.AD = seconds(c.ttl), c.ad
	for _, rr := range c.records {
		a.add(rr)
	}
	return a
}

// add puts one record into the answer.
func (a *Answer) add(rr dns.RR) {
	ttl := seconds(plainTTL(rr.Header().Ttl))
	text := strings.TrimPrefix(rr.String(), rr.Header().String())
	switch rr := rr.(type) {
	case *dns.MX:
		mx := MX{Preference: int(rr.Preference), Host: canonical(rr.Mx), TTL: ttl}
		a.MX = append(a.MX, mx)
		if mx.Host != "" { // "." stays as it is
			text = strings.TrimSuffix(text, ".")
		}
	case *dns.A:
		a.addAddress(rr.A, ttl)
	case *dns.AAAA:
		a.addAddress(rr.AAAA, ttl)
	}
	a.Lookup.Answers = append(a.Lookup.Answers, text)
}

func (a *Answer) addAddress(octets []byte, ttl time.Duration) {
	if ip, ok := netip.AddrFromSlice(octets); ok {
		a.Addresses = append(a.Addresses, Address{IP: ip.Unmap(), TTL: ttl})
	}
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }
