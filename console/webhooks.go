package console

import (
	"net/http"
	"time"
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
	// LostFrom and LostUntil are the times between which the journal has forgotten entries before they were told.
	LostFrom  *time.Time `json:"lost_from"`
	LostUntil *time.Time `json:"lost_until"`
}

// WebhookList is the answer to the question for the endpoints.
type WebhookList struct {
	Webhooks []Webhook `json:"webhooks"`
}

func (c *Console) listWebhooks(w http.ResponseWriter, _ *http.Request) error {
	list := WebhookList{Webhooks: []Webhook{}}
	if c.webhooks != nil {
		list.Webhooks = append(list.Webhooks, c.webhooks()...)
	}
	answer(w, list)
	return nil
}
