// Package queue is what is owed: messages that were accepted, when they are tried next, and what becomes of them.
//
// The Store keeps, the queue decides, the Deliverer talks: three rooms that never do each other's work. The path of a message, each step in the
// file of its name:
//
//  1. submit.go: Submit has the Store make it durable. Returning nil is the promise of RFC 5321 s6.1.
//  2. schedule.go: the one goroutine that owns the schedule takes what is due, destination by destination.
//  3. destination.go and window.go say whether a destination may have one more.
//  4. attempt.go calls the Deliverer.
//  5. settle.go: one goroutine commits the outcomes that have gathered, with the journal and the reports that failures owe (report.go), in one
//     synced batch; a report that waits for the other recipients of its message is written by reporter.go. verdict.go is the pure function that says what an attempt comes to; backoff.go when the next one is.
//
// What is promised: a message that Submit accepted ends, for every recipient, in exactly one recorded state, also across crashes. What is in doubt
// after a crash is done again, never left out. When a commit fails nothing more is accepted or settled until the process has started again.
//
// A Queue may be used by any number of goroutines. Run owns all goroutines of the queue and waits for them.
package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sternpost/bounce"
	"sternpost/dsn"
	"sternpost/journal"
	"sternpost/mail"
)

// Deliverer is what the queue needs of delivery.
type Deliverer interface {
	// Site names the set of exchangers that mail for the domain goes to now, and until when that is known. Limits of connections hang
	// on it, so that domains at one provider share them. It may take as long as the DNS does.
	Site(ctx context.Context, domain mail.Domain) (name string, until time.Time)
	// Deliver makes one attempt. The tree has one outcome for each recipient, in their order.
	Deliver(ctx context.Context, t mail.Transaction) mail.Attempt
}

// Observer is told what became of recipients, when it was recorded; one call after the other. It must be quick: commits wait for it.
type Observer interface {
	// Settled tells of one recipient: the outcome of its attempt, zero where a verdict was reached without one; the state that it is in now; and the age of its message.
	Settled(o mail.Outcome, s State, age time.Duration)
}

// Deps is what a Queue is handed. Store and Deliverer are required.
type Deps struct {
	Store     Store
	Deliverer Deliverer
	Log       *zap.Logger // nil: nobody
	Observer  Observer    // nil: nobody
	// Hostname is our name in reports.
	Hostname string
	// Handles is how many attempts may run at the same time for the sake of the process's file handles. 0: any number.
	Handles int
	// Suppression says to whom nothing is to be sent. The zero value: there is no such rule.
	Suppression SuppressionConfig
	// Rules says what failures mean. Nil: the rules of the program.
	Rules *bounce.Classifier
	// Seed is the source of all randomness, together with the message's id and the number of the attempt.
	Seed uint64
	// Gather is how long outcomes gather before they are committed. 0: while the commit before is synced, as it should be outside of a bubble of testing/synctest. There a commit takes no
	// time, and which outcomes of one instant share it would be for the scheduler of Go to say.
	Gather time.Duration
}

// Queue is the schedule and all that hangs on it.
type Queue struct {
	config      atomic.Pointer[Config]
	store       Store
	suppression atomic.Pointer[SuppressionConfig]
	rules       atomic.Pointer[bounce.Classifier]
	deliverer   Deliverer
	log         *zap.Logger
	observer    Observer
	hostname    string
	seed        uint64
	handles     int
	gathering   time.Duration
	clock       clock
	owing       *owing
	probed      probed
	text        atomic.Pointer[dsn.Text] // of reports

	accepted chan Owed
	finished chan []result
	results  chan result
	resolved chan siteFound
	pokes    chan struct{}
	asks     chan func(*schedule) // questions to the goroutine that owns the schedule
	ended    chan ended
	quit     chan struct{} // closed when no attempt is to begin, nor to send its content
	stopped  chan struct{} // closed when Run has ended
	running  atomic.Bool
	refused  atomic.Bool // the store did not take an outcome: its work is there again
	stopping atomic.Bool // no attempt is begun any more
	attempts sync.WaitGroup
}

// New makes a Queue. It accepts at once, and delivers while Run runs.
func New(c Config, d Deps) (*Queue, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if d.Store == nil || d.Deliverer == nil {
		return nil, errors.New("a queue needs a Store and a Deliverer")
	}
	if d.Log == nil {
		d.Log = zap.NewNop()
	}
	if d.Rules == nil {
		var err error
		if d.Rules, err = bounce.New(nil); err != nil {
			return nil, err
		}
	}
	hostname, err := mail.ParseDomain(d.Hostname)
	if err != nil { // reports could not be written
		return nil, fmt.Errorf("our own name: %w", err)
	}
	q := &Queue{
		owing: newOwing(), store: d.Store, deliverer: d.Deliverer, log: d.Log, observer: d.Observer, hostname: string(hostname), seed: d.Seed, handles: d.Handles, gathering: d.Gather,
		accepted: make(chan Owed, c.MaxReady), finished: make(chan []result, 16), results: make(chan result, c.MaxAttempts),
		resolved: make(chan siteFound, 16), pokes: make(chan struct{}, 1), asks: make(chan func(*schedule)), ended: make(chan ended, c.MaxAttempts),
		quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	text, err := reportText(c)
	if err != nil {
		return nil, err
	}
	q.text.Store(text)
	seen, err := latest(d.Store)
	if err != nil {
		return nil, fmt.Errorf("the journal: %w", err)
	}
	q.clock = newClock(time.Now(), seen)
	q.config.Store(&c)
	q.suppression.Store(&d.Suppression)
	q.rules.Store(d.Rules)
	return q, nil
}

// latest is the time of the last entry of the journal; zero: there is none.
func latest(s Store) (time.Time, error) {
	for e, err := range s.Journal().Find(context.Background(), journal.Query{Newest: true, Limit: 1}) {
		return e.Cursor.Time, err
	}
	return time.Time{}, nil
}

// now is the time of the queue: see clock.
func (q *Queue) now() time.Time { return q.clock.now() }

// current is the configuration in force.
func (q *Queue) current() *Config { return q.config.Load() }

// ReloadRules puts other rules for what failures mean in force.
func (q *Queue) ReloadRules(c *bounce.Classifier) { q.rules.Store(c) }

// Reload takes another configuration. What was accepted keeps its lifetime; max_ready and max_attempts make more room from the next start on, and less at once.
func (q *Queue) Reload(c Config) error {
	if err := c.Check(); err != nil {
		return err
	}
	text, err := reportText(c)
	if err != nil {
		return err
	}
	q.text.Store(text)
	q.config.Store(&c)
	q.poke()
	return nil
}

// Ready says why no mail is accepted; nil: it is.
func (q *Queue) Ready() error {
	select {
	case <-q.store.Failed():
		return ErrStopped
	case <-q.quit:
		return errors.New("the queue is shutting down")
	default:
		return nil
	}
}

// poke makes the schedule look into the store.
func (q *Queue) poke() {
	select {
	case q.pokes <- struct{}{}:
	default: // it will look already
	}
}

// Messages yields the messages of a query, oldest first.
func (q *Queue) Messages(ctx context.Context, query Query) iter.Seq2[Message, error] {
	return q.store.Messages(ctx, query)
}

// Message finds one message.
func (q *Queue) Message(ctx context.Context, id ID) (Message, error) {
	for m, err := range q.store.Messages(ctx, Query{ID: id}) {
		return m, err
	}
	return Message{}, ErrNotFound
}

// DestinationStatus is what is known of a destination: what waits for it, and how it fares.
type DestinationStatus struct {
	Summary
	Site     string // empty: not known yet
	Window   int    // attempts that its site may get at the same time
	UnderWay int    // attempts for it that run now
	Dead     bool   // no address of it took a connection
}

// Destinations lists the destinations that have something waiting or under way.
func (q *Queue) Destinations(ctx context.Context) ([]DestinationStatus, error) {
	var list []DestinationStatus
	for s, err := range q.store.Destinations(ctx) {
		if err != nil {
			return nil, err
		}
		list = append(list, DestinationStatus{Summary: s})
	}
	err := q.ask(ctx, func(s *schedule) {
		for i := range list {
			s.describe(&list[i])
		}
	})
	return list, err
}
