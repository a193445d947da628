package console

import (
	"context"
	"slices"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

func (c *Console) whyPlace(ctx context.Context, about Why, recipient string, domain mail.Domain) (Why, error) {
	told := newWhy(about)
	if err := c.whoWaits(ctx, &told, recipient, domain); err != nil {
		return told, err
	}
	var err error
	if recipient != "" {
		told.Suppression, err = c.suppressed(ctx, recipient)
	}
	if err != nil {
		return told, err
	}
	if recipient != "" {
		told.Events, err = c.gather(ctx, journal.Query{Recipient: recipient, Newest: true, Limit: mostRecent, Brief: true})
	} else {
		told.Events, err = c.troubles(ctx, domain)
	}
	if err != nil {
		return told, err
	}
	if err := c.look(ctx, &told, []mail.Domain{domain}); err != nil {
		return told, err
	}
	places := map[mail.Domain]time.Time{domain: time.Now()}
	if n := len(told.Events); n > 0 && told.Events[n-1].Kind == string(journal.Delivered) {
		places = nil
	}
	return told, c.alarms(ctx, &told, places)
}

// whoWaits adds the oldest messages that wait for a domain, or for one address there.
func (c *Console) whoWaits(ctx context.Context, told *Why, recipient string, domain mail.Domain) error {
	for m, err := range c.queue.Messages(ctx, queue.Query{Recipient: recipient, Destination: domain}) {
		if err != nil {
			return err
		}
		waits := messageOf(m)
		waits.Recipients = slices.DeleteFunc(waits.Recipients, func(r Recipient) bool {
			return r.Domain != string(domain) || recipient != "" && r.Recipient != recipient || r.State != stateName(queue.Pending) && r.State != stateName(queue.Held)
		})
		if len(waits.Recipients) == 0 {
			continue
		}
		if told.MoreWaiting = len(told.Waiting) == mostWaiting; told.MoreWaiting {
			return nil
		}
		told.Waiting = append(told.Waiting, waits)
	}
	return nil
}

// suppressed is what the list of addresses to which nothing is sent knows of one; nil: nothing.
func (c *Console) suppressed(ctx context.Context, recipient string) (*Suppression, error) {
	a, err := mail.ParseAddress(recipient)
	if err != nil || c.suppressions == nil {
		return nil, err
	}
	now := time.Now()
	s, known, err := c.suppressions.Suppression(ctx, queue.Folded(a))
	if err != nil || !known || !s.Known(now) {
		return nil, err
	}
	listed := suppressionOf(s, now)
	return &listed, nil
}

// troubles are the newest failures and deferrals of a domain.
func (c *Console) troubles(ctx context.Context, domain mail.Domain) ([]Event, error) {
	var all []Event
	for _, kind := range []journal.Kind{journal.Failed, journal.Deferred} {
		list, err := c.gather(ctx, journal.Query{Domain: domain, Kind: kind, Since: time.Now().Add(-recently), Newest: true, Limit: mostRecent, Brief: true})
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, byTime)
	return all[max(0, len(all)-mostRecent):], nil
}
