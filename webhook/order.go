package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sternpost/mail"
)

// ErrUnknown is the answer where no endpoint has the name.
var ErrUnknown = errors.New("no webhook has this name")

// ErrNotHeldUp is the answer where no event waits to be taken.
var ErrNotHeldUp = errors.New("no event is held up")

// Tried is what became of one try.
type Tried struct {
	Event string        // its id
	Error string        // empty: it was answered with 2xx
	Took  time.Duration // until the answer
}

// find is the endpoint with a name.
func (n *Notifier) find(name string) (*endpoint, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.endpoints {
		if e.name == name {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknown, name)
}

// Retry has an endpoint told at once what it has not taken: the event that is held up, then once all that were set aside. One that has answered 410 is told again.
func (n *Notifier) Retry(name string) error {
	e, err := n.find(name)
	if err != nil {
		return err
	}
	e.order(func() {
		e.retry = true
		if e.known.State == Disabled {
			e.known.State = Failing
		}
	})
	return nil
}

// Skip sets the event aside that is held up, and gives its id.
func (n *Notifier) Skip(name string) (string, error) {
	e, err := n.find(name)
	if err != nil {
		return "", err
	}
	e.mu.Lock()
	held := e.telling
	failing, full := e.known.State == Failing, len(e.known.Aside) == mostAside
	e.mu.Unlock()
	switch {
	case held == nil || !failing:
		return "", ErrNotHeldUp
	case full:
		return "", fmt.Errorf("%d events are set aside already; retry or forget them first", mostAside)
	}
	e.order(func() { e.skip = held.id })
	return held.id, nil
}

// Forget lets go of what was set aside, and says how many events those were. They are in the journal, and nobody is told of them.
func (n *Notifier) Forget(ctx context.Context, name string) (int, error) {
	e, err := n.find(name)
	if err != nil {
		return 0, err
	}
	e.keeping.Lock()
	defer e.keeping.Unlock()
	forgotten := len(e.status().Aside)
	if forgotten == 0 {
		return 0, nil
	}
	if err := e.keepAside(ctx, nil); err != nil {
		return 0, err
	}
	e.note(func(s *Status) { s.Aside = nil })
	return forgotten, nil
}

// Test tells an endpoint an event of the type "test", beside all others and once.
func (n *Notifier) Test(ctx context.Context, name string) (Tried, error) {
	e, err := n.find(name)
	if err != nil {
		return Tried{}, err
	}
	now := time.Now()
	one := event{id: fmt.Sprintf("evt_test_%016x", now.UnixNano())}
	if one.body, err = bodyOf(Event{Type: Test, Timestamp: now.UTC(), Facts: Facts{ID: one.id, Reply: []string{}, Reason: "a test that a person asked for"}}); err != nil {
		return Tried{}, err
	}
	tried := Tried{Event: one.id}
	if err := e.post(ctx, one); err != nil {
		tried.Error = err.Error()
	}
	tried.Took = time.Since(now)
	return tried, nil
}

// bodyOf is an event as it is sent.
func bodyOf(e Event) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(e)
	return mail.EscapeJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), err
}

// order tells the goroutine of the endpoint what a person wants, and wakes it.
func (e *endpoint) order(what func()) {
	e.mu.Lock()
	what()
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default: // it will look already
	}
}

// rest waits, and obeys orders; false: ctx has ended.
func (e *endpoint) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return false
	case <-e.wake:
		e.mu.Lock()
		again := e.retry
		e.retry = false
		e.mu.Unlock()
		if again {
			e.retell(ctx)
		}
	}
	return ctx.Err() == nil
}

// skipped says whether a person wants to go on without an event.
func (e *endpoint) skipped(one event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	skip := e.skip == one.id
	e.skip = ""
	return skip
}
