// Package webhook tells applications what became of their mail: each endpoint gets the events that it asked for as JSON, by HTTP POST, signed as
// Standard Webhooks (https://www.standardwebhooks.com) says.
//
// What is promised: an endpoint gets every event that is not set aside at least once and in the order of the journal, for as long as the journal is kept. There is no queue of events: an endpoint has a
// bookmark in the journal, which moves only over what was answered with 2xx, is durable, and is where the next start goes on. An event that comes again has its first id.
//
// How failure is judged: any answer but 2xx, and none at all, is tried again with growing delays, for ever; 410 ends it until the next start or reload, or until a person wants it. An
// event that is refused again and again while later ones are taken is set aside, durably, and waits for a person (aside.go, order.go). What the journal forgets meanwhile is lost to the
// endpoint, and is said: in the log, and in its Status.
//
// A path of an event: journal -> event.go (what is told of an entry) -> endpoint.go (one goroutine for each endpoint) -> post.go and sign.go. A Notifier may be used concurrently.
package webhook

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sternpost/journal"
)

// Bookmarks keep how far an endpoint has come. The Store has them.
type Bookmarks interface {
	// Bookmark finds where a reader stands; false: it has never said.
	Bookmark(ctx context.Context, reader string) (journal.Cursor, bool, error)
	// SetBookmark moves a reader to a place. It is durable when it returns nil.
	SetBookmark(ctx context.Context, reader string, at journal.Cursor) error
}

// Deps is what a Notifier is handed. Journal and Bookmarks are required.
type Deps struct {
	Journal   journal.Journal
	Bookmarks Bookmarks
	Log       *zap.Logger       // nil: nobody
	Transport http.RoundTripper // nil: HTTP over TCP, certificates verified
	Agent     string            // the User-Agent
	// Judge says what a failure or a deferral means: its category, and whether the address is dead. Nil: nobody does.
	Judge func(journal.Entry) (category string, hard bool)
	// Seed is the source of the randomness in delays, together with the endpoint and the number of the try.
	Seed uint64
}

// Figures is what a Notifier has counted since it was made.
type Figures struct {
	Told   uint64 // events that were answered with 2xx
	Failed uint64 // tries that were not
}

// Notifier owns the endpoints.
type Notifier struct {
	deps   Deps
	client *http.Client
	told   atomic.Uint64
	failed atomic.Uint64

	mu        sync.Mutex
	config    []Endpoint
	endpoints []*endpoint
	changed   chan struct{} // closed when there are other endpoints
}

// New makes a Notifier. The errors are those of Check.
func New(list []Endpoint, d Deps) (*Notifier, error) {
	if d.Journal == nil || d.Bookmarks == nil {
		return nil, errors.New("webhooks need a journal and bookmarks")
	}
	if d.Log == nil {
		d.Log = zap.NewNop()
	}
	n := &Notifier{deps: d, client: newClient(d.Transport), changed: make(chan struct{})}
	return n, n.Reload(list)
}

// Reload puts other endpoints in the place of those that were. One of the same name goes on where that stood.
func (n *Notifier) Reload(list []Endpoint) error {
	if err := Check(list); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if reflect.DeepEqual(list, n.config) {
		return nil
	}
	n.config, n.endpoints = slices.Clone(list), nil
	for _, e := range list {
		n.endpoints = append(n.endpoints, newEndpoint(n, e))
	}
	close(n.changed)
	n.changed = make(chan struct{})
	return nil
}

// Run tells events until ctx ends, and waits for the goroutines of the endpoints. What is being told then is told again after the next start. Run is called once.
func (n *Notifier) Run(ctx context.Context) error {
	defer n.client.CloseIdleConnections()
	for ctx.Err() == nil {
		n.mu.Lock()
		list, changed := n.endpoints, n.changed
		n.mu.Unlock()
		round, end := context.WithCancel(ctx)
		var running sync.WaitGroup
		for _, e := range list {
			running.Go(func() { e.run(round) })
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
		end()
		running.Wait()
	}
	return nil
}

// Figures are what was counted so far.
func (n *Notifier) Figures() Figures { return Figures{Told: n.told.Load(), Failed: n.failed.Load()} }

// State is how an endpoint fares.
type State string

// The states.
const (
	Good     State = "good"     // its last event was taken, or it had none yet
	Failing  State = "failing"  // its last event was not taken; it is tried again
	Disabled State = "disabled" // it answered 410 Gone
)

// Status is what is known of an endpoint.
type Status struct {
	Name      string
	URL       string // without user, password and parameters, which may be secret
	Events    []string
	State     State
	Cursor    journal.Cursor // the last entry of the journal that it is through with
	Lag       time.Duration  // the age of the event that is being told; 0: all are told
	Told      uint64         // events since the start
	Failures  int            // tries in a row that failed
	LastError string         // of the last try that failed; it may quote a stranger
	LastTold  time.Time
	NextTry   time.Time // zero: none is set
	// Aside are events that it has refused while it took others, or that a person has set aside, the oldest first.
	Aside []Aside
	// LostFrom and LostUntil are the times between which the journal has forgotten entries before they were told; zero: there are none.
	LostFrom, LostUntil time.Time
}

// Status tells of all endpoints, in the order of the configuration.
func (n *Notifier) Status() []Status {
	n.mu.Lock()
	list := n.endpoints
	n.mu.Unlock()
	var told []Status
	for _, e := range list {
		told = append(told, e.status())
	}
	return told
}
