package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"sternpost/console"
)

// The questions for what happened, and its stream.

// objects asks for a list and yields its objects as they come, so that it may be of any length.
func objects[T any](ctx context.Context, c *client, path string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		response, err := c.send(ctx, "GET", path, "application/x-ndjson", nil)
		if err != nil {
			yield(*new(T), err)
			return
		}
		defer response.Body.Close()
		decoder := json.NewDecoder(response.Body)
		for {
			var v T
			err := decoder.Decode(&v)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(v, c.broken(err)) || err != nil {
				return
			}
		}
	}
}

// bounces are the failures of a search, oldest first.
func (c *client) bounces(ctx context.Context, s console.Search) iter.Seq2[console.Event, error] {
	return objects[console.Event](ctx, c, "/v1/bounces?"+s.Values().Encode())
}

// followAgain is how long a follower waits before it asks again for a stream that has broken.
const followAgain = 2 * time.Second

// follow yields events as they happen, until ctx ends. Where the stream breaks, as when the agent starts again, it goes on behind the last event that came.
func (c *client) follow(ctx context.Context, s console.Search) iter.Seq2[console.Event, error] {
	return func(yield func(console.Event, error) bool) {
		began := false
		for ctx.Err() == nil {
			err := c.stream(ctx, s, &began, func(e console.Event) bool {
				s.After = e.Cursor
				return yield(e, nil)
			})
			if errors.Is(err, errEnough) || ctx.Err() != nil {
				return
			}
			if !began { // nobody has ever answered
				yield(console.Event{}, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(followAgain):
			}
		}
	}
}

// errEnough ends a stream whose reader has left.
var errEnough = errors.New("nobody reads on")

// longestLine is more than any event has.
const longestLine = 4 << 20

// stream reads one stream of server-sent events to its end.
func (c *client) stream(ctx context.Context, s console.Search, began *bool, tell func(console.Event) bool) error {
	response, err := c.send(ctx, "GET", "/v1/events?"+s.Values().Encode(), "text/event-stream", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	*began = true
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e console.Event
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return fmt.Errorf("an event cannot be read: %w", err)
		}
		if !tell(e) {
			return errEnough
		}
	}
	return lines.Err()
}
