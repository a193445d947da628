package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sternpost/lab"
)

// labScenarios are those that come with the program, and those of the tests: names and files.
func labScenarios(t *testing.T) []string {
	t.Helper()
	own, err := filepath.Glob("testdata/lab/*.toml")
	if err != nil || len(own) == 0 {
		t.Fatalf("no scenarios of the tests: %v", err)
	}
	return slices.Concat(lab.Names(), own)
}

// runScenario runs `lab run` as the program does, and returns what it prints and how it ends.
func runScenario(t *testing.T, asJSON bool, r labRunCommand) (printed string, err error) {
	t.Helper()
	var out, log bytes.Buffer
	err = r.Run(&shell{ctx: context.Background(), stdout: &out, stderr: &log, json: asJSON})
	if log.Len() > 0 {
		t.Errorf("the agent of %s has an error to tell: %s", r.Scenario, log.String())
	}
	return out.String(), err
}

// TestLabScenarios is where all scenarios meet the agent: each becomes what it expects.
func TestLabScenarios(t *testing.T) {
	for _, name := range labScenarios(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			printed, err := runScenario(t, false, labRunCommand{Scenario: name})
			if err != nil {
				t.Errorf("%v\n%s", err, printed)
			}
		})
	}
}

// TestLabRunIsTheSameTwice compares two runs to the last octet, all times to the nanosecond included. The second one has another number of processors: Go's scheduler
// has no say in what happens.
func TestLabRunIsTheSameTwice(t *testing.T) {
	processors := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(processors)
	seeds := []uint64{1, 2, 77}
	if raceDetector {
		seeds = seeds[2:]
	}
	for _, name := range labScenarios(t) {
		if raceDetector && name == "five-days-down" {
			continue
		}
		for _, seed := range seeds {
			var printed [2]string
			for i := range printed {
				runtime.GOMAXPROCS([]int{processors, 1 + int(seed)%3}[i])
				told, err := runScenario(t, true, labRunCommand{Scenario: name, Seed: &seed})
				if exit := new(exitError); err != nil && !errors.As(err, &exit) {
					t.Fatal(err)
				}
				printed[i] = told
			}
			if printed[0] != printed[1] {
				t.Errorf("%s with seed %d: %s", name, seed, firstDifference(printed[0], printed[1]))
			}
		}
	}
}

func firstDifference(a, b string) string {
	one, other := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(one), len(other)) {
		if one[i] != other[i] {
			return one[i] + " and then " + other[i]
		}
	}
	return "one is longer"
}

func TestLabRunSeedsDiffer(t *testing.T) {
	var told [2]string
	for i := range told {
		seed := uint64(i)
		told[i], _ = runScenario(t, true, labRunCommand{Scenario: "testdata/lab/crowd.toml", Seed: &seed})
	}
	if told[0] == strings.Replace(told[1], `"seed": 1`, `"seed": 0`, 1) {
		t.Error("two seeds make the same run")
	}
}

func TestLabRunEnds(t *testing.T) {
	write := func(text string) string {
		name := filepath.Join(t.TempDir(), "mine.toml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const base = `title = "mine"
zone = "a.test. A 127.0.1.1"
[[message]]
from = "me@client.test"
to = ["you@a.test"]
`
	for name, c := range map[string]struct {
		run  labRunCommand
		code int
		says string // on standard output, or in the error
	}{
		"as expected":          {labRunCommand{Scenario: write(base + `expect = ["you@a.test delivered"]`)}, 0, "What was expected came true."},
		"not as expected":      {labRunCommand{Scenario: write(base + `expect = ["you@a.test not delivered"]`)}, 69, "Of 1 expectation, 1 did not come true."},
		"nothing expected":     {labRunCommand{Scenario: write(base)}, 0, "expects nothing"},
		"no TOML":              {labRunCommand{Scenario: write("title = ")}, 65, "mine.toml:1: "},
		"an unknown behaviour": {labRunCommand{Scenario: write(base + "[[host]]\nname=\"a.test\"\nbehaviour=[\"moody\"]")}, 65, "moody"},
		"no such file":         {labRunCommand{Scenario: "./none.toml"}, 65, "no such file"},
		"no such scenario":     {labRunCommand{Scenario: "primary-sideways"}, 65, "primary-down"},
		"no such key":          {labRunCommand{Scenario: write("configuration = \"[queue]\\nlifetim = '1h'\"\n" + base)}, 65, "queue.lifetim"},
		"a wrong value":        {labRunCommand{Scenario: write("configuration = \"[queue]\\nlifetime = '-1h'\"\n" + base)}, 65, "queue.lifetime"},
		"until before":         {labRunCommand{Scenario: write(base), Until: "yesterday"}, 64, "--until"},
		"until the beginning":  {labRunCommand{Scenario: write(base), Until: "0"}, 64, "--until"},
	} {
		t.Run(name, func(t *testing.T) {
			printed, err := runScenario(t, false, c.run)
			code := 0
			if exit := new(exitError); errors.As(err, &exit) {
				code, printed = exit.code, printed+exit.Error()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code || !strings.Contains(printed, c.says) {
				t.Errorf("exit status %d, %s", code, printed)
			}
		})
	}
}

// TestLabRunUntil ends a run while mail still waits: it is said to.
func TestLabRunUntil(t *testing.T) {
	printed, err := runScenario(t, false, labRunCommand{Scenario: "testdata/lab/one-day.toml", Until: "4h1m"})
	if exit := new(exitError); !errors.As(err, &exit) || exit.code != exitFailed {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"0 failed, 3 waiting;", "you@dead.test delayed", "2 messages in 4h00m:"} {
		if !strings.Contains(strings.Join(strings.Fields(printed), " "), want) {
			t.Errorf("%q is missing in\n%s", want, printed)
		}
	}
}

func TestLabRunJSONHasTheDocumentedKeys(t *testing.T) {
	printed, err := runScenario(t, true, labRunCommand{Scenario: "testdata/lab/one-day.toml"})
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal([]byte(printed), &v); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	places(v, "", found)
	tables := map[string]string{"": "lab run", "expectations[]": "Run expectation"}
	for _, message := range []string{"messages[]", "messages[].reports[]"} {
		maps.Copy(tables, map[string]string{
			message: "Run message", message + ".recipients[]": "Run recipient", message + ".events[]": "Event", message + ".events[].attempt": "Attempt",
			message + ".events[].attempt.outcomes[]": "Outcome", message + ".events[].attempt.dns[]": "Lookup", message + ".events[].attempt.candidates[]": "Candidate",
			message + ".events[].attempt.candidates[].stages[]": "Stage", message + ".events[].attempt.candidates[].tls": "TLS",
		})
	}
	compareKeys(t, found, tables)
}

// TestLabDocumentShowsTheReport compares the report in docs/lab.md, but for its numbers: those change with the delays of the queue.
func TestLabDocumentShowsTheReport(t *testing.T) {
	printed, err := runScenario(t, false, labRunCommand{Scenario: "five-days-down"})
	if err != nil {
		t.Fatal(err)
	}
	_, report, _ := strings.Cut(printed, "\n1. from")
	blank := func(text string) string {
		text = regexp.MustCompile(`\+[0-9dhms]+|[0-9]+ attempts|to [0-9]+,`).ReplaceAllString(text, "N")
		return strings.Join(strings.Fields(text), " ")
	}
	if !strings.Contains(blank(readDocument(t, "lab.md")), blank("1. from"+report)) {
		t.Errorf("docs/lab.md does not show what `sternpost lab run five-days-down` prints now:\n%s", printed)
	}
}
