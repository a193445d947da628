package mail

import "testing"

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern string
		domain  Domain
		want    bool
	}{
		{"*", "example.org", true},
		{"Example.ORG.", "example.org", true},
		{"example.org", "sub.example.org", false},
		{".example.org", "sub.example.org", true},
		{".example.org", "example.org", false},
		{".example.org", "badexample.org", false},
		{".b\u00fccher.example", "a.xn--bcher-kva.example", true},
		{"[192.0.2.1]", "[192.0.2.1]", true},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		if got := p.Matches(c.domain); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.domain, got)
		}
	}
	for _, bad := range []string{"", ".", "a..b", "*.example.org", "a b"} {
		if _, err := ParsePattern(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestAddressPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, address string
		want             bool
	}{
		{"*", "a@example.org", true},
		{"example.org", "a@example.org", true},
		{"example.org", "a@sub.example.org", false},
		{".example.org", "a@sub.example.org", true},
		{"A@Example.org", "a@example.org", true},
		{"a@example.org", "b@example.org", false},
		{"a@example.org", "a@sub.example.org", false},
		{`"a b"@example.org`, `"A B"@example.org`, true},
	} {
		p, err := ParseAddressPattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
		}
		a, err := ParseAddress(c.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Matches(a); got != c.want {
			t.Errorf("%s matches %s: %v", c.pattern, c.address, got)
		}
	}
	for _, bad := range []string{"", "a@", "@example.org", "a b@example.org", "<>"} {
		if _, err := ParseAddressPattern(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestGuard(t *testing.T) {
	inside, outside := Address{"a", "staging.example"}, Address{"a", "world.example"}
	pattern, err := ParseAddressPattern("staging.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		guard           Guard
		inside, outside string
	}{
		{Guard{}, "", ""},
		{Guard{OnlyTo: []AddressPattern{pattern}}, "", "delivery.only_to"},
		{Guard{RedirectAll: inside}, "", "delivery.redirect_all"},
	} {
		if i, o := c.guard.Refuses(inside), c.guard.Refuses(outside); i != c.inside || o != c.outside {
			t.Errorf("%+v: %q, %q", c.guard, i, o)
		}
	}
}
