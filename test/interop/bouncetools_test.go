//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// waiting is a message that stays in the queue, and what a stranger says of it.
func waiting() failing {
	return failing{name: "waiting", script: "rcpt " + strings.NewReplacer("550", "450", "5.1.1", "4.2.0").Replace(hostileReply)}
}

// tools has what the commands print read by the programs that people use for it. Of each, the values are compared with what the JSON of the command says, as Go reads it.
func (s *service) tools(t *testing.T) {
	s.w.exchanger(kindHost(len(failings())), waiting().script)
	s.submit(t, waiting())
	s.await(t, "a deferral", func() bool { return strings.Contains(s.runs(t, "queue", "list"), "450 4.2.0") })
	t.Run("jq", s.jq)
	t.Run("csv", s.csv)
	t.Run("plain", s.plain)
	t.Run("less", s.less)
}

// jq compares what jq finds with what Go finds, and with what is known of the failures.
func (s *service) jq(t *testing.T) {
	told := s.journal(t)
	id := s.query(t, `.events[0].message`, "why", "you@hostile.kinds.test", "--json")[0]
	for _, c := range []struct {
		name   string
		filter string
		want   []string
		args   []string
	}{
		{"bounces", `.bounces[] | .sender + " " + .status + " " + (.code // 0 | tostring) + " " + .category`, each(told, func(f failure) string {
			return fmt.Sprintf("%s %s %d %s", f.Sender, f.Status, f.code(), f.Category)
		}), []string{"bounces", "--json"}},
		{"bounces, hostile", `.bounces[].reply[]`, hostileLines(), []string{"bounces", "--json", "--recipient", "you@hostile.kinds.test"}},
		{"why message", `.message.id, .about, .standing[].category, .events[-1].reply[]`, append([]string{id, "message", "bad-mailbox"}, hostileLines()...), []string{"why", id, "--json"}},
		{"why address", `.about, .subject, .events[].sender`, []string{"address", "you@hostile.kinds.test", "hostile@sink.test"}, []string{"why", "you@hostile.kinds.test", "--json"}},
		{"why domain", `.about, .subject, .waiting[].sender, .destinations[].queued.messages`, []string{"domain", "waiting.kinds.test", "waiting@sink.test", "1"}, []string{"why", "waiting.kinds.test", "--json"}},
		{"summary", `.count, ([.categories[].count] | add), ([.domains[].count] | add), ([.hosts[].count] | add), (.categories[] | select(.name == "expired") | .count)`,
			[]string{strconv.Itoa(len(told)), strconv.Itoa(len(told)), strconv.Itoa(len(told)), strconv.Itoa(len(told)), strconv.Itoa(expiring(told))}, []string{"bounces", "summary", "--json"}},
		{"queue", `.destinations[] | .domain, .messages`, []string{"waiting.kinds.test", "1"}, []string{"queue", "--json"}},
		{"queue list", `.messages[] | .sender, .recipients[].last.reply[]`, append([]string{"waiting@sink.test"}, strings.Split(strings.ReplaceAll(strings.ReplaceAll(strings.Join(hostileLines(), "\n"), "550", "450"), "5.1.1", "4.2.0"), "\n")...), []string{"queue", "list", "--json"}},
	} {
		got := s.query(t, c.filter, c.args...)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: jq finds\n%q, want\n%q", c.name, got, c.want)
		}
	}
}

func each(told map[string]failure, text func(failure) string) []string {
	var list []string
	for _, f := range told {
		list = append(list, text(f))
	}
	return list
}

func expiring(told map[string]failure) int {
	n := 0
	for _, f := range told {
		if f.Category == "expired" {
			n++
		}
	}
	return n
}

// hostileLines are the lines of the hostile reply, as the JSON says that a remote said them: its octets that are no UTF-8 are replaced.
func hostileLines() []string {
	var lines []string
	for line := range strings.SplitSeq(hostileReply, " / ") {
		text, err := strconv.Unquote(`"` + strings.ReplaceAll(line, `"`, `\"`) + `"`)
		if err != nil {
			panic(err)
		}
		text = strings.ReplaceAll(text, "{B*300}", strings.Repeat("B", 300))
		lines = append(lines, strings.ToValidUTF8(text, "\ufffd"))
	}
	return lines
}

// query is what jq prints for the output of the command; strings are as JSON, so that a line is one value.
func (s *service) query(t *testing.T, filter string, args ...string) []string {
	t.Helper()
	var values []string
	for line := range strings.Lines(pipe(t, s.runs(t, args...), "/usr/bin/jq", "-c", filter)) {
		var value any
		if err := json.Unmarshal([]byte(line), &value); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		values = append(values, fmt.Sprint(value))
	}
	return values
}

// pipe gives the text to a program and returns what it prints.
func pipe(t *testing.T, text string, command ...string) string {
	t.Helper()
	run := exec.CommandContext(t.Context(), command[0], command[1:]...)
	run.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	run.Stdin = strings.NewReader(text)
	var said strings.Builder
	run.Stderr = &said
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%q: %v: %s", command, err, said.String())
	}
	return string(out)
}

// csv compares the rows that three readers find with each other and with the JSON. The reply is printed in one line there, with escapes.
func (s *service) csv(t *testing.T) {
	text := s.runs(t, "bounces", "--csv")
	var python, miller []map[string]any
	for program, rows := range map[string]*[]map[string]any{
		pipe(t, text, "/usr/bin/python3", "testdata/table.py"):          &python,
		pipe(t, text, "/usr/bin/mlr", "--icsv", "--ojson", "-S", "cat"): &miller,
	} {
		if err := json.Unmarshal([]byte(program), rows); err != nil {
			t.Fatal(err)
		}
	}
	head := strings.Split(strings.TrimSpace(pipe(t, text, "/usr/bin/csvtool", "head", "1", "-")), ",")
	told := s.journal(t)
	if len(python) != len(told) || len(miller) != len(python) {
		t.Fatalf("%d rows by Python, %d by Miller, %d failures", len(python), len(miller), len(told))
	}
	for i, row := range python {
		want := told[fmt.Sprint(row["sender"])]
		if row["recipient"] != want.Recipient || row["status"] != want.Status || row["category"] != want.Category || row["host"] != want.Host || row["kind"] != "failed" {
			t.Errorf("%v is not %+v", row, want)
		}
		if names := slices.Sorted(maps.Keys(row)); !slices.Equal(names, slices.Sorted(slices.Values(head))) {
			t.Errorf("the columns are %q, csvtool finds %q", names, head)
		}
		for name, cell := range row {
			if other := fmt.Sprint(miller[i][name]); other != cell {
				t.Errorf("%s is %q by Python and %q by Miller", name, cell, other)
			}
			if strings.ContainsFunc(fmt.Sprint(cell), unprintable) {
				t.Errorf("%s: %q", name, cell)
			}
		}
	}
	column := pipe(t, text, "/usr/bin/csvtool", "namedcol", "reply", "-")
	if n := strings.Count(column, "\n") - 1; n != len(told) || !strings.Contains(column, `=cmd|'/c calc'!A1`) {
		t.Errorf("csvtool finds %d replies:\n%s", n, column)
	}
}

// unprintable is what must not come to a terminal: controls, and what changes the direction of text.
func unprintable(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }

// views are the commands that print for people.
func views() [][]string {
	return [][]string{
		{"bounces", "--verbose"}, {"bounces", "summary"}, {"why", "you@hostile.kinds.test"}, {"why", "you@waiting.kinds.test"}, {"why", "waiting.kinds.test"}, {"queue"}, {"queue", "list"},
	}
}

// plain checks that there is neither colour nor control where no terminal is.
func (s *service) plain(t *testing.T) {
	for _, args := range views() {
		text := s.runs(t, args...)
		if strings.ContainsFunc(text, unprintable) || strings.Count(text, "\n") < 2 {
			t.Errorf("%q: %q", args, text)
		}
		if strings.Contains(text, `\\x1b`) {
			t.Errorf("%q escapes twice: %s", args, text)
		}
	}
}

// colour is what a terminal is told; nothing else may be.
var colour = regexp.MustCompile("\x1b\\[(?:[0-9]{1,2})m")

// ownWords are what less itself tells the terminal, before, behind each line and in the end.
func ownWords() *strings.Replacer {
	return strings.NewReplacer("\x1b[?1h\x1b=\r", "", "\x1b[m", "", "\r\x1b[K\x1b[?1l\x1b>", "")
}

// less lets less show the coloured text of a terminal, on a terminal. It shows the same lines as a pipe gets, in colour, and nothing that it does not take for text or colour.
func (s *service) less(t *testing.T) {
	colours := 0
	for i, args := range views() {
		plain := s.runs(t, args...)
		command := shellWords(append(append([]string{os.Getenv(binaryVariable)}, args...), "--config", s.config))
		coloured := terminal(t, command)
		file := s.w.write(fmt.Sprintf("view%d", i), []byte(coloured))
		shown := ownWords().Replace(terminal(t, "less -R -E -X "+file))
		if len(colour.FindAllString(shown, -1)) != len(colour.FindAllString(coloured, -1)) {
			t.Errorf("%q: less shows other colours:\n%q\nthe terminal has\n%q", args, shown, coloured)
		}
		colours += len(colour.FindAllString(shown, -1))
		for what, text := range map[string]string{"the terminal": coloured, "less": shown} {
			bare := colour.ReplaceAllString(text, "")
			if strings.ContainsFunc(bare, unprintable) || !alike(bare, plain) {
				t.Errorf("%q: %s shows\n%q\na pipe gets\n%q", args, what, bare, plain)
			}
		}
	}
	if colours == 0 {
		t.Error("there is no colour at all")
	}
}

// alike compares two outputs, but for the times that pass between them.
func alike(a, b string) bool {
	passing := regexp.MustCompile(`TTL [0-9]+|(?:in )?[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h)(?:[0-9]+s)?|[0-9]{2}:[0-9]{2}:[0-9]{2}Z?|\s+`)
	return passing.ReplaceAllString(a, "") == passing.ReplaceAllString(b, "")
}

// terminal is what a command writes to a terminal that has more rows and columns than it needs.
func terminal(t *testing.T, command string) string {
	t.Helper()
	out := pipe(t, "", "/usr/bin/script", "-q", "-e", "-E", "never", "-c", "stty cols 2000 rows 2000; TERM=xterm "+command, "/dev/null")
	return strings.ReplaceAll(out, "\r\n", "\n")
}

func shellWords(words []string) string {
	for i, word := range words {
		words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}
