package bounce

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sternpost/mail"
)

// corpusVariable names the file of real diagnostics, which is not part of the project (shared/oracle/bounces.tsv).
const corpusVariable = "STERNPOST_BOUNCE_CORPUS"

// judged is a failure and what others say that it is.
type judged struct {
	failure  Failure
	category Category
	hard     bool
	text     string
}

func corpus(t *testing.T) []judged {
	t.Helper()
	name := cmp.Or(os.Getenv(corpusVariable), filepath.FromSlash("../../shared/oracle/bounces.tsv"))
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the real diagnostics are not here: set %s to bounces.tsv (%v)", corpusVariable, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []judged
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		code, err := strconv.Atoi(columns[1])
		if err != nil {
			continue // the header, and rows without an SMTP code
		}
		status, _ := mail.ParseStatus(columns[0])
		if status[1] == 0 && status[2] >= 900 {
			status = mail.Status{} // made up by those who judged: their verdict in another form
		}
		f := FromReport(mail.Address{}, status, columns[4], "")
		f.Code = code
		list = append(list, judged{f, Category(columns[2]), columns[3] == "true", columns[4]})
	}
	return list
}

// score counts what is right, and what was said instead.
type score struct {
	rows, category, hard int
	confused             map[string]int
}

func (c *Classifier) score(list []judged) score {
	s := score{rows: len(list), confused: map[string]int{}}
	for _, j := range list {
		v := c.Classify(j.failure)
		if v.Category == j.category {
			s.category++
		} else {
			s.confused[fmt.Sprintf("%-16s as %s", j.category, v.Category)]++
		}
		if v.Hard == j.hard {
			s.hard++
		}
	}
	return s
}

func (s score) String() string {
	return fmt.Sprintf("%d rows: hard %.1f percent right, category %.1f percent", s.rows, 100*float64(s.hard)/float64(s.rows), 100*float64(s.category)/float64(s.rows))
}

// Real bounces are told apart as others do it. The rows were read before the rules were written; the misses of the half that is held out were not looked at afterwards.
func TestRealDiagnostics(t *testing.T) {
	list, c := corpus(t), classifier(t)
	order := rand.New(rand.NewPCG(1, 2)).Perm(len(list))
	var halves [2][]judged
	for i, n := range order {
		halves[i%2] = append(halves[i%2], list[n])
	}
	all := c.score(list)
	t.Logf("all: %s", all)
	t.Logf("half that was looked at: %s", c.score(halves[0]))
	t.Logf("half that was held out: %s", c.score(halves[1]))
	for _, pair := range slices.Sorted(maps.Keys(all.confused)) {
		t.Logf("%3d %s", all.confused[pair], pair)
	}
	if all.hard*100 < 95*all.rows || all.category*100 < 80*all.rows {
		t.Errorf("%s; at least 95 and 80 are wanted", all)
	}
	if testing.Verbose() && os.Getenv("STERNPOST_BOUNCE_MISSES") != "" {
		for _, j := range halves[0] {
			if v := c.Classify(j.failure); v.Category != j.category || v.Hard != j.hard {
				t.Logf("%s %v, not %s %v (%s): %d %s %s %q", j.category, j.hard, v.Category, v.Hard, v.Rule, j.failure.Code, j.failure.Status, j.failure.Stage, j.text)
			}
		}
	}
}
