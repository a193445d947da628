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
