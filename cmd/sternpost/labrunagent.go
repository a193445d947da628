package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"sternpost/bounce"
	"sternpost/delivery/smtptest"
	"sternpost/journal"
	"sternpost/lab"
	"sternpost/queue"
)

// labRun is a scenario with an agent inside, to be run in a bubble.
type labRun struct {
	scenario      lab.Scenario
	configuration *configuration
	until         time.Duration // 0: until nothing waits any more
	log           *zap.Logger
}

// labResult is what a run came to.
type labResult struct {
	scenario lab.Scenario
	world    *lab.World // closed; what it saw can be asked for
	handed   []handed   // one for each message of the scenario that was handed in
	history  *history
	judge    func(journal.Entry) bounce.Verdict
	returned *returned
}

const (
	// labPort is that of all exchangers.
	labPort = 25
	// labPoll is how often it is asked whether something still waits.
	labPoll = 30 * time.Second
	// labMargin is how long after the last lifetime must have ended a run ends in any case.
	labMargin = time.Hour
)

// inLab runs a scenario in a bubble. t is nil in the program, see inBubble.
func inLab(t *testing.T, r labRun) (result labResult, err error) {
	err = inBubble(t, func(ctx context.Context) error {
		result, err = r.run(ctx)
		return err
	})
	return result, err
}

// run opens the world and the agent, sends the mail, and waits for its end. All that it began has ended when it returns.
func (r labRun) run(ctx context.Context) (result labResult, err error) {
	back := newReturned()
	w, err := lab.Open(r.scenario, lab.Memory(new(smtptest.Network), labPort), lab.Watch(back.see))
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	c := *r.configuration
	c.lead(w)
	a, err := openCore(labWorld(w, r.scenario.Seed), &c, r.log, nil)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	result = labResult{scenario: r.scenario, world: w, judge: a.judge.entry, returned: back}
	if result.handed, err = r.live(ctx, a); err != nil {
		return result, err
	}
	result.history, err = historyOf(a.store)
	return result, err
}

// live has the agent work until its mail is gone, or its time is over.
func (r labRun) live(ctx context.Context, a *core) ([]handed, error) {
	working, stop := context.WithCancel(ctx)
	defer stop()
	work, working := errgroup.WithContext(working)
	a.begin(working, work)
	limited, cancel := context.WithDeadline(working, r.end(a.config.Queue))
	defer cancel()
	list, err := r.handIn(limited, a)
	if err == nil {
		err = untilEmpty(limited, a.store)
	}
	stop()
	return list, errors.Join(err, work.Wait())
}

// end is when the run ends in any case. What is due then is still done: attempts begin a little late, see lag.
func (r labRun) end(q queue.Config) time.Time {
	lasts := r.scenario.Lasts
	if r.until > 0 && (lasts == 0 || r.until < lasts) {
		lasts = r.until
	}
	if lasts == 0 {
		for _, m := range r.scenario.Messages {
			lasts = max(lasts, m.At)
		}
		lasts += longest(q) + q.ReportLifetime + labMargin
	}
	return bubbleStart().Add(lasts + 2*mostLag)
}

// longest is the longest lifetime of any message.
func longest(q queue.Config) time.Duration {
	most := q.Lifetime
	for _, o := range q.PerDestinations {
		most = max(most, o.Lifetime)
	}
	return most
}

// untilEmpty waits until nothing waits in the store any more, or ctx ends.
func untilEmpty(ctx context.Context, s queue.Store) error {
	poll := time.NewTicker(labPoll)
	defer poll.Stop()
	for {
		empty := true
		for _, err := range s.Messages(ctx, queue.Query{}) {
			if err != nil && ctx.Err() == nil {
				return err
			}
			empty = false
			break
		}
		if empty {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return nil
		}
	}
}
