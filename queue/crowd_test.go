package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// waits makes a deliverer's answer take its time.
func waits(d time.Duration, answer func(mail.Transaction) mail.Outcome) func(mail.Transaction) mail.Outcome {
	return func(t mail.Transaction) mail.Outcome {
		<-time.After(d)
		return answer(t)
	}
}

// leftWithin says how long the first attempt for a domain took from a time; it gives up after most.
func (w *world) leftWithin(d mail.Domain, sender string, from time.Time, most time.Duration) time.Duration {
	w.t.Helper()
	for time.Since(from) < most {
		pass(100 * time.Millisecond)
		for _, a := range w.tries(d) {
			if sender == "" || a.sender == sender {
				return a.at.Sub(from)
			}
		}
	}
	w.t.Errorf("nothing left for %s in %s", d, most)
	return most
}

// Tarpits hold their connections for a quarter of an hour. However much waits for them, a message to somebody else leaves at once: to a domain that answered before, and
// to one that was never asked.
func TestTarpitsAreConfined(t *testing.T) {
	for _, each := range []int{1, 20} {
		t.Run(fmt.Sprint(each), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.submit("me@us.test", "you@known.test")
				synctest.Wait()
				for i := range 500 {
					w.answer(mail.Domain(fmt.Sprintf("tar%d.test", i)), waits(15*time.Minute, greylisted))
				}
				for j := range each {
					for i := range 500 {
						w.submit("me@us.test", fmt.Sprintf("u%d@tar%d.test", j, i))
					}
				}
				pass(time.Minute)
				began := time.Now()
				w.submit("one@us.test", "you@known.test")
				if took := w.leftWithin("known.test", "one@us.test", began, time.Minute); took > time.Second {
					t.Errorf("a domain that answers had to wait for %s", took)
				}
				began = time.Now()
				w.submit("me@us.test", "you@new.test")
				if took := w.leftWithin("new.test", "", began, time.Minute); took > time.Second {
					t.Errorf("a domain that was never asked had to wait for %s", took)
				}
			})
		})
	}
}

// One slow destination with thousands in memory does not keep the work of others on the disk.
func TestMemoryIsShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.MaxReady = 200 })
		for i := range 10 {
			w.answer(mail.Domain(fmt.Sprintf("tar%d.test", i)), waits(15*time.Minute, greylisted))
			for j := range 100 {
				w.submit("me@us.test", fmt.Sprintf("u%d@tar%d.test", j, i))
			}
		}
		pass(time.Minute)
		w.answer("grey.test", greylisted)
		began := time.Now()
		w.submit("me@us.test", "you@grey.test")
		pass(time.Second)
		w.answer("grey.test", delivered)
		pass(2 * time.Minute)
		if tries := w.tries("grey.test"); len(tries) != 2 || tries[1].at.Sub(began) > 62*time.Second {
			t.Errorf("%d attempts for a message that was due again in a minute: %v", len(tries), tries)
		}
	})
}

// However many one sender has put before it, another one's message takes its turn.
func TestOneSendersThousands(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("slow.test", waits(time.Second, delivered))
		for i := range 30_000 {
			w.submit("bulk@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		pass(time.Second)
		began := time.Now()
		w.submit("one@us.test", "you@slow.test")
		if took := w.leftWithin("slow.test", "one@us.test", began, 5*time.Minute); took > 3*time.Second {
			t.Errorf("it left after %s", took)
		}
	})
}

// A message that was deferred comes back from the disk while another sender fills the memory.
func TestRetryBesideOneSendersThousands(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.MaxReady = 1000 })
		w.answer("slow.test", func(tr mail.Transaction) mail.Outcome {
			<-time.After(time.Second)
			if tr.Envelope.From.String() == "one@us.test" && tr.Attempt == 1 {
				return greylisted(tr)
			}
			return delivered(tr)
		})
		w.submit("one@us.test", "you@slow.test")
		for i := range 3000 {
			w.submit("bulk@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		began := time.Now()
		pass(80 * time.Second)
		count := 0
		for _, a := range w.tries("slow.test") {
			if a.sender == "one@us.test" {
				count++
			}
		}
		if count != 2 {
			t.Errorf("%d attempts within %s", count, time.Since(began))
		}
	})
}

func TestSmallestMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.MaxReady = 1 })
		for i := range 10 {
			w.submit("me@us.test", fmt.Sprintf("u%d@d%d.test", i, i%3))
		}
		pass(time.Minute)
		if w.waiting() != 0 {
			t.Errorf("%d still wait", w.waiting())
		}
	})
}

// A rate costs the store little: nothing is written for each message that waits.
func TestRateIsCheap(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) {
			c.PerDestinations = []queue.Override{{Domains: []string{"slow.test"}, Rate: 60}}
		})
		before := w.store.Counts()
		for i := range 1000 {
			w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		pass(30 * time.Second)
		after := w.store.Counts()
		if n := len(w.tries("slow.test")); n < 29 || n > 32 {
			t.Errorf("%d attempts in half a minute", n)
		}
		if after.Suspend-before.Suspend > 5 || after.Lease-before.Lease > 100 {
			t.Errorf("%d suspensions and %d leases", after.Suspend-before.Suspend, after.Lease-before.Lease)
		}
	})
}

// Held and suspended work costs nothing while it waits.
func TestWaitingIsFree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.DelayNotice = 0 })
		w.answer("grey.test", greylisted)
		for i := range 500 {
			w.submit("me@us.test", fmt.Sprintf("u%d@grey.test", i))
		}
		pass(time.Second)
		if e, err := w.queue.Change(context.Background(), queue.Query{}, queue.Hold); err != nil || e.Changed != 500 {
			t.Fatalf("%+v, %v", e, err)
		}
		pass(time.Minute)
		before := w.store.Counts()
		pass(time.Hour)
		after := w.store.Counts()
		if n := after.Lease - before.Lease; n > 61 { // the timer is set for a minute at most
			t.Errorf("%d leases in an hour for what is held", n)
		}
		if after.Settle != before.Settle || after.Suspend != before.Suspend {
			t.Error("something was written")
		}
	})
}

// A destination that moves to other exchangers while attempts run takes no places away from those who stay.
func TestDestinationMoves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		name := "a"
		w.site = func(d mail.Domain) (string, time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if d == "moving.test" {
				return name, time.Now().Add(10 * time.Second)
			}
			return "a", time.Now().Add(10 * time.Second)
		}
		w.answer("moving.test", waits(30*time.Second, delivered))
		for i := range 5 {
			w.submit("me@us.test", fmt.Sprintf("u%d@moving.test", i))
		}
		pass(15 * time.Second)
		mu.Lock()
		name = "b"
		mu.Unlock()
		w.submit("me@us.test", "x@moving.test")
		pass(5 * time.Minute)
		began := time.Now()
		w.submit("me@us.test", "you@stays.test")
		w.leftWithin("stays.test", "", began, time.Minute)
	})
}

// A limit for one destination is its own: the others at its site keep theirs.
func TestWindowOverride(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) {
			c.PerDestinations = []queue.Override{{Domains: []string{"one.shared.test"}, WindowLimit: 1}, {Domains: []string{"wide.test"}, WindowLimit: 30}}
		})
		for _, d := range []mail.Domain{"one.shared.test", "two.shared.test", "wide.test"} {
			w.answer(d, waits(time.Second, delivered))
			for i := range 600 {
				w.submit(fmt.Sprintf("s%d@us.test", i%7), fmt.Sprintf("u%d@%s", i, d))
			}
		}
		pass(3 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.most["one.shared.test"] != 1 || w.most["two.shared.test"] < 15 || w.most["wide.test"] != 30 {
			t.Errorf("at the same time: %v", w.most)
		}
	})
}

// The window grows by mail that is taken, not by mail that is deferred; and a site that is asked to slow down is left with less.
func TestWindowFollowsTheAnswers(t *testing.T) {
	full := func(tr mail.Transaction) mail.Outcome {
		return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeRecipient, Stage: mail.StageRcpt, Status: mail.Status{4, 2, 2},
			Reply: mail.Reply{Code: 452, Lines: []string{"452 4.2.2 mailbox full"}}}
	}
	throttled := func(tr mail.Transaction) mail.Outcome {
		return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeHost, Stage: mail.StageGreeting, Status: mail.Status{4, 7, 0},
			Reply: mail.Reply{Code: 421, Lines: []string{"421 4.7.0 too many connections"}}}
	}
	for _, c := range []struct {
		name   string
		answer func(mail.Transaction) mail.Outcome
		want   int
	}{{"deferred", full, 5}, {"throttled", throttled, 1}} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				w.answer("a.test", waits(time.Second, c.answer))
				for i := range 100 {
					w.submit("me@us.test", fmt.Sprintf("u%d@a.test", i))
				}
				pass(15 * time.Second)
				list, err := w.queue.Destinations(context.Background())
				if err != nil || len(list) != 1 || list[0].Window != c.want || list[0].Dead {
					t.Errorf("%+v, %v; want a window of %d", list, err, c.want)
				}
			})
		})
	}
}

// Higher priorities go first: ordinary mail before reports and what else comes from nobody.
func TestReportsWaitBehindMail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.WindowStart, c.WindowLimit = 1, 1 })
		w.answer("a.test", waits(time.Second, delivered))
		for i := range 20 {
			w.submit("", fmt.Sprintf("r%d@a.test", i))
		}
		pass(500 * time.Millisecond)
		began := time.Now()
		w.submit("me@us.test", "you@a.test")
		if took := w.leftWithin("a.test", "me@us.test", began, time.Minute); took > time.Second {
			t.Errorf("it waited for %s", took)
		}
	})
}

// What had no room in memory is asked for again, also when the store had nothing else in that moment.
func TestMoreThanTheMemoryHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.MaxReady, c.WindowStart, c.WindowLimit = 2, 1, 1 })
		w.answer("slow.test", waits(time.Second, delivered))
		for i := range 5 {
			w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
			synctest.Wait()
		}
		pass(10 * time.Second)
		if w.waiting() != 0 {
			t.Errorf("%d still wait", w.waiting())
		}
	})
}
