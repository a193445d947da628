package webhook

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"sternpost/journal"
	"sternpost/mail"
)

const (
	// lookEvery is how often an endpoint that has been told all looks for more.
	lookEvery = time.Second
	// saveEvery is how often the bookmark of a busy endpoint is saved: what a crash makes it forget is told again.
	saveEvery = time.Second
	// pageEntries is how many entries of the journal are looked at in one go, and pageEvents how many events of them are held in memory.
	pageEntries = 5000
	pageEvents  = 64
	// currentFor is how long it counts that an endpoint had read to the end: the journal keeps the entries of so short a time.
	currentFor = time.Minute
)

// endpoint is one receiver. Its goroutine is that of run.
type endpoint struct {
	notifier *Notifier
	config   Endpoint
	name     string
	secrets  [][]byte
	senders  []mail.AddressPattern
	log      *zap.Logger

	// Of the goroutine.
	saved   journal.Cursor
	savedAt time.Time
	current bool            // what came into the journal since the last look is all that was not told
	ahead   map[string]bool // events that were taken before others that were refused

	// keeping is held by who changes what is set aside, to its end.
	keeping sync.Mutex
	wake    chan struct{} // there is an order

	mu      sync.Mutex
	known   Status
	telling *event // nil: all are told
	retry   bool   // a person wants what was not taken told now
	skip    string // the event that a person wants set aside
}

// newEndpoint makes one of a configuration that was checked.
func newEndpoint(n *Notifier, c Endpoint) *endpoint {
	e := &endpoint{notifier: n, config: c, name: c.name(), ahead: map[string]bool{}, wake: make(chan struct{}, 1)}
	e.log = n.deps.Log.With(zap.String("webhook", e.name))
	for _, text := range c.Secrets {
		secret, _ := parseSecret(text)
		e.secrets = append(e.secrets, secret)
	}
	for _, text := range c.Senders {
		pattern, _ := mail.ParseAddressPattern(text)
		e.senders = append(e.senders, pattern)
	}
	events := c.Events
	if len(events) == 0 {
		events = Events()
	}
	e.known = Status{Name: e.name, URL: c.shownURL(), Events: slices.Clone(events), State: Good}
	return e
}

func (e *endpoint) status() Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.known
	s.Aside = slices.Clone(s.Aside)
	if e.telling != nil {
		s.Lag = max(time.Since(e.telling.at.Time), 0)
	}
	return s
}

// note changes what is known of the endpoint.
func (e *endpoint) note(change func(*Status)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.known)
}

// run tells events until ctx ends.
func (e *endpoint) run(ctx context.Context) {
	defer e.save(context.WithoutCancel(ctx))
	for !e.begin(ctx) {
		if !pause(ctx, lookEvery) {
			return
		}
	}
	for {
		more, err := e.page(ctx)
		if errors.Is(err, errGone) {
			if !e.revived(ctx) {
				return
			}
			continue
		}
		if err != nil && ctx.Err() == nil {
			e.log.Error("the journal cannot be read for a webhook", zap.Error(err))
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		e.save(ctx)
		if !e.rest(ctx, lookEvery) {
			return
		}
	}
}

// revived waits until a person wants an endpoint told again that wanted to hear nothing more; false: ctx has ended.
func (e *endpoint) revived(ctx context.Context) bool {
	for e.rest(ctx, longestDelay) {
		if e.status().State != Disabled {
			return true
		}
	}
	return false
}

// begin finds where the endpoint stands. One that was never here begins with what happens from now on.
func (e *endpoint) begin(ctx context.Context) bool {
	at, known, err := e.notifier.deps.Bookmarks.Bookmark(ctx, e.name)
	if err == nil && !known {
		for newest, failure := range e.notifier.deps.Journal.Find(ctx, journal.Query{Newest: true, Limit: 1}) {
			at, err = newest.Cursor, failure
		}
		if err == nil {
			err = e.notifier.deps.Bookmarks.SetBookmark(ctx, e.name, at)
		}
		if err == nil {
			e.log.Info("a new webhook is told what happens from now on")
		}
		e.current = true
	}
	if err == nil {
		err = e.recallAside(ctx)
	}
	if err != nil {
		if ctx.Err() == nil {
			e.log.Error("it cannot be found out how far a webhook has come", zap.Error(err))
		}
		return false
	}
	e.saved, e.savedAt = at, time.Now()
	e.note(func(s *Status) { s.Cursor = at })
	return true
}

// page tells the next events, and says whether there may be more.
func (e *endpoint) page(ctx context.Context) (more bool, err error) {
	if err := e.findLost(ctx); err != nil {
		return false, err
	}
	began := time.Now()
	list, end, more, err := e.read(ctx)
	if err != nil {
		return false, err
	}
	for _, one := range list {
		if e.ahead[one.id] {
			delete(e.ahead, one.id)
			e.note(func(s *Status) { s.Cursor = one.at })
			continue
		}
		if err := e.tell(ctx, one); err != nil {
			return false, err
		}
	}
	e.note(func(s *Status) { s.Cursor = end })
	e.current = !more && time.Since(began) < currentFor
	return more, nil
}

// read collects events behind the bookmark, and says up to where.
func (e *endpoint) read(ctx context.Context) (list []event, end journal.Cursor, more bool, err error) {
	end = e.status().Cursor
	n := 0
	for entry, err := range e.notifier.deps.Journal.Find(ctx, journal.Query{After: end, Limit: pageEntries}) {
		if err != nil {
			return nil, end, false, err
		}
		end = entry.Cursor
		n++
		if !e.wants(entry) {
			continue
		}
		one, err := eventOf(entry, e.notifier.deps.Judge)
		if err != nil {
			return nil, end, false, err
		}
		if list = append(list, one); len(list) == pageEvents {
			return list, end, true, nil
		}
	}
	return list, end, n == pageEntries, nil
}

// wants says whether the endpoint asked for such an entry.
func (e *endpoint) wants(entry journal.Entry) bool {
	if !slices.Contains(e.known.Events, typeOf(entry)) {
		return false
	}
	if len(e.senders) == 0 {
		return true
	}
	sender, err := mail.ParseAddress(entry.Sender)
	return err == nil && slices.ContainsFunc(e.senders, func(p mail.AddressPattern) bool { return p.Matches(sender) })
}

// tell sends an event until it is taken, or set aside. The bookmark moves behind it then, and not before. The error is errGone, or the end of ctx.
func (e *endpoint) tell(ctx context.Context, one event) error {
	e.note(func(*Status) { e.telling = &one })
	for try := 1; ; try++ {
		err := e.post(ctx, one)
		if err == nil {
			e.taken(one, try)
			if time.Since(e.savedAt) >= saveEvery {
				e.save(ctx)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e.notifier.failed.Add(1)
		if errors.Is(err, errGone) {
			e.log.Error("a webhook answers 410 Gone and is told nothing more until the next start or reload, or until a person wants it", zap.String("event", one.id))
			e.note(func(s *Status) { s.State, s.LastError, s.NextTry = Disabled, err.Error(), time.Time{} })
			return err
		}
		if try == 1 {
			e.save(ctx) // it may stand here for days
		}
		if try >= triesUntilAside && heard(err) && e.othersAreTaken(ctx, one) {
			if err = e.post(ctx, one); err == nil { // it lives again since
				e.taken(one, try+1)
				return nil
			}
			if e.setAside(ctx, one, err, "it takes others") {
				return nil
			}
		}
		if !e.refused(ctx, one, try, err) {
			return ctx.Err()
		}
		if e.skipped(one) && e.setAside(ctx, one, err, "a person wants to go on without it") {
			return nil
		}
	}
}

// refused notes a try that was not taken, and waits for the next; false: ctx has ended.
func (e *endpoint) refused(ctx context.Context, one event, try int, err error) bool {
	wait := delay(try, random(e.notifier.deps.Seed, e.name, try), err)
	e.note(func(s *Status) {
		s.State, s.Failures, s.LastError, s.NextTry = Failing, try, err.Error(), time.Now().Add(wait)
	})
	e.log.Warn("a webhook was not taken and is tried again", zap.String("event", one.id), zap.Int("try", try), zap.Duration("next", wait),
		zap.String("error", mail.Escape(err.Error())))
	return e.rest(ctx, wait)
}

// taken notes that an event was answered with 2xx.
func (e *endpoint) taken(one event, try int) {
	e.notifier.told.Add(1)
	if try > 1 {
		e.log.Info("a webhook is taken again", zap.String("event", one.id), zap.Int("try", try))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.telling = nil
	s := &e.known
	s.State, s.Failures, s.NextTry = Good, 0, time.Time{}
	s.Cursor, s.LastTold = one.at, time.Now()
	s.Told++
}

// save makes the bookmark durable where it has moved. Where that fails the next one tries again; what is told twice has its id.
func (e *endpoint) save(ctx context.Context) {
	at := e.status().Cursor
	if at == e.saved || at == (journal.Cursor{}) {
		return
	}
	if err := e.notifier.deps.Bookmarks.SetBookmark(ctx, e.name, at); err != nil {
		if ctx.Err() == nil {
			e.log.Error("how far a webhook has come cannot be saved; a restart tells some events again", zap.Error(err))
		}
		return
	}
	e.saved, e.savedAt = at, time.Now()
}

// findLost notices when the journal has forgotten entries that the endpoint was not told: its first entry stands behind the bookmark. Whoever had read to the end has lost nothing.
func (e *endpoint) findLost(ctx context.Context) error {
	at := e.status().Cursor
	if e.current || at == (journal.Cursor{}) {
		return nil
	}
	for first, err := range e.notifier.deps.Journal.Find(ctx, journal.Query{Limit: 1}) {
		if err != nil {
			return err
		}
		if !first.Cursor.Time.After(at.Time) {
			return nil
		}
		e.log.Error("the journal has forgotten what a webhook was not told yet; it goes on with what there is",
			zap.Time("from", at.Time), zap.Time("until", first.Cursor.Time))
		e.note(func(s *Status) {
			if s.LostFrom.IsZero() {
				s.LostFrom = at.Time
			}
			s.LostUntil = first.Cursor.Time
			s.Cursor = journal.Cursor{Time: first.Cursor.Time.Add(-1)}
		})
	}
	return nil
}

// pause waits; false: ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
