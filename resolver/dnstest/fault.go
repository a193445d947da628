package dnstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Fault is how the server misbehaves at a question. Its fields combine; the words that stand for them in zone text are in brackets.
type Fault struct {
	Delay         time.Duration // before the reply [delay=2s]
	Drop          bool          // no reply at all [drop]
	RCode         string        // this code and no records [SERVFAIL, REFUSED, ...]
	Bogus         bool          // SERVFAIL with the extended error 6, DNSSEC Bogus [bogus]
	NoEDNS        bool          // FORMERR, and no question, while the query has EDNS [no-edns]
	Truncate      bool          // TC and no records over UDP [truncate]
	CloseTCP      bool          // TCP connections end without a reply [close-tcp]
	WrongID       bool          // the reply has another id [wrong-id]
	WrongQuestion bool          // the reply is to another question [wrong-question]
	Stray         bool          // over UDP three strays come before the reply: garbage, another id, another question [stray]
	AD            bool          // AD is set, if the query has it too (RFC 6840 s5.7) [ad]
	Empty         bool          // the reply has its counts, but ends where the first record should be [empty]
}

// ParseFault reads the words that stand for a fault.
func ParseFault(words ...string) (Fault, error) {
	var f Fault
	flags := map[string]*bool{
		"drop": &f.Drop, "bogus": &f.Bogus, "no-edns": &f.NoEDNS, "truncate": &f.Truncate, "close-tcp": &f.CloseTCP,
		"wrong-id": &f.WrongID, "wrong-question": &f.WrongQuestion, "stray": &f.Stray, "ad": &f.AD, "empty": &f.Empty,
	}
	for _, word := range words {
		if flag, ok := flags[word]; ok {
			*flag = true
			continue
		}
		if delay, ok := strings.CutPrefix(word, "delay="); ok {
			var err error
			if f.Delay, err = time.ParseDuration(delay); err != nil {
				return Fault{}, err
			}
			continue
		}
		if _, ok := dns.StringToRcode[word]; !ok {
			return Fault{}, fmt.Errorf("%q is not a fault; there are a code such as SERVFAIL, NXDOMAIN or REFUSED, delay=2s, %s", word, strings.Join(slices.Sorted(maps.Keys(flags)), ", "))
		}
		f.RCode = word
	}
	return f, nil
}

// shape changes a reply as the fault wants it.
func (f Fault) shape(reply, query *dns.Msg, network string) {
	reply.AuthenticatedData = f.AD && query.AuthenticatedData
	switch {
	case f.NoEDNS && query.IsEdns0() != nil:
		empty(reply, dns.RcodeFormatError)
		reply.Question, reply.Extra = nil, nil
	case f.Bogus:
		empty(reply, dns.RcodeServerFailure)
		if opt := reply.IsEdns0(); opt != nil {
			opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus})
		}
	case f.RCode != "":
		empty(reply, dns.StringToRcode[f.RCode])
	case f.Truncate && network == "udp":
		empty(reply, reply.Rcode)
		reply.Truncated = true
	}
	f.disguise(reply)
}

// disguise makes the reply one to another query.
func (f Fault) disguise(reply *dns.Msg) {
	if f.WrongID {
		reply.Id++
	}
	if f.WrongQuestion {
		reply.Question = otherQuestion(reply.Question)
	}
}

func empty(reply *dns.Msg, rcode int) {
	reply.Rcode, reply.Answer, reply.Ns = rcode, nil, nil
}

func otherQuestion(questions []dns.Question) []dns.Question {
	other := append([]dns.Question(nil), questions...)
	for i := range other {
		other[i].Name = "other." + strings.TrimPrefix(other[i].Name, ".")
	}
	return other
}

// strays are three packets that are no reply to query: garbage, a reply with another id, a reply to another question.
func strays(query *dns.Msg) [][]byte {
	var packets [][]byte
	for _, f := range []Fault{{WrongID: true, RCode: "NXDOMAIN"}, {WrongQuestion: true, RCode: "NXDOMAIN"}} {
		reply := new(dns.Msg).SetReply(query)
		f.shape(reply, query, "udp")
		if packet, err := reply.Pack(); err == nil {
			packets = append(packets, packet)
		}
	}
	return append([][]byte{[]byte("not a message")}, packets...)
}
