package console

import (
	"context"
	"slices"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// probes adds the attempts with other messages that reached no host of a domain where the message waits, or waited until its lifetime ended. They are joined by time: nothing is written for each message that waits.
func (c *Console) probes(ctx context.Context, told *Why) error {
	m := told.Message
	var domains []string
	for _, r := range m.Recipients {
		until := time.Now()
		last := told.last(r.Recipient)
		switch {
		case slices.Contains(domains, r.Domain) || m.Received == nil:
			continue
		case r.State == stateName(queue.Pending):
		case last != nil && last.Kind == string(journal.Failed) && last.Category == string(bounce.Expired):
			until = last.Time
		default:
			continue
		}
		domains = append(domains, r.Domain)
		list, more, err := c.probesOf(ctx, *m, mail.Domain(r.Domain), until)
		if err != nil {
			return err
		}
		if len(list) > 0 && !slices.ContainsFunc(told.Events, func(e Event) bool { return e.Attempt != nil && e.Domain == r.Domain }) {
			newest := &list[len(list)-1]
			newest.Attempt, err = c.treeOf(ctx, journal.Entry{Message: newest.Message, Domain: mail.Domain(newest.Domain), AttemptID: newest.AttemptID})
			if err != nil {
				return err
			}
		}
		told.Probes = append(told.Probes, list...)
		told.MoreProbes += more
	}
	return nil
}

// probesOf are the newest of them for one domain, and how many more there were: from shortly before the message came, since that one kept it from being tried.
func (c *Console) probesOf(ctx context.Context, m Message, domain mail.Domain, until time.Time) (list []Event, more int, err error) {
	seen := map[string]bool{}
	for _, kind := range []journal.Kind{journal.Deferred, journal.Failed} {
		q := journal.Query{Domain: domain, Kind: kind, Since: m.Received.Add(-probeRest), Until: until, Newest: true, Limit: probeSearch, Brief: true}
		for e, err := range c.journal.Find(ctx, q) {
			if err != nil {
				return nil, 0, err
			}
			if e.Message == m.ID || e.AttemptID == "" || seen[e.AttemptID] || !e.ReachedNobody() {
				continue
			}
			seen[e.AttemptID] = true
			list = append(list, c.eventOf(e))
		}
	}
	slices.SortStableFunc(list, byTime)
	more = max(0, len(list)-mostProbes)
	return list[more:], more, nil
}
