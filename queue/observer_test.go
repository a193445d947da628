package queue_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// watcher keeps what it was told.
type watcher struct{ told []string }

func (w *watcher) Settled(o mail.Outcome, s queue.State, age time.Duration) {
	w.told = append(w.told, fmt.Sprintf("%s %s %s", o.Disposition, s, age.Round(time.Second)))
}

// An observer hears every outcome once.
func TestObserver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		<-w.ended
		watch := &watcher{}
		w.seen = watch
		w.begin(w.store)
		first := true
		w.answer("grey.test", func(tr mail.Transaction) mail.Outcome {
			if first {
				first = false
				return greylisted(tr)
			}
			return delivered(tr)
		})
		w.submit("me@us.test", "you@grey.test")
		pass(2 * time.Minute)
		id := w.submit("", "you@grey.test", "other@grey.test")
		pass(time.Second)
		w.stop()
		<-w.ended
		want := []string{"deferred pending 0s", "delivered delivered 1m0s", "delivered delivered 0s", "delivered delivered 0s"}
		if !slices.Equal(watch.told, want) {
			t.Errorf("of %s and another the observer was told\n%q\nwant\n%q", id, watch.told, want)
		}
	})
}
