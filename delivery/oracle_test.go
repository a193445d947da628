package delivery

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// readOracle reads a table of results that other agents gave when they were run against the same remotes and zones.
func readOracle(t *testing.T, name string, want int) [][]string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		rows = append(rows, strings.Split(strings.TrimRight(line, "\n"), "\t"))
	}
	if rows = rows[1:]; len(rows) != want {
		t.Fatalf("%s has %d rows, want %d", name, len(rows), want)
	}
	return rows
}

// TestOtherAgentsAgree runs one message to ok@ and bad@ through every behaviour that Postfix and Exim were run against, alone and before a good
// host, and compares the verdicts.
func TestOtherAgentsAgree(t *testing.T) {
	scripts := make(map[string]string)
	for _, b := range smtptest.Behaviours() {
		scripts[b.Name] = b.Script
	}
	for _, row := range readOracle(t, "smtp.tsv", 96) {
		name, hosts, ok, bad := row[1], row[3], row[4], row[5]
		t.Run(name+"/"+strings.Fields(hosts)[0], func(t *testing.T) {
			script, known := scripts[name]
			if !known {
				t.Fatalf("no script for %s", name)
			}
			synctest.Test(t, func(t *testing.T) {
				zone := oneHost
				if hosts != "one" {
					zone = twoHosts
				}
				w := newWorld(t, zone)
				w.serve("192.0.2.1", script)
				w.serve("192.0.2.2", "")
				content := hello
				if name == "data_stop_reading" || name == "data_rst_mid" {
					content += text(strings.Repeat("x\r\n", 100_000))
				}
				began := time.Now()
				at := w.deliver(content, "ok@example.test", "bad@example.test")
				for i, want := range []string{ok, bad} {
					if got := inOracleWords(at.Outcomes[i]); !fits(got, want) {
						t.Errorf("%s: %s, want %s\n%s", at.Outcomes[i].Recipient, got, want, at.Outcomes[i].Reason)
					}
				}
				if took := time.Since(began); took > time.Hour {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func inOracleWords(o mail.Outcome) string {
	s := summary(o)
	s = strings.ReplaceAll(s, "@mx1.test", "@first")
	return strings.ReplaceAll(s, "@mx2.test", "@good")
}

// fits compares with what stands before an explanation in brackets. A bare "deferred" does not ask for a status.
func fits(got, want string) bool {
	want, _, _ = strings.Cut(want, " (")
	if want == "deferred" {
		return strings.HasPrefix(got, "deferred/")
	}
	return got == want || strings.HasPrefix(got, want+"@")
}
