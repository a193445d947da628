package main

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"sternpost/console"
	"sternpost/mail"
	"sternpost/queue"
)

// smallQueue has one message to one recipient, which was deferred.
type smallQueue struct{ message queue.Message }

func (q smallQueue) Messages(context.Context, queue.Query) iter.Seq2[queue.Message, error] {
	return func(yield func(queue.Message, error) bool) { yield(q.message, nil) }
}

func (q smallQueue) Message(context.Context, queue.ID) (queue.Message, error) { return q.message, nil }

func (q smallQueue) Destinations(context.Context) ([]console.Destination, error) {
	return []console.Destination{destinationOf(queue.DestinationStatus{
		Summary: queue.Summary{Destination: "example.test", Waiting: 1, Oldest: q.message.Received, LastReason: "450 \x1b[2J"}, Dead: true,
	})}, nil
}

func (q smallQueue) Change(context.Context, queue.Query, queue.Action) (queue.Effect, error) {
	return queue.Effect{Changed: 1}, nil
}
func (q smallQueue) Fail(context.Context, queue.Query) (queue.Effect, error) {
	return queue.Effect{Changed: 1}, nil
}
func (q smallQueue) Flush(context.Context, mail.Domain) (queue.Effect, error) {
	return queue.Effect{Changed: 2}, nil
}
func (q smallQueue) Ready() error { return nil }

// smallAgent answers the queue commands, and returns the environment in which they find it.
func smallAgent(t *testing.T) []string {
	t.Helper()
	to, err := mail.ParseAddress("you@example.test")
	if err != nil {
		t.Fatal(err)
	}
	m := queue.Message{
		ID: 1, Size: 5000,
		Submission: queue.Submission{
			Envelope: mail.Envelope{Recipients: []mail.Recipient{{Address: to}}}, Received: time.Now().Add(-3 * time.Hour),
		},
		Recipients: []queue.RecipientState{{Attempts: 2, Due: time.Now().Add(90 * time.Minute), Last: mail.Outcome{
			Disposition: mail.Deferred, Reply: mail.Reply{Code: 450, Lines: []string{"450 \x1b[2J later"}}, Host: "mx.example.test",
			IP: netip.MustParseAddr("192.0.2.1"),
		}}},
	}
	return agentWith(t, console.Deps{Queue: smallQueue{m}})
}

// agentWith answers from d, and returns the environment in which it is found.
func agentWith(t testing.TB, d console.Deps) []string {
	t.Helper()
	directory, err := os.MkdirTemp("", "queue") // t.TempDir may be longer than the path of a socket can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	d.Directory = directory
	c, err := console.Open(console.DefaultConfig(), d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return []string{"STERNPOST_QUEUE_DIRECTORY=" + directory}
}

func TestQueueJSONHasTheDocumentedKeys(t *testing.T) {
	environ := smallAgent(t)
	message := map[string]string{"": "Message", "recipients[]": "Recipient", "recipients[].last": "Outcome"}
	changed := map[string]string{"": "Changed"}
	for _, c := range []struct {
		args   []string
		tables map[string]string // heading by place
	}{
		{[]string{"queue"}, map[string]string{"": "queue", "destinations[]": "Destination"}},
		{[]string{"queue", "list"}, map[string]string{
			"": "queue list", "messages[]": "Message", "messages[].recipients[]": "Recipient", "messages[].recipients[].last": "Outcome",
		}},
		{[]string{"queue", "show", "0000000000001"}, message},
		{[]string{"queue", "retry", "--all"}, changed},
		{[]string{"queue", "flush", "example.test"}, changed},
		{[]string{"queue", "fail", "--held", "--yes"}, changed},
	} {
		var out, said bytes.Buffer
		code := run(append(c.args, "--json"), &shell{
			ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &said, environ: environ,
		})
		var v any
		if err := json.Unmarshal(out.Bytes(), &v); err != nil || code != 0 {
			t.Fatalf("%q: exit status %d, %v\n%s\n%s", c.args, code, err, out.Bytes(), said.Bytes())
		}
		found := map[string][]string{}
		places(v, "", found)
		compareKeys(t, found, c.tables)
	}
}

func TestQueueForPeople(t *testing.T) {
	environ := smallAgent(t)
	for _, c := range []struct{ args, want []string }{
		{[]string{"queue"}, []string{"example.test  1 ", "3h0m", "dead", `450 \x1b[2J`}},
		{[]string{"queue", "list"}, []string{"0000000000001  3h0m old, 4.9 KB, from <>", "next try in 1h", "2 attempts: mx.example.test: 450 \\x1b[2J later"}},
		{[]string{"queue", "show", "0000000000001"}, []string{"from        <>", "to          you@example.test", "size        4.9 KB"}},
		{[]string{"queue", "hold", "0000000000001", "0000000000002"}, []string{"2 recipients held"}},
		{[]string{"queue", "flush", "--all"}, []string{"2 recipients due now"}},
	} {
		var out, said bytes.Buffer
		code := run(c.args, &shell{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &said, environ: environ})
		for _, want := range c.want {
			if code != 0 || !strings.Contains(out.String(), want) {
				t.Errorf("%q: exit status %d, no %q in\n%s%s", c.args, code, want, out.String(), said.String())
			}
		}
		if strings.ContainsRune(out.String(), '\x1b') {
			t.Errorf("%q prints a terminal escape", c.args)
		}
	}
}

func TestDurationsAndSizesForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s", 25 * time.Hour: "1d1h", 90 * time.Minute: "1h30m",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KB", 100 << 20: "100.0 MB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
