package delivery

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"sternpost/mail"
	"sternpost/resolver"
)

// probeTable reads the rows of the last table below a heading of docs/probe.md.
func probeTable(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/probe.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/probe.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			continue
		case strings.HasPrefix(line, "|---"):
			rows = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		rows = append(rows, cells)
	}
	if len(rows) == 0 {
		t.Fatalf("section %q has no table", heading)
	}
	return rows
}

// judged is the time at which the tables are judged.
func judged() time.Time { return time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC) }

// readHosts makes a probe of what the tables say: "10 accepts; + down; 20 refuses relay no-tls".
func readHosts(t testing.TB, text string) Probe {
	t.Helper()
	p := Probe{Recipient: mail.Address{Local: "you", Domain: "example.test"}, Unknown: mail.Address{Local: "nobody", Domain: "example.test"}, Domain: "example.test"}
	for item := range strings.SplitSeq(text, "; ") {
		words := strings.Fields(item)
		h := ProbedHost{
			Number: 1, StartTLS: StartTLSRaised, Extensions: []string{"SIZE 20000000", "8BITMIME", "SMTPUTF8"}, Port: 25, Took: 12,
			Certificates: []Certificate{{Subject: "CN=host", Names: []string{"host"}, Expires: judged().AddDate(0, 0, 60)}},
		}
		last := len(p.Hosts) - 1
		if words[0] == "+" || words[0] == "&" {
			h.Number, h.Host, h.Preference = p.Hosts[last].Number, p.Hosts[last].Host, p.Hosts[last].Preference
			h.Address = netip.MustParseAddr(map[string]string{"+": "2001:db8::", "&": "192.0.2."}[words[0]] + strconv.Itoa(last+2))
		} else {
			if last >= 0 {
				h.Number = p.Hosts[last].Number + 1
			}
			h.Host = fmt.Sprintf("mx%d.test", h.Number)
			h.Preference, _ = strconv.Atoi(words[0])
			h.Address = netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", last+2))
		}
		h.Certificates[0].SHA256 = h.Address.String()
		h.answers(Answer(words[1]))
		for _, attribute := range words[2:] {
			h.apply(t, attribute)
		}
		if h.Answer == AnswerDown || h.Answer == AnswerUntested || h.Answer == AnswerSkipped {
			h.StartTLS, h.Extensions, h.Certificates = StartTLSUnknown, nil, nil
		}
		p.Hosts = append(p.Hosts, h)
	}
	return p
}

func (h *ProbedHost) answers(a Answer) {
	h.Answer, h.Stage = a, mail.StageRcpt
	switch a {
	case AnswerDown:
		h.Stage = mail.StageConnect
	case AnswerAccepts:
		h.replies(250, mail.Status{2, 1, 5}, "ok")
	case AnswerRefuses:
		h.replies(550, mail.Status{5, 1, 1}, "no such user")
	case AnswerDefers:
		h.replies(451, mail.Status{4, 3, 0}, "trouble")
	}
}

func (h *ProbedHost) replies(code int, status mail.Status, text string) {
	h.Code, h.Status, h.Reply = &code, status, []string{fmt.Sprintf("%d %s %s", code, status, text)}
}

func (h *ProbedHost) apply(t testing.TB, attribute string) {
	t.Helper()
	name, value, _ := strings.Cut(attribute, "=")
	switch name {
	case "relay":
		h.replies(554, mail.Status{5, 7, 1}, "Relay access denied")
	case "policy":
		h.replies(550, mail.Status{5, 7, 1}, "blocked")
	case "greylist":
		h.replies(450, mail.Status{4, 2, 0}, "Greylisted")
	case "no-time":
		h.Reason = reasonNoTime
	case "too-long":
		h.Reason = reasonLimit
	case "late":
		h.Stage = mail.StageRcpt
	case "no-tls":
		h.StartTLS, h.Certificates = StartTLSNone, nil
	case "broken-tls":
		h.StartTLS, h.Certificates = StartTLSBroken, nil
	case "expired":
		h.Faults, h.Certificates[0].Expires = []Fault{FaultExpired}, judged().AddDate(0, 0, -1)
	case "expires":
		days, _ := strconv.Atoi(value)
		h.Certificates[0].Expires = judged().AddDate(0, 0, days)
	case "wrong-name", "untrusted", "not-yet-valid":
		h.Faults = []Fault{Fault(name)}
	case "slow":
		h.Took = 10_000
	case "size":
		h.Extensions[0] = "SIZE " + value
	case "without":
		h.Extensions = slices.DeleteFunc(h.Extensions, func(line string) bool { return line == value })
	case "unknown":
		h.Unknown = &ProbedReply{Answer: Answer(value)}
	default:
		t.Fatalf("no such attribute: %q", attribute)
	}
}

func TestVerdictsAreThoseOfTheDocument(t *testing.T) {
	rows := probeTable(t, "The verdict")
	if len(rows) < 30 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		p := readHosts(t, row[0])
		p.Conclude(judged())
		if string(p.Verdict) != row[1] {
			t.Errorf("%s: %s (%s), want %s; findings: %s", row[0], p.Verdict, p.Text, row[1], codes(p))
		}
	}
}

func TestFindingsAreThoseOfTheDocument(t *testing.T) {
	var told []string
	for _, row := range probeTable(t, "Findings") {
		p := readHosts(t, row[2])
		p.Conclude(judged())
		if !slices.ContainsFunc(p.Findings, func(f ProbeFinding) bool {
			return f.Code == row[0] && f.Level == resolver.Level(row[1]) && f.Text != ""
		}) {
			t.Errorf("%s, %s: %s has %+v", row[0], row[1], row[2], p.Findings)
		}
		told = append(told, row[0])
	}
	compareCodes(t, told, `c\.find\([^,]+, "([a-z-]+)"`, "probefindings.go", "probecompare.go")
}

func TestChangesAreThoseOfTheDocument(t *testing.T) {
	var told []string
	for _, row := range probeTable(t, "Changes") {
		told = append(told, row[0])
	}
	compareCodes(t, told, `(?:c\.add\(|Code: )"([a-z-]+)"`, "probechange.go")
}

// compareCodes compares the codes of a document with those that the pattern finds in sources.
func compareCodes(t *testing.T, told []string, pattern string, sources ...string) {
	t.Helper()
	var known []string
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			known = append(known, match[1])
		}
	}
	slices.Sort(told)
	slices.Sort(known)
	if told, known = slices.Compact(told), slices.Compact(known); !slices.Equal(told, known) {
		t.Errorf("docs/probe.md tells %q, the rules know %q", told, known)
	}
}

// Who is alike and well has nothing that could be said against it.
func TestNoFindings(t *testing.T) {
	p := readHosts(t, "10 accepts; 20 accepts; 20 accepts")
	p.Conclude(judged())
	if len(p.Findings) > 0 || !strings.Contains(p.Text, "mx1.test") {
		t.Errorf("%+v, %s", p.Findings, p.Text)
	}
}

func TestChanges(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{"10 accepts; 20 accepts", "10 accepts; 20 accepts", ""},
		{"10 accepts; 20 accepts", "10 accepts slow; 20 accepts", ""},
		{"10 accepts; 20 accepts", "10 accepts; 20 refuses relay", "verdict answer"},
		{"10 accepts; 20 accepts", "10 accepts", "address-gone"},
		{"10 accepts", "10 accepts; 20 accepts", "address-new"},
		{"10 accepts; 20 accepts", "10 accepts; 30 accepts", "preference"},
		{"10 accepts; 20 accepts", "10 accepts; 20 down", "verdict answer"},
		{"10 accepts; 20 accepts", "10 accepts; 20 accepts no-tls", "verdict starttls"},
		{"10 accepts; 20 accepts", "10 accepts; 20 untested", ""},
		{"10 accepts; 20 skipped no-time", "10 accepts; 20 accepts", "verdict"},
		{"10 accepts; 20 skipped", "10 accepts; 20 accepts", "verdict answer"},
		{"10 accepts", "10 accepts size=5", "extension-changed"},
		{"10 accepts", "10 accepts without=8BITMIME", "extension-gone"},
		{"10 accepts without=8BITMIME", "10 accepts", "extension-new"},
		{"10 accepts", "10 accepts untrusted", "certificate-faults"},
		{"10 accepts unknown=refuses", "10 accepts unknown=accepts", "unknown-users"},
	} {
		before, after := readHosts(t, c.before), readHosts(t, c.after)
		before.Conclude(judged())
		after.Conclude(judged())
		var got []string
		for _, change := range Changes(before, after) {
			got = append(got, change.Code)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s, then %s: %q, want %q", c.before, c.after, got, c.want)
		}
	}
}

// A certificate that was renewed is routine; one of another authority is not.
func TestRenewalIsRoutine(t *testing.T) {
	before := readHosts(t, "10 accepts")
	after := readHosts(t, "10 accepts expires=90")
	after.Hosts[0].Certificates[0].SHA256 = "another"
	list := Changes(before, after)
	if len(list) != 1 || list[0].Code != "certificate" || !list[0].Routine {
		t.Errorf("%+v", list)
	}
	after.Hosts[0].Certificates[0].Issuer = "CN=another"
	if list = Changes(before, after); len(list) != 1 || list[0].Routine {
		t.Errorf("%+v", list)
	}
}

// What --save writes is read back whole.
func TestProbeSurvivesJSON(t *testing.T) {
	p := readHosts(t, "10 accepts unknown=refuses; + down; 20 refuses relay expired")
	p.Sender, p.Rule = mail.ReversePath{Address: mail.Address{Local: "a b", Domain: "us.test"}}, mail.RuleMX
	p.Hosts[0].TLS = &mail.TLS{Version: "TLS 1.3", Names: []string{"x"}}
	p.Conclude(judged())
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var read Probe
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(read)
	if err != nil || string(again) != string(text) {
		t.Errorf("%v\n%s\n%s", err, text, again)
	}
	if list := Changes(p, read); len(list) > 0 {
		t.Errorf("%+v", list)
	}
}

// A saved probe is a file that anybody may have written: whatever it holds, it can be compared, and no control character comes out.
func FuzzChanges(f *testing.F) {
	for _, hosts := range []string{"10 accepts; 20 refuses relay expired", "10 down; + accepts unknown=accepts no-tls"} {
		p := readHosts(f, hosts)
		p.Conclude(judged())
		text, err := json.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	now := readHosts(f, "10 accepts; 20 accepts")
	f.Fuzz(func(t *testing.T, text []byte) {
		var before Probe
		if json.Unmarshal(text, &before) != nil {
			return
		}
		for _, list := range [][]ProbeChange{Changes(before, now), Changes(now, before)} {
			for _, c := range list {
				if strings.ContainsFunc(c.Before+c.After, unicode.IsControl) {
					t.Errorf("%+v", c)
				}
			}
		}
	})
}

// A certificate is a stranger's text too.
func TestFindingsEscapeCertificates(t *testing.T) {
	p := readHosts(t, "10 accepts; 20 accepts wrong-name; 30 accepts untrusted")
	for i := range p.Hosts {
		p.Hosts[i].Certificates[0].Names, p.Hosts[i].Certificates[0].Subject, p.Hosts[i].Certificates[0].Issuer = nil, "CN=\x1b[31m", "CN=\r\n"
	}
	p.Conclude(judged())
	for _, f := range p.Findings {
		if strings.ContainsFunc(f.Text+f.Advice, unicode.IsControl) {
			t.Errorf("%q", f.Text)
		}
	}
	if len(p.Findings) != 2 {
		t.Errorf("%+v", p.Findings)
	}
}
