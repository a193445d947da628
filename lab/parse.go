package lab

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

// file is the form of a scenario file. What stands in a table is read by the parser itself: the TOML reader does not know in which of several tables of one name
// a value of the wrong kind stands.
type file struct {
	Title         string
	About         string
	Seed          uint64
	Lasts         any // a duration
	Configuration string
	Zone          string
	Host          []hostTable
	DNS           []dnsTable
	Message       []messageTable
}

type hostTable struct{ Name, Address, Behaviour any }

type dnsTable struct{ Name, Type, Fault any }

type messageTable struct{ At, Every, Repeat, From, To, Subject, Size, Text, Expect any }

// Bounds of a scenario.
const (
	mostSent = 10_000  // messages
	mostSize = 8 << 20 // octets of one body
	mostText = 1 << 20 // octets of the file
)

// Parse reads a scenario file. The error tells all mistakes, each with its line: "name:12: ...".
func Parse(name, text string) (Scenario, error) {
	if len(text) > mostText {
		return Scenario{}, fmt.Errorf("%s: a scenario of more than %d octets is none", name, mostText)
	}
	var f file
	meta, err := toml.Decode(text, &f)
	if err != nil {
		return Scenario{}, syntaxError(name, err)
	}
	p := &parser{name: name, places: keyLines(text), file: f}
	for _, key := range meta.Undecoded() {
		p.wrong(key.String(), "there is no key %s in a scenario", key)
	}
	for _, key := range meta.Keys() {
		if lower := strings.ToLower(key.String()); lower != key.String() && !slices.ContainsFunc(meta.Undecoded(), func(k toml.Key) bool { return k.String() == key.String() }) {
			p.wrong(key.String(), "%s is written in lower case: %s", key, lower)
		}
	}
	s := Scenario{
		Name: strings.TrimSuffix(name, ".toml"), Title: f.Title, About: strings.TrimSpace(f.About), Seed: f.Seed,
		Lasts: p.duration("lasts", f.Lasts), Configuration: f.Configuration, Zone: f.Zone, Text: text,
	}
	if f.Title == "" {
		p.wrong("title", "a scenario has a title")
	}
	p.hosts(&s)
	p.faults(&s)
	p.messages(&s)
	s.tellApart()
	return s, errors.Join(p.told...)
}

// kindError is how the TOML reader tells a value of the wrong kind.
var kindError = regexp.MustCompile(`^toml: line (\d+) \(last key "([^"]*)"\): (?:incompatible types: )?(.*)$`)

// syntaxError puts name and line in front of what the TOML reader says.
func syntaxError(name string, err error) error {
	parse := new(toml.ParseError)
	if !errors.As(err, parse) {
		if match := kindError.FindStringSubmatch(err.Error()); match != nil {
			return fmt.Errorf("%s:%s: %s: %s", name, match[1], match[2], match[3])
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	message := parse.Message
	if message == "" {
		_, message, _ = strings.Cut(parse.Error(), ": ")
	}
	return fmt.Errorf("%s:%d: %s", name, parse.Position.Line, message)
}

// parser gathers what is wrong.
type parser struct {
	name   string
	places map[string]int
	file   file
	told   []error
}

// wrong tells a mistake at a key; an element of an array of tables is written key[0].
func (p *parser) wrong(key, format string, arguments ...any) {
	for place := key; ; {
		if line, ok := p.places[place]; ok {
			p.told = append(p.told, fmt.Errorf("%s:%d: "+format, append([]any{p.name, line}, arguments...)...))
			return
		}
		cut := strings.LastIndexAny(place, ".[")
		if cut < 0 {
			break
		}
		place = place[:cut]
	}
	p.told = append(p.told, fmt.Errorf("%s: "+format, append([]any{p.name}, arguments...)...))
}

// hosts makes the hosts of the zone and gives them their behaviours.
func (p *parser) hosts(s *Scenario) {
	listed, err := dnstest.Hosts(s.Zone)
	if err != nil {
		p.wrong("zone", "%w", err)
		return
	}
	for _, l := range listed {
		if !l.Address.IsLoopback() {
			p.wrong("zone", "%s has the address %s; a lab is made of loopback addresses such as 127.0.1.1, so that no mail leaves this machine", l.Name, l.Address)
			continue
		}
		i := slices.IndexFunc(s.Hosts, func(h Host) bool { return h.Address == l.Address })
		if i < 0 {
			s.Hosts = append(s.Hosts, Host{Name: l.Name, Names: []string{l.Name}, Address: l.Address})
		} else if h := &s.Hosts[i]; !slices.Contains(h.Names, l.Name) {
			h.Names = append(h.Names, l.Name)
		}
	}
	if strings.TrimSpace(s.Zone) == "" {
		p.wrong("zone", "a scenario has a zone")
	}
	named := map[string]int{}
	for n, table := range p.file.Host {
		p.host(s, fmt.Sprintf("host[%d]", n), table, named)
	}
}

// host gives one host table to the addresses that it names.
func (p *parser) host(s *Scenario, key string, table hostTable, named map[string]int) {
	name, address := p.text(key+".name", table.Name), p.text(key+".address", table.Address)
	if (name == "") == (address == "") {
		p.wrong(key, "a host has a name or an address")
		return
	}
	behaviour, err := ParseBehaviour(p.texts(key+".behaviour", table.Behaviour))
	if err != nil {
		p.wrong(key+".behaviour", "%w", err)
	}
	found := false
	for i := range s.Hosts {
		h := &s.Hosts[i]
		if !h.called(name + address) {
			continue
		}
		found = true
		if named[h.Address.String()]++; named[h.Address.String()] > 1 {
			p.wrong(key, "the host at %s is described twice", h.Address)
		}
		h.Behaviour = behaviour
		if name != "" {
			h.Name = strings.ToLower(strings.TrimSuffix(name, "."))
		}
	}
	if !found {
		p.wrong(key, "the zone has no address for %s", name+address)
	}
}

// faults reads the troubles of the DNS server.
func (p *parser) faults(s *Scenario) {
	for n, table := range p.file.DNS {
		key := fmt.Sprintf("dns[%d]", n)
		f := Fault{Name: p.text(key+".name", table.Name), Type: strings.ToUpper(p.text(key+".type", table.Type)), Text: p.text(key+".fault", table.Fault)}
		if f.Name == "" {
			p.wrong(key, `dns needs a name, "*" for all`)
		}
		if f.Type == "" {
			f.Type = "*"
		}
		if err := f.parse(); err != nil {
			p.wrong(key+".fault", "%w", err)
		}
		for _, other := range s.Faults {
			if strings.EqualFold(other.Name, f.Name) && other.Type == f.Type && other.Window.overlaps(f.Window) {
				p.wrong(key, "%s %s has another fault at that time", f.Name, f.Type)
			}
		}
		s.Faults = append(s.Faults, f)
	}
}

// parse reads the words of dnstest and a window.
func (f *Fault) parse() error {
	all, err := words(f.Text)
	if err != nil {
		return err
	}
	if f.Window, all, err = cutWindow(all); err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("dns needs a fault, such as SERVFAIL until 10m")
	}
	var texts []string
	for _, w := range all {
		texts = append(texts, w.text)
	}
	f.Fault, err = dnstest.ParseFault(texts...)
	return err
}

// messages reads the mail, each table as often as it repeats.
func (p *parser) messages(s *Scenario) {
	for n, table := range p.file.Message {
		key := fmt.Sprintf("message[%d]", n)
		times := max(1, p.number(key+".repeat", table.Repeat, mostSent))
		if len(s.Messages)+times > mostSent {
			p.wrong(key+".repeat", "a scenario has at most %d messages", mostSent)
			continue
		}
		for i := range times {
			told := len(p.told)
			s.Messages = append(s.Messages, p.message(key, table, i, len(s.Messages)+1))
			p.expectedHosts(key, *s)
			if len(p.told) > told {
				break // the others have the same mistakes
			}
		}
	}
}

// message reads the ith of a table. {n} stands for its number there, from 1.
func (p *parser) message(key string, table messageTable, i, number int) Message {
	fill := func(text string) string { return strings.ReplaceAll(text, "{n}", fmt.Sprint(i+1)) }
	m := Message{
		At:      p.duration(key+".at", table.At) + time.Duration(i)*p.duration(key+".every", table.Every),
		Subject: fill(p.text(key+".subject", table.Subject)), Size: p.number(key+".size", table.Size, mostSize),
		Text: fill(p.text(key+".text", table.Text)),
	}
	if m.Subject == "" {
		m.Subject = "a message of the lab"
	}
	if strings.ContainsAny(m.Subject, "\r\n") {
		p.wrong(key+".subject", "a subject has one line")
	}
	var err error
	if m.From, err = mail.ParseReversePath(fill(p.text(key+".from", table.From))); err != nil {
		p.wrong(key+".from", "%w", err)
	}
	for _, to := range p.texts(key+".to", table.To) {
		address, err := mail.ParseAddress(fill(to))
		if err != nil {
			p.wrong(key+".to", "%w", err)
		}
		m.To = append(m.To, address)
	}
	if len(m.To) == 0 {
		p.wrong(key, "a message goes to somebody")
	}
	for _, text := range p.texts(key+".expect", table.Expect) {
		m.Expect = append(m.Expect, p.expectation(key+".expect", fill(text), m, number))
	}
	return m
}

// expectedHosts refuses expectations of the last message by a host that is not in the zone: they could never come true.
func (p *parser) expectedHosts(key string, s Scenario) {
	for _, e := range s.Messages[len(s.Messages)-1].Expect {
		known := slices.ContainsFunc(s.Hosts, func(h Host) bool { return h.called(e.Host) })
		if e.Host != "" && !known && !strings.Contains(strings.ToLower(s.Zone), e.Host) { // which may be an alias
			p.wrong(key+".expect", "%q: the zone has no host %s", e.Text, e.Host)
		}
	}
}

func (p *parser) expectation(key, text string, m Message, number int) Expectation {
	e, err := ParseExpectation(text)
	e.Message = number
	if err == nil && !slices.Contains(m.To, e.Recipient) {
		err = fmt.Errorf("%q: the message does not go to %s", text, e.Recipient)
	}
	if err != nil {
		p.wrong(key, "%w", err)
	}
	return e
}
