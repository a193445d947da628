package resolver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// question is what is asked and the key of the cache: a name in lower case without the trailing dot, and a type.
type question struct {
	name  string
	qtype uint16
}

// newQuestion reads a name and the mnemonic of a type ("MX").
func newQuestion(name, qtype string) (question, error) {
	number, ok := dns.StringToType[qtype]
	if !ok {
		return question{}, fmt.Errorf("%q is not a DNS type", qtype)
	}
	q := question{name: canonical(name), qtype: number}
	if _, ok := dns.IsDomainName(name); !ok || q.name == "" {
		return question{}, fmt.Errorf("%q is not a domain name", name)
	}
	return q, nil
}

// canonical is a name as questions and answers have it here.
func canonical(name string) string {
	if dns.IsFqdn(name) { // not by its last octet: a dot may be escaped
		name = name[:len(name)-1]
	}
	return strings.ToLower(name)
}

// ednsSize is the largest reply that we take over UDP: it fits into one packet nearly everywhere (DNS flag day 2020).
const ednsSize = 1232

// message is the query for q. AD in a query asks for AD in the reply without the records that prove it (RFC 6840 s5.7).
func (q question) message(id uint16, edns bool) *dns.Msg {
	m := &dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: id, RecursionDesired: true, AuthenticatedData: true},
		Question: []dns.Question{{Name: dns.Fqdn(q.name), Qtype: q.qtype, Qclass: dns.ClassINET}},
	}
	if edns {
		m.SetEdns0(ednsSize, false)
	}
	return m
}

// Why a packet is not the reply to our query. A stray is anybody's, and says nothing about the server.
var (
	errStray = errors.New("is not a reply to our query")
	errOther = errors.New("is a reply to another question")
)

// headerSize is the size of the header of a message, and tcBit is TC in its third octet (RFC 1035 s4.1.1).
const (
	headerSize = 12
	tcBit      = 0x02
)

// accept reads packet as the reply to query. What is not is refused with errStray or errOther, and waiting goes on (RFC 5452 s9.1): id,
// QR, opcode, and the question by name, type and class must agree. Of a truncated reply only the header and the question are read.
func accept(query *dns.Msg, packet []byte) (*dns.Msg, error) {
	head, ok := unpackHead(packet)
	if !ok || !isResponse(head, query.Id) {
		return nil, errStray
	}
	switch {
	case len(head.Question) == 0 && isRefusal(head.Rcode):
		return head, nil // RFC 1035 s4.1.1 and RFC 6891 s7: who cannot read a query cannot repeat its question
	case !sameQuestion(head.Question, query.Question[0]):
		return nil, errOther
	case packet[2]&tcBit != 0:
		return head, nil
	}
	reply := new(dns.Msg)
	if reply.Unpack(packet) != nil || !complete(reply, packet) || slices.ContainsFunc(reply.Answer, isHollow) {
		return nil, errStray
	}
	return reply, nil
}

func isResponse(head *dns.Msg, id uint16) bool {
	return head.Id == id && head.Response && head.Opcode == dns.OpcodeQuery
}

// unpackHead reads the header and the question, and nothing behind them.
func unpackHead(packet []byte) (m *dns.Msg, ok bool) {
	if len(packet) < headerSize {
		return nil, false
	}
	head := append([]byte(nil), packet...)
	clear(head[6:headerSize]) // the counts of the three sections of records
	m = new(dns.Msg)
	return m, m.Unpack(head) == nil
}

// isRefusal says whether rcode is one that comes without a question from some servers. NOERROR and NXDOMAIN never do.
func isRefusal(rcode int) bool {
	return rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented || rcode == dns.RcodeServerFailure || rcode == dns.RcodeRefused
}

// sameQuestion compares names without case: some servers do not repeat it as it was.
func sameQuestion(got []dns.Question, want dns.Question) bool {
	return len(got) == 1 && strings.EqualFold(got[0].Name, want.Name) && got[0].Qtype == want.Qtype && got[0].Qclass == want.Qclass
}

// isHollow says whether rr lacks what its type is about. The parser takes a record without content, or one that ends after a field, and fills
// the rest with zero values: an MX like that would be read as a null MX, and mail would fail by it.
func isHollow(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.MX:
		return rr.Mx == ""
	case *dns.CNAME:
		return rr.Target == ""
	case *dns.A:
		return len(rr.A) != net.IPv4len
	case *dns.AAAA:
		return len(rr.AAAA) != net.IPv6len
	}
	return rr.Header().Rdlength == 0
}

// complete says whether the sections hold as many records as the header promises: the parser is content with a message that ends
// between two records, and half a list of exchangers is a wrong list.
func complete(m *dns.Msg, packet []byte) bool {
	count := func(at int) int { return int(binary.BigEndian.Uint16(packet[at:])) }
	return len(m.Answer) == count(6) && len(m.Ns) == count(8) && len(m.Extra) == count(10)
}
