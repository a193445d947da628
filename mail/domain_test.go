package mail

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseDomain(t *testing.T) {
	longest := strings.Repeat(strings.Repeat("a", 61)+".", 4) + "abcde"
	for _, test := range []struct{ in, out string }{
		{"example.org", "example.org"},
		{"Example.ORG.", "example.org"},
		{"localhost", "localhost"},
		{"mail_1._x.example.org", "mail_1._x.example.org"},
		{"1.example", "1.example"},
		{"example.1a", "example.1a"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"BÜCHER.Example", "xn--bcher-kva.example"},
		{"bu\u0308cher.example", "xn--bcher-kva.example"},
		{"straße.example", "xn--strae-oqa.example"},
		{"例え。テスト", "xn--r8jz45g.xn--zckzah"},
		{"例え.テスト。", "xn--r8jz45g.xn--zckzah"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"xn--53h.example", "xn--53h.example"}, // a symbol, as somebody registered it: the DNS decides
		{"l·l.example", "xn--ll-0ea.example"},
		{"カ・カ.example", "xn--lcka3v.example"},
		{"हिन्दी.example", "xn--j2bd4cyah0f.example"},
		{longest, longest},
		{"[192.0.2.1]", "[192.0.2.1]"},
		{"[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"},
		{"[IPV6:2001:DB8:0:0:0:0:0:1]", "[IPv6:2001:db8::1]"},
		{"[IPv6:::ffff:192.0.2.1]", "[192.0.2.1]"},
	} {
		d, err := ParseDomain(test.in)
		if err != nil || string(d) != test.out {
			t.Errorf("ParseDomain(%q) = %q, %v; want %q", test.in, d, err, test.out)
		}
	}
}

func TestParseDomainRefuses(t *testing.T) {
	for _, in := range []string{
		"", ".", "..", ".example", "a..example", "example..", "-a.example", "a-.example", "a b.example", "a\x00.example",
		"example.org\r\n", "ex/ample", "192.0.2.1", "example.123", "2130706433", "2001:db8::1",
		strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "example", "\xff.example", "\uFFFD.example", "a\u200db.example",
		"\u2615.example", "a\u2615b.example", "\u2764.example", "\U0001F4A9.example", "\u20ac.example", "a\u2044b.example", "\u0640.example",
		strings.Repeat("ü", 60) + ".example", "[", "[]", "[192.0.2.1", "192.0.2.1]", "[192.0.2.256]", "[192.0.2.01]", "[2001:db8::1]",
		"[IPv6:192.0.2.1]", "[IPv6:fe80::1%eth0]", "[192.0.2.1]x", "[example.org]", "[[192.0.2.1]]", "[IPv6:]",
	} {
		if d, err := ParseDomain(in); err == nil || d != "" {
			t.Errorf("ParseDomain(%q) = %q, %v", in, d, err)
		}
	}
}

func TestDomainLiteral(t *testing.T) {
	for in, want := range map[Domain]string{"[192.0.2.1]": "192.0.2.1", "[IPv6:2001:db8::1]": "2001:db8::1"} {
		ip, ok := in.Literal()
		if !ok || ip.String() != want || LiteralDomain(ip) != in {
			t.Errorf("%s: %v, %v", in, ip, ok)
		}
	}
	for _, in := range []Domain{"", "example.org", "[x]"} {
		if ip, ok := in.Literal(); ok {
			t.Errorf("%s: %v", in, ip)
		}
	}
	if got := LiteralDomain(netip.MustParseAddr("::ffff:192.0.2.1")); got != "[192.0.2.1]" {
		t.Errorf("got %s", got)
	}
}

func TestDomainUnicode(t *testing.T) {
	for in, want := range map[Domain]string{
		"xn--bcher-kva.example": "bücher.example", "example.org": "example.org", "[192.0.2.1]": "[192.0.2.1]", "xn--a.example": "xn--a.example",
	} {
		if got := in.Unicode(); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func FuzzParseDomain(f *testing.F) {
	for _, seed := range []string{"example.org.", "bücher.example", "[IPv6:2001:db8::1]", "[192.0.2.1]", "xn--bcher-kva.example", "例え。テスト", "a_b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDomain(text)
		if err != nil {
			return
		}
		again, err := ParseDomain(string(d))
		if err != nil || again != d {
			t.Fatalf("%q, read as %q, is read again as %q, %v", text, d, again, err)
		}
		if ip, ok := d.Literal(); ok && LiteralDomain(ip) != d || !ok && strings.Trim(string(d), "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			t.Fatalf("%q is read as %q", text, d)
		}
	})
}
