package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sternpost/dsn"
	"sternpost/mail"
	"sternpost/queue"
)

// told counts, for each recipient, the reports of an action that were accepted: a report that arrives twice, because we were killed behind the remote's 250, is one.
func (w *world) told(action dsn.Action) map[string]int {
	w.t.Helper()
	seen, count := map[string]bool{}, map[string]int{}
	for _, a := range w.tries("us.test") {
		r, err := dsn.Parse(strings.NewReader(a.text))
		if err != nil {
			w.t.Fatal(err)
		}
		if seen[r.MessageID] {
			continue
		}
		seen[r.MessageID] = true
		for _, recipient := range r.Recipients {
			if recipient.Action == action {
				count[recipient.Final.String()]++
			}
		}
	}
	return count
}

// sometimes defers the first attempt, and refuses those behind it.
func sometimes(t mail.Transaction) mail.Outcome {
	if t.Attempt == 1 {
		return greylisted(t)
	}
	return refused(t)
}

// bounces are messages that fail in all the ways in which a report may wait.
func (w *world) bounces() {
	w.answer("no.test", refused)
	w.answer("slow.test", after(2*time.Minute, refused))
	w.answer("slower.test", after(8*time.Minute, refused))
	w.answer("late.test", sometimes)
	w.answer("dead.test", down)
	for _, to := range [][]string{
		{"a@no.test"}, {"b@no.test", "b@slow.test", "b@yes.test"}, {"c@no.test", "c@slower.test", "c@late.test"}, {"d@late.test", "d@dead.test", "d@no.test"},
	} {
		s := submission(w.t, "me@us.test", to...)
		for !w.accepts(s) {
			w.powerUp()
		}
	}
}

func (w *world) accepts(s queue.Submission) bool {
	_, err := w.queue.Submit(context.Background(), s, strings.NewReader("Subject: x\r\n\r\ntext\r\n"))
	if err != nil && !errors.Is(err, queue.ErrStopped) {
		w.t.Fatal(err)
	}
	return err == nil
}

// powerUp is what follows from a crash: the next process finds what was committed, and no leases.
func (w *world) powerUp() {
	w.stop()
	<-w.ended
	w.store = w.store.Reopen()
	w.begin(w.store)
}

// A crash at each commit of the life of messages that bounce: there is exactly one report for each recipient who failed, and one notice of delay for each message that waits for long.
func TestCrashAtEachCommitOfBounces(t *testing.T) {
	const commits = 60
	crashed := 0
	for n := range commits {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, func(c *queue.Config) { c.Lifetime = 12 * time.Hour })
				w.store.FailCommitsAfter(n, errors.New("power cut"))
				w.bounces()
				crashed += w.live(16 * time.Hour)
				want := "a@no.test b@no.test b@slow.test c@no.test c@slower.test c@late.test d@late.test d@dead.test d@no.test"
				failed := w.told(dsn.Failed)
				for recipient := range strings.FieldsSeq(want) {
					if failed[recipient] != 1 {
						t.Errorf("%s is in %d reports", recipient, failed[recipient])
					}
					delete(failed, recipient)
				}
				if len(failed) > 0 || w.told(dsn.Delayed)["d@dead.test"] != 1 || w.waiting() != 0 {
					t.Errorf("others failed: %v; notices %v; %d wait", failed, w.told(dsn.Delayed), w.waiting())
				}
			})
		})
	}
	if crashed < commits/2 {
		t.Errorf("only %d of %d lives saw a crash: the sweep looks at nothing", crashed, commits)
	}
}

// live lets time pass, and starts again after each crash.
func (w *world) live(d time.Duration) (crashes int) {
	step := 10 * time.Second
	for passed := time.Duration(0); passed < d; passed += step {
		pass(step)
		select {
		case <-w.store.Failed():
			crashes++
			w.powerUp()
		default:
		}
		if passed > 30*time.Minute {
			step = time.Hour
		}
	}
	return crashes
}
