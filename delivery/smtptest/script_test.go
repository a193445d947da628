package smtptest

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseScriptNamesTheLine(t *testing.T) {
	for script, want := range map[string]string{
		"\n# comment\nrctp 250 ok":        `line 3: unknown verb "rctp"`,
		"rcpt":                            "line 1: nothing to do here",
		"rcpt clsoe":                      `line 1: unknown step "clsoe"`,
		"rcpt close now":                  `line 1: close takes nothing, not "now"`,
		"rcpt #0 250 ok":                  `line 1: "#0" is not a number`,
		"rcpt #3-2 250 ok":                `line 1: "#3-2" is not a number`,
		"rcpt <(> 250 ok":                 "line 1: error parsing regexp",
		"rcpt /abc 250 ok":                "line 1: /abc 250 ok does not end in /",
		"rcpt <abc 250 ok":                "line 1: <abc does not end in >",
		"dot <a> 250 ok":                  "line 1: dot has no address",
		`rcpt 250 \q`:                     `line 1: bad escape in "250 \\q"`,
		"rcpt 250 {x}":                    "line 1: a brace opens a repetition",
		"rcpt 250 {x*many}":               `line 1: "many" is not a count`,
		"rcpt 250 ok / / close":           `line 1: unknown step "/"`,
		"rcpt sleep 3":                    `line 1: "3" is not a duration`,
		"rcpt endless-line x":             `line 1: "x" is not a count`,
		"connection two":                  `line 1: "two" is not a number`,
		"connection #2\nline-end lf":      `line 2: "line-end" is no verb, and settings stand before`,
		"line-end cr":                     `line 1: line-end knows no "cr"`,
		"tls cheap":                       `line 1: no certificate is "cheap"`,
		"credentials alice":               "line 1: credentials takes a user and a secret",
		"name":                            "line 1: name takes one word",
		"rcpt 250 ok\nconnection #1\ndot": "line 3: nothing to do here",
	} {
		_, err := ParseScript(script)
		if err == nil || !strings.HasPrefix(err.Error(), "smtptest: "+want) {
			t.Errorf("%q: %v, want %s", script, err, want)
		}
	}
}

func TestTextEscapesAndRepeats(t *testing.T) {
	for source, want := range map[string]string{
		`plain`:                 "plain",
		`a\x1b\x00\xff\t\u00e9`: "a\x1b\x00\xff\té",
		`550 {B*4}!`:            "550 BBBB!",
		`{\x7d*2}{ab*3}{x*0}`:   "}}ababab",
		`\x7bliteral}`:          "{literal}",
		`\x61 \x2f b`:           "a / b",
	} {
		parsed, err := parseText(source)
		if err != nil {
			t.Errorf("%q: %v", source, err)
			continue
		}
		var b bytes.Buffer
		if err := parsed.writeTo(&b); err != nil || b.String() != want {
			t.Errorf("%q gives %q, %v, want %q", source, b.String(), err, want)
		}
	}
}

func TestTextIsWrittenInBlocks(t *testing.T) {
	parsed, err := parseText("{abc*100000}")
	if err != nil {
		t.Fatal(err)
	}
	var largest, total int
	err = parsed.writeTo(writerFunc(func(p []byte) (int, error) {
		largest, total = max(largest, len(p)), total+len(p)
		return len(p), nil
	}))
	if err != nil || total != 300000 || largest > 4<<10 {
		t.Errorf("%d octets in blocks up to %d, %v", total, largest, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestRuleReply(t *testing.T) {
	for script, want := range map[string]struct {
		reply string
		code  int
	}{
		"rcpt 250 ok":                  {"250 ok", 250},
		"rcpt 250":                     {"250", 250},
		"rcpt 250-ok / 550 5.1.1 no":   {"550 5.1.1 no", 550},
		"rcpt 25 short":                {"25 short", 0},
		"rcpt 2500":                    {"2500", 0},
		"rcpt say hello / close":       {"hello", 0},
		"rcpt stall":                   {"", 0},
		"rcpt 250 {x*1000000} / close": {"250 " + strings.Repeat("x", 508), 250},
	} {
		s, err := ParseScript(script)
		if err != nil {
			t.Fatal(err)
		}
		if reply, code := s.rules[0].reply(); reply != want.reply || code != want.code {
			t.Errorf("%q: %q, %d", script, reply, code)
		}
	}
}

func FuzzParseScript(f *testing.F) {
	f.Add("connection #2+\nrcpt #1-3 <bad@.*> in-tls 550 5.1.1 no / drip 1s / raw \\x1b{B*3} / close")
	f.Add("tls expired a.test\nline-end lf\ncredentials a b\nflush each\nkeep wire")
	f.Add("dot /x y/ endless-lines forever 220-x")
	for _, b := range Behaviours() {
		f.Add(b.Script)
	}
	f.Fuzz(func(t *testing.T, script string) {
		s, err := ParseScript(script)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "smtptest: line ") {
				t.Errorf("error without a line: %v", err)
			}
			return
		}
		for _, r := range s.rulesFor(1) {
			r.matches(occasion{verb: r.verb, subject: "RCPT TO:<a@b>", nth: 1})
			if _, code := r.reply(); code < 0 || code > 999 {
				t.Errorf("code %d", code)
			}
		}
	})
}
