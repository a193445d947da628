package main

import (
	"strings"
	"testing"
	"time"

	"sternpost/console"
)

// Each state of an endpoint in 80 columns, and nothing of a stranger's gets to the terminal as it is.
func TestWebhookText(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	later, before := now.Add(281*time.Second), now.Add(-time.Hour)
	events := []string{"delivered", "deferred", "failed", "expired", "suppressed"}
	for name, c := range map[string]struct {
		webhook console.Webhook
		want    string
	}{
		"good": {console.Webhook{Name: "https://a.example/hook", URL: "https://a.example/hook", Events: events, State: "good", Told: 1, LastTold: &before}, `
https://a.example/hook
    told of delivered, deferred, failed, expired, suppressed
    good: 1 event since the start, the last at 2026-01-02 02:04:05
`},
		"failing": {console.Webhook{Name: "shop", URL: "https://a.example/hook", Events: events[2:3], State: "failing", Failures: 3, Lag: 123_000, NextTry: &later, LastError: "the endpoint answers 503 \x1b[2J"}, `
shop
    https://a.example/hook
    told of failed
    failing: not taken 3 times in a row
    0 events since the start
    the endpoint answers 503 \x1b[2J
    behind by 2m3s, next try in 4m41s
`},
		"disabled": {console.Webhook{Name: "a\x1b", URL: "https://a.example/hook", Events: events[:1], State: "disabled", LastError: "the endpoint answers 410 Gone"}, `
a\x1b
    https://a.example/hook
    told of delivered
    disabled: it answered 410 Gone; retry or the next start tells it again
    the endpoint answers 410 Gone
`},
		"aside": {console.Webhook{
			Name: "x", URL: "x", Events: events[:1], State: "good", LostFrom: &before, LostUntil: &now,
			Aside: []console.WebhookAside{{ID: "evt_1", Type: "failed", Recipient: "a\x1b@b.example"}, {ID: "evt_2", Type: "failed", Recipient: "b@b.example", LastError: "no"}},
		}, `
x
    told of delivered
    good: 0 events since the start
    set aside failed a\x1b@b.example
        evt_1: not tried since the start
    set aside failed b@b.example
        evt_2: no
    lost: the journal forgot before it was told what happened
        from 2026-01-02 02:04:05 to 2026-01-02 03:04:05
`},
	} {
		var b strings.Builder
		paint(false).webhook(&b, c.webhook, now)
		if got := "\n" + b.String(); got != c.want {
			t.Errorf("%s: got%s\nwant%s", name, got, c.want)
		}
		for line := range strings.Lines(b.String()) {
			if len(line) > 81 || strings.ContainsRune(line, '\x1b') {
				t.Errorf("%s: %q", name, line)
			}
		}
	}
}
