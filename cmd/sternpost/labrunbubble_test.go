package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestBubbleWithoutATest(t *testing.T) {
	var start, end time.Time
	err := inBubble(nil, func(ctx context.Context) error {
		start = time.Now()
		select {
		case <-time.After(5 * 24 * time.Hour):
		case <-ctx.Done():
			return ctx.Err()
		}
		end = time.Now()
		return nil
	})
	if err != nil || end.Sub(start) != 5*24*time.Hour {
		t.Errorf("%v, from %s to %s", err, start, end)
	}
	if !start.Equal(bubbleStart()) {
		t.Errorf("time begins at %s", start)
	}
}

func TestBubbleTellsWhatWentWrong(t *testing.T) {
	trouble := errors.New("trouble")
	for name, c := range map[string]struct {
		body func(ctx context.Context) error
		want string
	}{
		"an error": {func(context.Context) error { return trouble }, "trouble"},
		"a panic":  {func(context.Context) error { panic("at the disco") }, "a mistake in the program: at the disco\n"},
		"a deadlock": {func(context.Context) error {
			<-make(chan int)
			return nil
		}, "the bubble: deadlock: all goroutines in bubble are blocked"},
		"a goroutine that is left over": {func(context.Context) error {
			go func() { <-make(chan int) }()
			return nil
		}, "the bubble: deadlock: main bubble goroutine has exited but blocked goroutines remain"},
	} {
		t.Run(name, func(t *testing.T) {
			err := inBubble(nil, c.body)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := inBubble(nil, func(context.Context) error { return trouble }); !errors.Is(err, trouble) {
		t.Errorf("%v is not the error of the body", err)
	}
}
