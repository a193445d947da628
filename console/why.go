package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// Why is the whole story of a message, an address or a domain, and what happens next.
type Why struct {
	About   string `json:"about"` // whyMessage, whyAddress or whyDomain
	Subject string `json:"subject"`
	// Message is null where it is about another thing.
	Message  *Message   `json:"message"`
	Standing []Standing `json:"standing"` // of each recipient of the message
	// Waiting are the oldest messages that wait for the address or the domain, with those of their recipients.
	Waiting     []Message `json:"waiting"`
	MoreWaiting bool      `json:"more_waiting"`
	// Events are what happened, oldest first: to the message, with the trees of its attempts; or of late to the address, or of late wrong at the domain.
	Events []Event `json:"events"`
	// Probes are the newest attempts with other mail that found the domains of the message out of reach, while it waited or shortly before it came; MoreProbes is how many there were
	// before. Where the message itself was never tried for a domain, the newest has its tree.
	Probes       []Event    `json:"probes"`
	MoreProbes   int        `json:"more_probes"`
	Destinations []Prospect `json:"destinations"`
	// Suppression is what is known of the address; null: nothing, or it is about another thing.
	Suppression *Suppression `json:"suppression"`
	// Alarms say why more attempts cannot help, as things are.
	Alarms []Alarm `json:"alarms"`
}

// What a Why is about.
const (
	WhyMessage = "message"
	WhyAddress = "address"
	WhyDomain  = "domain"
)

// Standing is where a recipient stands, and what comes next.
type Standing struct {
	Recipient string     `json:"recipient"`
	State     string     `json:"state"`
	Next      *time.Time `json:"next"`
	// NextReason is why at that time.
	NextReason string     `json:"next_reason"`
	GivesUp    *time.Time `json:"gives_up"`
	// Handover is null where nobody has taken the message.
	Handover *Handover `json:"handover"`
	Verdict
}

// Handover is the proof that another server has taken a message for a recipient.
type Handover struct {
	At       time.Time `json:"at"`
	Host     string    `json:"host"`
	Address  string    `json:"address"`
	Reply    []string  `json:"reply"` // with the remote's own id of the message, mostly
	TLS      string    `json:"tls"`   // the version; empty: it went in clear
	Verified bool      `json:"verified"`
}

// Prospect is what is known of a destination now.
type Prospect struct {
	Domain string `json:"domain"`
	// Queued is null where nothing waits for it.
	Queued *Destination `json:"queued"`
	// Plan is what an attempt would do now; null: it is not known.
	Plan   *mail.Attempt `json:"plan"`
	Policy string        `json:"policy"`
}

// Bounds of a Why.
const (
	mostEvents    = 1000 // of a message
	mostRecent    = 20   // of an address or a domain
	mostWaiting   = 10
	mostProbes    = 10
	mostProspects = 5    // the DNS is asked for each
	probeSearch   = 1000 // entries: there are 480 probes in five days
	recently      = 7 * 24 * time.Hour
	probeRest     = 20 * time.Minute // longer than from one probe to the next
)

// why answers with the story of what is named.
func (c *Console) why(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	what := values.Get("what")
	for name := range values {
		if name != "what" {
			return refuse("there is no parameter %q", name)
		}
	}
	told, err := c.story(r.Context(), what)
	if err != nil {
		return err
	}
	answer(w, told)
	return nil
}

// story finds out what a text names: an id is 13 letters and digits without a dot, a Message-ID stands in its brackets, an address has an @.
func (c *Console) story(ctx context.Context, what string) (Why, error) {
	if id, err := queue.ParseID(what); err == nil {
		told, err := c.whyMessage(ctx, id)
		return told, unknown(err)
	}
	if messageID, ok := strings.CutPrefix(what, "<"); ok && strings.HasSuffix(messageID, ">") {
		told, err := c.whyMessageID(ctx, strings.TrimSuffix(messageID, ">"))
		return told, unknown(err)
	}
	if a, err := mail.ParseAddress(what); err == nil {
		return c.whyPlace(ctx, Why{About: WhyAddress, Subject: a.String()}, a.String(), a.Domain)
	}
	d, err := mail.ParseDomain(what)
	if err != nil {
		return Why{}, refuse("what: %q is not the id of a message, nor a Message-ID in its brackets, nor an address, nor a domain", what)
	}
	return c.whyPlace(ctx, Why{About: WhyDomain, Subject: string(d)}, "", d)
}

// unknown says more of a message that is not found.
func unknown(err error) error {
	if errors.Is(err, queue.ErrNotFound) {
		return fmt.Errorf("%w, and the journal knows of none in the time that it is kept (queue.journal_days)", err)
	}
	return err
}

func (c *Console) whyMessage(ctx context.Context, id queue.ID) (Why, error) {
	told := newWhy(Why{About: WhyMessage, Subject: id.String()})
	m, err := c.find(ctx, id)
	if err != nil {
		return told, err
	}
	told.Message = &m
	if told.Events, err = c.gather(ctx, journal.Query{Message: id.String(), Newest: true, Limit: mostEvents}); err != nil {
		return told, err
	}
	if m.Received == nil && len(told.Events) > 0 && told.Events[0].Kind == string(journal.Accepted) {
		told.Message.Received = &told.Events[0].Time
	}
	var domains []mail.Domain
	for _, r := range m.Recipients {
		if d := mail.Domain(r.Domain); r.State == stateName(queue.Pending) && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	if err := c.look(ctx, &told, domains); err != nil {
		return told, err
	}
	if c.journal != nil {
		if err := c.probes(ctx, &told); err != nil {
			return told, err
		}
	}
	if err := c.alarms(ctx, &told, told.places()); err != nil {
		return told, err
	}
	for _, r := range m.Recipients {
		told.Standing = append(told.Standing, told.standing(r))
	}
	return told, nil
}

// whyMessageID tells of the message that was accepted last with a Message-ID: what a program sends anew has the same.
func (c *Console) whyMessageID(ctx context.Context, messageID string) (Why, error) {
	list, err := c.gather(ctx, journal.Query{MessageID: messageID, Kind: journal.Accepted, Newest: true, Limit: 1, Brief: true})
	if err != nil {
		return Why{}, err
	}
	if len(list) == 0 {
		return Why{}, queue.ErrNotFound
	}
	id, err := queue.ParseID(list[0].Message)
	if err != nil {
		return Why{}, queue.ErrNotFound
	}
	return c.whyMessage(ctx, id)
}

// newWhy has lists that are empty, and not null.
func newWhy(w Why) Why {
	w.Standing, w.Waiting, w.Events, w.Probes, w.Destinations = []Standing{}, []Message{}, []Event{}, []Event{}, []Prospect{}
	w.Alarms = []Alarm{}
	return w
}

// gather is what the journal finds, oldest first.
func (c *Console) gather(ctx context.Context, q journal.Query) ([]Event, error) {
	list := []Event{}
	for e, err := range c.search(ctx, Search{}, q) {
		if err != nil {
			return list, err
		}
		list = append(list, e)
	}
	if q.Newest {
		slices.Reverse(list)
	}
	return list, nil
}

func byTime(a, b Event) int { return a.Time.Compare(b.Time) }

// look adds what is known of destinations now.
func (c *Console) look(ctx context.Context, told *Why, domains []mail.Domain) error {
	queued, err := c.queue.Destinations(ctx)
	if err != nil {
		return err
	}
	for _, domain := range domains[:min(len(domains), mostProspects)] {
		p := Prospect{Domain: string(domain)}
		if i := slices.IndexFunc(queued, func(d Destination) bool { return d.Domain == p.Domain }); i >= 0 {
			p.Queued = &queued[i]
		}
		if c.outlook != nil {
			plan, policy := c.outlook(ctx, domain)
			p.Plan, p.Policy = &plan, policy
		}
		told.Destinations = append(told.Destinations, p)
	}
	return nil
}
