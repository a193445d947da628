package queue_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/queue"
)

// wants submits a message to a domain with the client's own times, counted from now; zero: none.
func (w *world) wants(to string, sendAt, expires time.Duration) queue.ID {
	w.t.Helper()
	s := submission(w.t, "me@us.test", to)
	if sendAt != 0 {
		s.SendAt = time.Now().Add(sendAt)
	}
	if expires != 0 {
		s.Expires = time.Now().Add(expires)
	}
	a, err := w.queue.Submit(context.Background(), s, strings.NewReader("Subject: x\r\n\r\ntext\r\n"))
	if err != nil {
		w.t.Fatal(err)
	}
	return a.ID
}

// A client may shorten the lifetime, and not extend it. The last attempt is just before the end.
func TestLifetimeOfAClient(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		sendAt, expires   time.Duration
		first, last, over time.Duration // the first and the last attempt, and when the report goes
	}{
		"none":                  {0, 0, 0, 5*day - 15*time.Minute, 5*day - 15*time.Minute},
		"an hour":               {0, time.Hour, 0, 54 * time.Minute, 54 * time.Minute},
		"ten minutes":           {0, 10 * time.Minute, 0, 9 * time.Minute, 9 * time.Minute},
		"a month":               {0, 30 * day, 0, 5*day - 15*time.Minute, 5*day - 15*time.Minute},
		"later":                 {3 * day, 0, 3 * day, 8*day - 15*time.Minute, 8*day - 15*time.Minute},
		"later, ten minutes":    {10 * time.Hour, 10*time.Hour + 10*time.Minute, 10 * time.Hour, 10*time.Hour + 9*time.Minute, 10*time.Hour + 9*time.Minute},
		"later, a month":        {3 * day, 30 * day, 3 * day, 8*day - 15*time.Minute, 8*day - 15*time.Minute},
		"earlier than it comes": {-time.Hour, 0, 0, 5*day - 15*time.Minute, 5*day - 15*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, func(c *queue.Config) { c.DelayNotice = 0 })
				w.answer("grey.test", greylisted)
				began := time.Now()
				w.wants("you@grey.test", c.sendAt, c.expires)
				pass(40 * day)
				tries, reports := w.tries("grey.test"), w.tries("us.test")
				if len(tries) < 2 || len(reports) != 1 || w.waiting() != 0 {
					t.Fatalf("%d attempts, %d reports, %d wait", len(tries), len(reports), w.waiting())
				}
				for what, times := range map[string][2]time.Duration{
					"first attempt": {tries[0].at.Sub(began), c.first}, "last attempt": {tries[len(tries)-1].at.Sub(began), c.last}, "report": {reports[0].at.Sub(began), c.over},
				} {
					if got, want := times[0].Round(time.Second), times[1]; got < want || got > want+10*time.Second {
						t.Errorf("%s after %v, want %v", what, got, want)
					}
				}
			})
		})
	}
}

// A message that nobody could try ends with its own lifetime, on the disk as in memory.
func TestShortLifetimeBehindADeadDestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.DelayNotice = 0 })
		w.answer("dead.test", down)
		w.submit("me@us.test", "first@dead.test")
		pass(30 * time.Minute)
		began := time.Now()
		w.wants("you@dead.test", 0, time.Hour)
		pass(59 * time.Minute)
		if w.waiting() != 2 || len(w.tries("us.test")) != 0 {
			t.Fatalf("%d wait an hour before the end", w.waiting())
		}
		pass(time.Minute + 20*time.Second)
		reports := w.tries("us.test")
		if w.waiting() != 1 || len(reports) != 1 {
			t.Fatalf("%d wait, %d reports %v later", w.waiting(), len(reports), time.Since(began))
		}
		if !strings.Contains(reports[0].text, "you@dead.test") {
			t.Errorf("the report is\n%s", reports[0].text)
		}
	})
}

// What was found out before the lifetime began is no attempt in it.
func TestSendAtIsTriedInItsLifetime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.DelayNotice = 0 })
		w.answer("dead.test", down)
		w.submit("me@us.test", "first@dead.test")
		pass(8*time.Minute + 10*time.Second)
		probed, begin := len(w.tries("dead.test")), time.Now().Add(11*time.Minute)
		w.wants("you@dead.test", 11*time.Minute, 13*time.Minute)
		pass(11*time.Minute - time.Second)
		if n := len(w.tries("dead.test")); n != probed+1 {
			t.Fatalf("%d probes between the submission and the lifetime", n-probed)
		}
		pass(3 * time.Minute)
		tries := w.tries("dead.test")
		if len(tries) != probed+2 || tries[len(tries)-1].at.Before(begin) {
			t.Errorf("%d attempts, none of them in the lifetime of the message", len(tries))
		}
		if n := len(w.tries("us.test")); n != 1 {
			t.Errorf("%d reports", n)
		}
	})
}

// Another process keeps to the times too.
func TestSendAtAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.wants("you@a.test", 3*time.Hour, 4*time.Hour)
		pass(time.Hour)
		w.stop()
		<-w.ended
		w.store = w.store.Reopen()
		w.begin(w.store)
		pass(2*time.Hour - time.Minute)
		if n := len(w.tries("a.test")); n != 0 {
			t.Fatalf("%d attempts before its time", n)
		}
		pass(2 * time.Minute)
		if n := len(w.tries("a.test")); n != 1 || w.waiting() != 0 {
			t.Errorf("%d attempts, %d wait", n, w.waiting())
		}
	})
}

// The notice of delay counts from when the message might go, and tells its own end.
func TestNoticeOfSendAt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		began := time.Now()
		w.wants("you@grey.test", 10*time.Hour, 20*time.Hour)
		pass(14*time.Hour - time.Minute)
		if n := len(w.tries("us.test")); n != 0 {
			t.Fatalf("%d notices too early", n)
		}
		pass(2 * time.Minute)
		notices := w.tries("us.test")
		if want := "Will-Retry-Until: " + began.Add(20*time.Hour).UTC().Format(time.RFC1123Z); len(notices) != 1 || !strings.Contains(notices[0].text, want) {
			t.Errorf("notices: %v, want %q", notices, want)
		}
	})
}

// Mail from nobody lives no longer than a report, whatever its client wants.
func TestLifetimeOfMailFromNobodyIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		s := submission(t, "", "you@grey.test")
		s.Expires = time.Now().Add(30 * 24 * time.Hour)
		if _, err := w.queue.Submit(context.Background(), s, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		pass(2*24*time.Hour + time.Minute)
		if w.waiting() != 0 {
			t.Error("it still waits after two days")
		}
	})
}

// A lifetime that is over before it begins is refused.
func TestLifetimeThatIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		now := time.Now()
		for name, c := range map[string][2]time.Time{
			"past": {{}, now.Add(-time.Second)}, "now": {{}, now},
			"before it is sent": {now.Add(time.Hour), now.Add(time.Minute)}, "when it is sent": {now.Add(time.Hour), now.Add(time.Hour)},
		} {
			s := submission(t, "me@us.test", "you@a.test")
			s.SendAt, s.Expires = c[0], c[1]
			if _, err := w.queue.Submit(context.Background(), s, strings.NewReader("x")); !errors.Is(err, queue.ErrOver) {
				t.Errorf("%s: %v", name, err)
			}
		}
		synctest.Wait()
		if w.waiting() != 0 {
			t.Error("it waits")
		}
	})
}
