package console

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"sternpost/journal"
)

// BounceSummary counts the failures of a period beside those of the one before, which is as long.
type BounceSummary struct {
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`
	BeforeSince time.Time `json:"before_since"`
	Count       int       `json:"count"`
	Before      int       `json:"before"`
	// The groups of each list, the largest first.
	Categories []Group `json:"categories"`
	Domains    []Group `json:"domains"`
	Hosts      []Group `json:"hosts"`
	IncidentList
}

// Group is what failures have in common.
type Group struct {
	Name  string  `json:"name"` // empty: those that have none; othersName: those that the list has no place for
	Count int     `json:"count"`
	Share float64 `json:"share"` // of all failures of the period, from 0 to 1
	// First and Last are of the period; null where it has none.
	First  *time.Time `json:"first"`
	Last   *time.Time `json:"last"`
	Before int        `json:"before"`
}

// Bounds of a summary.
const (
	mostNames  = 10_000 // that are counted apart
	usualNames = 10     // that are told of each list
)

// othersName is the group of all that have no place of their own.
const othersName = "*"

// summarizeBounces answers with a BounceSummary.
func (c *Console) summarizeBounces(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	s, q, err := bounceSearch(r, now, usualPast)
	if err != nil {
		return err
	}
	if s.After != "" {
		return refuse("after: has no meaning in a summary")
	}
	if q.Until.IsZero() {
		q.Until = now
	}
	if !q.Since.Before(q.Until) {
		return refuse("since: is not before until")
	}
	summary, err := c.summary(r.Context(), s, q)
	if err != nil {
		return err
	}
	if summary.IncidentList, err = c.incidentsOf(r.Context(), s, q); err != nil {
		return err
	}
	answer(w, summary)
	return nil
}

// summary counts what s finds from the begin of the period before on, in one reading.
func (c *Console) summary(ctx context.Context, s Search, q journal.Query) (BounceSummary, error) {
	most := cmp.Or(s.Limit, usualNames)
	told := BounceSummary{Since: q.Since.UTC(), Until: q.Until.UTC(), BeforeSince: q.Since.Add(-q.Until.Sub(q.Since)).UTC()}
	categories, domains, hosts := groups{}, groups{}, groups{}
	q.Since = told.BeforeSince
	for e, err := range c.search(ctx, s, q) {
		if err != nil {
			return told, err
		}
		now := !e.Time.Before(told.Since)
		if now {
			told.Count++
		} else {
			told.Before++
		}
		categories.count(e.Category, e.Time, now)
		domains.count(e.Domain, e.Time, now)
		hosts.count(e.Host, e.Time, now)
	}
	told.Categories, told.Domains, told.Hosts = categories.list(told.Count, most), domains.list(told.Count, most), hosts.list(told.Count, most)
	return told, nil
}

// groups are groups by name.
type groups map[string]*Group

func (g groups) count(name string, at time.Time, now bool) {
	if g[name] == nil && len(g) >= mostNames {
		name = othersName
	}
	if g[name] == nil {
		g[name] = &Group{Name: name}
	}
	in := g[name]
	if !now {
		in.Before++
		return
	}
	in.Count++
	if in.First == nil {
		in.First = &at
	}
	in.Last = &at
}

// list is the largest groups, and one for all others.
func (g groups) list(all, most int) []Group {
	list := []Group{}
	for _, in := range g {
		list = append(list, *in)
	}
	slices.SortFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Before, a.Before), strings.Compare(a.Name, b.Name))
	})
	if len(list) > most {
		others := Group{Name: othersName}
		for _, in := range list[most:] {
			others.add(in)
		}
		list = append(list[:most:most], others)
	}
	for i := range list {
		if all > 0 {
			list[i].Share = float64(list[i].Count) / float64(all)
		}
	}
	return list
}

// add takes another group into g.
func (g *Group) add(other Group) {
	g.Count += other.Count
	g.Before += other.Before
	if other.First != nil && (g.First == nil || other.First.Before(*g.First)) {
		g.First = other.First
	}
	if other.Last != nil && (g.Last == nil || other.Last.After(*g.Last)) {
		g.Last = other.Last
	}
}
