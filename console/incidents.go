package console

import (
	"context"
	"iter"
	"net/http"
	"time"

	"sternpost/journal"
)

// Incident is one cause of many failures.
type Incident struct {
	Category   string    `json:"category"`
	Fault      string    `json:"fault"`
	Domain     string    `json:"domain"`
	Host       string    `json:"host"`
	Messages   int       `json:"messages"`
	Recipients int       `json:"recipients"`
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
	Sentence   string    `json:"sentence"`
	Advice     string    `json:"advice"`
	Link       string    `json:"link"`
}

// IncidentList is the answer to the question for incidents, those that began last at the end.
type IncidentList struct {
	Incidents []Incident `json:"incidents"`
}

// listIncidents answers with the incidents of a time.
func (c *Console) listIncidents(w http.ResponseWriter, r *http.Request) error {
	s, q, err := bounceSearch(r, time.Now())
	if err != nil {
		return err
	}
	if s.After != "" {
		return refuse("after: has no meaning among incidents")
	}
	list, err := c.incidentsOf(r.Context(), q)
	if err != nil {
		return err
	}
	answer(w, IncidentList{list})
	return nil
}

// incidentsOf looks for equal causes in what a query finds, deferrals too: what is wrong shows in them first.
func (c *Console) incidentsOf(ctx context.Context, q journal.Query) ([]Incident, error) {
	list := []Incident{}
	if c.incidents == nil || c.journal == nil {
		return list, nil
	}
	q.Kind = ""
	found, err := c.incidents(c.failures(ctx, q))
	return append(list, found...), err
}

// failures yields the failures and the deferrals of a query, one kind after the other, which are found without reading what went well.
func (c *Console) failures(ctx context.Context, q journal.Query) iter.Seq2[journal.Entry, error] {
	return func(yield func(journal.Entry, error) bool) {
		for _, kind := range []journal.Kind{journal.Failed, journal.Deferred} {
			q.Kind = kind
			for e, err := range c.journal.Find(ctx, q) {
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}
