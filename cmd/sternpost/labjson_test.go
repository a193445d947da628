package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/lab"
)

// askLab runs a command of the lab and returns its objects, of NDJSON one a line.
func askLab(t *testing.T, wantCode int, args ...string) []any {
	t.Helper()
	var out, said bytes.Buffer
	code := run(append([]string{"--json", "lab"}, args...), &shell{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &said})
	if code != wantCode || out.Len() == 0 {
		t.Fatalf("%q: exit status %d\n%s%s", args, code, out.String(), said.String())
	}
	var all []any
	for decoder := json.NewDecoder(&out); decoder.More(); {
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

func TestLabJSON(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "lab")
	record, err := lab.NewRecord(directory)
	if err != nil {
		t.Fatal(err)
	}
	s, err := lab.Load("primary-down")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-time.Minute)
	record.Write(lab.Event{Number: 1, At: time.Now(), Kind: lab.EventMessage, Host: "mx2.example.test", Message: &lab.Received{
		Number: 1, At: time.Now(), Host: "mx2.example.test", Recipients: lab.List{"you@example.test"}, Accepted: true, Reply: lab.Reply{"250 ok\x1b"}, Content: []byte("hi\r\n"),
	}})
	if err := record.Describe(lab.About{Scenario: "primary-down", Began: began, Text: s.Text}); err != nil {
		t.Fatal(err)
	}
	message := map[string]string{"messages[]": "Received message", "": "lab list: messages"}
	for _, c := range []struct {
		args   []string
		tables map[string]string
	}{
		{[]string{"env", "--directory", directory}, map[string]string{"": "lab"}},
		{[]string{"list", "--directory", directory}, message},
		{[]string{"print", "primary-down"}, map[string]string{"": "lab print", "hosts[]": "lab print: hosts", "messages[]": "Lab letter"}},
		{[]string{"expect", "--within", "0", "--directory", directory}, map[string]string{"": "lab expect", "expectations[]": "Judged expectation"}},
	} {
		found := map[string][]string{}
		places(askLab(t, 0, c.args...)[0], "", found)
		if c.args[0] == "env" {
			found[""] = append(found[""], "event")
			slices.Sort(found[""])
		}
		for place, heading := range c.tables { // what the text lists, not a table
			if heading == "lab list: messages" || heading == "lab print: hosts" {
				delete(c.tables, place)
				delete(found, place)
			}
		}
		compareKeys(t, found, c.tables)
	}
	if err := record.Close(); err != nil {
		t.Fatal(err)
	}
	if shown := askLab(t, 0, "show", "1", "--directory", directory)[0].(map[string]any); shown["content"] != "hi\r\n" || shown["host"] != "mx2.example.test" {
		t.Errorf("shown: %v", shown)
	}
}

func TestLabStreamsJSON(t *testing.T) {
	lines := askLab(t, 69, "primary-down", "--port", "0", "--dns", "127.0.0.1:0", "--for", "50ms", "--directory", filepath.Join(t.TempDir(), "lab"))
	for i, tables := range []map[string]string{{"": "lab"}, {"": "lab report", "hosts[]": "Lab host", "expectations[]": "Judged expectation"}} {
		found := map[string][]string{}
		places(lines[i], "", found)
		compareKeys(t, found, tables)
	}
	event := map[string]string{"": "Lab event", "message": "Received message"}
	text, err := json.Marshal(lab.Event{Message: &lab.Received{}})
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	places(v, "", found)
	compareKeys(t, found, event)
	if strings.Contains(string(text), "null") {
		t.Errorf("a list is null: %s", text)
	}
}

// What must not happen is watched for as long as it can: here until the lab ends.
func TestLabExpectWatchesForWhatMustNotHappen(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "lab")
	record, err := lab.NewRecord(directory)
	if err != nil {
		t.Fatal(err)
	}
	arrive := func(number int) {
		record.Write(lab.Event{Number: number, At: time.Now(), Kind: lab.EventMessage, Host: "mx.test", Message: &lab.Received{
			Number: number, At: time.Now(), Recipients: lab.List{"you@example.test"}, Accepted: true, Reply: lab.Reply{"250 ok"},
		}})
	}
	arrive(1)
	if err := record.Describe(lab.About{Began: time.Now()}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	var out bytes.Buffer
	go func() {
		ended <- run([]string{"lab", "expect", "--within", "1h", "--directory", directory, "you@example.test delivered copies 1"}, &shell{ctx: t.Context(), stdout: &out, stderr: &out})
	}()
	select { // a slow machine makes this weaker, not wrong
	case code := <-ended:
		t.Fatalf("it did not watch: exit status %d, %s", code, out.String())
	case <-time.After(200 * time.Millisecond):
	}
	arrive(2)
	if err := record.Close(); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != exitFailed || !strings.Contains(out.String(), "seen: copies 2") {
		t.Errorf("exit status %d\n%s", code, out.String())
	}
}
