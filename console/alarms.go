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

// alarmSearch is how many entries the alarms of a domain are looked for in: those of its last attempt, which may have many recipients.
const alarmSearch = 100

// places are the domains that a message has, or had, nobody for who took it, and until when that is known.
func (w *Why) places() map[mail.Domain]time.Time {
	list := map[mail.Domain]time.Time{}
	for _, r := range w.Message.Recipients {
		last := w.last(r.Recipient)
		switch {
		case r.State == stateName(queue.Pending) || r.State == stateName(queue.Held):
			list[mail.Domain(r.Domain)] = time.Now()
		case last != nil && last.Kind == string(journal.Failed):
			list[mail.Domain(r.Domain)] = last.Time.Add(1)
		}
	}
	return list
}

// alarms adds what says that more attempts cannot help: by the last attempt at each domain, with whatever mail, and by the DNS as it is now.
func (c *Console) alarms(ctx context.Context, told *Why, places map[mail.Domain]time.Time) error {
	if c.judge == nil {
		return nil
	}
	list, known := IncidentList{Alarms: told.Alarms}, map[[2]string]int{}
	for domain, until := range places {
		entries, err := c.lastAttempt(ctx, domain, until)
		if err != nil {
			return err
		}
		for _, e := range append(entries, told.planned(domain)...) {
			for _, a := range bounce.Alarms(bounce.Event{Entry: e, Verdict: c.judge(e)}) {
				list.alarm(known, a, e.Cursor.Time)
			}
		}
	}
	slices.SortFunc(list.Alarms, func(a, b Alarm) int { return b.Last.Compare(a.Last) })
	told.Alarms = list.Alarms
	for _, p := range told.Destinations {
		for i := range told.Alarms {
			if p.Queued != nil && told.Alarms[i].Domain == p.Domain {
				told.Alarms[i].Waiting = p.Queued.Messages
			}
		}
	}
	return nil
}

// lastAttempt is the entries of the last attempt at a domain that took no mail, with its tree.
func (c *Console) lastAttempt(ctx context.Context, domain mail.Domain, until time.Time) ([]journal.Entry, error) {
	var last []journal.Entry
	if c.journal == nil {
		return nil, nil
	}
	for _, kind := range []journal.Kind{journal.Deferred, journal.Failed} {
		var list []journal.Entry
		q := journal.Query{Domain: domain, Kind: kind, Since: until.Add(-recently), Until: until, Newest: true, Limit: alarmSearch, Brief: true}
		for e, err := range c.journal.Find(ctx, q) {
			if err != nil {
				return nil, err
			}
			if e.AttemptID == "" {
				continue // the end of a lifetime
			}
			if len(list) > 0 && list[0].AttemptID != e.AttemptID {
				break
			}
			list = append(list, e)
		}
		if len(list) > 0 && (len(last) == 0 || list[0].Cursor.Time.After(last[0].Cursor.Time)) {
			last = list
		}
	}
	if len(last) == 0 || !bounce.TellsMore(bounce.Event{Entry: last[0], Verdict: c.judge(last[0])}) {
		return last, nil
	}
	tree, err := c.treeOf(ctx, last[0])
	last[0].Attempt = tree
	return last, err
}

// planned is what the DNS says now of a domain to which no mail can go.
func (w *Why) planned(domain mail.Domain) []journal.Entry {
	i := slices.IndexFunc(w.Destinations, func(p Prospect) bool { return p.Domain == string(domain) && p.Plan != nil })
	if i < 0 || len(w.Destinations[i].Plan.Outcomes) == 0 {
		return nil
	}
	o := w.Destinations[i].Plan.Outcomes[0]
	return []journal.Entry{{
		Cursor: journal.Cursor{Time: time.Now()}, Kind: journal.Deferred, Domain: domain, Status: o.Status, Stage: o.Stage, Scope: o.Scope, Reason: o.Reason,
	}}
}
