package mail

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseStatus(t *testing.T) {
	for text, want := range map[string]Status{"2.0.0": {2, 0, 0}, "4.7.1": {4, 7, 1}, "5.1.10": {5, 1, 10}, "5.999.999": {5, 999, 999}} {
		s, err := ParseStatus(text)
		if err != nil || s != want || s.String() != text {
			t.Errorf("ParseStatus(%q) = %v, %v", text, s, err)
		}
	}
	for _, text := range []string{
		"", "5", "5.1", "5.1.1.1", "3.1.1", "0.0.0", "6.1.1", "55.1.1", "5.1000.1", "5.01.1", "5.00.1", "5.+1.1", "5.-1.1", "5..1", "5.1.", "5.1.x",
		" 5.1.1", "5.1.1 ", "5.1_0.1", "5.0x1.1", "٥.١.١",
	} {
		if s, err := ParseStatus(text); err == nil || !s.IsZero() {
			t.Errorf("ParseStatus(%q) = %v, %v", text, s, err)
		}
	}
}

func TestStatusText(t *testing.T) {
	for _, s := range []Status{{}, {5, 1, 1}} {
		text, err := s.MarshalText()
		got := Status{4, 4, 4}
		if err != nil || got.UnmarshalText(text) != nil || got != s {
			t.Errorf("%v became %q and %v", s, text, got)
		}
	}
	kept := Status{4, 4, 4}
	if err := kept.UnmarshalText([]byte("x")); err == nil || kept != (Status{4, 4, 4}) {
		t.Errorf("got %v, %v", kept, err)
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, seed := range []string{"5.1.1", "2.0.0", "4.999.999", "5.01.1", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseStatus(text); err == nil && s.String() != text {
			t.Fatalf("%q is read as %v", text, s)
		}
	})
}

func TestReply(t *testing.T) {
	none := Status{}
	for _, test := range []struct {
		code     int
		lines    string // parted by "|"
		enhanced Status
		status   Status
		text     string
	}{
		{250, "250 2.1.5 ok", Status{2, 1, 5}, Status{2, 1, 5}, "ok"},
		{250, "250", none, Status{2, 0, 0}, ""},
		{250, "250 ", none, Status{2, 0, 0}, ""},
		{250, "250 ok", none, Status{2, 0, 0}, "ok"},
		{550, "550 5.1.1", Status{5, 1, 1}, Status{5, 1, 1}, ""},
		{550, "550-5.1.1 no such|550 5.1.1 user", Status{5, 1, 1}, Status{5, 1, 1}, "no such user"},
		{550, "550-no such|550 5.1.1 user", none, Status{5, 0, 0}, "no such user"},
		{550, "550-5.1.1|550-|550 5.1.1 user", Status{5, 1, 1}, Status{5, 1, 1}, "user"},
		{550, "550 4.1.1 wrong class", none, Status{5, 0, 0}, "wrong class"},
		{450, "450 5.7.1 wrong class", none, Status{4, 0, 0}, "wrong class"},
		{550, "550 5.1.1: see below", none, Status{5, 0, 0}, "5.1.1: see below"},
		{550, "550 5.01.1 odd", none, Status{5, 0, 0}, "5.01.1 odd"},
		{354, "354 go on", none, none, "go on"},
		{0, "", none, none, ""},
	} {
		r := Reply{Code: test.code}
		if test.lines != "" {
			r.Lines = strings.Split(test.lines, "|")
		}
		got, ok := r.Enhanced()
		if got != test.enhanced || ok != (test.enhanced != none) || r.Status() != test.status || r.Text() != test.text {
			t.Errorf("%q: %v, %v, %v, %q", test.lines, got, ok, r.Status(), r.Text())
		}
	}
}

func TestReplyClass(t *testing.T) {
	for code, want := range map[int][4]bool{
		0: {true}, 250: {false, true}, 299: {false, true}, 354: {}, 421: {false, false, true}, 550: {false, false, false, true}, 999: {},
	} {
		r := Reply{Code: code}
		if got := [4]bool{r.IsZero(), r.Positive(), r.Transient(), r.Permanent()}; got != want {
			t.Errorf("%d: %v, want %v", code, got, want)
		}
	}
}

func TestReplyString(t *testing.T) {
	r := Reply{Code: 550, Lines: []string{"550-go \x1b[2J away", "550 \xff"}}
	if got, want := r.String(), `550-go \x1b[2J away / 550 \xff`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestStages(t *testing.T) {
	want := []Stage{
		"resolve", "policy", "connect", "greeting", "hello", "starttls", "auth", "mail", "rcpt", "data", "content", "dot", "quit",
	}
	if got := Stages(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
}
