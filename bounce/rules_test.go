package bounce

import (
	"testing"

	"github.com/BurntSushi/toml"

	"sternpost/mail"
)

func classifier(t testing.TB, own ...Rule) *Classifier {
	t.Helper()
	c, err := New(own)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Each rule recognizes its own sample, so that none is hidden behind another.
func TestRulesRecognizeTheirSamples(t *testing.T) {
	var file struct {
		Rules []Rule `toml:"rules"`
	}
	meta, err := toml.Decode(embedded, &file)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range meta.Undecoded() {
		if key[0] != "providers" && key[0] != "lists" {
			t.Errorf("rules.toml: there is no key %s", key)
		}
	}
	c := classifier(t)
	seen := map[string]bool{}
	for _, r := range file.Rules {
		if seen[r.Name] {
			t.Errorf("two rules are called %s", r.Name)
		}
		seen[r.Name] = true
		if r.Sample == "" {
			t.Errorf("%s has no sample", r.Name)
		}
		if v := c.Classify(r.sample()); v.Rule != r.Name {
			t.Errorf("the sample of %s (%q) is recognized by %q", r.Name, r.Sample, v.Rule)
		}
	}
}

// What is wrong with a domain that has no hosts is told as it is.
func TestDomainWithoutHosts(t *testing.T) {
	c, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, f := range map[string]Failure{
		"The domain gone.test does not exist.":                          {Status: mail.Status{5, 1, 2}, Reason: "host unknown: gone.test does not exist (NXDOMAIN)"},
		"The MX records of gone.test name no host that has an address.": {Status: mail.Status{5, 4, 4}, Reason: "host unknown: mx.gone.test does not exist (NXDOMAIN)"},
		"The domain gone.test takes no mail, or does not exist.":        {Status: mail.Status{5, 1, 2}, Reason: "host unknown: gone.test has neither an MX nor an address"},
		"The domain gone.test says that it takes no mail (null MX).":    {Status: mail.Status{5, 1, 10}, Reason: "gone.test takes no mail (null MX, RFC 7505)"},
	} {
		f.Stage, f.Domain, f.Recipient = mail.StageResolve, "gone.test", "you@gone.test"
		if v := c.Classify(f); v.Category != BadDomain || v.Sentence != want {
			t.Errorf("%s %q, want %q", v.Category, v.Sentence, want)
		}
	}
}
