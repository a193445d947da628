package bounce

import (
	"testing"

	"github.com/BurntSushi/toml"
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
