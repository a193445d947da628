package console

import (
	"context"
	"iter"
	"net/http"
	"time"

	"sternpost/bounce"
	"sternpost/journal"
	"sternpost/mail"
)

// Incident is one cause of many failures and deferrals.
type Incident struct {
	Key         string    `json:"key"` // of the cause, the same at all times
	Category    string    `json:"category"`
	Fault       string    `json:"fault"`
	Messages    int       `json:"messages"`
	AtLeast     bool      `json:"at_least"` // there were more messages than could be counted
	Failed      int       `json:"failed"`
	Deferred    int       `json:"deferred"`
	Waiting     int       `json:"waiting"` // messages that wait now for its domains: of those for a dead one only some are tried
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Domains     []string  `json:"domains"`
	MoreDomains bool      `json:"more_domains"`
	Address     string    `json:"address"` // ours, as the remote names it; empty: it does not
	Sentence    string    `json:"sentence"`
	Advice      string    `json:"advice"`
	Link        string    `json:"link"`
}

// Alarm is something that will never work, told early.
type Alarm struct {
	Kind       string    `json:"kind"`
	Domain     string    `json:"domain"`
	Suggestion string    `json:"suggestion"` // the domain that may be meant; empty: none
	Events     int       `json:"events"`     // failures and deferrals that showed it
	Waiting    int       `json:"waiting"`    // messages that wait now for the domain
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Sentence   string    `json:"sentence"`
	Advice     string    `json:"advice"`
}

// IncidentList is the answer to the question for incidents, the most frequent first.
type IncidentList struct {
	Incidents []Incident `json:"incidents"`
	Alarms    []Alarm    `json:"alarms"`
}

// Bounds of incidents.
const (
	leastMessages = 3 // that make one
	mostAlarms    = 100
)

// listIncidents answers with the incidents and alarms of a time.
func (c *Console) listIncidents(w http.ResponseWriter, r *http.Request) error {
	s, q, err := bounceSearch(r, time.Now(), usualPast)
	if err != nil {
		return err
	}
	told, err := c.incidentsOf(r.Context(), s, q)
	if err != nil {
		return err
	}
	answer(w, told)
	return nil
}

// incidentsOf looks for equal causes in what a search finds, deferrals too: what is wrong shows in them first.
func (c *Console) incidentsOf(ctx context.Context, s Search, q journal.Query) (IncidentList, error) {
	told := IncidentList{Incidents: []Incident{}, Alarms: []Alarm{}}
	if c.judge == nil || c.journal == nil {
		return told, nil
	}
	var failure error
	alarms := map[[2]string]int{} // places in told.Alarms
	trees := map[mail.Domain]*mail.Attempt{}
	events := func(yield func(bounce.Event) bool) {
		for e, err := range c.failures(ctx, q) {
			if err != nil {
				failure = err
				return
			}
			judged := bounce.Event{Entry: e, Verdict: c.judge(e)}
			if !s.wants(judged) {
				continue
			}
			if bounce.TellsMore(judged) {
				judged.Entry.Attempt, failure = c.treeFor(ctx, trees, e)
			}
			if failure != nil {
				return
			}
			for _, a := range bounce.Alarms(judged) {
				told.alarm(alarms, a, e.Cursor.Time)
			}
			if !yield(judged) {
				return
			}
		}
	}
	for _, i := range bounce.Gather(events, leastMessages) {
		told.Incidents = append(told.Incidents, incidentOf(i))
	}
	if failure == nil {
		failure = c.countWaiting(ctx, &told)
	}
	return told, failure
}

// countWaiting adds how many messages wait for the domains of incidents and alarms.
func (c *Console) countWaiting(ctx context.Context, told *IncidentList) error {
	if len(told.Incidents)+len(told.Alarms) == 0 {
		return nil
	}
	list, err := c.queue.Destinations(ctx)
	if err != nil {
		return err
	}
	messages := map[string]int{}
	for _, d := range list {
		messages[d.Domain] = d.Messages
	}
	for i := range told.Incidents {
		for _, d := range told.Incidents[i].Domains {
			told.Incidents[i].Waiting += messages[d]
		}
	}
	for i := range told.Alarms {
		told.Alarms[i].Waiting = messages[told.Alarms[i].Domain]
	}
	return nil
}

// treeFor is a tree that tells of alarms for the domain of an entry, one for all that are like it.
func (c *Console) treeFor(ctx context.Context, known map[mail.Domain]*mail.Attempt, e journal.Entry) (*mail.Attempt, error) {
	tree, ok := known[e.Domain]
	if ok || len(known) >= mostAlarms {
		return tree, nil
	}
	tree, err := c.treeOf(ctx, e)
	known[e.Domain] = tree
	return tree, err
}

// treeOf is the tree of an entry's attempt, which stands with the first entry of that; nil: the journal has none.
func (c *Console) treeOf(ctx context.Context, e journal.Entry) (*mail.Attempt, error) {
	for other, err := range c.journal.Find(ctx, journal.Query{Message: e.Message, Domain: e.Domain}) {
		if err != nil {
			return nil, err
		}
		if other.AttemptID == e.AttemptID && other.Attempt != nil {
			return other.Attempt, nil
		}
	}
	return nil, nil
}

// alarm counts one alarm.
func (l *IncidentList) alarm(known map[[2]string]int, a bounce.Alarm, at time.Time) {
	key := [2]string{string(a.Kind), string(a.Domain)}
	i, counted := known[key]
	if !counted {
		if len(l.Alarms) == mostAlarms {
			return
		}
		i = len(l.Alarms)
		known[key] = i
		l.Alarms = append(l.Alarms, Alarm{
			Kind: string(a.Kind), Domain: string(a.Domain), Suggestion: string(a.Suggestion), Sentence: a.Sentence, Advice: a.Action, First: at.UTC(), Last: at.UTC(),
		})
	}
	told := &l.Alarms[i]
	told.Events++
	if at.Before(told.First) {
		told.First = at.UTC()
	}
	if at.After(told.Last) {
		told.Last = at.UTC()
	}
}

func incidentOf(i bounce.Incident) Incident {
	told := Incident{
		Key: i.Key, Category: string(i.Category), Fault: string(i.Fault), Messages: i.Messages, AtLeast: i.AtLeast, Failed: i.Failed, Deferred: i.Deferred,
		First: i.First.UTC(), Last: i.Last.UTC(), Domains: []string{}, MoreDomains: i.MoreDomains, Sentence: i.Sentence, Advice: i.Action, Link: i.Link,
	}
	for _, d := range i.Domains {
		told.Domains = append(told.Domains, string(d))
	}
	if i.Address.IsValid() {
		told.Address = i.Address.String()
	}
	return told
}

// failures yields the failures and the deferrals of a query, one kind after the other: so they are found without reading what went well.
func (c *Console) failures(ctx context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, kind := range []journal.Kind{journal.Failed, journal.Deferred} {
			q.Kind, q.Brief = kind, true
			for e, err := range c.journal.Find(ctx, q) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}
