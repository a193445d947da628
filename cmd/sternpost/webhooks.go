package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sternpost/console"
	"sternpost/journal"
	"sternpost/webhook"
)

// openWebhooks makes what tells applications, and its figures.
func (s *service) openWebhooks() error {
	n, err := webhook.New(s.config.Webhooks, webhook.Deps{
		Journal: s.store.Journal(), Bookmarks: s.store, Log: s.log, Agent: "Sternpost/" + currentVersion().Version, Seed: s.world.random(),
		Judge: func(e journal.Entry) (string, bool) {
			v := s.judge.entry(e)
			return string(v.Category), v.Hard
		},
	})
	if err != nil {
		return withCode(exitConfig, err)
	}
	s.notifier = n
	s.metrics.Counter("webhook_events_total", "Events that an endpoint has taken.", func() float64 { return float64(n.Figures().Told) })
	s.metrics.Counter("webhook_failures_total", "Tries to tell an event that an endpoint has not taken.", func() float64 { return float64(n.Figures().Failed) })
	s.metrics.Gauge("webhooks_down", "Endpoints whose last event was not taken, or that have answered 410.", func() float64 {
		down := 0
		for _, one := range n.Status() {
			if one.State != webhook.Good {
				down++
			}
		}
		return float64(down)
	})
	s.metrics.Gauge("webhook_events_aside", "Events that are set aside and wait for a person.", func() float64 {
		aside := 0
		for _, one := range n.Status() {
			aside += len(one.Aside)
		}
		return float64(aside)
	})
	s.metrics.Gauge("webhook_lag_seconds", "The age of the event that is being told, at the endpoint that lags most.", func() float64 {
		lag := time.Duration(0)
		for _, one := range n.Status() {
			lag = max(lag, one.Lag)
		}
		return lag.Seconds()
	})
	return nil
}

// receivers are the endpoints in the console's words.
type receivers struct{ notifier *webhook.Notifier }

// List implements console.Webhooks.
func (r receivers) List() []console.Webhook {
	var list []console.Webhook
	for _, one := range r.notifier.Status() {
		aside := []console.WebhookAside{}
		for _, a := range one.Aside {
			aside = append(aside, console.WebhookAside{ID: a.ID, Type: a.Type, Recipient: a.Recipient, Timestamp: instantOf(a.At), LastError: a.Error})
		}
		list = append(list, console.Webhook{
			Name: one.Name, URL: one.URL, Events: one.Events, State: string(one.State), Cursor: instantOf(one.Cursor.Time), Lag: one.Lag.Milliseconds(),
			Told: one.Told, Failures: one.Failures, LastError: one.LastError, LastTold: instantOf(one.LastTold), NextTry: instantOf(one.NextTry), Aside: aside,
			LostFrom: instantOf(one.LostFrom), LostUntil: instantOf(one.LostUntil),
		})
	}
	return list
}

// Do implements console.Webhooks.
func (r receivers) Do(ctx context.Context, action, name string) (console.WebhookChange, error) {
	done := console.WebhookChange{Action: action, Name: name}
	var err error
	switch action {
	case console.WebhookRetry:
		err = r.notifier.Retry(name)
	case console.WebhookSkip:
		done.Event, err = r.notifier.Skip(name)
	case console.WebhookForget:
		done.Events, err = r.notifier.Forget(ctx, name)
	case console.WebhookTest:
		var tried webhook.Tried
		tried, err = r.notifier.Test(ctx, name)
		done.Event, done.Taken, done.Error, done.MS = tried.Event, err == nil && tried.Error == "", tried.Error, tried.Took.Milliseconds()
	}
	switch {
	case errors.Is(err, webhook.ErrUnknown):
		err = fmt.Errorf("%w: %s", console.ErrNoWebhook, name)
	case action == console.WebhookSkip && err != nil:
		err = fmt.Errorf("%w: %w", console.ErrNotHeldUp, err)
	}
	return done, err
}
