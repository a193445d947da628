package console

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// Whatever happens, there are no more lines than before: no label has a value that comes from outside.
func TestMetricsAreBounded(t *testing.T) {
	m := NewMetrics("v1", []string{"smtp", "http"})
	m.Gauge("disk_free_bytes", "x", func() float64 { return 42 })
	q := &fakeQueue{destinations: []Destination{
		{Domain: "a.test", Messages: 10, UnderWay: 2, Held: 3, Health: HealthDead}, {Domain: "b.test", Messages: 1, Health: HealthGood},
	}}
	_, client := startWith(t, DefaultConfig(), Deps{Queue: q, Metrics: m})
	read := func() map[string]string {
		found := map[string]string{}
		_, text := ask(t, client, get(t, pathMetrics))
		for line := range strings.Lines(text) {
			name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
			if !ok {
				name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
			}
			if strings.HasPrefix(name, "sternpost_") {
				found[strings.TrimSuffix(name, "}")] = value
			}
		}
		return found
	}
	before := read()
	m.Accepted("http", false)
	m.Accepted("http", true)
	for _, code := range []int{0, 450, 550, 554} {
		m.Refused("smtp", code)
	}
	m.Settled(mail.Outcome{Disposition: mail.Delivered, Host: "evil\"} 1\n"}, queue.Delivered, 3*time.Second)
	m.Settled(mail.Outcome{Disposition: mail.Deferred, InDoubt: true}, queue.Pending, time.Second)
	m.Settled(mail.Outcome{}, queue.Failed, time.Hour)
	after := read()
	for name, want := range map[string]string{
		`sternpost_messages_accepted_total{door="http"`: "1", `sternpost_messages_accepted_total{door="smtp"`: "0", `sternpost_messages_repeated_total{door="http"`: "1",
		`sternpost_refusals_total{class="5xx",door="smtp"`: "2", `sternpost_refusals_total{class="4xx",door="smtp"`: "1", `sternpost_refusals_total{class="content",door="smtp"`: "1",
		`sternpost_outcomes_total{disposition="delivered"`: "1", `sternpost_outcomes_total{disposition="deferred"`: "1", `sternpost_outcomes_in_doubt_total`: "1",
		`sternpost_recipients_finished_total{state="failed"`: "1", `sternpost_delivery_seconds_sum`: "3", `sternpost_delivery_seconds_count`: "1",
		`sternpost_queue_messages{state="waiting"`: "6", `sternpost_queue_messages{state="held"`: "3", `sternpost_queue_messages{state="under_way"`: "2",
		`sternpost_destinations{health="dead"`: "1", `sternpost_destinations{health="suspended"`: "0", `sternpost_ready`: "1", `sternpost_disk_free_bytes`: "42",
	} {
		if after[name] != want {
			t.Errorf("%s is %q, want %q", name, after[name], want)
		}
	}
	if len(after) != len(before) {
		t.Errorf("there were %d lines and are %d", len(before), len(after))
	}
	q.notReady = queue.ErrStopped
	if got := read()["sternpost_ready"]; got != "0" {
		t.Errorf("ready is %s after the store has stopped", got)
	}
}

// docs/operations.md lists every figure of ours.
func TestMetricsAreDocumented(t *testing.T) {
	m := NewMetrics("v1", []string{"smtp"})
	_, client := startWith(t, DefaultConfig(), Deps{Queue: &fakeQueue{}, Metrics: m})
	_, text := ask(t, client, get(t, pathMetrics))
	var told []string
	for _, match := range regexp.MustCompile(`(?m)^# TYPE (sternpost_\w+)`).FindAllStringSubmatch(text, -1) {
		told = append(told, match[1])
	}
	listed := listedMetrics(t)
	for _, name := range told {
		if !slices.Contains(listed, name) {
			t.Errorf("docs/operations.md does not list %s", name)
		}
	}
	if len(told) < 10 {
		t.Errorf("only %q are told", told)
	}
}

func listedMetrics(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, match := range regexp.MustCompile("(?m)^\\| `(sternpost_\\w+)`").FindAllStringSubmatch(string(text), -1) {
		list = append(list, match[1])
	}
	return list
}
