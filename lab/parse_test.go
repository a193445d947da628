package lab

import (
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

const whole = `title = "all that can be said"
about = "nothing"
seed = 9
lasts = "6d"
configuration = "queue.lifetime = '5d'"
zone = """
a.test. MX 10 mx.a.test.
mx.a.test. A 127.0.1.1
other.a.test. A 127.0.1.1
b.test. A 127.0.1.2
# = no comment of TOML
"""

[[host]]
name = "other.a.test"
behaviour = [
  "greylist for 5m",
  "down from 1h to 2h",
]

[[host]]
address = "127.0.1.2"
behaviour = []

[[dns]]
name = "a.test"
type = "mx"
fault = "SERVFAIL delay=2s from 10 to 1m"

[[message]]
at = 30
every = "1m"
repeat = 3
from = ""
to = ["u{n}@a.test"]
subject = "number {n}"
size = 100
expect = ["u{n}@a.test delivered"]

[[message]]
from = "app@c.test"
to = ["x@b.test"]
text = "Subject: own\n\nbody\n"
`

func TestParseReadsAll(t *testing.T) {
	text := strings.Replace(whole, "# = no comment of TOML\n", "; = a comment of the zone\n", 1)
	s, err := Parse("all.toml", text)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "all" || s.Seed != 9 || s.Lasts != 144*time.Hour || s.Configuration == "" || s.Text != text {
		t.Errorf("%+v", s)
	}
	if len(s.Hosts) != 2 || s.Hosts[0].Name != "other.a.test" || s.Hosts[0].Names[0] != "mx.a.test" || len(s.Hosts[0].Behaviour) != 2 || len(s.Hosts[1].Behaviour) != 0 {
		t.Errorf("hosts %+v", s.Hosts)
	}
	if f := s.Faults[0]; f.Type != "MX" || f.Fault.RCode != "SERVFAIL" || f.Fault.Delay != 2*time.Second || f.Window != (Window{10 * time.Second, time.Minute}) {
		t.Errorf("fault %+v", f)
	}
	m := s.Messages[2]
	if len(s.Messages) != 4 || m.At != 2*time.Minute+30*time.Second || !m.From.IsNull() || m.To[0] != (mail.Address{Local: "u3", Domain: "a.test"}) || m.Subject != "number 3" {
		t.Errorf("messages %+v", s.Messages)
	}
	if e := m.Expect[0]; e.Message != 3 || e.Recipient != m.To[0] || len(s.Expectations()) != 3 {
		t.Errorf("expectation %+v", e)
	}
	if m.Expect[0].subject != "" {
		t.Error("a recipient of one message is told apart by its subject")
	}
	if content := string(m.Content()); !strings.Contains(content, "To: <u3@a.test>\r\nSubject: number 3\r\n\r\n") || len(content) < 200 {
		t.Errorf("content %q", content)
	}
	if content := string(s.Messages[3].Content()); content != "Subject: own\r\n\r\nbody\r\n" {
		t.Errorf("own content %q", content)
	}
	if got := s.borders(); len(got) != 4 || got[0] != 10*time.Second || got[3] != 2*time.Hour {
		t.Errorf("borders %v", got)
	}
}

func TestRecipientsOfSeveralMessagesGoBySubject(t *testing.T) {
	s, err := Load("greylisted")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Expectations() {
		want := map[int]string{1: "first", 2: "second"}[e.Message]
		if e.Recipient.Local == "me" {
			want = ""
		}
		if e.subject != want {
			t.Errorf("%s: goes by subject %q, want %q", e.Text, e.subject, want)
		}
	}
}

func TestParseTellsEveryMistakeWithItsLine(t *testing.T) {
	text := strings.NewReplacer(
		"# = no comment of TOML\n", "c.test. A 192.0.2.1\n",
		"greylist for 5m", "greylist for ever",
		`address = "127.0.1.2"`, `address = "127.0.1.3"`,
		"SERVFAIL delay=2s", "TIRED",
		`to = ["u{n}@a.test"]`, `to = ["u{n}"]`,
		`lasts = "6d"`, "lasts = 1.5\ncolour = 'red'",
		"size = 100", "sise = 100",
		`from = "app@c.test"`, `from = "app"`,
		"seed = 9", "Seed = 9",
		`every = "1m"`, `every = "soon"`,
	).Replace(whole)
	_, err := Parse("s.toml", text)
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{
		"s.toml:3: Seed is written in lower case: seed",
		`s.toml:4: "1.5" is not a duration`,
		"s.toml:5: there is no key colour in a scenario",
		"s.toml:7: c.test has the address 192.0.2.1; a lab is made of loopback addresses",
		`s.toml:17: "greylist for ever": "ever" is not a duration`,
		"s.toml:22: the zone has no address for 127.0.1.3",
		`s.toml:29: "TIRED" is not a fault`,
		`s.toml:33: "soon" is not a duration`,
		"s.toml:36: ",
		"s.toml:38: there is no key message.sise in a scenario",
		"s.toml:42: ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s\nis not in\n%v", want, err)
		}
	}
	if got := strings.Count(err.Error(), "\n") + 1; got != 12 {
		t.Errorf("%d mistakes are told:\n%v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	head := "title = 'x'\nzone = 'mx.test. A 127.0.1.1'\n"
	for text, want := range map[string]string{
		"":                                    "s.toml: a scenario has a title",
		"title = 'x'":                         "s.toml: a scenario has a zone",
		"title = 5":                           "s.toml:1: ",
		"title = 'x":                          "s.toml:1: ",
		"title = 'x'\nzone = 'a b c'":         "s.toml:2: zone text",
		head + "[[host]]\nbehaviour = ['up']": "s.toml:3: a host has a name or an address",
		head + "[[host]]\nname = 'mx.test'\n[[host]]\naddress = '127.0.1.1'":                                                       "s.toml:5: the host at 127.0.1.1 is described twice",
		head + "[[dns]]\nname = 'mx.test'\n":                                                                                       "s.toml:3: dns needs a fault",
		head + "[[dns]]\nname = '*'\nfault = 'drop'\n[[dns]]\nname = '*'\nfault = 'SERVFAIL from 5'\n":                             "s.toml:6: * * has another fault at that time",
		head + "[[message]]\nfrom = 'a@b.test'\n":                                                                                  "s.toml:3: a message goes to somebody",
		head + "[[message]]\nfrom = 'a@b.test'\nto = ['c@d.test']\nrepeat = 20000":                                                 "s.toml:6: repeat is a number from 0 to 10000",
		head + "[[message]]\nfrom = 'a@b.test'\nto = ['c@d.test']\nsize = 99999999":                                                "s.toml:6: size is a number from 0 to",
		head + "[[message]]\nfrom = 'a@b.test'\nto = ['c@d.test']\nsubject = \"a\\nb\"":                                            "s.toml:6: a subject has one line",
		head + "[[message]]\nfrom = 'a@b.test'\nto = ['c@d.test']\nexpect = ['e@d.test delivered']":                                "the message does not go to e@d.test",
		head + "[[message]]\nfrom = 'a@b.test'\nto = ['c@d.test']\nrepeat = 50\nexpect = ['c@d.test delivered by mx2.test']":       `s.toml:7: "c@d.test delivered by mx2.test": the zone has no host mx2.test`,
		head + "[[dns]]\nname = '*'\nfault = 'SERVFUL'\n":                                                                          `s.toml:5: "SERVFUL" is not a fault; there are a code such as SERVFAIL, NXDOMAIN or REFUSED, delay=2s, ad, bogus`,
		head + "[[message]]\nfrom = 'a@b.test'\nto = ['c@d.test']\nrepeat = 50\nexpect = ['c@d.test eaten']":                       `s.toml:7: "c@d.test eaten": a recipient is delivered`,
		head + "[[host]]\nname = 'mx.test'\nbehaviour = 'up'\n[[host]]\n":                                                          "s.toml:5: ",
		head + strings.Repeat("# filler, filler, filler, filler, filler, filler, filler, filler, filler, filler\n", mostText/80+1): "is none",
	} {
		_, err := Parse("s.toml", text)
		if err == nil || !strings.HasPrefix(err.Error(), "s.toml:") || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "\n") > 1 {
			t.Errorf("%.200q: %v; want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(whole)
	for _, name := range Names() {
		s, err := Load(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(s.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("s.toml", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "s.toml:") {
				t.Errorf("the error does not say where: %v", err)
			}
			return
		}
		for _, h := range s.Hosts {
			runs(t, h.Behaviour)
		}
		for _, m := range s.Messages[:min(3, len(s.Messages))] {
			m.Content()
		}
	})
}
