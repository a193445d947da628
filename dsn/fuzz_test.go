package dsn

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

// FuzzReport writes reports from strangers' words: whatever they are, the standard library and Parse find the same recipients, and no more of them.
func FuzzReport(f *testing.F) {
	f.Add("bob", "550 5.1.1 no", "refused", "mx1.example.org", letter, uint(0))
	f.Add("bøb", "550-a\r\n--=_b0undary--\r\nStatus: 2.0.0", "x\r\n\r\nFinal-Recipient: rfc822; eve@example.org", "\x00\xff", "Subject: \xe9\r\n\r\n\x00", uint(1))
	f.Add(`a b"\`, strings.Repeat("x", 3000), strings.Repeat("é ", 3000), " ", "\n--=_b0undary\n--=_b0undary-0\n", uint(2))
	f.Add(`ö\x{F6}`, "", "\\\n .", "utf-8; ö", "Subject: é\n\né", uint(7))
	f.Fuzz(func(t *testing.T, local, reply, reason, host, original string, choice uint) {
		r, fits := hostile(t, local, choice)
		if !fits {
			t.Skip("no such address")
		}
		for i := range r.Recipients {
			one := &r.Recipients[i]
			one.Diagnostic = mail.Reply{Code: int(choice % 600), Lines: []string{reply, reason}}
			one.Tried = []Host{{Name: host, Address: reply, Times: int(choice % 3), Reason: reason}, {Name: reason, Reason: original}}
			one.Reason, one.RemoteMTA, one.Original, one.OriginalType = reason, host, reply, []string{"rfc822", "utf-8", host}[choice%3]
		}
		r.EnvelopeID, r.Original, r.HeadersOnly = reason, content(original), choice%2 == 0
		r.Text = []*Text{nil, builtin(German)}[choice%2]
		text := write(t, r)
		checkShape(t, text)
		if kinds, _ := readPlainly(t, text); len(kinds) != 3 || !isStatusType(kinds[1]) {
			t.Fatalf("parts %v in\n%s", kinds, text)
		}
		got, err := Parse(bytes.NewReader(text))
		if err != nil || len(got.Recipients) != len(r.Recipients) || got.From != r.From || got.To != r.To || got.Original == nil {
			t.Fatalf("%+v, %v from\n%s", got, err, text)
		}
		for i, want := range r.Recipients {
			one := got.Recipients[i]
			if one.Final != want.Final || one.Action != want.Action || one.Status != want.status() || one.InDoubt != want.InDoubt {
				t.Fatalf("got %+v for %+v from\n%s", one, want, text)
			}
		}
	})
}

// hostile makes a report with two recipients, and says whether local can be the local-part of an address.
func hostile(t *testing.T, local string, choice uint) (Report, bool) {
	r := failure(t)
	strangers := mail.Address{Local: local, Domain: "example.org"}
	if checkAddress(strangers) != nil {
		return r, false
	}
	actions := []Action{Failed, Delayed, Relayed, Delivered, Expanded}
	r.To = strangers
	r.Recipients = append(r.Recipients, Recipient{
		Final: strangers, Action: actions[choice%5], Status: mail.Status{int(choice % 7), int(choice % 2000), 1},
		InDoubt: choice%4 == 0, RetryUntil: time.Unix(int64(choice), 0),
	})
	return r, true
}

// FuzzParse: whatever a stranger sends, Parse ends, and what it found can be told apart from nothing.
func FuzzParse(f *testing.F) {
	f.Add(letter)
	f.Add(strange("Reporting-MTA: dns; a\n\nFinal-Recipient: utf-8; b\\x{F8}b@example.org\nDiagnostic-Code: smtp; 550-a 550 b\n"))
	f.Add(strange("Original-Recipient: x\n\n\n"))
	files, err := filepath.Glob("testdata/words/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(strings.NewReader(text))
		if (err == nil) != (len(got.Recipients) > 0) {
			t.Fatalf("%+v, %v", got, err)
		}
		for _, r := range got.Recipients {
			if r.Action != "" && r.Action.class() == 0 {
				t.Fatalf("the action %q", r.Action)
			}
			if !r.Final.IsZero() && checkAddress(r.Final) != nil {
				t.Fatalf("the address %q", r.Final)
			}
		}
	})
}
