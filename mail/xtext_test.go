package mail

import (
	"strings"
	"testing"
)

func TestXtext(t *testing.T) {
	for plain, coded := range map[string]string{
		"": "", "abc@example.org": "abc@example.org", "a+b=c d": "a+2Bb+3Dc+20d", "\x00\r\n\x7f\xff": "+00+0D+0A+7F+FF", "ä": "+C3+A4", "!~": "!~",
	} {
		if got := EncodeXtext(plain); got != coded {
			t.Errorf("EncodeXtext(%q) = %q, want %q", plain, got, coded)
		}
		if got, err := DecodeXtext(coded); err != nil || got != plain {
			t.Errorf("DecodeXtext(%q) = %q, %v; want %q", coded, got, err, plain)
		}
	}
	if got, err := DecodeXtext("+c3+a4"); err != nil || got != "ä" {
		t.Errorf("hexadecimal digits in lower case: %q, %v", got, err)
	}
	for _, coded := range []string{"a b", "a=b", "+", "+4", "a+", "+4G", "+G4", "++2B", "+-1", "+0x", "+_1", "\x7f", "ä", "a\r\n"} {
		if got, err := DecodeXtext(coded); err == nil || got != "" {
			t.Errorf("DecodeXtext(%q) = %q, %v", coded, got, err)
		}
	}
}

func TestUTF8Xtext(t *testing.T) {
	for plain, coded := range map[string]string{
		"": "", "abc@example.org": "abc@example.org", "a+b=c d\\": `a\x{2B}b\x{3D}c\x{20}d\x{5C}`, "b\u00f8b": `b\x{F8}b`, "\u65e5\U0001F600": `\x{65E5}\x{1F600}`, "\r\n\x7f": `\x{0D}\x{0A}\x{7F}`,
		"\xff": `\x{FFFD}`,
	} {
		if got := EncodeUTF8Xtext(plain); got != coded {
			t.Errorf("EncodeUTF8Xtext(%q) = %q, want %q", plain, got, coded)
		}
	}
}

func FuzzXtext(f *testing.F) {
	for _, seed := range []string{"", "a+b=c", "+2B", "\xff\x00", "+c3+a4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		coded := EncodeXtext(text)
		if strings.ContainsFunc(coded, func(c rune) bool { return c < '!' || c > '~' || c == '=' }) {
			t.Fatalf("%q is no xtext", coded)
		}
		if back, err := DecodeXtext(coded); err != nil || back != text {
			t.Fatalf("%q, written as %q, is read as %q, %v", text, coded, back, err)
		}
		if plain, err := DecodeXtext(text); err == nil && len(plain) > len(text) {
			t.Fatalf("%q is read as the longer %q", text, plain)
		}
	})
}
