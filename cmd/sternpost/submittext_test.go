package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readText gives the header and the body that a message is read as.
func readText(t *testing.T, r io.Reader, dotEnds bool) (fields []field, body string) {
	t.Helper()
	text := newText(r, dotEnds)
	fields, err := text.header()
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(text)
	if err != nil {
		t.Fatal(err)
	}
	return fields, string(rest)
}

func TestMessagesAreReadAsProgramsWriteThem(t *testing.T) {
	long := strings.Repeat("x", 3*textBuffer)
	crAtTheEnd := strings.Repeat("x", textBuffer-1)
	for name, c := range map[string]struct {
		written, header, body string
		dotEnds               bool
	}{
		"LF":                         {"A: 1\nB: 2\n\nx\n", "A: 1\r\nB: 2\r\n", "x\r\n", true},
		"CRLF":                       {"A: 1\r\nB: 2\r\n\r\nx\r\n", "A: 1\r\nB: 2\r\n", "x\r\n", true},
		"mixed":                      {"A: 1\r\nB: 2\n\r\nx\ny\r\n", "A: 1\r\nB: 2\r\n", "x\r\ny\r\n", true},
		"CR CR LF":                   {"A: 1\r\r\n\nx\r\r\n", "A: 1\r\n", "x\r\n", true},
		"no end of the last line":    {"A: 1\n\nx", "A: 1\r\n", "x", true},
		"header only":                {"A: 1\n", "A: 1\r\n", "", true},
		"header only, cut":           {"A: 1", "A: 1\r\n", "", true},
		"empty":                      {"", "", "", true},
		"body only":                  {"\nx: y\n", "", "x: y\r\n", true},
		"no header":                  {"hello\nx: y\n", "", "hello\r\nx: y\r\n", true},
		"blank at the begin":         {" x: y\n", "", " x: y\r\n", true},
		"header ends at a non-field": {"A: 1\nhello\n\nx\n", "A: 1\r\n", "hello\r\n\r\nx\r\n", true},
		"folded":                     {"A: 1\n  2\n\t3\n\nx\n", "A: 1\r\n  2\r\n\t3\r\n", "x\r\n", true},
		"blank before the colon":     {"A : 1\n\nx\n", "A : 1\r\n", "x\r\n", true},
		"mailbox":                    {"From a Wed Nov 25 12:00:00 2026\nA: 1\n\nFrom me\n", "A: 1\r\n", "From me\r\n", true},
		"From behind a field":        {"A: 1\nFrom me\nB: 2\n", "A: 1\r\n", "From me\r\nB: 2\r\n", true},
		"dot":                        {"A: 1\n\nx\n.\ny\n", "A: 1\r\n", "x\r\n", true},
		"dot, CRLF":                  {"A: 1\r\n\r\nx\r\n.\r\ny\r\n", "A: 1\r\n", "x\r\n", true},
		"dot in the header":          {"A: 1\n.\nB: 2\n", "A: 1\r\n", "", true},
		"dot ignored":                {"A: 1\n\nx\n.\ny\n", "A: 1\r\n", "x\r\n.\r\ny\r\n", false},
		"dots":                       {"A: 1\n\n..\n.x\n . \n", "A: 1\r\n", "..\r\n.x\r\n . \r\n", true},
		"long line":                  {"A: 1\n\n" + long + "\ny\n", "A: 1\r\n", long + "\r\ny\r\n", true},
		"dot behind a full buffer":   {"\n" + long[:textBuffer] + ".\ny\n", "", long[:textBuffer] + ".\r\ny\r\n", true},
		"long line without header":   {long + "\n\ny\n", "", long + "\r\n\r\ny\r\n", true},
		"long field":                 {"A: " + long + "\nB: 2\n\nx\n", "A: " + long + "\r\nB: 2\r\n", "x\r\n", true},
		"CR at a full buffer":        {"\n" + crAtTheEnd + "\r\ny\r\n", "", crAtTheEnd + "\r\ny\r\n", true},
		"progress bar":               {"A: 1\n\n10%\r20%\r\n30%\r", "A: 1\r\n", "10%\r\n20%\r\n30%\r\n", true},
		"NUL":                        {"\na\x00b\n", "", "a\x00b\r\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.written), iotest.OneByteReader(strings.NewReader(c.written))} {
				fields, body := readText(t, r, c.dotEnds)
				header := ""
				for _, f := range fields {
					header += f.text
				}
				if header != c.header || body != c.body {
					t.Errorf("header %.200q, want %.200q; body %.200q, want %.200q", header, c.header, body, c.body)
				}
			}
		})
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	for written, want := range map[string]string{
		"A: 1\nSubject: x\rBcc: spy@example.test\n\n": "line 2 of the header: holds a CR or NUL",
		"A: 1\x00\n\n": "line 1 of the header: holds a CR or NUL",
		"A: " + strings.Repeat("x", maxHeader) + "\n":             "gets longer than 1 MiB",
		strings.Repeat("A: "+strings.Repeat("x", 990)+"\n", 1100): "gets longer than 1 MiB",
	} {
		if _, err := newText(strings.NewReader(written), true).header(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50q: got %v, want %q", written, err, want)
		}
	}
}

func TestTroubleOfReadingIsTold(t *testing.T) {
	broken := errors.New("broken")
	for _, begin := range []string{"", "A: 1", "A: 1\n", "A: 1\n\nx"} {
		text := newText(io.MultiReader(strings.NewReader(begin), iotest.ErrReader(broken)), true)
		_, err := text.header()
		if err == nil {
			_, err = io.ReadAll(text)
		}
		if !errors.Is(err, broken) {
			t.Errorf("%q: got %v", begin, err)
		}
	}
}

func TestValuesAreUnfolded(t *testing.T) {
	f := field{"To", "To: a@example.test,\r\n\tb@example.test\r\n"}
	if got := f.value(); got != "a@example.test,\tb@example.test" {
		t.Errorf("got %q", got)
	}
}

func FuzzTextHasCleanLines(f *testing.F) {
	f.Add("From x\nA: 1\r\n B\n\nx\r\r\ny\rz\n.\n", true)
	f.Fuzz(func(t *testing.T, written string, dotEnds bool) {
		text := newText(strings.NewReader(written), dotEnds)
		fields, err := text.header()
		if err != nil {
			return
		}
		all := ""
		for _, f := range fields {
			all += f.text
			if !strings.HasSuffix(f.text, "\r\n") || f.name == "" {
				t.Errorf("field %q", f)
			}
		}
		body, err := io.ReadAll(text)
		if err != nil {
			t.Fatal(err)
		}
		all += string(body)
		if rest := strings.ReplaceAll(all, "\r\n", ""); strings.ContainsAny(rest, "\r\n") {
			t.Errorf("%q gives %q", written, all)
		}
	})
}
