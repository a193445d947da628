//go:build crash

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// tally is what all rounds came to.
type tally struct {
	rounds, kills, accepted, inDoubt, duplicates int
	repeats                                      int // letters that were brought once more, with their key
	worst                                        int // duplicates after one round, for each kill in it
	slowest                                      time.Duration
}

// TestKill kills the agent at random moments: under load, after a burst when no accept carries the sync, and again while it recovers.
func TestKill(t *testing.T) {
	rounds, seed := number(t, "ROUNDS", 20), uint64(number(t, "SEED", 1))
	dns := names(t)
	h := newHome(t, "") // one queue for all rounds, so that what one leaves behind troubles the next
	var sum tally
	for n := range rounds {
		ok := t.Run(fmt.Sprintf("round-%d", n), func(t *testing.T) {
			r := round{home: h, world: newWorld(t, dns, ""), book: newLedger(), number: n, random: rand.New(rand.NewPCG(seed, uint64(n))), sum: &sum}
			r.run(t)
		})
		if !ok {
			t.Fatalf("round %d failed; SEED=%d ROUNDS=%d comes to it again", n, seed, n+1)
		}
	}
	t.Logf("%d rounds, %d kills: %d messages accepted, %d in doubt at the client, 0 lost; %d brought once more with their key, each one message; %d copies arrived twice, at most %d for a kill (bound %d); slowest restart %v",
		sum.rounds, sum.kills, sum.accepted, sum.inDoubt, sum.repeats, sum.duplicates, sum.worst, sites*8*windowLimit, sum.slowest.Round(time.Millisecond))
}

// round is one trouble and what follows from it.
type round struct {
	home   *home
	world  *world
	book   *ledger
	number int
	random *rand.Rand
	sum    *tally
	kills  int
}

func (r *round) run(t *testing.T) {
	r.world.script(t, r.temper())
	r.home.configure(t, r.world)
	first := r.home.start(t)
	first.serves(t)
	style := r.random.IntN(3)
	switch style {
	case 0:
		r.loaded(t, first)
	case 1:
		r.idle(t, first)
	case 2:
		r.loaded(t, first)
		r.recovering(t)
	}
	second := r.home.start(t)
	took := second.serves(t)
	r.repeat(t)
	second.drained(t)
	second.stop(t)
	r.close(t, took)
}

// temper is how the servers are in this round. Slow ones let the queue grow.
func (r *round) temper() string {
	switch r.random.IntN(3) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf("dot sleep %dms / 250 2.0.0 queued", 1+r.random.IntN(20))
	default:
		return "dot #1-5 sleep 100ms / 250 2.0.0 queued"
	}
}

func (r *round) load() load {
	return load{home: r.home, prefix: fmt.Sprintf("r%d", r.number), connections: 1 + r.random.IntN(12), seed: r.random.Uint64(), book: r.book, doors: doors()}
}

// loaded kills within the load.
func (r *round) loaded(t *testing.T, a *agent) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	l := r.load()
	go func() {
		defer close(over)
		l.run(ctx)
	}()
	pause(t, time.Duration(20+r.random.IntN(1000))*time.Millisecond)
	r.kill(a)
	cancel()
	<-over
}

// idle kills some time after a burst.
func (r *round) idle(t *testing.T, a *agent) {
	l := r.load()
	l.letters = 1 + r.random.IntN(40)
	l.run(t.Context())
	pause(t, time.Duration(r.random.IntN(300))*time.Millisecond)
	r.kill(a)
}

// recovering kills soon after a start, whether the agent serves yet or not.
func (r *round) recovering(t *testing.T) {
	a := r.home.start(t)
	pause(t, time.Duration(r.random.IntN(300))*time.Millisecond)
	r.kill(a)
}

func (r *round) kill(a *agent) {
	a.kill()
	r.kills++
}

// close compares the books of the round.
func (r *round) close(t *testing.T, took time.Duration) {
	duplicates := r.world.judge(t, r.book)
	if bound := r.kills * sites * 8 * windowLimit; duplicates > bound {
		t.Errorf("%d copies arrived twice after %d kills, more than the %d that can be in flight or unrecorded", duplicates, r.kills, bound)
	}
	r.home.once(t)
	r.same(t)
	r.sum.rounds++
	r.sum.kills += r.kills
	r.sum.accepted += r.book.count(accepted)
	r.sum.inDoubt += r.book.count(inDoubt)
	r.sum.duplicates += duplicates
	r.sum.worst = max(r.sum.worst, (duplicates+r.kills-1)/r.kills)
	r.sum.slowest = max(r.sum.slowest, took)
}
