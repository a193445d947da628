package queue

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
)

// lifetimeRows are those of the table in docs/failures.md about the end of the lifetime.
func lifetimeRows(t *testing.T) [][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/failures.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## 5. The lifetime ends\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 7 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells[1:6])
		}
	}
	if len(rows) < 4 {
		t.Fatal("docs/failures.md has no table about the end of the lifetime")
	}
	return rows[2:]
}

func TestTheLifetimeEndsAsTheDocumentSays(t *testing.T) {
	for _, row := range lifetimeRows(t) {
		for _, inDoubt := range []bool{false, true} {
			last := mail.Outcome{Disposition: mail.Deferred, Reason: "what the last attempt said"}
			if row[1] != "none" {
				var err error
				if last.Status, err = mail.ParseStatus(row[1]); err != nil {
					t.Fatal(err)
				}
			}
			state := expired(RecipientState{State: Pending, Reached: row[0] == "yes", InDoubt: inDoubt, Last: last})
			got := state.Last
			if state.State != Failed || string(got.Disposition) != row[2] || got.Status.String() != row[3] || !strings.Contains(got.Reason, row[4]) {
				t.Errorf("%v: %s %s %q", row, got.Disposition, got.Status, got.Reason)
			}
			if strings.HasPrefix(got.Reason, "host unknown") != (row[0] == "no") {
				t.Errorf("%v: says %q", row, got.Reason)
			}
			if got.InDoubt != inDoubt {
				t.Errorf("%v: in doubt %v, was %v", row, got.InDoubt, inDoubt)
			}
		}
	}
}

// What others found out about the destination later is quoted, and what they found out before is not.
func TestTheLifetimeEndsWithTheLatestNews(t *testing.T) {
	tried := time.Unix(1e9, 0)
	state := RecipientState{Tried: tried, Last: mail.Outcome{Status: mail.Status{4, 2, 2}, Reason: "mailbox full"}}
	news := mail.Outcome{Disposition: mail.Deferred, Status: mail.Status{4, 4, 1}, Reason: "connection refused"}
	for _, c := range []struct {
		at   time.Time
		want []string
	}{
		{time.Time{}, []string{"mailbox full"}},
		{tried, []string{"mailbox full"}},
		{tried.Add(time.Hour), []string{"host unknown", "connection refused", "failed 7 times in a row", "2001-09-09T02:46:40Z"}},
	} {
		got := expired(state.told(probe{at: c.at, outcome: news, failed: 7})).Last.Reason
		if slices.ContainsFunc(c.want, func(part string) bool { return !strings.Contains(got, part) }) {
			t.Errorf("news of %s: says %q, want %q in it", c.at, got, c.want)
		}
	}
}
