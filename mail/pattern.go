package mail

import "strings"

// Pattern is a set of domains as the configuration writes it: "example.org" is that domain, ".example.org" its subdomains, "*" all. It is in
// canonical form, so that comparing is enough.
type Pattern string

// ParsePattern reads a pattern as people write it.
func ParsePattern(text string) (Pattern, error) {
	if text == "*" {
		return "*", nil
	}
	name, subdomains := strings.CutPrefix(text, ".")
	domain, err := ParseDomain(name)
	if err != nil {
		return "", err
	}
	if subdomains {
		return Pattern("." + string(domain)), nil
	}
	return Pattern(domain), nil
}

// Matches says whether d is in the set.
func (p Pattern) Matches(d Domain) bool {
	return p == "*" || string(p) == string(d) || strings.HasPrefix(string(p), ".") && strings.HasSuffix(string(d), string(p))
}

// AddressPattern is a set of addresses as the configuration writes it: "a@example.org" is that mailbox, and whatever has no @ is a Pattern of domains.
type AddressPattern struct {
	local  string // empty: every local-part
	domain Pattern
}

// ParseAddressPattern reads a pattern as people write it.
func ParseAddressPattern(text string) (AddressPattern, error) {
	if !strings.Contains(text, "@") {
		domain, err := ParsePattern(text)
		return AddressPattern{domain: domain}, err
	}
	a, err := ParseAddress(text)
	return AddressPattern{local: a.Local, domain: Pattern(a.Domain)}, err
}

// Matches says whether a is in the set. The case of a local-part does not count here: hosts that tell mailboxes apart by it are not known, and people who write patterns
// do not think of it.
func (p AddressPattern) Matches(a Address) bool {
	return p.domain.Matches(a.Domain) && (p.local == "" || strings.EqualFold(p.local, a.Local))
}
