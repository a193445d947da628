package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

// hostile is what a remote may try on a terminal: escapes, line breaks, C1 controls, reversed text, broken UTF-8.
const hostile = "\x1b[2J\r\n\u009b31m\u202egpj\xff\\"

func hostileAttempt() mail.Attempt {
	reply := mail.Reply{Code: 550, Lines: []string{"550-" + hostile, "550 " + hostile}}
	return mail.Attempt{
		Domain: "example.test", Rule: mail.RuleMX, Pretended: []string{hostile},
		DNS: []mail.Lookup{{Name: hostile, Type: "MX", RCode: mail.RCodeSuccess, Answers: []string{hostile}, Error: hostile}},
		Candidates: []mail.Candidate{{
			Host: hostile, Address: netip.MustParseAddr("192.0.2.1"), Verdict: mail.VerdictFailed, Reason: hostile,
			TLS:    &mail.TLS{Version: hostile, Cipher: hostile, Error: hostile, Names: []string{hostile}, Issuer: hostile},
			Stages: []mail.StageRecord{{Stage: mail.StageHello, Reply: reply, Error: hostile}},
		}, {Host: hostile, Verdict: mail.VerdictSkipped, Reason: hostile}},
		Outcomes: []mail.Outcome{{
			Recipient: mail.Address{Local: hostile, Domain: "example.test"}, Disposition: mail.Failed, Reply: reply, Host: hostile, Reason: hostile,
		}},
	}
}

func TestNothingRemoteReachesTheTerminal(t *testing.T) {
	a := hostileAttempt()
	for _, verbose := range []bool{false, true} {
		var b bytes.Buffer
		s := story{w: &b, verbose: verbose}
		s.attempt(a)
		s.outcome(a.Outcomes[0])
		for line := range strings.SplitSeq(b.String(), "\n") {
			if strings.ContainsFunc(line, unprintable) {
				t.Errorf("not escaped: %q", line)
			}
		}
	}
	var b bytes.Buffer
	if err := printJSON(&b, a); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(b.String(), "\n") {
		if strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == '\u009b' || c == '\u202e' }) {
			t.Errorf("not escaped in JSON: %q", line)
		}
	}
	var back map[string]any
	if err := json.Unmarshal(b.Bytes(), &back); err != nil {
		t.Error(err)
	}
}

// What a question ended in is told also where aliases led there, and a TTL only of what is certain.
func TestLookupsSayHowTheyEnded(t *testing.T) {
	alias := []string{"CNAME b.test"}
	for want, l := range map[string]mail.Lookup{
		"10 mx.test; TTL 60":                                  {RCode: mail.RCodeSuccess, Answers: []string{"10 mx.test"}, TTL: time.Minute},
		"none (NODATA)":                                       {RCode: mail.RCodeNoData, TTL: time.Minute},
		"CNAME b.test, none (NODATA); TTL 60":                 {RCode: mail.RCodeNoData, Answers: alias, TTL: time.Minute},
		"CNAME b.test, does not exist (NXDOMAIN); TTL 60":     {RCode: mail.RCodeNXDomain, Answers: alias, TTL: time.Minute},
		"CNAME b.test, LOOP: no end":                          {RCode: mail.RCodeLoop, Answers: alias, Error: "no end"},
		"CNAME b.test, SERVFAIL: s answers SERVFAIL":          {RCode: mail.RCodeServFail, Answers: alias, Error: "s answers SERVFAIL"},
		"no answer: s over udp: connection refused":           {RCode: mail.RCodeTimeout, Error: "s over udp: connection refused"},
		"a; TTL 0, out of date (no DNS server answers: late)": {RCode: mail.RCodeSuccess, Answers: []string{"a"}, Stale: true, Error: "late"},
		"a; TTL 9, authenticated, out of date (the DNS server had no fresh answer)": {
			RCode: mail.RCodeSuccess, Answers: []string{"a"}, TTL: 9 * time.Second, AD: true, Stale: true,
		},
	} {
		if got := lookupText(l); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// A quote that was escaped already is printed as it is, also beside something that is not printable.
func TestQuotesAreEscapedOnce(t *testing.T) {
	for text, want := range map[string]string{`said "\x1b"`: `said "\x1b"`, `said "\x1b"` + "\x07\xff": `said "\x1b"` + mail.Escape("\x07") + mail.Escape("\xff")} {
		if got := plain(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		var b bytes.Buffer
		printError(&b, errors.New(text))
		if got := b.String(); got != "sternpost: "+want+"\n" {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestEscapedJSONIsTheSameText(t *testing.T) {
	text := "plain \u202e \U000e0001 \u0085 \" \\ é"
	var b bytes.Buffer
	if err := printJSON(&b, text); err != nil {
		t.Fatal(err)
	}
	var back string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || back != text {
		t.Errorf("%s is read as %q (%v)", b.Bytes(), back, err)
	}
}

func TestLastLines(t *testing.T) {
	you := mail.Address{Local: "you", Domain: "example.test"}
	reply := func(code int, line string) mail.Reply { return mail.Reply{Code: code, Lines: []string{line}} }
	ip := netip.MustParseAddr("2001:db8::1")
	for want, o := range map[string]mail.Outcome{
		"you@example.test delivered by mx.test [2001:db8::1]: 250 2.0.0 ok": {
			Disposition: mail.Delivered, Host: "mx.test", IP: ip, Reply: reply(250, "250 2.0.0 ok"),
		},
		"you@example.test failed at mx.test [2001:db8::1]: 550 no": {
			Disposition: mail.Failed, Host: "mx.test", IP: ip, Reply: reply(550, "550 no"),
		},
		"you@example.test failed: host unknown (5.1.2)": {
			Disposition: mail.Failed, Reason: "host unknown", Status: mail.Status{5, 1, 2},
		},
		"you@example.test deferred at mx.test [2001:db8::1]: silence (4.4.2)": {
			Disposition: mail.Deferred, Host: "mx.test", IP: ip, Reason: "silence", Status: mail.Status{4, 4, 2},
		},
		"you@example.test deferred, in doubt, at [2001:db8::1]: silence": {
			Disposition: mail.Deferred, InDoubt: true, Host: "2001:db8::1", IP: ip, Reason: "silence",
		},
	} {
		o.Recipient = you
		var b bytes.Buffer
		story{w: &b}.outcome(o)
		if got := strings.TrimSuffix(b.String(), "\n"); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestExitStatusIsThatOfTheWorst(t *testing.T) {
	outcome := func(d mail.Disposition) mail.Outcome { return mail.Outcome{Disposition: d} }
	good, late, bad := outcome(mail.Delivered), outcome(mail.Deferred), outcome(mail.Failed)
	for _, c := range []struct {
		outcomes []mail.Outcome
		want     int
	}{
		{[]mail.Outcome{good}, exitDone},
		{[]mail.Outcome{good, late}, exitAgain},
		{[]mail.Outcome{late, bad, good}, exitFailed},
		{[]mail.Outcome{{}}, exitAgain},
	} {
		if got := deliverCode(c.outcomes); got != c.want {
			t.Errorf("%v: %d, want %d", c.outcomes, got, c.want)
		}
	}
}

func TestWrapping(t *testing.T) {
	for want, text := range map[string]string{
		"one two\n  three": "one two three",
		"abcdefghijkl":     "abcdefghijkl",
		"a b c":            "a b c",
		"seven l\n  x":     "seven l x",
	} {
		if got := wrapAfter(text, " ", 8, "  "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTimesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 1500 * time.Microsecond: "1.5 ms", 9 * time.Second: "9000.0 ms", 75*time.Second + time.Millisecond: "1m15s",
	} {
		if got := durationShort(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	if paintFor(&bytes.Buffer{}, nil) {
		t.Error("a buffer was taken for a terminal")
	}
	if got := paint(true).good("yes"); got != "\x1b[32myes\x1b[0m" {
		t.Errorf("%q", got)
	}
	if got := paint(false).good("yes"); got != "yes" {
		t.Errorf("%q", got)
	}
}

// The story says what of its time an attempt has used.
func TestStoryTellsTheBudget(t *testing.T) {
	for want, a := range map[string]mail.Attempt{
		"took 0.0 ms; 3200.0 ms of 15m used\n": {Budget: 15 * time.Minute, Used: 3200 * time.Millisecond},
		"; 7m30s of 1h used\n":                 {Budget: time.Hour, Used: 450 * time.Second},
		"; 0.0 ms of 1m30s used\n":             {Budget: 90 * time.Second},
		"took 0.0 ms\n":                        {},
	} {
		var b bytes.Buffer
		story{w: &b}.attempt(a)
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

// What we say of a stage ourselves is broken at 80 columns; what a host said stands as it came.
func TestStagesFitTheTerminal(t *testing.T) {
	long := strings.Repeat("certificate has expired or is not yet valid ", 4)
	said := "250 " + strings.Repeat("as it came ", 10)
	var b bytes.Buffer
	story{w: &b}.stages(mail.Candidate{
		TLS:    &mail.TLS{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Error: long},
		Stages: []mail.StageRecord{{Stage: mail.StageStartTLS, Error: long}, {Stage: mail.StageMail, Reply: mail.Reply{Code: 250, Lines: []string{said}}}},
	})
	for line := range strings.Lines(b.String()) {
		if len(line) > columns+1 && !strings.HasSuffix(line, said+"\n") {
			t.Errorf("%d columns: %s", len(line)-1, line)
		}
	}
	if !strings.Contains(b.String(), said) {
		t.Errorf("the reply is broken:\n%s", b.String())
	}
}
