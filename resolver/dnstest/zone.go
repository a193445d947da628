package dnstest

import (
	"bufio"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// zone is the parsed text. It is not changed once it is made.
type zone struct {
	records map[string][]dns.RR // by name in lower case with the last dot
	names   map[string]bool     // all names that exist, those that only others hang on included (RFC 4592 s2.2.2)
	faults  map[key]Fault
}

// key is what a fault is set for. "*" stands for everything.
type key struct{ name, qtype string }

// defaultTTL is the TTL of records that have none, and standIn the SOA of names in no zone.
const (
	defaultTTL = 300
	standIn    = ". 60 IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60"
)

func parseZone(text string) (*zone, error) {
	z := &zone{records: make(map[string][]dns.RR), names: map[string]bool{".": true}, faults: make(map[key]Fault)}
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	parser.SetDefaultTTL(defaultTTL)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		z.add(rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("zone text: %w", err)
	}
	return z, z.parseFaults(text)
}

func (z *zone) add(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	z.records[name] = append(z.records[name], rr)
	for !z.names[name] {
		z.names[name] = true
		name = parent(name)
	}
}

// parseFaults reads the lines "; fault: NAME TYPE WORDS".
func (z *zone) parseFaults(text string) error {
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		comment, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), ";")
		if !ok {
			continue
		}
		directive, ok := strings.CutPrefix(strings.TrimSpace(comment), "fault:")
		if !ok {
			continue
		}
		words := strings.Fields(directive)
		if len(words) < 3 {
			return fmt.Errorf("zone text: %q: is not fault: NAME TYPE WORDS", directive)
		}
		fault, err := ParseFault(words[2:]...)
		if err != nil {
			return fmt.Errorf("zone text: %q: %w", directive, err)
		}
		z.faults[faultKey(words[0], words[1])] = fault
	}
	return lines.Err()
}

func faultKey(name, qtype string) key {
	if name != "*" {
		name = dns.CanonicalName(name)
	}
	return key{name, strings.ToUpper(qtype)}
}

// fault is what is set for a question.
func (z *zone) fault(q dns.Question) Fault {
	name, qtype := dns.CanonicalName(q.Name), dns.TypeToString[q.Qtype]
	for _, k := range []key{{name, qtype}, {name, "*"}, {"*", qtype}, {"*", "*"}} {
		if f, ok := z.faults[k]; ok {
			return f
		}
	}
	return Fault{}
}

// answer fills m with what the zone says about its question.
func (z *zone) answer(m *dns.Msg) {
	const longest = 16 // aliases; a loop ends here
	name, qtype := dns.CanonicalName(m.Question[0].Name), m.Question[0].Qtype
	for range longest {
		records, exists := z.at(name)
		if !exists {
			m.Rcode = dns.RcodeNameError
			break
		}
		alias := ""
		found := false
		for _, rr := range records {
			switch rr.Header().Rrtype {
			case qtype:
				found = true
				m.Answer = append(m.Answer, rr)
			case dns.TypeCNAME:
				m.Answer = append(m.Answer, rr)
				alias = dns.CanonicalName(rr.(*dns.CNAME).Target)
			}
		}
		if found {
			return
		}
		if alias == "" {
			break
		}
		name = alias
	}
	m.Ns = append(m.Ns, z.soa(name))
}

// at returns the records of a name, from a wildcard where there are none (RFC 4592 s3.3.1), and whether the name exists.
func (z *zone) at(name string) (records []dns.RR, exists bool) {
	if z.names[name] {
		return z.records[name], true
	}
	encloser := parent(name)
	for !z.names[encloser] {
		encloser = parent(encloser)
	}
	wild := z.records["*."+strings.TrimPrefix(encloser, ".")]
	for _, rr := range wild {
		rr = dns.Copy(rr)
		rr.Header().Name = name
		records = append(records, rr)
	}
	return records, len(wild) > 0
}

// soa is that of the zone that name is in.
func (z *zone) soa(name string) dns.RR {
	for ; ; name = parent(name) {
		i := slices.IndexFunc(z.records[name], func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA })
		if i >= 0 {
			return z.records[name][i]
		}
		if name == "." {
			break
		}
	}
	rr, err := dns.NewRR(standIn)
	if err != nil {
		panic(err) // the text is ours
	}
	return rr
}

// parent is the name without its first label.
func parent(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}
