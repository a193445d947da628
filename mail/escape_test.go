package mail

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscape(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""},
		{"550 5.1.1 user unknown", "550 5.1.1 user unknown"},
		{"Grüße 例え 😀", "Grüße 例え 😀"},
		{`quote " and '`, `quote " and '`},
		{"\x1b[31mred", `\x1b[31mred`},
		{"a\x00b", `a\x00b`},
		{"a\r\nb\tc\ad", `a\r\nb\tc\ad`},
		{"\x7f", `\x7f`},
		{"\u0080", `\u0080`},
		{"\x80", `\x80`},
		{"\xff\xfe", `\xff\xfe`},
		{"\xe2\x82", `\xe2\x82`},
		{`\xff`, `\\xff`},
		{`\`, `\\`},
		{"\uFFFD", `\ufffd`},
		{"\uFFFD\xef\xbf", `\ufffd\xef\xbf`},
		{`\ufffd`, `\\ufffd`},
		{"\u202egpj.exe", `\u202egpj.exe`},
		{"\u2066x\u2069", `\u2066x\u2069`},
		{"\u00a0\u2028\u200b\ufeff", `\u00a0\u2028\u200b\ufeff`},
		{"\U000e0041", `\U000e0041`},
		{"\u009b2J", `\u009b2J`},
	} {
		if got := Escape(test.in); got != test.want {
			t.Errorf("Escape(%q) = %s, want %s", test.in, got, test.want)
		}
	}
}

// unescaped reads what Escape wrote, so that no two texts can have the same escape.
func unescaped(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for text != "" {
		octet := strings.HasPrefix(text, `\x`)
		c, multibyte, rest, err := strconv.UnquoteChar(text, 0)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if octet && !multibyte {
			b.WriteByte(byte(c))
		} else {
			b.WriteRune(c)
		}
		text = rest
	}
	return b.String()
}

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b[0m", "\xff", "\uFFFD", `\ufffd`, "\u202e", "\U000e0041", "a\r\nb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Escape(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Fatalf("%q is not printable", got)
		}
		if back := unescaped(t, got); back != text {
			t.Fatalf("%q, escaped as %q, reads as %q", text, got, back)
		}
	})
}
