package dsn

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

var update = flag.Bool("update", false, "write the golden files anew")

func address(t testing.TB, text string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// content is an original that can be opened.
func content(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func noon() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

const letter = "From: Ann <ann@example.com>\nTo: bob@example.org\nSubject: Lunch\nMessage-ID: <lunch@example.com>\n\nToday?\n"

// failure is a report with one recipient that failed.
func failure(t testing.TB) Report {
	return Report{
		From: address(t, "MAILER-DAEMON@out.example.com"), To: address(t, "ann@example.com"),
		MessageID: "r1@out.example.com", Date: noon(), Boundary: "=_b0undary",
		ReportingMTA: "out.example.com", Received: noon().Add(-time.Minute), EnvelopeID: "QQ314159",
		Recipients: []Recipient{{
			Final: address(t, "bob@example.org"), OriginalType: "rfc822", Original: "bob@example.org",
			Action: Failed, Status: mail.Status{5, 1, 1}, RemoteMTA: "mx1.example.org",
			Diagnostic:  mail.Reply{Code: 550, Lines: []string{"550-5.1.1 There is nobody of that name here. Look at", "550 5.1.1 https://example.org/help"}},
			LastAttempt: noon().Add(-time.Second), Reason: "The mail server of the recipient refused the address.",
		}},
		Original: content(letter),
	}
}

func write(t testing.TB, r Report) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := r.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("WriteTo = %d, %v for %d octets", n, err, b.Len())
	}
	return b.Bytes()
}

// checkShape holds what every report must keep.
func checkShape(t testing.TB, text []byte) {
	t.Helper()
	header, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	eightBit := bytes.Contains(header, []byte("Content-Transfer-Encoding: 8bit"))
	if !isASCII(text) && !eightBit && isASCII(header) {
		t.Errorf("there are octets above 127 and nothing says so:\n%s", text)
	}
	for line := range bytes.Lines(text) {
		body, ended := bytes.CutSuffix(line, []byte("\r\n"))
		if !ended || len(body) > 998 || bytes.ContainsAny(body, "\r\n\x00") {
			t.Errorf("the line %q is not one that mail can carry", line)
		}
	}
}

func goldenCases(t *testing.T) map[string]Report {
	failed, delayed, doubt, utf8, many, relayed, expanded := failure(t), failure(t), failure(t), failure(t), failure(t), failure(t), failure(t)

	delayed.Recipients[0].Action, delayed.Recipients[0].Status = Delayed, mail.Status{4, 2, 2}
	delayed.Recipients[0].Diagnostic = mail.Reply{Code: 452, Lines: []string{"452 4.2.2 mailbox full"}}
	delayed.Recipients[0].Reason = "The mailbox of the recipient is full."
	delayed.Recipients[0].RetryUntil = noon().Add(96 * time.Hour)

	doubt.HeadersOnly = true
	doubt.Recipients[0] = Recipient{
		Final: address(t, "bob@example.org"), Action: Failed, Status: mail.Status{4, 4, 7},
		Reason: "It could not be delivered within 5 days.", InDoubt: true,
	}

	utf8.Recipients[0].Final = address(t, "bøb@bücher.example")
	utf8.Recipients[0].OriginalType, utf8.Recipients[0].Original = "utf-8", "bøb@bücher.example"
	utf8.Recipients[0].Diagnostic = mail.Reply{Code: 550, Lines: []string{"550 5.1.1 ukjent \x1b[31mbruker\r\nX-Evil: é"}}
	utf8.Original = content(strings.Replace(letter, "Lunch", "Mittagessen für Bøb", 1))

	many.Recipients = append(many.Recipients, delayed.Recipients[0], Recipient{
		Final: address(t, `"a b"@example.net`), OriginalType: "rfc822", Original: "list@example.com", Action: Expanded,
	})
	many.Original = content(strings.Replace(letter, "Today?", "Tomorrow, à midi?", 1))

	relayed.Recipients[0] = Recipient{Final: address(t, "bob@example.org"), Action: Relayed, Status: mail.Status{2, 5, 0}, RemoteMTA: "old.example.org"}
	expanded.Recipients[0] = Recipient{Final: address(t, "all@example.org"), OriginalType: "rfc822", Original: "All@example.org", Action: Expanded, Status: mail.Status{2, 0, 0}}
	german := expanded
	german.Text = builtin(German)
	return map[string]Report{
		"expanded": expanded, "expanded-de": german,
		"failed": failed, "delayed": delayed, "in-doubt": doubt, "utf-8": utf8, "many": many, "relayed": relayed,
	}
}

// The golden files have LF where reports have CRLF, so that they are easy to read and to compare.
func TestGolden(t *testing.T) {
	for name, report := range goldenCases(t) {
		got := write(t, report)
		checkShape(t, got)
		got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
		file := filepath.Join("testdata", name+".eml")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs; go test ./dsn -update writes it anew. Got:\n%s", file, got)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for name, want := range goldenCases(t) {
		got, err := Parse(bytes.NewReader(write(t, want)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Original == nil {
			t.Errorf("%s: the original is gone", name)
		}
		got.Original, want.Original, want.Text = nil, nil, nil
		want.HeadersOnly = want.HeadersOnly || !want.any(Failed)
		for i := range want.Recipients {
			r := &want.Recipients[i]
			r.Status = r.status()
			if !r.Diagnostic.IsZero() {
				r.Reason = "" // which is for people only
			}
			for i := range r.Diagnostic.Lines {
				r.Diagnostic.Lines[i] = printable(r.Diagnostic.Lines[i])
			}
		}
		for _, at := range []*time.Time{&got.Date, &got.Received} {
			*at = at.UTC()
		}
		for i := range got.Recipients {
			r := &got.Recipients[i]
			r.LastAttempt, r.RetryUntil = r.LastAttempt.UTC(), r.RetryUntil.UTC()
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
		}
	}
}

func TestWriteToRefuses(t *testing.T) {
	for says, spoil := range map[string]func(*Report){
		"from":         func(r *Report) { r.From = mail.Address{} },
		"to":           func(r *Report) { r.To = mail.Address{} },
		"Message-ID":   func(r *Report) { r.MessageID = "a>\r\nBcc: <b" },
		"boundary":     func(r *Report) { r.Boundary = "a\"\r\nb" },
		"date":         func(r *Report) { r.Date = time.Time{} },
		"no recipient": func(r *Report) { r.Recipients = nil },
		"about":        func(r *Report) { r.Recipients[0].Final.Local = "a\r\nStatus: 2.0.0" },
		"action":       func(r *Report) { r.Recipients[0].Action = "failed\r\nStatus: 2.0.0" },
		"broken disk":  func(r *Report) { r.Original = func() (io.ReadCloser, error) { return nil, errors.New("broken disk") } },
	} {
		r := failure(t)
		spoil(&r)
		var b bytes.Buffer
		n, err := r.WriteTo(&b)
		if err == nil || !strings.Contains(err.Error(), says) || n != 0 || b.Len() != 0 {
			t.Errorf("%s: WriteTo = %d, %v; %d octets written", says, n, err, b.Len())
		}
	}
}
