package bounce

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sternpost/mail"
)

// sample is a line of testdata/samples.tsv: replies in the style of the large providers and the common servers, written for this test.
type sample struct {
	line     int
	failure  Failure
	category Category
	hard     bool
	fault    Fault
}

func samples(t testing.TB) []sample {
	t.Helper()
	text, err := os.ReadFile("testdata/samples.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var list []sample
	for n, line := range slices.Collect(strings.Lines(string(text))) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if n == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(columns) != 7 {
			t.Fatalf("samples.tsv:%d has %d columns, not 7", n+1, len(columns))
		}
		f := Failure{Stage: mail.Stage(columns[2]), Recipient: "user@example.net", Domain: "example.net", Host: "mx.example.net"}
		f.Code, _ = strconv.Atoi(columns[0]) // empty: no reply
		if err := f.Status.UnmarshalText([]byte(columns[1])); err != nil {
			t.Fatalf("samples.tsv:%d: %v", n+1, err)
		}
		if f.Code == 0 {
			f.Reason = columns[6]
		} else {
			f.Lines = []string{strings.Join([]string{columns[0], columns[1], columns[6]}, " ")}
		}
		list = append(list, sample{n + 1, f, Category(columns[3]), columns[4] == "true", Fault(columns[5])})
	}
	return list
}

func TestSamples(t *testing.T) {
	list, c := samples(t), classifier(t)
	if len(list) < 200 {
		t.Errorf("there are %d samples; at least 200 are wanted", len(list))
	}
	seen := map[Category]int{}
	for _, s := range list {
		seen[s.category]++
		v := c.Classify(s.failure)
		if v.Category != s.category || v.Hard != s.hard || v.Fault != s.fault {
			t.Errorf("samples.tsv:%d: %s %v %s by the rule %q, not %s %v %s: %s%s", s.line, v.Category, v.Hard, v.Fault, v.Rule, s.category, s.hard, s.fault, s.failure.Lines, s.failure.Reason)
		}
		if v.Sentence == "" || v.Action == "" || strings.Contains(v.Sentence+v.Action, "{") {
			t.Errorf("samples.tsv:%d: says %q and %q", s.line, v.Sentence, v.Action)
		}
		if v.Permanent != (s.failure.Code/100 == 5) {
			t.Errorf("samples.tsv:%d: permanent %v", s.line, v.Permanent)
		}
	}
	for _, category := range Categories() {
		if seen[category] == 0 {
			t.Errorf("no sample is %s", category)
		}
	}
}
