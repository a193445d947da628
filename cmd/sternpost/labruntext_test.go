package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sternpost/journal"
	"sternpost/mail"
)

func TestLabSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 999 * time.Millisecond: "0s", 42 * time.Second: "42s", 5*time.Minute + 12*time.Second: "5m12s", time.Hour: "1h00m",
		4*time.Hour + 2*time.Minute + 59*time.Second: "4h02m", 24 * time.Hour: "1d00h00m", 5*24*time.Hour - 15*time.Minute: "4d23h45m",
	} {
		if got := labSpan(d); got != want {
			t.Errorf("%s is told as %s, not %s", d, got, want)
		}
	}
}

func TestLabLinesFit(t *testing.T) {
	l := labLine{at: bubbleStart().Add(4*24*time.Hour + 23*time.Hour + 45*time.Minute)}
	l.add("  ", strings.Repeat("word ", 40)+"end")
	l.mark("end", paint(true).good)
	var b strings.Builder
	l.print(&b, bubbleStart())
	told := b.String()
	if !strings.HasPrefix(told, "  +4d23h45m   word word") || !strings.Contains(told, "\x1b[32mend\x1b[0m") {
		t.Errorf("it is told as\n%s", told)
	}
	for line := range lines(strings.ReplaceAll(strings.ReplaceAll(told, "\x1b[32m", ""), "\x1b[0m", "")) {
		if len(line) > columns {
			t.Errorf("%q has %d columns", line, len(line))
		}
	}
}

// TestLabHistoryIsBounded feeds more than a report can hold: it counts what is left out, and judges by all of it.
func TestLabHistoryIsBounded(t *testing.T) {
	h := &history{records: map[string]*record{}}
	add := func(e journal.Entry) {
		t.Helper()
		if err := h.add(e); err != nil {
			t.Fatal(err)
		}
	}
	add(journal.Entry{Kind: journal.Accepted, Message: "one"})
	const more = 10
	for i := range mostLabEvents + more - 1 {
		id := fmt.Sprint(i)
		add(journal.Entry{Kind: journal.Deferred, Message: "one", Recipient: "you@a.test", AttemptID: id, Attempt: &mail.Attempt{ID: id}})
	}
	add(journal.Entry{Kind: journal.Delivered, Message: "one", Recipient: "you@a.test", AttemptID: "last", Host: "mx.a.test", Attempt: new(mail.Attempt)})
	r := h.records["one"]
	trees := 0
	for _, e := range r.entries {
		if e.Attempt != nil {
			trees++
		}
	}
	if len(r.entries) != mostLabEvents || trees != mostLabTrees || h.leftOut != more+1 {
		t.Errorf("%d events, %d trees, %d left out", len(r.entries), trees, h.leftOut)
	}
	if f := r.accounts()[0]; f.Disposition != mail.Delivered || f.Attempts != mostLabEvents+more || f.Host != "mx.a.test" || r.attempts != f.Attempts {
		t.Errorf("the fate is %+v", f)
	}
	if err := h.add(journal.Entry{Kind: journal.Deferred, Message: "another"}); !errors.Is(err, errOverflow) {
		t.Errorf("a message whose beginning is gone: %v", err)
	}
}
