package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/console"
	"sternpost/mail"
	"sternpost/queue"
	"sternpost/queue/storetest"
	"sternpost/webhook"
)

func TestSuppressionJSON(t *testing.T) {
	list := storetest.NewMemory()
	failed := queue.Suppression{
		Address: mail.Address{Local: "nobody", Domain: "b.example"}, Failures: 1, Needed: 2, Since: time.Now(), Last: time.Now(), Until: time.Now().Add(time.Hour),
		Reason: "550 \x1b[2J",
	}
	if err := list.Suppress(t.Context(), []queue.Suppression{failed}); err != nil {
		t.Fatal(err)
	}
	environ := agentWith(t, console.Deps{Queue: smallQueue{}, Suppressions: list})
	ask := func(stdin string, args ...string) (string, int) {
		var out, said bytes.Buffer
		code := run(args, &shell{ctx: t.Context(), stdin: strings.NewReader(stdin), stdout: &out, stderr: &said, environ: environ})
		if strings.ContainsRune(out.String()+said.String(), '\x1b') {
			t.Errorf("%q prints a terminal escape", args)
		}
		return out.String(), code
	}
	table := map[string]string{"": "suppression list", "suppressions[]": "Suppression"}
	changed := map[string]string{"": "suppression add"}
	for _, c := range []struct {
		args   []string
		tables map[string]string
	}{
		{[]string{"suppression", "list"}, table}, {[]string{"suppression", "export"}, table}, {[]string{"suppression", "add", "you@b.example"}, changed},
		{[]string{"suppression", "import", "-"}, changed}, {[]string{"suppression", "remove", "you@b.example"}, changed},
	} {
		text, code := ask("a@b.example\nb@b.example", append(c.args, "--json")...)
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil || code != 0 {
			t.Fatalf("%q: exit status %d, %v\n%s", c.args, code, err, text)
		}
		found := map[string][]string{}
		places(v, "", found)
		compareKeys(t, found, c.tables)
	}
	text, code := ask("", "suppression", "list")
	if code != 0 || !strings.Contains(text, "nobody@b.example\n    not suppressed yet, 1 failure of 2, last on "+time.Now().UTC().Format(time.DateOnly)) || !strings.Contains(text, `550 \x1b[2J`) {
		t.Errorf("%d: %s", code, text)
	}
	if text, _ := ask("", "suppression", "list", "--limit", "1"); !strings.Contains(text, "There are more") {
		t.Error(text)
	}
}

// A long list goes in several bodies, and comes back whole.
func TestLongSuppressionList(t *testing.T) {
	list := storetest.NewMemory()
	environ := agentWith(t, console.Deps{Queue: smallQueue{}, Suppressions: list})
	var file strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&file, "mailbox-number-%d@b.example\n", i)
	}
	var out, said bytes.Buffer
	sh := &shell{ctx: t.Context(), stdin: strings.NewReader(file.String()), stdout: &out, stderr: &said, environ: environ}
	if code := run([]string{"suppression", "import", "-"}, sh); code != 0 || !strings.Contains(out.String(), "2500 addresses on the list") {
		t.Fatalf("exit status %d: %s%s", code, out.String(), said.String())
	}
	out.Reset()
	if code := run([]string{"suppression", "export"}, sh); code != 0 || strings.Count(out.String(), "\n") != 2501 {
		t.Errorf("exit status %d, %d lines", code, strings.Count(out.String(), "\n"))
	}
}

func TestWebhookKeysAreDocumented(t *testing.T) {
	keys := documented(t)
	for heading, v := range map[string]any{"Webhook": console.Webhook{}, "Webhook aside": console.WebhookAside{}, "Webhook change": console.WebhookChange{}, "Webhook event": webhook.Facts{}} {
		var has []string
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			has = append(has, field.Tag.Get("json"))
		}
		if want := keys[heading]; !slices.Equal(slices.Sorted(slices.Values(has)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s has %q, documented are %q", heading, has, want)
		}
	}
}
