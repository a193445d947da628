package console

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Webhook is an endpoint that is told of events. Times are in UTC and null where there is none, durations in milliseconds.
type Webhook struct {
	Name   string     `json:"name"`
	URL    string     `json:"url"` // without what may be secret in it
	Events []string   `json:"events"`
	State  string     `json:"state"`  // good, failing or disabled
	Cursor *time.Time `json:"cursor"` // of the last entry of the journal that it is through with
	// Lag is the age of the event that is being told; 0: all are told.
	Lag       int64      `json:"lag"`
	Told      uint64     `json:"told"`     // events since the start
	Failures  int        `json:"failures"` // tries in a row that were not taken
	LastError string     `json:"last_error"`
	LastTold  *time.Time `json:"last_told"`
	NextTry   *time.Time `json:"next_try"`
	// Aside are events that were refused while others were taken; they wait for a person.
	Aside []WebhookAside `json:"aside"`
	// LostFrom and LostUntil are the times between which the journal has forgotten entries before they were told.
	LostFrom  *time.Time `json:"lost_from"`
	LostUntil *time.Time `json:"lost_until"`
}

// WebhookAside is an event that is set aside.
type WebhookAside struct {
	ID        string     `json:"id"` // of the event: webhook-id
	Type      string     `json:"type"`
	Recipient string     `json:"recipient"`
	Timestamp *time.Time `json:"timestamp"`
	LastError string     `json:"last_error"` // empty: it was not tried since the start
}

// WebhookList is the answer to the question for the endpoints.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}

// WebhookChange is the answer to what a person asks for of an endpoint.
type WebhookChange struct {
	Action string `json:"action"`
	Name   string `json:"name"`
	Event  string `json:"event"`  // that is skipped, or the test; else empty
	Events int    `json:"events"` // how many are forgotten
	Taken  bool   `json:"taken"`  // a test was answered with 2xx
	Error  string `json:"error"`  // why it was not
	MS     int64  `json:"ms"`     // until the answer to a test
}

// What may be asked for of an endpoint.
const (
	WebhookRetry  = "retry"  // what was not taken is told now
	WebhookSkip   = "skip"   // the event that is held up is set aside
	WebhookForget = "forget" // what is set aside is let go
	WebhookTest   = "test"   // an event of the type test is sent now
)

// ErrNoWebhook and ErrNotHeldUp are what Webhooks answers where no endpoint has the name, and where there is nothing to skip.
var (
	ErrNoWebhook = errors.New("no webhook has this name")
	ErrNotHeldUp = errors.New("it cannot be skipped")
)

// Webhooks are those who are told of events.
type Webhooks interface {
	List() []Webhook
	// Do does one of the actions. The errors are, wrapped, ErrNoWebhook and ErrNotHeldUp, and trouble.
	Do(ctx context.Context, action, name string) (WebhookChange, error)
}

func (c *Console) listWebhooks(w http.ResponseWriter, _ *http.Request) error {
	list := WebhookList{Webhooks: []Webhook{}}
	if c.webhooks != nil {
		list.Webhooks = append(list.Webhooks, c.webhooks.List()...)
	}
	answer(w, list)
	return nil
}

// changeWebhook does what a person asks for of one endpoint, which is named in the query: its name may be a URL.
func (c *Console) changeWebhook(w http.ResponseWriter, r *http.Request) error {
	action, name := r.PathValue("action"), r.URL.Query().Get("name")
	switch action {
	case WebhookRetry, WebhookSkip, WebhookForget, WebhookTest:
	default:
		return problem{http.StatusNotFound, "there is no action " + action}
	}
	if name == "" {
		return refuse("name: say which webhook is meant")
	}
	if c.webhooks == nil {
		return problem{http.StatusNotFound, ErrNoWebhook.Error()}
	}
	done, err := c.webhooks.Do(r.Context(), action, name)
	switch {
	case errors.Is(err, ErrNoWebhook):
		return problem{http.StatusNotFound, err.Error()}
	case errors.Is(err, ErrNotHeldUp):
		return problem{http.StatusConflict, err.Error()}
	case err != nil:
		return err
	}
	c.log.Info("a person asked for something of a webhook", zap.String("action", action), zap.String("webhook", name), zap.String("event", done.Event))
	answer(w, done)
	return nil
}
