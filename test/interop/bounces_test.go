//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"sternpost/delivery/smtptest"
	"sternpost/dsn"
)

// failure is what the agent's journal says of one, and what one of the readers does; a reader knows the first four and a word of its own for the cause.
type failure struct {
	Action    string `json:"kind"`
	Status    string `json:"status"`
	Recipient string `json:"recipient"`
	Host      string `json:"host"`
	Code      *int   `json:"code"`
	Category  string `json:"category"`
	Cause     string `json:"cause"`
	Sender    string `json:"sender"`
	word      string
}

// code is that of the reply, 0 where there was none.
func (f failure) code() int {
	if f.Code == nil {
		return 0
	}
	return *f.Code
}

// TestBounces lets mail fail in more than twenty ways, with the agent as it is, and has each report that arrives read by three programs. Action, status, recipient and cause are
// the same for all of them, and the same that the agent's journal says.
func TestBounces(t *testing.T) {
	w := newWorld(t)
	s, reports := w.failAll(t)
	told := s.journal(t)
	read := w.readAll(t, reports)
	for _, f := range failings() {
		t.Run(f.name, func(t *testing.T) {
			ours, known := told[f.sender()]
			if !known {
				t.Fatal("the journal does not know it")
			}
			f.check(t, ours)
			f.checkReport(t, reports[f.sender()], ours)
			f.checkParsed(t, s, filepath.Join(w.dir, f.sender()), ours)
			for _, reader := range readers() {
				reader.check(t, f, ours, read[f.sender()][reader.name])
			}
		})
	}
	t.Run("tools", s.tools)
	t.Logf("%d reports are read alike by us and %d others:\n%s", len(reports), len(readers()), wordTable(told, read))
}

// check compares the journal with what the failure is.
func (f failing) check(t *testing.T, got failure) {
	if got.Recipient != f.recipient() || got.Action != "failed" || got.Status != f.status || got.code() != f.code || got.Category != f.category || f.cause != "" && got.Cause != f.cause {
		t.Errorf("the journal says %+v with code %d, want %+v", got, got.code(), f)
	}
}

// checkReport compares the report, as we read it, with the journal.
func (f failing) checkReport(t *testing.T, m smtptest.Transaction, want failure) {
	if m.From() != "" || len(m.To()) != 1 {
		t.Errorf("it is from %q to %q", m.From(), m.To())
	}
	got, err := dsn.Parse(strings.NewReader(string(m.Content)))
	if err != nil || len(got.Recipients) != 1 || got.To.String() != f.sender() {
		t.Fatalf("%+v, %v in\n%s", got, err, m.Content)
	}
	r := got.Recipients[0]
	if string(r.Action) != want.Action || r.Status.String() != want.Status || r.Final.String() != want.Recipient || r.RemoteMTA != want.Host || want.Code != nil && r.Diagnostic.Code != *want.Code {
		t.Errorf("the report says %+v, the journal %+v", r, want)
	}
}

// checkParsed has the report read by our own command, which must judge it as the journal does.
func (f failing) checkParsed(t *testing.T, s *service, file string, want failure) {
	var parsed struct {
		Bounces []failure `json:"bounces"`
	}
	if err := json.Unmarshal([]byte(s.runs(t, "bounces", "parse", "--json", file)), &parsed); err != nil || len(parsed.Bounces) != 1 {
		t.Fatalf("%+v, %v", parsed, err)
	}
	got := parsed.Bounces[0]
	if got.Action != want.Action || got.Status != want.Status || got.Recipient != want.Recipient || got.Sender != want.Sender || got.Category != want.Category || got.Cause != want.Cause {
		t.Errorf("bounces parse says %+v, the journal %+v", got, want)
	}
}

// journal are the failures in the agent's journal, by their senders.
func (s *service) journal(t *testing.T) map[string]failure {
	var list struct {
		Bounces []failure `json:"bounces"`
	}
	if err := json.Unmarshal([]byte(s.runs(t, "bounces", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	found := map[string]failure{}
	for _, f := range list.Bounces {
		if _, twice := found[f.Sender]; twice {
			t.Errorf("%s failed twice", f.Sender)
		}
		found[f.Sender] = f
	}
	return found
}

// readAll has the reports read by the others: by sender, then by the name of the reader.
func (w *world) readAll(t *testing.T, reports map[string]smtptest.Transaction) map[string]map[string][]failure {
	t.Helper()
	var files []string
	found := map[string]map[string][]failure{}
	for sender, m := range reports {
		files = append(files, w.write(sender, m.Content))
		found[sender] = map[string][]failure{}
	}
	for _, command := range [][]string{{"/usr/bin/perl", "testdata/bounces.pl"}, {"/usr/bin/python3", "testdata/bounces.py"}} {
		out, err := exec.CommandContext(t.Context(), command[0], append(command[1:], files...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
		for line := range strings.Lines(string(out)) {
			cells := strings.Split(strings.TrimSpace(line), "|")
			if len(cells) != 6 {
				t.Fatalf("%s: %s", command, strconv.Quote(line))
			}
			sender, reader := filepath.Base(cells[0]), cells[1]
			found[sender][reader] = append(found[sender][reader], failure{Action: cells[2], Status: cells[3], Recipient: cells[4], word: cells[5]})
		}
	}
	return found
}

// wordTable shows what everybody calls the causes.
func wordTable(told map[string]failure, read map[string]map[string][]failure) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "failure\taction\tstatus\tjournal\tcause\tSisimai\tBounceParser")
	for _, f := range failings() {
		ours := told[f.sender()]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s", f.name, ours.Action, ours.Status, ours.Category, ours.Cause)
		for _, name := range []string{"sisimai", "bounceparser"} {
			for _, one := range read[f.sender()][name] {
				fmt.Fprintf(w, "\t%s", one.word)
			}
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return b.String()
}

// The reports of the golden files are read alike too, as far as they are of one recipient and in ASCII: none of the three knows message/global-delivery-status (RFC 6533).
func TestGoldenReports(t *testing.T) {
	files, err := filepath.Glob("../../dsn/testdata/kinds/*.eml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d reports, %v", len(files), err)
	}
	w, reports := newWorld(t), map[string]smtptest.Transaction{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(content, []byte("global-delivery-status")) {
			reports[filepath.Base(file)] = smtptest.Transaction{Content: content}
		}
	}
	read := w.readAll(t, reports)
	for name, m := range reports {
		ours, err := dsn.Parse(bytes.NewReader(m.Content))
		if err != nil || len(ours.Recipients) != 1 {
			t.Fatalf("%s: %+v, %v", name, ours, err)
		}
		want := ours.Recipients[0]
		for _, reader := range readers() {
			found := read[name][reader.name]
			if len(found) != 1 || found[0].Action != string(want.Action) || found[0].Recipient != want.Final.String() || reader.status && found[0].Status != want.Status.String() {
				t.Errorf("%s: %s has found %+v, want %s of %s, %s", name, reader.name, found, want.Action, want.Final, want.Status)
			}
		}
	}
	t.Logf("%d reports", len(reports))
}
