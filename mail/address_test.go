package mail

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

func TestParseAddress(t *testing.T) {
	long := strings.Repeat("l", 64) + "@" + strings.Repeat("d.", 80) + "example"
	for _, test := range []struct{ in, local, out string }{
		{"user@example.org", "user", "user@example.org"},
		{"User@EXAMPLE.org.", "User", "User@example.org"},
		{"a.b+c=d/e@example.org", "a.b+c=d/e", "a.b+c=d/e@example.org"},
		{"!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~@example.org"},
		{`"user"@example.org`, "user", "user@example.org"},
		{`"a b"@example.org`, "a b", `"a b"@example.org`},
		{`"a@b"@example.org`, "a@b", `"a@b"@example.org`},
		{`"a\"b\\c"@example.org`, `a"b\c`, `"a\"b\\c"@example.org`},
		{`"\a\.\ "@example.org`, "a. ", `"a. "@example.org`},
		{`""@example.org`, "", `""@example.org`},
		{`".a."@example.org`, ".a.", `".a."@example.org`},
		{`"a b> NOTIFY=NEVER"@d.example`, "a b> NOTIFY=NEVER", `"a b> NOTIFY=NEVER"@d.example`},
		{"jörg@bücher.example", "jörg", "jörg@xn--bcher-kva.example"},
		{`"jö rg"@example.org`, "jö rg", `"jö rg"@example.org`},
		{"user@[192.0.2.1]", "user", "user@[192.0.2.1]"},
		{"user@[ipv6:2001:DB8:0::1]", "user", "user@[IPv6:2001:db8::1]"},
		{long, strings.Repeat("l", 64), long},
		{strings.Repeat("l", 100) + "@d.example", strings.Repeat("l", 100), strings.Repeat("l", 100) + "@d.example"},
	} {
		a, err := ParseAddress(test.in)
		if err != nil || a.Local != test.local || a.String() != test.out {
			t.Errorf("ParseAddress(%q) = local %q, %q, %v; want %q, %q", test.in, a.Local, a, err, test.local, test.out)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	for _, test := range []struct{ in, says string }{
		{"", "local-part"},
		{"user", "no @domain"},
		{"user@", "is empty"},
		{"@example.org", "local-part"},
		{"a b@example.org", "needs quotes"},
		{"a b> NOTIFY=NEVER@d.example", "needs quotes"},
		{".a@example.org", "needs quotes"},
		{"a.@example.org", "needs quotes"},
		{"a..b@example.org", "needs quotes"},
		{"<a@example.org>", "needs quotes"},
		{"a@b@example.org", "character"},
		{"a\u00a0b@example.org", "needs quotes"},
		{"a\u0085@example.org", "needs quotes"},
		{"a\r\nRCPT TO:<b@example.org>@example.org", "needs quotes"},
		{"\"a\r\nb\"@example.org", "control character"},
		{"\"a\x00\"@example.org", "control character"},
		{"\"a\\\n\"@example.org", "control character"},
		{"\"a\x7f\"@example.org", "control character"},
		{"\"a\u0080\"@example.org", "control character"},
		{`"a`, "without an end"},
		{`"a\"@example.org`, "without an end"},
		{`"a"b@example.org`, "no @domain"},
		{`"a\ö"@example.org`, "outside ASCII"},
		{"\xff@example.org", "UTF-8"},
		{"a@example.org\r\n", "character"},
		{"a@example.org> SIZE=1", "character"},
		{strings.Repeat("l", 243) + "@example.org", "longer than 254"},
	} {
		a, err := ParseAddress(test.in)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("ParseAddress(%q) = %q, %v; want an error with %q", test.in, a, err, test.says)
		}
		if !a.IsZero() {
			t.Errorf("ParseAddress(%q) returns %q beside its error", test.in, a)
		}
	}
}

func TestAddressText(t *testing.T) {
	for _, in := range []string{`"a b"@example.org`, ""} {
		var a Address
		if err := a.UnmarshalText([]byte(in)); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(a)
		want, _ := json.Marshal(in)
		if err != nil || string(out) != string(want) {
			t.Errorf("got %s, %v; want %s", out, err, want)
		}
	}
	a := Address{Local: "kept", Domain: "example.org"}
	if err := a.UnmarshalText([]byte("bad")); err == nil || a.Local != "kept" {
		t.Errorf("a text that is no address: %v, %v", a, err)
	}
}

func TestReversePath(t *testing.T) {
	for in, null := range map[string]bool{"": true, "<>": true, "a@example.org": false} {
		p, err := ParseReversePath(in)
		if err != nil || p.IsNull() != null {
			t.Errorf("ParseReversePath(%q) = %q, %v", in, p, err)
		}
	}
	if p, err := ParseReversePath("bad"); err == nil || !p.IsNull() {
		t.Errorf("got %q, %v", p, err)
	}
}

func TestNeedsUTF8(t *testing.T) {
	ascii := Recipient{Address: Address{Local: "a", Domain: "xn--bcher-kva.example"}}
	utf8 := Recipient{Address: Address{Local: "jörg", Domain: "example.org"}}
	for _, test := range []struct {
		e    Envelope
		want bool
	}{
		{Envelope{}, false},
		{Envelope{From: ReversePath{ascii.Address}, Recipients: []Recipient{ascii}}, false},
		{Envelope{From: ReversePath{utf8.Address}, Recipients: []Recipient{ascii}}, true},
		{Envelope{Recipients: []Recipient{ascii, utf8}}, true},
	} {
		if got := test.e.NeedsUTF8(); got != test.want {
			t.Errorf("%v: %v", test.e, got)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"a@b.example", `"a b> NOTIFY=NEVER"@d.example`, `"\"\\"@[192.0.2.1]`, "jörg@bücher.example", `""@a`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAddress(text)
		if err != nil {
			return
		}
		wire := a.String()
		if strings.IndexFunc(wire, unicode.IsControl) >= 0 {
			t.Fatalf("%q has a control character", wire)
		}
		again, err := ParseAddress(wire)
		if err != nil || again != a {
			t.Fatalf("%q, written as %q, is read as %q, %v", text, wire, again, err)
		}
		if a.quotedLocal()[0] != '"' && strings.ContainsAny(a.Local, " <>\t\"\\@,;:") {
			t.Fatalf("%q is not quoted", wire)
		}
	})
}

func TestLocalPartAlone(t *testing.T) {
	for text, want := range map[string]string{"root": "root", `"a b"`: "a b", `"a\"b"`: `a"b`, "b\u00fccher": "b\u00fccher"} {
		if got, err := ParseLocalPart(text); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "a b", "a@b", `"a"b`, `"a`, "a\r\nb", "a\x00", "\"a\r\"", "a..b", "\xff", strings.Repeat("x", 300)} {
		if got, err := ParseLocalPart(bad); err == nil {
			t.Errorf("%q is taken: %q", bad, got)
		}
	}
}
