package console

import (
	"context"
	"iter"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// Selection chooses messages. All that is set must fit.
type Selection struct {
	ID        string `json:"id,omitempty"`
	Sender    string `json:"sender,omitempty"` // nullSender is the null reverse-path
	Recipient string `json:"recipient,omitempty"`
	Domain    string `json:"domain,omitempty"`
	// OlderThan is the least age, as in "90s", "2h" or "3d".
	OlderThan string `json:"older_than,omitempty"`
	Held      bool   `json:"held,omitempty"`
	Limit     int    `json:"limit,omitempty"`
	// All says that it is meant to choose everything; without it a change that chooses everything is refused.
	All bool `json:"all,omitempty"`
}

// selectionOf reads the parameters of a list.
func selectionOf(values url.Values) (Selection, error) {
	var s Selection
	for name, texts := range values {
		var err error
		switch text := texts[len(texts)-1]; name {
		case "id":
			s.ID = text
		case "sender":
			s.Sender = text
		case "recipient":
			s.Recipient = text
		case "domain":
			s.Domain = text
		case "older_than":
			s.OlderThan = text
		case "held":
			s.Held, err = strconv.ParseBool(text)
		case "limit":
			s.Limit, err = strconv.Atoi(text)
		default:
			return s, refuse("there is no parameter %q", name)
		}
		if err != nil {
			return s, refuse("%s: %q is not a value", name, texts[len(texts)-1])
		}
	}
	return s, nil
}

// Values are the parameters that selectionOf reads.
func (s Selection) Values() url.Values {
	values := url.Values{}
	for name, text := range map[string]string{
		"id": s.ID, "sender": s.Sender, "recipient": s.Recipient, "domain": s.Domain, "older_than": s.OlderThan,
	} {
		if text != "" {
			values.Set(name, text)
		}
	}
	if s.Held {
		values.Set("held", "true")
	}
	if s.Limit > 0 {
		values.Set("limit", strconv.Itoa(s.Limit))
	}
	return values
}

// narrow says whether s leaves something out.
func (s Selection) narrow() bool {
	s.All, s.Limit = false, 0
	return s != Selection{}
}

// query is s for the queue.
func (s Selection) query(now time.Time) (queue.Query, error) {
	q := queue.Query{Held: s.Held, Limit: s.Limit}
	var err error
	if s.Limit < 0 {
		return q, refuse("limit: must not be negative")
	}
	if s.ID != "" {
		if q.ID, err = queue.ParseID(s.ID); err != nil {
			return q, refuse("id: %q %s", s.ID, err)
		}
	}
	if s.Domain != "" {
		if q.Destination, err = mail.ParseDomain(s.Domain); err != nil {
			return q, refuse("%s", err)
		}
	}
	if s.OlderThan != "" {
		age, err := ParseAge(s.OlderThan)
		if err != nil {
			return q, err
		}
		q.ReceivedBefore = now.Add(-age)
	}
	q.Sender, q.Recipient = canonicalAddress(s.Sender), canonicalAddress(s.Recipient)
	return q, nil
}

// nullSender chooses mail with the null reverse-path, as reports have it. The queue has no such choice: see messages.
const nullSender = "<>"

// messages yields the messages of a query; where it asks for the null reverse-path they are picked out here.
func (c *Console) messages(ctx context.Context, q queue.Query) iter.Seq2[queue.Message, error] {
	if q.Sender != nullSender {
		return c.queue.Messages(ctx, q)
	}
	left := q.Limit
	q.Sender, q.Limit = "", 0
	return func(yield func(queue.Message, error) bool) {
		for m, err := range c.queue.Messages(ctx, q) {
			if err == nil && !m.Envelope.From.IsNull() {
				continue
			}
			if !yield(m, err) || err != nil {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// canonicalAddress is an address as the queue keeps it. What is none is the name of an account.
func canonicalAddress(text string) string {
	if a, err := mail.ParseAddress(text); err == nil {
		return a.String()
	}
	return text
}

// longestAge is about a century: more is a slip.
const longestAge = 100 * 365 * 24 * time.Hour

// ParseAge reads a duration as Go writes it, or days, as in "3d".
func ParseAge(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if days, whole := strings.CutSuffix(text, "d"); whole {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 1<<15)) * 24 * time.Hour
	}
	if err != nil || d <= 0 || d > longestAge { // an age of nothing would choose everything
		return 0, refuse("older_than: %q is not an age such as 90s, 2h or 3d", text)
	}
	return d, nil
}
