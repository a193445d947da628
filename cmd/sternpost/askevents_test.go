package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/console"
)

// streams answers one question after the other with what it has, and with an error where that is empty. It remembers what was asked.
type streams struct {
	texts []string
	asked []string
}

func (s *streams) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, r.URL.Query().Get("after"))
	n := len(s.asked) - 1
	if n >= len(s.texts) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if s.texts[n] == "" {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(s.texts[n])), Request: r}, nil
}

func eventNamed(cursor string) string {
	return fmt.Sprintf("id: %s\nevent: failed\ndata: {\"cursor\":%q}\n\n", cursor, cursor)
}

// A follower goes on behind the last event when the agent has gone and come again, and meets no event twice.
func TestFollowerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &streams{texts: []string{": hello\n\n" + eventNamed("1-0") + ":\n\n" + eventNamed("2-0"), "", "", eventNamed("3-0")}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		var got []string
		for e, err := range (&client{http: &http.Client{Transport: s}}).follow(ctx, console.Search{Since: "1h"}) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, e.Cursor); len(got) == 3 {
				break
			}
		}
		if text := strings.Join(got, " "); text != "1-0 2-0 3-0" {
			t.Errorf("events %s", text)
		}
		if text := strings.Join(s.asked, " "); text != " 2-0 2-0 2-0" {
			t.Errorf("asked for what is behind %q", text)
		}
		if took := time.Since(began); took != 3*followAgain {
			t.Errorf("it came again after %s", took)
		}
	})
}

// Where nobody ever answers the error is told, and an interrupt ends all waiting.
func TestFollowerOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, err := range (&client{http: &http.Client{Transport: &streams{texts: []string{""}}}}).follow(t.Context(), console.Search{}) {
			if err == nil {
				t.Error("there is no error")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for range (&client{http: &http.Client{Transport: &streams{texts: []string{eventNamed("1-0")}}}}).follow(ctx, console.Search{}) {
		}
		if ctx.Err() == nil {
			t.Error("the stream ended before the interrupt")
		}
	})
}
