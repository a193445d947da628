package console

import (
	"net/http"
	"time"
)

// Destination is one destination that has something waiting. Times are in UTC and null where there is none.
type Destination struct {
	Domain   string     `json:"domain"`
	Messages int        `json:"messages"` // all that wait, are under way or are held
	UnderWay int        `json:"under_way"`
	Held     int        `json:"held"`
	Oldest   *time.Time `json:"oldest"`
	Next     *time.Time `json:"next"`
	// Suspended is until when nothing is tried.
	Suspended *time.Time `json:"suspended"`
	Site      string     `json:"site"`
	Window    int        `json:"window"`
	// SiteUnderWay is how many attempts run for all destinations of the site: what of the window is used.
	SiteUnderWay int    `json:"site_under_way"`
	Health       string `json:"health"`
	// LastReply is what the last attempt came to, for people.
	LastReply string `json:"last_reply"`
}

// The healths of a destination.
const (
	HealthGood      = "good"      // nothing speaks against it
	HealthSuspended = "suspended" // it waits for its time
	HealthDead      = "dead"      // no host of it could be reached; it is probed from time to time
)

// DestinationList is the answer to the question for all destinations.
type DestinationList struct {
	Destinations []Destination `json:"destinations"`
}

func (c *Console) listDestinations(w http.ResponseWriter, r *http.Request) error {
	list, err := c.queue.Destinations(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []Destination{}
	}
	answer(w, DestinationList{list})
	return nil
}
