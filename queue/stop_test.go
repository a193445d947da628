package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// restart ends the queue in order and starts another on what its store has.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	if err := <-w.ended; err != nil {
		w.t.Error(err)
	}
	w.store = w.store.Reopen()
	w.begin(w.store)
}

// What was overdue when we started is not all tried in the same moment; what is accepted from then on is.
func TestOverdueAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 1000 {
			d := mail.Domain(fmt.Sprintf("d%d.test", i))
			w.answer(d, greylisted)
			w.submit("me@us.test", "you@"+string(d))
		}
		pass(time.Second)
		w.stop()
		<-w.ended
		pass(time.Hour)
		w.mu.Lock()
		w.attempts = nil
		w.mu.Unlock()
		w.store = w.store.Reopen()
		w.begin(w.store)
		pass(time.Second)
		w.mu.Lock()
		first := len(w.attempts)
		w.mu.Unlock()
		if first == 0 || first > 400 {
			t.Errorf("%d attempts in the first second", first)
		}
		began := time.Now()
		w.submit("me@us.test", "you@fresh.test")
		if took := w.leftWithin("fresh.test", "", began, time.Minute); took > time.Second {
			t.Errorf("a fresh message waited for %s", took)
		}
		pass(15 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := len(w.attempts); n != 1001 {
			t.Errorf("%d attempts in the first 20 seconds", n)
		}
	})
}

// What expired while we did not run is tried once before it is returned.
func TestExpiredWhileStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		w.submit("me@us.test", "you@grey.test")
		pass(time.Second)
		w.stop()
		<-w.ended
		pass(10 * 24 * time.Hour)
		w.answer("grey.test", delivered)
		w.store = w.store.Reopen()
		w.begin(w.store)
		pass(time.Minute)
		if n := len(w.tries("grey.test")); n != 2 || len(w.tries("us.test")) != 0 {
			t.Errorf("%d attempts, %d reports", n, len(w.tries("us.test")))
		}
	})
}

// Stopped, the queue waits for what is being sent, within a bound, and begins nothing.
func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.Drain = 20 * time.Second })
		sending := func(took time.Duration) func(mail.Transaction) mail.Outcome { return waits(took, delivered) }
		w.answer("short.test", sending(10*time.Second))
		w.answer("long.test", sending(time.Hour))
		w.answer("greeting.test", func(tr mail.Transaction) mail.Outcome {
			select {
			case <-tr.Stopping.Done():
				return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeLocal, Stage: mail.StageGreeting, Reason: "we are stopping"}
			case <-time.After(5 * time.Minute):
				return greylisted(tr)
			}
		})
		short := w.submit("me@us.test", "you@short.test")
		long := w.submit("me@us.test", "you@long.test")
		greeting := w.submit("me@us.test", "you@greeting.test")
		pass(time.Second)
		began := time.Now()
		w.stop()
		synctest.Wait()
		if w.queue.Ready() == nil {
			t.Error("ready while it drains")
		}
		if err := <-w.ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("the drain took %s", took)
		}
		if got := []string{w.kindsOf(short), w.kindsOf(long), w.kindsOf(greeting)}; !slices.Equal(got, []string{"accepted delivered", "accepted deferred", "accepted"}) {
			t.Error(got)
		}
	})
}

// Without anything that is being sent, to stop takes no time.
func TestStopWhileGreeting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("greeting.test", func(tr mail.Transaction) mail.Outcome {
			<-tr.Stopping.Done()
			return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeLocal, Stage: mail.StageGreeting, Reason: "we are stopping"}
		})
		w.submit("me@us.test", "you@greeting.test")
		pass(time.Second)
		began := time.Now()
		w.stop()
		<-w.ended
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

// A change reaches all that is not under way, also what waits in memory, and says what it left alone.
func TestChangeReachesAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("slow.test", waits(time.Minute, delivered))
		for i := range 3000 {
			w.submit("bulk@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		pass(time.Second)
		e, err := w.queue.Change(context.Background(), queue.Query{Destination: "slow.test"}, queue.Remove)
		if err != nil || e.Changed != 2995 || e.UnderWay != 5 {
			t.Errorf("%+v, %v", e, err)
		}
		pass(2 * time.Minute)
		if w.waiting() != 0 {
			t.Errorf("%d still wait", w.waiting())
		}
	})
}

// A change that finds nothing leaves the rest as it was.
func TestChangeOfNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("slow.test", waits(time.Second, delivered))
		for i := range 20 {
			w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		if e, err := w.queue.Fail(context.Background(), queue.Query{Sender: "nobody@us.test"}); err != nil || e.Changed != 0 {
			t.Errorf("%+v, %v", e, err)
		}
		pass(time.Minute)
		if w.waiting() != 0 {
			t.Errorf("%d still wait", w.waiting())
		}
	})
}

// The lifetime of a destination is its own, whichever recipient comes first.
func TestLifetimeOfADestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) {
			c.DelayNotice = 0
			c.PerDestinations = []queue.Override{{Domains: []string{"short.test"}, Lifetime: time.Hour}}
		})
		w.answer("short.test", greylisted)
		w.answer("long.test", greylisted)
		w.submit("me@us.test", "u@long.test", "u@short.test")
		w.submit("me@us.test", "u@short.test", "u@long.test")
		pass(2 * time.Hour)
		for m, err := range w.queue.Messages(context.Background(), queue.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range m.Recipients {
				if short := m.Destination(i) == "short.test"; (r.State == queue.Failed) != short {
					t.Errorf("%s is %s", m.Envelope.Recipients[i].Address, r.State)
				}
			}
		}
		if n := len(w.tries("us.test")); n != 2 {
			t.Errorf("%d reports", n)
		}
	})
}

// The notice of a delay comes at the time of the destination.
func TestNoticeOfADestination(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) {
			c.PerDestinations = []queue.Override{{Domains: []string{"urgent.test"}, DelayNotice: time.Hour, Jitter: 0.5}}
		})
		w.answer("urgent.test", greylisted)
		w.answer("grey.test", greylisted)
		for _, recipients := range [][]string{{"u@urgent.test"}, {"u@grey.test"}} {
			w.submit("me@us.test", recipients...)
		}
		for _, check := range []struct {
			after   time.Duration
			notices int
		}{{59 * time.Minute, 0}, {2 * time.Minute, 1}, {178 * time.Minute, 1}, {2 * time.Minute, 2}} {
			pass(check.after)
			if n := len(w.tries("us.test")); n != check.notices {
				t.Errorf("%d notices, want %d", n, check.notices)
			}
		}
	})
}

// Mail from nobody lives as long as a report.
func TestLifetimeOfMailFromNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("grey.test", greylisted)
		w.submit("", "you@grey.test")
		pass(2*24*time.Hour + time.Minute)
		if w.waiting() != 0 {
			t.Error("it still waits after two days")
		}
	})
}

// What waits in memory for a slow host is told of and expires as all else does.
func TestDeadlinesInMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.WindowStart, c.WindowLimit, c.Lifetime = 1, 1, 6*time.Hour })
		w.answer("slow.test", waits(time.Hour, delivered))
		for i := range 100 {
			w.submit("me@us.test", fmt.Sprintf("u%d@slow.test", i))
		}
		pass(4*time.Hour + time.Minute)
		if n := len(w.tries("us.test")); n < 90 {
			t.Errorf("%d notices of delay", n)
		}
	})
}

// damaging is a store whose contents have become unreadable.
type damaging struct{ queue.Store }

func (d damaging) Begin(ctx context.Context) (queue.Draft, error) {
	draft, err := d.Store.Begin(ctx)
	return damagingDraft{draft}, err
}

type damagingDraft struct{ queue.Draft }

func (d damagingDraft) Commit(ctx context.Context, s queue.Submission, entries []journal.Entry) ([]queue.Owed, error) {
	work, err := d.Draft.Commit(ctx, s, entries)
	for i := range work {
		work[i].Content = damagedContent{work[i].Content}
	}
	return work, err
}

type damagedContent struct{ mail.Content }

func (damagedContent) Open() (io.ReadCloser, error) {
	return nil, fmt.Errorf("content/7: %w", queue.ErrDamaged)
}

// A message whose content is not what was accepted ends with a report; it is not tried for ever.
func TestDamagedContent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		<-w.ended
		w.begin(damaging{w.store})
		w.answer("a.test", func(tr mail.Transaction) mail.Outcome {
			return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeLocal, Stage: mail.StageContent, Reason: "cannot be read"}
		})
		id := w.submit("me@us.test", "you@a.test")
		pass(time.Minute)
		if got := w.kindsOf(id); got != "accepted failed" || len(w.tries("us.test")) != 1 {
			t.Errorf("%s, %d reports", got, len(w.tries("us.test")))
		}
	})
}

// refusing is a store that takes no batches, and refuses the first settlements.
type refusing struct {
	queue.Store
	refused *atomic.Int32
}

func (r refusing) Settle(ctx context.Context, work []queue.Settlement) error {
	if len(work) > 1 || r.refused.Add(1) <= 2 {
		return errors.New("refused")
	}
	return r.Store.Settle(ctx, work)
}

// An outcome that the store refuses costs the others of its batch nothing, and is made good.
func TestRefusedSettlement(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		<-w.ended
		w.begin(refusing{w.store, new(atomic.Int32)})
		for i := range 20 {
			w.submit("me@us.test", fmt.Sprintf("u%d@a%d.test", i, i))
		}
		pass(time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.waiting() != 0 || len(w.attempts) <= 20 {
			t.Errorf("%d still wait after %d attempts", w.waiting(), len(w.attempts))
		}
	})
}
