package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Address is a mailbox (RFC 5321 s4.1.2). Local is the local-part as it is meant, without quotes and
// backslashes, so that two spellings of one mailbox are equal; String writes the quotes again. The case of Local is kept
// (RFC 5321 s2.4). The zero value is no address.
type Address struct {
	Local  string
	Domain Domain
}

// maxPath is the longest forward- or reverse-path without its brackets (RFC 5321 s4.5.3.1.3). The 64 octets
// of a local-part are not enforced: longer ones exist, and s4.5.3.1 asks for no needless limit.
const maxPath = 254

// ParseAddress reads local-part@domain, without angle brackets. The local-part may be quoted, and may hold UTF-8
// (RFC 6531 s3.3). Control characters are never accepted. The error says what is wrong.
func ParseAddress(text string) (Address, error) {
	local, rest, err := parseLocal(text)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: %w", text, err)
	}
	if !strings.HasPrefix(rest, "@") {
		return Address{}, fmt.Errorf("address %q: has no @domain", text)
	}
	domain, err := ParseDomain(rest[1:])
	if err != nil {
		return Address{}, fmt.Errorf("address %q: %w", text, err)
	}
	a := Address{Local: local, Domain: domain}
	if len(a.String()) > maxPath {
		return Address{}, fmt.Errorf("address %q: is longer than %d octets", text, maxPath)
	}
	return a, nil
}

// ParseLocalPart reads a local-part that stands alone, in quotes or not. Whoever has the domain that belongs to it makes an Address of both.
func ParseLocalPart(text string) (string, error) {
	local, rest, err := parseLocal(text)
	if err == nil && rest != "" {
		err = errors.New("goes on behind its end")
	}
	if err == nil && len(text) > maxPath {
		err = fmt.Errorf("is longer than %d octets", maxPath)
	}
	if err != nil {
		return "", fmt.Errorf("local-part %q: %w", text, err)
	}
	return local, nil
}

// parseLocal reads a local-part from the front of text and returns its meaning and what follows it.
func parseLocal(text string) (local, rest string, err error) {
	if !utf8.ValidString(text) {
		return "", "", errors.New("is not UTF-8")
	}
	if strings.HasPrefix(text, `"`) {
		return parseQuoted(text)
	}
	at := strings.IndexByte(text, '@')
	if at < 0 {
		at = len(text)
	}
	local = text[:at]
	if !isDotString(local) {
		return "", "", errors.New("has a local-part that needs quotes or is empty")
	}
	return local, text[at:], nil
}

// parseQuoted reads a Quoted-string (RFC 5321 s4.1.2). A quoted-pair stands for its second character.
func parseQuoted(text string) (local, rest string, err error) {
	var b strings.Builder
	escaped := false
	for i, c := range text[1:] {
		switch {
		case unicode.IsControl(c):
			return "", "", errors.New("has a control character in its local-part")
		case escaped && c > unicode.MaxASCII:
			return "", "", errors.New("has a backslash before a character outside ASCII")
		case escaped:
			b.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return b.String(), text[1+i+1:], nil
		default:
			b.WriteRune(c)
		}
	}
	return "", "", errors.New("has a quoted local-part without an end")
}

// isDotString says whether local may be written without quotes (RFC 5321 s4.1.2 Dot-string, RFC 6531 s3.3).
func isDotString(local string) bool {
	if local == "" {
		return false
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.IndexFunc(atom, notAtext) >= 0 {
			return false
		}
	}
	return true
}

// notAtext is the complement of atext (RFC 5322 s3.2.3, extended by RFC 6531 s3.3).
func notAtext(c rune) bool {
	if c > unicode.MaxASCII {
		return unicode.IsControl(c) || unicode.IsSpace(c)
	}
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	return !letter && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", c)
}

// IsZero says whether a is no address.
func (a Address) IsZero() bool { return a == Address{} }

// String is a as it goes on the wire, quoted again where it must be (the trap: a client that writes the bare
// local-part lets `"a b> NOTIFY=NEVER"@example.org` add parameters to its command).
func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	return a.quotedLocal() + "@" + string(a.Domain)
}

func (a Address) quotedLocal() string {
	if isDotString(a.Local) {
		return a.Local
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Local) + `"`
}

// NeedsUTF8 says whether a can be used only where SMTPUTF8 is offered (RFC 6531 s3.2). Domains never need it: they are
// A-labels here.
func (a Address) NeedsUTF8() bool { return !isASCII(a.Local) }

// MarshalText writes a as String does.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote; an empty text is the zero address.
func (a *Address) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = Address{}
		return nil
	}
	parsed, err := ParseAddress(string(text))
	if err == nil {
		*a = parsed
	}
	return err
}

// ReversePath is where reports about a message go (RFC 5321 s4.1.1.2). The zero value is the null reverse-path <>,
// to which nothing is ever reported (RFC 5321 s4.5.5).
type ReversePath struct{ Address }

// ParseReversePath reads an address; the empty text and "<>" are the null reverse-path.
func ParseReversePath(text string) (ReversePath, error) {
	if text == "" || text == "<>" {
		return ReversePath{}, nil
	}
	a, err := ParseAddress(text)
	return ReversePath{a}, err
}

// IsNull says whether p is the null reverse-path.
func (p ReversePath) IsNull() bool { return p.IsZero() }
