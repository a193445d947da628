package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sternpost/delivery"
	"sternpost/mail"
)

// runProbe runs the command in the small world and returns its exit status and what it printed.
func runProbe(t *testing.T, environ []string, args ...string) (code int, out, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(append([]string{"probe", "--pause", "0s"}, args...), &shell{
		ctx: t.Context(), stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, environ: environ,
	})
	return code, stdout.String(), stderr.String()
}

func TestProbeJSONHasTheDocumentedKeys(t *testing.T) {
	environ := smallWorld(t)
	file := t.TempDir() + "/probe.json"
	runProbe(t, environ, "you@example.test", "--save", file, "--pretend", "mx.example.test=550")
	_, out, said := runProbe(t, environ, "you@example.test", "--json", "--unknown", "--send", "--compare", file)
	var v any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, said)
	}
	found := map[string][]string{}
	places(v, "", found)
	tables := map[string]string{
		"": "probe", "hosts[]": "Probed address", "hosts[].unknown": "Probed reply", "hosts[].tls": "TLS", "hosts[].certificates[]": "Certificate",
		"findings[]": "Probe finding", "changes[]": "Probe change", "sent.outcomes[]": "Outcome",
	}
	for _, attempt := range []string{"attempt", "sent"} {
		for place, heading := range map[string]string{
			"": "Attempt", ".dns[]": "Lookup", ".candidates[]": "Candidate", ".candidates[].stages[]": "Stage", ".candidates[].tls": "TLS",
		} {
			tables[attempt+place] = heading
		}
	}
	compareKeys(t, found, tables)
}

// The exit statuses are those of the table in docs/probe.md.
func TestProbeExitStatuses(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `([a-z]+)` \\| ([0-9]+) \\|").FindAllStringSubmatch(readDocument(t, "probe.md"), -1)
	if len(rows) != 4 {
		t.Fatalf("docs/probe.md has %d verdicts", len(rows))
	}
	for _, row := range rows {
		want, _ := strconv.Atoi(row[2])
		if got := (probed{Probe: delivery.Probe{Verdict: delivery.Verdict(row[1])}}).code(); got != want {
			t.Errorf("%s: %d, want %d", row[1], got, want)
		}
	}
	sent := func(d mail.Disposition, v delivery.Verdict) probed {
		return probed{Probe: delivery.Probe{Verdict: v}, Sent: &mail.Attempt{Outcomes: []mail.Outcome{{Disposition: d}}}}
	}
	changed := func(routine bool) probed {
		return probed{Probe: delivery.Probe{Verdict: delivery.VerdictWell}, Changes: []delivery.ProbeChange{{Routine: routine}}}
	}
	for i, c := range []struct {
		p    probed
		want int
	}{
		{sent(mail.Failed, delivery.VerdictWell), exitFailed}, {sent(mail.Deferred, delivery.VerdictBroken), exitAgain},
		{sent(mail.Delivered, delivery.VerdictBroken), exitBroken}, {changed(false), exitBroken}, {changed(true), exitDone},
	} {
		if got := c.p.code(); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
}

// Every option of the command stands in the document, and no other.
func TestProbeOptionsAreDocumented(t *testing.T) {
	var known []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[probeCommand]()) {
		if _, argument := f.Tag.Lookup("arg"); !argument && f.Name != "Verbose" {
			known = append(known, "--"+strings.ToLower(f.Name))
		}
	}
	_, options, _ := strings.Cut(readDocument(t, "probe.md"), "\n## What is asked\n")
	options, _, _ = strings.Cut(options, "\n## ")
	told := regexp.MustCompile("(?m)`--[a-z]+").FindAllString(options, -1)
	for i := range told {
		told[i] = told[i][1:]
	}
	slices.Sort(told)
	slices.Sort(known)
	if told = slices.Compact(told); !slices.Equal(told, known) {
		t.Errorf("docs/probe.md tells %q, there are %q", told, known)
	}
}

// No line of the table, of a finding or of the verdict is wider than a terminal, however long the names are.
func TestProbeStoryIsNarrow(t *testing.T) {
	long := strings.Repeat("a-very-long-label-of-a-host.", 5) + "example.test"
	code := 554
	h := delivery.ProbedHost{Number: 10, Preference: 65535, Host: "mx.example.test", StartTLS: delivery.StartTLSBroken, Took: 90_000}
	h.Answer, h.Code, h.Reply = delivery.AnswerRefuses, &code, []string{"554 5.7.1 relay"}
	longer := h
	longer.Host = long
	p := probed{Probe: delivery.Probe{Recipient: mail.Address{Local: "you", Domain: "example.test"}, Hosts: []delivery.ProbedHost{h, longer}}}
	p.Conclude(p.Started)
	var out bytes.Buffer
	probeStory{story{w: &out}, p}.tell(true)
	for line := range lines(out.String()) {
		if len(line) > columns && !strings.Contains(line, long) {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}
