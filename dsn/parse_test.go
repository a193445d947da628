package dsn

import (
	"encoding/base64"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"sternpost/mail"
)

// strange makes a report as another program might write it.
func strange(status string) string {
	return "From: <postmaster@mx.example.net>\nTo: ann@example.com\nContent-Type: multipart/report; boundary=b\n\n" +
		"preamble\n--b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n" + status + "\n--b--\n"
}

func TestParseStrange(t *testing.T) {
	const group = "Reporting-MTA: dns; mx.example.net\n\n"
	final := mail.Address{Local: "bob", Domain: "example.org"}
	for name, test := range map[string]struct {
		status string
		want   Recipient
	}{
		"plain":       {group + "Final-Recipient: rfc822; bob@example.org\nAction: failed\nStatus: 5.1.1\n", Recipient{Final: final, Action: Failed, Status: mail.Status{5, 1, 1}}},
		"odd case":    {group + "final-recipient:RFC822;bob@example.org\nACTION:Failed\n", Recipient{Final: final, Action: Failed}},
		"comments":    {group + "Final-Recipient: rfc822; bob@example.org\nAction: delayed (still)\nStatus: 4.4.1 (no answer)\n", Recipient{Final: final, Action: Delayed, Status: mail.Status{4, 4, 1}}},
		"brackets":    {group + "Final-Recipient: rfc822; <bob@example.org>\n", Recipient{Final: final}},
		"no type":     {group + "Final-Recipient: bob@example.org\n", Recipient{Final: final}},
		"one group":   {"Reporting-MTA: dns; mx.example.net\nFinal-Recipient: rfc822; bob@example.org\n", Recipient{Final: final}},
		"empty lines": {"\n\n" + group + "\n \nFinal-Recipient: rfc822; bob@example.org\n\n\n", Recipient{Final: final}},
		"odd lines":   {group + " astray\nFinal-Recipient: rfc822; bob@example.org\nrubbish\n more\n: x\nFinal-Recipient: rfc822; eve@example.org\n", Recipient{Final: final}},
		"bad values":  {group + "Final-Recipient: rfc822; bob@example.org\nAction: exploded\nStatus: 9.9\nLast-Attempt-Date: soon\n", Recipient{Final: final}},
		"X.400":       {group + "Final-Recipient: X400; /G=Bob/\n", Recipient{OriginalType: "x400", Original: "/G=Bob/"}},
		"embedded":    {group + "Final-Recipient: utf-8; b\\x{F8}b@example.org\n", Recipient{Final: mail.Address{Local: "bøb", Domain: "example.org"}}},
		"not a rune":  {group + "Final-Recipient: utf-8; \"b\\x{D800}\"@example.org\n", Recipient{Final: mail.Address{Local: "bx{D800}", Domain: "example.org"}}},
		"host": {"Reporting-MTA: dns; mx.example.net (of Example)\n\nFinal-Recipient: rfc822; bob@example.org\nRemote-MTA: dns; mx1.example.org (192.0.2.1, the server\n for the domain example.org.)\n",
			Recipient{Final: final, RemoteMTA: "mx1.example.org"}},
		"no reply": {group + "Final-Recipient: rfc822; bob@example.org\nDiagnostic-Code: X-Example; no\n answer\n", Recipient{Final: final, Reason: "no answer"}},
		"remote": {group + "Final-Recipient: rfc822; bob@example.org\nRemote-MTA: DNS;mx1.example.org\nDiagnostic-Code: smtp; 550 no\n\tsuch user\n",
			Recipient{Final: final, RemoteMTA: "mx1.example.org", Diagnostic: mail.Reply{Code: 550, Lines: []string{"550 no such user"}}}},
	} {
		got, err := Parse(strings.NewReader(strange(test.status)))
		if err != nil || len(got.Recipients) != 1 || got.ReportingMTA != "mx.example.net" || got.To.String() != "ann@example.com" {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		if r := got.Recipients[0]; !equal(r, test.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, r, test.want)
		}
	}
}

func equal(a, b Recipient) bool {
	lines := slices.Equal(a.Diagnostic.Lines, b.Diagnostic.Lines)
	return lines && a.Diagnostic.Code == b.Diagnostic.Code && a.Final == b.Final && a.Original == b.Original && a.OriginalType == b.OriginalType &&
		a.Action == b.Action && a.Status == b.Status && a.RemoteMTA == b.RemoteMTA && a.Reason == b.Reason && a.LastAttempt.Equal(b.LastAttempt)
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text      string
		notReport bool
	}{
		"letter":        {letter, true},
		"no message":    {"", false},
		"other report":  {strings.Replace(strange("Final-Recipient: rfc822; b@example.org"), "delivery-status", "disposition-notification", 1), true},
		"no recipients": {strange("Reporting-MTA: dns; mx.example.net"), true},
		"empty status":  {strange(""), true},
		"cut off":       {"Content-Type: multipart/report; boundary=b\n\n--b\n\nSor", false},
	} {
		got, err := Parse(strings.NewReader(test.text))
		if err == nil || errors.Is(err, ErrNotReport) != test.notReport {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	broken := errors.New("broken line")
	if _, err := Parse(io.MultiReader(strings.NewReader("A: b\n"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("a broken reader: %v", err)
	}
}

func TestParseBase64(t *testing.T) {
	status := base64.StdEncoding.EncodeToString([]byte("Reporting-MTA: dns; a\n\nFinal-Recipient: rfc822; bob@example.org\n"))
	text := strings.Replace(strange(status), "delivery-status\n", "delivery-status\nContent-Transfer-Encoding: BASE64\n", 1)
	if got, err := Parse(strings.NewReader(text)); err != nil || len(got.Recipients) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// What comes after the status may be cut off.
func TestParseCutOff(t *testing.T) {
	text := string(write(t, failure(t)))
	got, err := Parse(strings.NewReader(text[:strings.Index(text, "Subject: Lunch")]))
	if err != nil || len(got.Recipients) != 1 || got.Original == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	source, err := got.Original()
	if err != nil {
		t.Fatal(err)
	}
	octets, err := io.ReadAll(source)
	if err != nil || !strings.HasPrefix(string(octets), "From: Ann") {
		t.Errorf("%q, %v", octets, err)
	}
}

func TestParseReply(t *testing.T) {
	for in, want := range map[string][]string{
		"":                              nil,
		"no":                            nil,
		"hello":                         nil,
		"5500 x":                        nil,
		"999 x":                         nil,
		"550":                           {"550"},
		"550 no":                        {"550 no"},
		"550 no 550 x":                  {"550 no 550 x"},
		"550-a 550-b 550 c":             {"550-a", "550-b", "550 c"},
		"550-a 550":                     {"550-a", "550"},
		"550-a 5501 551 b":              {"550-a 5501 551 b"},
		"450-4.2.0 a 450 4.2.0 b 450 c": {"450-4.2.0 a", "450 4.2.0 b 450 c"},
	} {
		if got := parseReply(in); !slices.Equal(got.Lines, want) {
			t.Errorf("parseReply(%q) = %q; want %q", in, got.Lines, want)
		}
	}
}
