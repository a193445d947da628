package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sternpost/journal"
)

// Bounds of a stream of events.
const (
	followEvery = time.Second      // how long an event may take to be told
	followMost  = 1000             // events at one look
	aliveEvery  = 15 * time.Second // a comment where nothing happens, so that a dead connection is noticed
)

// typeEvents is the media type of server-sent events.
const typeEvents = "text/event-stream"

// follower is one stream of events.
type follower struct {
	*Console
	w          http.ResponseWriter
	connection *http.ResponseController
	search     Search
	query      journal.Query // After moves on
	said       time.Time     // when something was last written
}

// follow answers with events as they happen, as server-sent events (text/event-stream of HTML). Each has the cursor of its entry as its id: whoever comes again with it as
// Last-Event-ID misses nothing and gets nothing twice. Without it, and without since or after, the stream begins now.
func (c *Console) follow(w http.ResponseWriter, r *http.Request) error {
	s, err := searchOf(r.URL.Query())
	if err != nil {
		return err
	}
	s.After = cmp.Or(r.Header.Get("Last-Event-ID"), s.After)
	q, err := s.query(time.Now())
	if err != nil {
		return err
	}
	if s.Limit != 0 || s.Until != "" {
		return refuse("limit, until: a stream of events has no end")
	}
	if c.journal == nil {
		return problem{http.StatusServiceUnavailable, "there is no journal"}
	}
	if s.After == "" && s.Since == "" {
		q.After.Time = time.Now()
	}
	q.Brief, q.Limit = true, followMost
	f := &follower{Console: c, w: w, connection: http.NewResponseController(w), search: s, query: q}
	if err := f.begin(); err != nil {
		return err
	}
	if f.run(r.Context()) != nil {
		panic(http.ErrAbortHandler) // the answer has begun: it can only be broken off
	}
	return nil
}

// begin sends the header. A stream lasts longer than a request may: what it waits for is its end.
func (f *follower) begin() error {
	if err := f.connection.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	header := f.w.Header()
	header.Set("Content-Type", typeEvents)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	return f.say(": the journal, as it is written\n\n")
}

// run tells what is there and then what comes, until the caller leaves or we stop.
func (f *follower) run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		more, err := f.look(ctx)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.ending:
			return nil
		case <-tick.C:
		}
		if time.Since(f.said) > aliveEvery {
			if err := f.say(":\n\n"); err != nil {
				return err
			}
		}
	}
}

// look tells the next events; more: there may be others.
func (f *follower) look(ctx context.Context) (more bool, err error) {
	n := 0
	for e, err := range f.journal.Find(ctx, f.query) {
		if err != nil {
			return false, err
		}
		n++
		f.query.After = e.Cursor
		told := f.eventOf(e)
		if !f.search.fits(told) {
			continue
		}
		line, err := encode(told)
		if err != nil {
			return false, err
		}
		if err := f.say(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n", told.Cursor, told.Kind, line)); err != nil {
			return false, err
		}
	}
	return n == followMost, nil
}

func (f *follower) say(text string) error {
	f.said = time.Now()
	deadline := f.connection.SetWriteDeadline(f.said.Add(answerTimeout))
	_, err := f.w.Write([]byte(text))
	return errors.Join(deadline, err, f.connection.Flush())
}
