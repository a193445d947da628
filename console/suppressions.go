package console

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// Suppression is an address to which nothing is sent, or which is on its way there. Times are in UTC and null where there is none.
type Suppression struct {
	Recipient  string     `json:"recipient"`
	Suppressed bool       `json:"suppressed"` // mail to it is refused now
	Failures   int        `json:"failures"`
	Needed     int        `json:"needed"` // failures; 0: a person put it on the list
	Since      *time.Time `json:"since"`
	Last       *time.Time `json:"last"`
	Until      *time.Time `json:"until"` // it is forgotten then; null: it is not
	Code       *int       `json:"code"`
	Status     string     `json:"status"`
	Reason     string     `json:"reason"`
	Message    string     `json:"message"` // the id of the message that failed last
	Sender     string     `json:"sender"`  // its reverse-path
}

// SuppressionList is the answer to the question for the list.
type SuppressionList struct {
	Suppressions []Suppression `json:"suppressions"`
	// More says that the limit left some out; behind the last one the next question begins.
	More bool `json:"more"`
}

// NewSuppression is an address that a person puts on the list. What is not set is: no reason, now, for ever.
type NewSuppression struct {
	Recipient string     `json:"recipient"`
	Reason    string     `json:"reason,omitempty"`
	Last      *time.Time `json:"last,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
}

// NewSuppressions are what is put on the list at once.
type NewSuppressions struct {
	Suppressions []NewSuppression `json:"suppressions"`
}

// ChangedSuppressions is the answer to a change of the list: how many addresses were added, or removed.
type ChangedSuppressions struct {
	Recipients int `json:"recipients"`
}

// longestReason is how long a person's reason may be, in octets.
const longestReason = 500

// suppressionOf is s as callers see it.
func suppressionOf(s queue.Suppression, now time.Time) Suppression {
	told := Suppression{
		Recipient: s.Address.String(), Suppressed: s.Holds(now), Failures: s.Failures, Needed: s.Needed, Since: timeOrNull(s.Since), Last: timeOrNull(s.Last),
		Until: timeOrNull(s.Until), Status: s.Status.String(), Reason: s.Reason, Sender: s.Sender,
	}
	if s.Code != 0 {
		told.Code = &s.Code
	}
	if s.Message != 0 {
		told.Message = s.Message.String()
	}
	return told
}

// noList is the problem of a console without a list.
func (c *Console) noList() error {
	return problem{http.StatusServiceUnavailable, "there is no suppression list here"}
}

// suppressionQuery is what a list is asked for.
type suppressionQuery struct {
	recipient, behind mail.Address
	limit             int
}

func suppressionQueryOf(values url.Values) (q suppressionQuery, err error) {
	for name, texts := range values {
		text := texts[len(texts)-1]
		switch name {
		case "recipient":
			q.recipient, err = foldedAddress(text)
		case "behind":
			q.behind, err = foldedAddress(text)
		case "limit":
			if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 0 {
				err = refuse("limit: %q is not a value", text)
			}
		default:
			err = refuse("there is no parameter %q", name)
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func foldedAddress(text string) (mail.Address, error) {
	a, err := mail.ParseAddress(text)
	if err != nil {
		return a, refuse("%q is not an address: %s", text, err)
	}
	return queue.Folded(a), nil
}

// listSuppressions answers with one object, in the order of the addresses.
func (c *Console) listSuppressions(w http.ResponseWriter, r *http.Request) error {
	if c.suppressions == nil {
		return c.noList()
	}
	q, err := suppressionQueryOf(r.URL.Query())
	if err != nil {
		return err
	}
	now, list := time.Now(), SuppressionList{Suppressions: []Suppression{}}
	if !q.recipient.IsZero() {
		s, known, err := c.suppressions.Suppression(r.Context(), q.recipient)
		if known && s.Known(now) {
			list.Suppressions = append(list.Suppressions, suppressionOf(s, now))
		}
		if err == nil {
			answer(w, list)
		}
		return err
	}
	limit := min(cmp.Or(q.limit, usualList), longestList)
	for s, err := range c.suppressions.Suppressions(r.Context(), q.behind) {
		if err != nil {
			return err
		}
		if !s.Known(now) {
			continue
		}
		if list.More = len(list.Suppressions) == limit; list.More {
			break
		}
		list.Suppressions = append(list.Suppressions, suppressionOf(s, now))
	}
	answer(w, list)
	return nil
}

// addSuppressions puts addresses on the list: all of a question or none.
func (c *Console) addSuppressions(w http.ResponseWriter, r *http.Request) error {
	if c.suppressions == nil {
		return c.noList()
	}
	var asked NewSuppressions
	if err := readJSON(w, r, &asked); err != nil {
		return err
	}
	var list []queue.Suppression
	var errs []error
	for _, one := range asked.Suppressions {
		s, err := one.suppression(time.Now())
		list, errs = append(list, s), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return refuse("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if len(list) == 0 {
		return refuse("suppressions: is empty")
	}
	if err := c.suppressions.Suppress(r.Context(), list); err != nil {
		return err
	}
	c.log.Info("suppression list changed", zap.String("action", "add"), zap.Int("recipients", len(list)))
	answer(w, ChangedSuppressions{len(list)})
	return nil
}

func (n NewSuppression) suppression(now time.Time) (queue.Suppression, error) {
	address, err := foldedAddress(n.Recipient)
	s := queue.Suppression{Address: address, Since: now, Last: now, Reason: cmp.Or(n.Reason, "by hand")}
	if n.Last != nil {
		s.Since, s.Last = *n.Last, *n.Last
	}
	if n.Until != nil {
		s.Until = *n.Until
	}
	switch {
	case err != nil:
		return s, err
	case queue.Exempt(address):
		return s, refuse("%s: postmaster is never suppressed", address)
	case len(s.Reason) > longestReason:
		return s, refuse("%s: the reason is longer than %d octets", address, longestReason)
	case n.Until != nil && !n.Until.After(now):
		return s, refuse("%s: until is not in the future", address)
	}
	return s, nil
}

// removeSuppressions takes addresses off the list; each is a parameter of its own.
func (c *Console) removeSuppressions(w http.ResponseWriter, r *http.Request) error {
	if c.suppressions == nil {
		return c.noList()
	}
	var list []mail.Address
	for name, texts := range r.URL.Query() {
		if name != "recipient" {
			return refuse("there is no parameter %q", name)
		}
		for _, text := range texts {
			a, err := foldedAddress(text)
			if err != nil {
				return err
			}
			list = append(list, a)
		}
	}
	if len(list) == 0 {
		return refuse("recipient: is missing")
	}
	n, err := c.suppressions.Unsuppress(r.Context(), list)
	if err != nil {
		return err
	}
	c.log.Info("suppression list changed", zap.String("action", "remove"), zap.Int("recipients", n))
	answer(w, ChangedSuppressions{n})
	return nil
}
