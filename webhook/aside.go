package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"sternpost/journal"
	"sternpost/mail"
)

const (
	// triesUntilAside is how often an event is tried before it is asked whether the endpoint refuses this one alone: by then some 50 minutes have passed.
	triesUntilAside = 7
	// othersAsked is how many events behind it are tried then.
	othersAsked = 10
	// mostAside is how many events may be set aside for one endpoint. A receiver that refuses more has other trouble, and is waited for.
	mostAside = 100
)

// Aside is an event that an endpoint has refused while it took others. It waits for a person: nothing tells it again by itself.
type Aside struct {
	ID        string // of the event
	Type      string
	Recipient string
	At        time.Time // when it happened
	Error     string    // of the last try; empty after a start

	event event
}

// asideSlot is under what name the n-th event that is set aside is remembered. No endpoint has such a name, since Check lets none hold a control character.
func (e *endpoint) asideSlot(n int) string { return fmt.Sprintf("%s\x1faside %d", e.name, n) }

// setAside puts an event out of the way, durably, and lets the bookmark move behind it; false: it cannot be, and stays what is told.
func (e *endpoint) setAside(ctx context.Context, one event, reason error, why string) bool {
	e.keeping.Lock()
	defer e.keeping.Unlock()
	list := e.status().Aside
	if len(list) == mostAside {
		e.log.Error("as many events of a webhook are set aside as may be; the one that is held up stays", zap.String("event", one.id))
		return false
	}
	list = append(list, Aside{ID: one.id, Type: one.kind, Recipient: one.recipient, At: one.at.Time, Error: reason.Error(), event: one})
	if err := e.keepAside(ctx, list); err != nil {
		return false
	}
	e.log.Error("an event is set aside that a webhook does not take: "+why, zap.String("event", one.id), zap.String("error", mail.Escape(reason.Error())))
	e.note(func(s *Status) {
		s.Aside, s.Cursor, s.State, s.Failures, s.NextTry = list, one.at, Good, 0, time.Time{}
		e.telling = nil
	})
	e.save(ctx)
	return true
}

// keepAside makes a list durable. What does not fit any more ends with the zero place.
func (e *endpoint) keepAside(ctx context.Context, list []Aside) error {
	places := make([]journal.Cursor, 0, len(list)+1)
	for _, a := range list {
		places = append(places, a.event.at)
	}
	if len(list) < mostAside {
		places = append(places, journal.Cursor{})
	}
	for n, at := range places {
		if err := e.notifier.deps.Bookmarks.SetBookmark(ctx, e.asideSlot(n), at); err != nil {
			if ctx.Err() == nil {
				e.log.Error("what is set aside of a webhook cannot be saved", zap.Error(err))
			}
			return err
		}
	}
	return nil
}

// recallAside finds what was set aside before the start. What the journal has forgotten meanwhile is not there any more.
func (e *endpoint) recallAside(ctx context.Context) error {
	e.keeping.Lock()
	defer e.keeping.Unlock()
	var list []Aside
	for n := range mostAside {
		at, known, err := e.notifier.deps.Bookmarks.Bookmark(ctx, e.asideSlot(n))
		if err != nil {
			return err
		}
		if !known || at == (journal.Cursor{}) {
			break
		}
		one, found, err := e.eventAt(ctx, at)
		if err != nil {
			return err
		}
		if !found {
			e.log.Error("the journal has forgotten an event that was set aside", zap.Time("happened", at.Time))
			continue
		}
		list = append(list, Aside{ID: one.id, Type: one.kind, Recipient: one.recipient, At: one.at.Time, event: one})
	}
	e.note(func(s *Status) { s.Aside = list })
	return nil
}

// eventAt finds the event that stands at a place in the journal.
func (e *endpoint) eventAt(ctx context.Context, at journal.Cursor) (event, bool, error) {
	before := journal.Cursor{Time: at.Time.Add(-1), Seq: ^uint32(0)}
	if at.Seq > 0 {
		before = journal.Cursor{Time: at.Time, Seq: at.Seq - 1}
	}
	for entry, err := range e.notifier.deps.Journal.Find(ctx, journal.Query{After: before, Limit: 1}) {
		if err != nil {
			return event{}, false, err
		}
		if entry.Cursor.Seq == at.Seq && entry.Cursor.Time.Equal(at.Time) {
			one, err := eventOf(entry, e.notifier.deps.Judge)
			return one, err == nil, err
		}
	}
	return event{}, false, nil
}

// othersAreTaken asks whether the endpoint takes events behind one that it refuses: then it is the event, and not the endpoint. What is taken so is not told again.
func (e *endpoint) othersAreTaken(ctx context.Context, one event) bool {
	asked := 0
	for entry, err := range e.notifier.deps.Journal.Find(ctx, journal.Query{After: one.at, Limit: pageEntries}) {
		if err != nil {
			return false
		}
		if !e.wants(entry) {
			continue
		}
		other, err := eventOf(entry, e.notifier.deps.Judge)
		if err != nil {
			return false
		}
		if e.ahead[other.id] {
			return true
		}
		if e.post(ctx, other) == nil {
			e.ahead[other.id] = true
			e.countTold()
			return true
		}
		if asked++; asked == othersAsked {
			return false
		}
	}
	return false
}

// countTold counts an event that was taken out of its turn.
func (e *endpoint) countTold() {
	e.notifier.told.Add(1)
	e.note(func(s *Status) { s.Told++; s.LastTold = time.Now() })
}

// retell tells what was set aside once more, and forgets what is taken. It ends at the first try that is not answered.
func (e *endpoint) retell(ctx context.Context) {
	e.keeping.Lock()
	defer e.keeping.Unlock()
	list := slices.Clone(e.status().Aside)
	var left []Aside
	for n, a := range list {
		err := e.post(ctx, a.event)
		if err == nil {
			e.countTold()
			continue
		}
		e.notifier.failed.Add(1)
		a.Error = err.Error()
		left = append(left, a)
		if answered := new(refusal); !errors.As(err, answered) {
			left = append(left, list[n+1:]...)
			break
		}
	}
	if len(list) > 0 && e.keepAside(ctx, left) == nil { // else it is told again, with its id
		e.note(func(s *Status) { s.Aside = left })
	}
}
