package queue_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/queue"
)

// hand submits a text with a key.
func (w *world) hand(key string, content io.Reader) (queue.Accepted, error) {
	w.t.Helper()
	s := submission(w.t, "me@us.test", "you@a.test")
	s.Key = key
	return w.queue.Submit(context.Background(), s, content)
}

// The same key and content: one message, one answer, also when it has gone; the next day it is another.
func TestKeyIsAcceptedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		first, err := w.hand("key", strings.NewReader("text"))
		if err != nil || first.Repeated {
			t.Fatal(first, err)
		}
		for _, wait := range []time.Duration{0, time.Second, 23 * time.Hour} {
			pass(wait)
			if again, err := w.hand("key", strings.NewReader("text")); err != nil || again != (queue.Accepted{ID: first.ID, Repeated: true}) {
				t.Errorf("after %v more: %+v, %v", wait, again, err)
			}
			if other, err := w.hand("key", strings.NewReader("texts")); !errors.Is(err, queue.ErrOtherContent) || other != (queue.Accepted{}) {
				t.Errorf("another content after %v more: %+v, %v", wait, other, err)
			}
		}
		synctest.Wait()
		if n := len(w.tries("a.test")); n != 1 || w.kindsOf(first.ID) != "accepted delivered" || w.waiting() != 0 {
			t.Errorf("%d attempts, %s", n, w.kindsOf(first.ID))
		}
		pass(time.Hour)
		if next, err := w.hand("key", strings.NewReader("texts")); err != nil || next.Repeated || next.ID == first.ID {
			t.Errorf("the next day: %+v, %v", next, err)
		}
		pass(time.Second)
		if n := len(w.tries("a.test")); n != 2 {
			t.Errorf("%d attempts in all", n)
		}
	})
}

func TestKeyAtTheSameTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		var handing sync.WaitGroup
		answers := make([]queue.Accepted, 20)
		for n := range answers {
			handing.Go(func() {
				var err error
				if answers[n], err = w.hand("key", strings.NewReader("text")); err != nil {
					t.Error(err)
				}
			})
		}
		handing.Wait()
		first := 0
		for _, a := range answers {
			if a.ID != answers[0].ID {
				t.Errorf("%v and %v are accepted", answers[0].ID, a.ID)
			}
			if !a.Repeated {
				first++
			}
		}
		pass(time.Second)
		if first != 1 || len(w.tries("a.test")) != 1 {
			t.Errorf("%d are accepted, %d attempts", first, len(w.tries("a.test")))
		}
	})
}

// marked is a content whose digest is not that of its octets, and is there when it was read.
type marked struct {
	io.Reader
	mark byte
	read bool
}

func (m *marked) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.read = errors.Is(err, io.EOF)
	return n, err
}

func (m *marked) Digest() [32]byte {
	if !m.read {
		return [32]byte{}
	}
	return [32]byte{m.mark}
}

// Where the content has a digest, that one counts.
func TestDigestOfContent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		first, err := w.hand("key", &marked{Reader: strings.NewReader("received at one"), mark: 1})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := w.hand("key", &marked{Reader: strings.NewReader("received at two"), mark: 1}); err != nil || again.ID != first.ID {
			t.Errorf("%+v, %v", again, err)
		}
		if _, err := w.hand("key", &marked{Reader: strings.NewReader("received at one"), mark: 2}); !errors.Is(err, queue.ErrOtherContent) {
			t.Error(err)
		}
		s := submission(t, "me@us.test", "you@a.test")
		s.Key, s.Digest = "own", [32]byte{77}
		if _, err := w.queue.Submit(context.Background(), s, strings.NewReader("text")); err != nil {
			t.Fatal(err)
		}
		s.Digest = [32]byte{78}
		if again, err := w.queue.Submit(context.Background(), s, strings.NewReader("text")); err != nil || !again.Repeated {
			t.Errorf("the digest that a submission comes with counts: %+v, %v", again, err)
		}
	})
}

// A content that breaks off leaves no key.
func TestKeyOfContentThatBreaksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.hand("key", io.MultiReader(strings.NewReader("te"), brokenReader{io.ErrUnexpectedEOF})); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		if a, err := w.hand("key", strings.NewReader("text")); err != nil || a.Repeated {
			t.Error(a, err)
		}
	})
}

func TestCheckKey(t *testing.T) {
	long := strings.Repeat("k", 255)
	for key, want := range map[string]string{
		"a": "", " ": "octet 1 of this one is 0x20", "a b": "octet 2", "!": "", "~": "", long: "", `"8e03978e-40d5-43dd-bc93-6894a57f9324"`: "",
		"": "this one has 0", long + "k": "this one has 256", "a\nb": "octet 2 of this one is 0x0a", "a\x00": "octet 2", "\x7f": "octet 1", "schlüssel": "octet 5 of this one is 0xc3",
	} {
		if err := queue.CheckKey(key); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", key, err, want)
		}
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		if _, err := w.hand("a\nb", strings.NewReader("text")); err == nil {
			t.Error("a key with a line break is accepted")
		}
		if n := w.store.Counts().Begin; n != 0 {
			t.Errorf("%d drafts were begun for it", n)
		}
	})
}
