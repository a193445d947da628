package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

// Scenario is a world and the mail that is sent into it, as Parse reads it from a file.
type Scenario struct {
	Name          string // of the one that comes with the program, or of the file
	Title         string
	About         string // what one learns from it; may be empty
	Seed          uint64
	Lasts         time.Duration // how long a run by `lab run` goes at most; 0: until all is settled
	Configuration string        // TOML for the agent of `lab run`, beside what leads it into the world
	Zone          string
	Hosts         []Host // one for each address in the zone, in its order
	Faults        []Fault
	Messages      []Message
	Text          string // the file itself
}

// Host is one address of the zone and how it behaves.
type Host struct {
	Name      string   // the one that the scenario calls it by, else the first that the zone has
	Names     []string // all that lead to the address, in the order of the zone
	Address   netip.Addr
	Behaviour Behaviour
}

// Fault is a trouble of the DNS server.
type Fault struct {
	Name, Type string // "*" for every one
	Text       string // as the scenario has it
	Fault      dnstest.Fault
	Window     Window
}

// Message is mail that is sent into the world.
type Message struct {
	At      time.Duration // since the beginning
	From    mail.ReversePath
	To      []mail.Address
	Subject string
	Size    int    // octets of the body in addition to the usual words
	Text    string // the whole message, where the scenario has its own
	Expect  []Expectation
}

// Expectations returns those of all messages, in their order.
func (s Scenario) Expectations() []Expectation {
	var all []Expectation
	for _, m := range s.Messages {
		all = append(all, m.Expect...)
	}
	return all
}

// Host returns the host of that name or address.
func (s Scenario) Host(name string) (Host, bool) {
	i := slices.IndexFunc(s.Hosts, func(h Host) bool { return h.called(name) })
	if i < 0 {
		return Host{}, false
	}
	return s.Hosts[i], true
}

func (h Host) called(name string) bool {
	return slices.Contains(h.Names, strings.ToLower(strings.TrimSuffix(name, "."))) || h.Address.String() == name
}

// borders are the times at which anything changes by itself, in order.
func (s Scenario) borders() []time.Duration {
	var all []Window
	for _, h := range s.Hosts {
		all = append(all, h.Behaviour.windows()...)
	}
	for _, f := range s.Faults {
		all = append(all, f.Window)
	}
	return borders(all)
}

// describe says what a host is from a time on.
func (b Behaviour) describe(at time.Duration) string {
	return strings.Join(b.at(at).Strings(), "; ")
}

// describe says what begins or ends at a time.
func (f Fault) describe(at time.Duration) string {
	if at == f.Window.To && at > 0 {
		return fmt.Sprintf("%s %s answers again", f.Name, f.Type)
	}
	return fmt.Sprintf("%s %s: %s", f.Name, f.Type, f.Text)
}

// Content is the message with its header, lines ended by CRLF. Its Message-ID tells messages of the scenario apart.
func (m Message) Content() []byte {
	if m.Text != "" {
		return []byte(strings.ReplaceAll(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n", "\r\n"))
	}
	var to []string
	for _, a := range m.To {
		to = append(to, "<"+a.String()+">")
	}
	from := m.From.String()
	if m.From.IsNull() {
		from = "mailer-daemon@localhost"
	}
	lines := []string{"From: <" + from + ">", "To: " + strings.Join(to, ",\r\n "), "Subject: " + m.Subject, "", "Sent into the lab.", ""}
	const filler = "All work and no play makes the lab a dull place, line after line.\r\n"
	body := strings.Repeat(filler, (m.Size+len(filler)-1)/len(filler))
	return []byte(strings.Join(lines, "\r\n") + body)
}

// tellApart makes expectations about a recipient of several messages go by the subject, too.
func (s Scenario) tellApart() {
	times := map[mail.Address]int{}
	for _, m := range s.Messages {
		for _, to := range m.To {
			times[to]++
		}
	}
	for _, m := range s.Messages {
		for i := range m.Expect {
			if times[m.Expect[i].Recipient] > 1 {
				m.Expect[i].subject = m.Subject
			}
		}
	}
}

// AgentName is the name that an agent in this world should have: the first in the zone that begins with "agent.", else agent.test.
func (s Scenario) AgentName() string {
	for _, h := range s.Hosts {
		for _, name := range h.Names {
			if strings.HasPrefix(name, "agent.") {
				return name
			}
		}
	}
	return "agent.test"
}
