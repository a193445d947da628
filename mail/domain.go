package mail

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Domain is the part of an address behind the @, in the one form that is compared, looked up and stored:
// lower-case A-labels without a trailing dot ("xn--bcher-kva.example"), or an address literal
// ("[192.0.2.1]", "[IPv6:2001:db8::1]"; RFC 5321 s4.1.3). The zero value is no domain.
type Domain string

// maxDomain is the longest domain name in text form (RFC 1035 s2.3.4: 255 octets on the wire).
const maxDomain = 253

// ParseDomain reads a domain name or an address literal as people write it. Names with letters outside ASCII
// are mapped and checked by IDNA2008 (RFC 5891 s5, the lookup protocol). The error tells what is wrong with
// the text.
func ParseDomain(text string) (Domain, error) {
	if strings.HasPrefix(text, "[") {
		return parseLiteral(text)
	}
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("domain %q: is not UTF-8", text)
	}
	name := strings.TrimSuffix(text, ".")
	if !isASCII(name) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("domain %q: %w", text, err)
		}
		name = strings.TrimSuffix(ascii, ".")
		if err := checkLetters(name); err != nil {
			return "", fmt.Errorf("domain %q: %w", text, err)
		}
	}
	name = strings.ToLower(name)
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("domain %q: %w", text, err)
	}
	return Domain(name), nil
}

// checkLetters refuses what IDNA2008 does not allow in a name, which is in A-labels. The mapping before it is that of UTS 46, which takes symbols too
// ("☕"). A name that somebody writes in A-labels is looked up as it is.
func checkLetters(name string) error {
	written, err := idna.Punycode.ToUnicode(name)
	if err != nil {
		return err
	}
	for _, c := range written {
		if c >= utf8.RuneSelf && !isLetter(c) {
			return fmt.Errorf("has the character %q, which international domain names do not allow (IDNA2008)", c)
		}
	}
	return nil
}

// isLetter is the gist of RFC 5892 s2.1, s2.6 and appendix A for characters outside ASCII that went through the mapping: letters, marks and digits, and
// the exceptions both ways. Whether an exception stands in the right place is not looked at (RFC 5891 s5.4).
func isLetter(c rune) bool {
	switch c {
	case 0x00b7, 0x0375, 0x05f3, 0x05f4, 0x06fd, 0x06fe, 0x0f0b, 0x200c, 0x200d, 0x3007, 0x30fb:
		return true
	case 0x0640, 0x07fa, 0x302e, 0x302f, 0x3031, 0x3032, 0x3033, 0x3034, 0x3035, 0x303b:
		return false
	}
	return unicode.In(c, unicode.Ll, unicode.Lo, unicode.Lm, unicode.Mn, unicode.Mc, unicode.Nd)
}

// checkName enforces the syntax of a host name (RFC 1123 s2.1), with the underscore that some real domains have.
func checkName(name string) error {
	if name == "" {
		return errors.New("is empty")
	}
	if len(name) > maxDomain {
		return fmt.Errorf("is longer than %d octets", maxDomain)
	}
	var last string
	for last = range strings.SplitSeq(name, ".") {
		if err := checkLabel(last); err != nil {
			return err
		}
	}
	if strings.Trim(last, "0123456789") == "" {
		return errors.New("ends in a number; an address is written in brackets, as in [192.0.2.1]")
	}
	return nil
}

func checkLabel(label string) error {
	switch {
	case label == "":
		return errors.New("has an empty label")
	case len(label) > 63:
		return errors.New("has a label longer than 63 octets")
	case label[0] == '-' || label[len(label)-1] == '-':
		return errors.New("has a label that begins or ends with a hyphen")
	}
	for _, c := range []byte(label) {
		letter := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !letter {
			return fmt.Errorf("has the character %q", c)
		}
	}
	return nil
}

// parseLiteral reads an address literal (RFC 5321 s4.1.3). Zones are refused: they mean nothing outside this host.
func parseLiteral(text string) (Domain, error) {
	inner, closed := strings.CutSuffix(text[1:], "]")
	address, v6 := cutPrefixFold(inner, "IPv6:")
	ip, err := netip.ParseAddr(address)
	if !closed || err != nil || ip.Zone() != "" || ip.Is6() != v6 {
		return "", fmt.Errorf("domain %q: is not an address literal such as [192.0.2.1] or [IPv6:2001:db8::1]", text)
	}
	return LiteralDomain(ip), nil
}

// LiteralDomain is the address literal of ip. An IPv4-mapped IPv6 address is written as the IPv4 address that it is.
func LiteralDomain(ip netip.Addr) Domain {
	ip = ip.Unmap()
	if ip.Is4() {
		return Domain("[" + ip.String() + "]")
	}
	return Domain("[IPv6:" + ip.String() + "]")
}

// Literal returns the address of an address literal, and whether d is one.
func (d Domain) Literal() (netip.Addr, bool) {
	if !strings.HasPrefix(string(d), "[") {
		return netip.Addr{}, false
	}
	inner, _ := cutPrefixFold(strings.Trim(string(d), "[]"), "IPv6:")
	ip, err := netip.ParseAddr(inner)
	return ip, err == nil
}

// Unicode is d for people: U-labels where there are any. It is for display only.
func (d Domain) Unicode() string {
	if name, err := idna.Display.ToUnicode(string(d)); err == nil {
		return name
	}
	return string(d)
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
