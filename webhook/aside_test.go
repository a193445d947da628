package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sternpost/journal"
)

// picky refuses events about some recipients.
type picky struct {
	receiver
	mu      sync.Mutex
	refuses map[string]int // the status by the local-part
}

func (p *picky) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.receiver.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	told := p.take()
	_, rest, _ := strings.Cut(told[len(told)-1].body, `"recipient":"`)
	name, _, _ := strings.Cut(rest, "@")
	p.mu.Lock()
	defer p.mu.Unlock()
	if status, known := p.refuses[name]; known {
		response.StatusCode = status
	}
	return response, nil
}

func (p *picky) refuse(status int, names ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = map[string]int{}
	for _, name := range names {
		p.refuses[name] = status
	}
}

// asideOf is what is set aside of the one endpoint, by the local-parts.
func asideOf(n *Notifier) string {
	var names []string
	for _, a := range n.Status()[0].Aside {
		name, _, _ := strings.Cut(a.Recipient, "@")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

const hook = "https://hooks.example/events"

// An event that is refused for an hour while others are taken is set aside, also over a restart; a person has it told again.
func TestPoisonedEventIsSetAside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &picky{}
		r.refuse(500, "bad")
		n, end := begin(t, d, r)
		for _, name := range []string{"one", "bad", "two", "three"} {
			d.write(journal.Failed, name+"@b.example")
		}
		pass(40 * time.Minute)
		want(t, "told", r.recipients(), "one"+strings.Repeat(" bad", 6))
		if asideOf(n) != "" {
			t.Errorf("set aside too early: %+v", n.Status()[0].Aside)
		}
		pass(30 * time.Minute)
		want(t, "told", r.recipients(), "one"+strings.Repeat(" bad", 7)+" two bad three")
		want(t, "set aside", asideOf(n), "bad")
		s := n.Status()[0]
		if s.State != Good || s.Lag != 0 || s.Aside[0].Error != "the endpoint answers 500 Internal Server Error" || s.Aside[0].Type != Failed || s.Told != 3 {
			t.Errorf("%+v", s)
		}
		end()

		n, end = begin(t, d, r)
		pass(48 * time.Hour)
		want(t, "set aside, after a restart", asideOf(n), "bad")
		if err := n.Retry(hook); err != nil {
			t.Error(err)
		}
		pass(time.Second)
		want(t, "still refused", asideOf(n), "bad")
		r.refuse(0)
		if err := n.Retry(hook); err != nil {
			t.Error(err)
		}
		pass(time.Second)
		want(t, "taken", asideOf(n), "")
		got := r.take()
		if got[1].header.Get("webhook-id") != got[len(got)-1].header.Get("webhook-id") {
			t.Error("it came with another id")
		}
		end()
		n, end = begin(t, d, r)
		defer end()
		pass(time.Second)
		want(t, "after another restart", asideOf(n), "")
	})
}

// While an endpoint takes nothing at all, nothing is set aside, and the order is kept.
func TestNothingIsSetAsideInAnOutage(t *testing.T) {
	for name, status := range map[string]int{"refused": 500, "unreachable": 0} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d, r := newDiary(), &receiver{answer: func(int) (int, http.Header) { return status, nil }}
				n, end := begin(t, d, r)
				defer end()
				for i := range 30 {
					d.write(journal.Failed, fmt.Sprintf("%02d@b.example", i))
				}
				pass(48 * time.Hour)
				if s := n.Status()[0]; len(s.Aside) > 0 || s.State != Failing || s.Told != 0 {
					t.Errorf("%+v", s)
				}
				if tries := len(r.take()); status == 0 && tries > 60 {
					t.Errorf("%d tries in two days of who cannot be reached", tries)
				}
				r.mu.Lock()
				r.answer, r.got = nil, nil
				r.mu.Unlock()
				pass(2 * time.Hour)
				var names []string
				for i := range 30 {
					names = append(names, fmt.Sprintf("%02d", i))
				}
				want(t, "told", r.recipients(), strings.Join(names, " "))
			})
		})
	}
}

// A run of events that are refused, as after a change of the receiver, costs an hour each and not for ever.
func TestSeveralPoisonedEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &picky{}
		r.refuse(400, "bad1", "bad2")
		n, end := begin(t, d, r)
		defer end()
		for _, name := range []string{"bad1", "bad2", "good", "last"} {
			d.write(journal.Failed, name+"@b.example")
		}
		pass(3 * time.Hour)
		want(t, "set aside", asideOf(n), "bad1 bad2")
		for _, name := range []string{"good", "last"} {
			if n := strings.Count(r.recipients(), name); n != 1 {
				t.Errorf("%s was told %d times", name, n)
			}
		}
	})
}

// A person need not wait.
func TestSkipAndForget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &picky{}
		r.refuse(500, "bad")
		n, end := begin(t, d, r)
		defer end()
		if _, err := n.Skip(hook); !errors.Is(err, ErrNotHeldUp) {
			t.Errorf("nothing is held up: %v", err)
		}
		d.write(journal.Failed, "bad@b.example")
		d.write(journal.Failed, "two@b.example")
		pass(2 * time.Second)
		id, err := n.Skip(hook)
		pass(time.Second)
		if err != nil || asideOf(n) != "bad" || n.Status()[0].Aside[0].ID != id {
			t.Errorf("%s, %v, %+v", id, err, n.Status()[0])
		}
		want(t, "told", r.recipients(), "bad two")
		if forgotten, err := n.Forget(t.Context(), hook); forgotten != 1 || err != nil || asideOf(n) != "" {
			t.Errorf("%d, %v, %s", forgotten, err, asideOf(n))
		}
		if forgotten, err := n.Forget(t.Context(), hook); forgotten != 0 || err != nil {
			t.Errorf("%d, %v", forgotten, err)
		}
		for what, err := range map[string]error{
			"retry": n.Retry("other"), "skip": second(n.Skip("other")), "forget": second(n.Forget(t.Context(), "other")), "test": second(n.Test(t.Context(), "other")),
		} {
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("%s of a name that there is not: %v", what, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// A person has the next try made now, also after 410.
func TestRetryIsAtOnce(t *testing.T) {
	for _, status := range []int{500, http.StatusGone} {
		bubble(t, func(t *testing.T) {
			d, r := newDiary(), &picky{}
			r.refuse(status, "one")
			n, end := begin(t, d, r)
			defer end()
			d.write(journal.Failed, "one@b.example")
			d.write(journal.Failed, "two@b.example")
			pass(10 * time.Minute)
			r.refuse(0)
			before := len(r.take())
			if err := n.Retry(hook); err != nil {
				t.Error(err)
			}
			pass(time.Second)
			if got := r.recipients(); !strings.HasSuffix(got, "one two") || len(r.take()) != before+2 {
				t.Errorf("%d: %s", status, got)
			}
			if s := n.Status()[0]; s.State != Good {
				t.Errorf("%d: %+v", status, s)
			}
		})
	}
}

// A test goes beside what is held up, signed as all are, and once.
func TestTestEvent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &picky{}
		r.refuse(500, "bad")
		n, end := begin(t, d, r)
		defer end()
		d.write(journal.Failed, "bad@b.example")
		pass(2 * time.Second)
		tried, err := n.Test(t.Context(), hook)
		got := r.take()
		last := got[len(got)-1]
		if err != nil || tried.Error != "" || last.header.Get("webhook-id") != tried.Event || !strings.HasPrefix(last.body, `{"type":"test",`) {
			t.Errorf("%+v, %v, %+v", tried, err, last)
		}
		r.receiver.mu.Lock()
		r.answer = func(int) (int, http.Header) { return 401, nil }
		r.receiver.mu.Unlock()
		if tried, err := n.Test(t.Context(), hook); err != nil || tried.Error != "the endpoint answers 401 Unauthorized" {
			t.Errorf("%+v, %v", tried, err)
		}
		if s := n.Status()[0]; s.Told != 0 || s.State != Failing {
			t.Errorf("it counts: %+v", s)
		}
	})
}

// Not more is set aside than can be kept; then the endpoint is waited for.
func TestMostAside(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &picky{}
		var bad []string
		for i := range mostAside + 1 {
			bad = append(bad, fmt.Sprintf("bad%d", i))
		}
		r.refuse(500, bad...)
		n, end := begin(t, d, r)
		for _, name := range bad {
			d.write(journal.Failed, name+"@b.example")
		}
		for range bad {
			pass(2 * time.Second)
			_, _ = n.Skip(hook)
		}
		pass(2 * time.Second)
		if s := n.Status()[0]; len(s.Aside) != mostAside || s.State != Failing {
			t.Errorf("%d are set aside, %s", len(s.Aside), s.State)
		}
		if _, err := n.Skip(hook); err == nil || !strings.Contains(err.Error(), "retry or forget") {
			t.Error(err)
		}
		d.write(journal.Failed, "good@b.example")
		pass(5 * time.Hour)
		if s := n.Status()[0]; len(s.Aside) != mostAside || s.State != Failing {
			t.Errorf("%d are set aside, %s", len(s.Aside), s.State)
		}
		end()
		n, end = begin(t, d, r)
		defer end()
		if s := n.Status()[0]; len(s.Aside) != mostAside {
			t.Errorf("after a restart %d are set aside", len(s.Aside))
		}
	})
}

// What cannot be remembered is not set aside, and what the journal has forgotten is not recalled.
func TestAsideIsDurable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d, r := newDiary(), &picky{}
		r.refuse(500, "bad")
		n, end := begin(t, d, r)
		d.write(journal.Failed, "bad@b.example")
		d.write(journal.Failed, "two@b.example")
		pass(2 * time.Second)
		d.breakDown(true)
		if _, err := n.Skip(hook); err != nil {
			t.Error(err)
		}
		pass(time.Second)
		if s := n.Status()[0]; len(s.Aside) != 0 || s.State != Failing {
			t.Errorf("%+v", s)
		}
		d.breakDown(false)
		_, _ = n.Skip(hook)
		pass(2 * time.Second)
		want(t, "set aside", asideOf(n), "bad")
		end()
		d.forget(1)
		n, end = begin(t, d, r)
		defer end()
		want(t, "after the journal has forgotten it", asideOf(n), "")
	})
}
