package bounce

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// docs/reading-bounces.md says what the program says.
func TestDocumentListsTheCategories(t *testing.T) {
	text, err := os.ReadFile("../docs/reading-bounces.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (.*) \\| (yes|no) \\| (.*) \\| `([a-z-]+)` \\|$")
	var got []meaning
	names := strings.NewReplacer("*recipient*", "{recipient}", "*host*", "{host}", "*domain*", "{domain}")
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		got = append(got, meaning{Category(match[1]), match[3] == "yes", Fault(match[5]), names.Replace(match[2]), names.Replace(match[4])})
	}
	want := meanings()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("%s is missing", want[i].category)
		case i >= len(want) || got[i] != want[i]:
			t.Errorf("the table says %+v", got[i])
		}
	}
	for _, f := range Faults() {
		if !strings.Contains(string(text), "`"+string(f)+"`") {
			t.Errorf("the fault %s is not explained", f)
		}
	}
}

func TestDocumentListsTheAlarms(t *testing.T) {
	text, err := os.ReadFile("../docs/reading-bounces.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []AlarmKind{AlarmUnusableAddress, AlarmRefusedByAll, AlarmTypo, AlarmCertificate} {
		if !strings.Contains(string(text), "\n| `"+string(kind)+"` |") {
			t.Errorf("the alarm %s is not explained", kind)
		}
	}
}
