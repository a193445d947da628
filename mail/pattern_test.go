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
