package console

import (
	"context"
	"iter"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
)

// Search chooses entries of the journal. All that is set must fit.
type Search struct {
	// Since and Until are times of RFC 3339, days as in "2026-01-31", or ages as in "90s", "2h" or "3d".
	Since, Until string
	Kind         string
	Message      string
	MessageID    string
	Sender       string // nullSender is the null reverse-path
	Recipient    string
	Domain       string
	Host         string
	Code         int
	Status       string // enhanced
	Category     string
	Hard         bool
	Limit        int
	After        string // a cursor
}

// fields are the parameters of a search that are texts.
func (s *Search) fields() map[string]*string {
	return map[string]*string{
		"since": &s.Since, "until": &s.Until, "kind": &s.Kind, "message": &s.Message, "message_id": &s.MessageID, "sender": &s.Sender, "recipient": &s.Recipient,
		"domain": &s.Domain, "host": &s.Host, "status": &s.Status, "category": &s.Category, "after": &s.After,
	}
}

// Values are the parameters that searchOf reads.
func (s Search) Values() url.Values {
	values := url.Values{}
	for name, text := range s.fields() {
		if *text != "" {
			values.Set(name, *text)
		}
	}
	for name, n := range map[string]int{"code": s.Code, "limit": s.Limit} {
		if n != 0 {
			values.Set(name, strconv.Itoa(n))
		}
	}
	if s.Hard {
		values.Set("hard", "true")
	}
	return values
}

// searchOf reads the parameters of a search.
func searchOf(values url.Values) (s Search, err error) {
	fields := s.fields()
	for name, texts := range values {
		text := texts[len(texts)-1]
		switch field := fields[name]; {
		case field != nil:
			*field = text
		case name == "code":
			s.Code, err = strconv.Atoi(text)
		case name == "limit":
			s.Limit, err = strconv.Atoi(text)
		case name == "hard":
			s.Hard, err = strconv.ParseBool(text)
		default:
			return s, refuse("there is no parameter %q", name)
		}
		if err != nil || s.Limit < 0 || s.Code < 0 {
			return s, refuse("%s: %q is not a value", name, text)
		}
	}
	return s, nil
}

// kinds are those of the journal.
func kinds() []journal.Kind {
	return []journal.Kind{
		journal.Accepted, journal.Delivered, journal.Deferred, journal.Failed, journal.Removed, journal.Changed, journal.Lost, journal.Suppressed,
	}
}

// query is the part of s that the journal knows of; the rest is left to fits.
func (s Search) query(now time.Time) (q journal.Query, err error) {
	q = journal.Query{Message: s.Message, Recipient: canonicalAddress(s.Recipient), Host: strings.ToLower(s.Host), MessageID: strings.Trim(s.MessageID, "<>"), Code: s.Code}
	if s.Sender != nullSender {
		q.Sender = canonicalAddress(s.Sender)
	}
	for name, text := range map[string]string{"recipient": s.Recipient, "sender": q.Sender} {
		if _, err := mail.ParseAddress(text); text != "" && err != nil {
			return q, refuse("%s: %s", name, err)
		}
	}
	if q.Kind = journal.Kind(s.Kind); s.Kind != "" && !slices.Contains(kinds(), q.Kind) {
		return q, refuse("kind: %q is none of %s", s.Kind, kinds())
	}
	if s.Category != "" && !slices.Contains(bounce.Categories(), bounce.Category(s.Category)) {
		return q, refuse("category: %q is none of %s", s.Category, bounce.Categories())
	}
	if s.Status != "" {
		if q.Status, err = mail.ParseStatus(s.Status); err != nil {
			return q, refuse("status: %q %s", s.Status, err)
		}
	}
	if s.Domain != "" {
		if q.Domain, err = mail.ParseDomain(s.Domain); err != nil {
			return q, refuse("domain: %s", err)
		}
	}
	if s.After != "" {
		if q.After, err = parseCursor(s.After); err != nil {
			return q, err
		}
	}
	if q.Since, err = parseInstant("since", s.Since, now); err != nil {
		return q, err
	}
	if q.Until, err = parseInstant("until", s.Until, now); err == nil && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		err = refuse("until: %s is not behind since, %s", q.Until.UTC().Format(time.RFC3339), q.Since.UTC().Format(time.RFC3339))
	}
	return q, err
}

// parseInstant reads a time, a day or an age; empty: none.
func parseInstant(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil {
			return at, nil
		}
	}
	age, err := ParseAge(text)
	if err != nil {
		return time.Time{}, refuse("%s: %q is neither a time such as 2026-01-31T12:00:00Z, nor a day, nor an age such as 90s, 2h or 3d", name, text)
	}
	return now.Add(-age), nil
}

// fits says whether an event is one of s by what the journal does not index.
func (s Search) fits(e Event) bool {
	return (s.Category == "" || s.Category == e.Category) && (!s.Hard || e.Hard) && (s.Sender != nullSender || e.Sender == "")
}

// wants is fits for what is judged already.
func (s Search) wants(e bounce.Event) bool {
	return (s.Category == "" || s.Category == string(e.Verdict.Category)) && (!s.Hard || e.Verdict.Hard) && (s.Sender != nullSender || e.Entry.Sender == "")
}

// search yields the events of s, those of q that fit, at most q.Limit.
func (c *Console) search(ctx context.Context, s Search, q journal.Query) iter.Seq2[Event, error] {
	left := q.Limit
	if s.Category != "" || s.Hard || s.Sender == nullSender {
		q.Limit = 0
	}
	return func(yield func(Event, error) bool) {
		if c.journal == nil {
			return
		}
		for e, err := range c.journal.Find(ctx, q) {
			if err != nil {
				yield(Event{}, err)
				return
			}
			told := c.eventOf(e)
			if !s.fits(told) {
				continue
			}
			if !yield(told, nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}
