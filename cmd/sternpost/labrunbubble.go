package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs body in a bubble of package testing/synctest, where time passes as soon as everybody waits; it begins at bubbleStart. All goroutines that body
// begins must have ended when it returns. The error is that of body, or says what went wrong within: a panic of body, goroutines that wait for each other, or
// some that are left over. A panic of another goroutine ends the program, as it does everywhere.
//
// A bubble hangs on a testing.T. A test hands in its own; nil, in the program, is the zero one: see docs/adr/0023-a-bubble-in-the-binary.md.
func inBubble(t *testing.T, body func(ctx context.Context) error) error {
	if t == nil {
		t = new(testing.T)
	}
	ended := make(chan error, 1)
	go func() { // synctest.Test may end its goroutine
		err := errors.New("the bubble ended too early")
		defer func() {
			if trouble := recover(); trouble != nil {
				err = errors.Join(err, fmt.Errorf("the bubble: %v", trouble))
			}
			ended <- err
		}()
		synctest.Test(t, func(t *testing.T) { err = whole(t.Context(), body) })
	}()
	return <-ended
}

// whole turns a panic of body into an error.
func whole(ctx context.Context, body func(ctx context.Context) error) (err error) {
	defer func() {
		if trouble := recover(); trouble != nil {
			err = fmt.Errorf("a mistake in the program: %v\n%s", trouble, debug.Stack())
		}
	}()
	return body(ctx)
}

// bubbleStart is when the time of every bubble begins.
func bubbleStart() time.Time { return time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC) }
