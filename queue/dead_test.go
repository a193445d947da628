package queue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// times are when attempts for a domain began, from a time on, to the second; those of one second once.
func (w *world) times(d mail.Domain, from time.Time) []time.Duration {
	var list []time.Duration
	for _, a := range w.tries(d) {
		list = append(list, a.at.Sub(from).Round(time.Second))
	}
	return slices.Compact(list)
}

// The clock of a dead destination: 1m 2m 5m 10m, then 15m, however many attempts found it dead at once.
func TestProbeTimes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("dead.test", waits(time.Second, down))
		began := time.Now()
		for i := range 20 {
			w.submit("me@us.test", fmt.Sprintf("u%d@dead.test", i))
		}
		pass(52 * time.Minute)
		var want []time.Duration
		at := time.Duration(0)
		for _, delay := range []time.Duration{0, 1, 2, 5, 10, 15, 15} {
			at += delay * time.Minute
			want = append(want, at)
			at += time.Second // the probe itself
		}
		if got := w.times("dead.test", began); !slices.Equal(got, want) {
			t.Errorf("probes after %v, want %v", got, want)
		}
		if leased := w.store.Counts().Leased; leased > len(want) {
			t.Errorf("%d messages were taken from the store for %d probes", leased, len(want))
		}
	})
}

// A host that refuses what is too much is not dead: what it takes goes on.
func TestRefusedConnectionsBesideSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("limit.test", func(tr mail.Transaction) mail.Outcome {
			w.mu.Lock()
			many := w.running["limit.test"] > 3
			w.mu.Unlock()
			if many {
				return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeHost, Stage: mail.StageGreeting, Status: mail.Status{4, 3, 2},
					Reply: mail.Reply{Code: 421, Lines: []string{"421 4.3.2 busy"}}, Reason: "421"}
			}
			return waits(time.Second, delivered)(tr)
		})
		for i := range 60 {
			w.submit("me@us.test", fmt.Sprintf("u%d@limit.test", i))
		}
		for range 60 {
			pass(time.Second)
			list, err := w.queue.Destinations(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				if d.Dead || !d.Suspended.IsZero() {
					t.Fatalf("%+v", d)
				}
			}
		}
		if n := w.waiting(); n > 20 {
			t.Errorf("%d of 60 still wait", n)
		}
	})
}

// A probe that proved nothing, because we had no handle for it, is made again soon.
func TestProbeWithoutAHandle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		n := 0
		w.answer("dead.test", func(tr mail.Transaction) mail.Outcome {
			switch n++; n {
			case 1:
				return down(tr)
			case 2:
				return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeLocal, Stage: mail.StageConnect, Reason: "too many open files"}
			}
			return delivered(tr)
		})
		began := time.Now()
		w.submit("me@us.test", "you@dead.test")
		pass(time.Hour)
		if got := w.times("dead.test", began); !slices.Equal(got, []time.Duration{0, time.Minute, 61 * time.Second}) {
			t.Errorf("attempts after %v", got)
		}
		if tries := w.tries("dead.test"); tries[2].number != 2 {
			t.Errorf("the attempt that was none was counted: %d", tries[2].number)
		}
	})
}

// Trouble of our own that no connection ends is waited out, without a word in the journal, and counted against nobody.
func TestLocalTrouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		n := 0
		w.answer("a.test", func(tr mail.Transaction) mail.Outcome {
			if n++; n <= 3 {
				return mail.Outcome{Disposition: mail.Deferred, Scope: mail.ScopeLocal, Stage: mail.StageContent, Reason: "the disk is gone"}
			}
			return delivered(tr)
		})
		began := time.Now()
		id := w.submit("me@us.test", "you@a.test")
		pass(time.Hour)
		if got, want := w.times("a.test", began), []time.Duration{0, 30 * time.Second, time.Minute, 90 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("attempts after %v, want %v", got, want)
		}
		if got := w.kindsOf(id); got != "accepted delivered" {
			t.Error(got)
		}
	})
}

// The report of a message that only waited says what was found out for it.
func TestReportOfOneWhoWaited(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.DelayNotice, c.Lifetime = 0, 2*time.Hour })
		w.answer("dead.test", down)
		for i := range 30 {
			w.submit(fmt.Sprintf("s%d@us.test", i), fmt.Sprintf("u%d@dead.test", i))
		}
		pass(4 * time.Hour)
		reports := w.tries("us.test")
		if len(reports) != 30 || w.waiting() != 0 {
			t.Fatalf("%d reports, %d wait", len(reports), w.waiting())
		}
		for _, r := range reports {
			unfolded := strings.Join(strings.Fields(r.text), " ")
			if !strings.Contains(unfolded, "host unknown") || !strings.Contains(unfolded, "no connection") || !strings.Contains(r.text, "Status: 4.4.1") {
				t.Errorf("the report to %s is\n%s", r.to, r.text)
			}
		}
	})
}

// Flush reaches destinations whose suspension only the store remembers.
func TestFlushAfterARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("dead.test", down)
		for i := range 30 {
			w.submit("me@us.test", fmt.Sprintf("u%d@dead.test", i))
		}
		pass(time.Hour)
		w.restart()
		pass(time.Second)
		w.answer("dead.test", delivered)
		if _, err := w.queue.Flush(context.Background(), ""); err != nil {
			t.Fatal(err)
		}
		pass(20 * time.Second)
		if n := w.waiting(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// Very many dead domains are not remembered for ever.
func TestDeadDestinationsAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.Lifetime, c.DelayNotice = time.Hour, 0 })
		for i := range 50 {
			d := mail.Domain(fmt.Sprintf("d%d.test", i))
			w.answer(d, down)
			w.submit("me@us.test", "u@"+string(d))
		}
		pass(26 * time.Hour)
		if n := queue.Remembered(w.queue); n != 0 {
			t.Errorf("%d destinations are remembered", n)
		}
	})
}

// The report of a message that was never tried itself tells of the hosts that were tried with others in its lifetime, also after a restart, and of none that came before.
func TestReportQuotesProbes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *queue.Config) { c.DelayNotice, c.Lifetime = 0, 4*time.Hour })
		n := 0
		w.tree("dead.test", func() []mail.Candidate {
			n++
			return []mail.Candidate{
				{Host: "mx1.dead.test", Verdict: mail.VerdictDeferred, Reason: fmt.Sprintf("connect: refused the %dth time", n)},
				{Host: "mx2.dead.test", Verdict: mail.VerdictSkipped, Reason: "down"},
			}
		})
		w.answer("dead.test", down)
		w.submit("first@us.test", "u@dead.test")
		pass(3 * time.Hour)
		before := n
		w.submit("second@us.test", "v@dead.test")
		pass(2 * time.Hour)
		w.restart()
		pass(3 * time.Hour)
		reports := map[string]string{}
		for _, r := range w.tries("us.test") {
			reports[r.to] = strings.Join(strings.Fields(r.text), " ")
		}
		if len(reports) != 2 || w.waiting() != 0 {
			t.Fatalf("%d reports, %d wait", len(reports), w.waiting())
		}
		want := fmt.Sprintf("mx1.dead.test: %d times, last on 1 January 2000", n-before)
		if got := reports["second@us.test"]; !strings.Contains(got, want) || !strings.Contains(got, fmt.Sprintf("refused the %dth time", n)) || !strings.Contains(got, "mx2.dead.test: not tried: down") {
			t.Errorf("%d tries before, %d in all; the report wants %q and is\n%s", before, n, want, got)
		}
	})
}
