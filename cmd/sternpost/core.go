package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"sternpost/bounce"
	"sternpost/delivery"
	"sternpost/queue"
	"sternpost/queue/spool"
	"sternpost/submission"
)

// core is the agent without its doors: what takes mail over, keeps it and takes it away.
type core struct {
	world    world
	config   *configuration
	log      *zap.Logger
	hostname string // that of the start: in the banner, and in reports
	store    *spool.Store
	carrier  *carrier
	queue    *queue.Queue
	intake   *submission.Desk
	judge    judge
}

// openCore builds the rooms. The store comes first: its lock says that no other agent owns the directory.
func openCore(w world, c *configuration, log *zap.Logger, o queue.Observer) (*core, error) {
	a := &core{world: w, config: c, log: log}
	store, err := a.openStore()
	if err != nil {
		return nil, withCode(exitAgain, err)
	}
	a.store = store
	openQueue := func() error { return a.openQueue(o) }
	for _, open := range []func() error{a.openDelivery, openQueue, a.openIntake} {
		if err := open(); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// openStore opens the embedded store in queue.directory.
func (a *core) openStore() (*spool.Store, error) {
	q := a.config.Queue
	return a.world.openStore(spool.Config{Directory: q.Directory, JournalDays: q.JournalDays, JournalBytes: q.JournalBytes}, a.log)
}

func (a *core) openDelivery() error {
	r, err := openRooms(a.world, a.config, a.deliveryDeps(a.config))
	if err != nil {
		return withCode(exitConfig, err)
	}
	a.carrier, a.hostname = newCarrier(r), r.agent.Hostname()
	return nil
}

func (a *core) deliveryDeps(c *configuration) delivery.Deps {
	return delivery.Deps{Log: a.log, Listeners: listeners(c)}
}

func (a *core) openQueue(o queue.Observer) error {
	rules, err := bounce.New(a.config.Bounce.Rules)
	if err != nil {
		return withCode(exitConfig, err)
	}
	a.judge.rules.Store(rules)
	q, err := queue.New(a.config.Queue, queue.Deps{
		Store: a.store, Deliverer: a.world.carry(a.carrier), Log: a.log, Observer: o, Hostname: a.hostname, Handles: a.world.handles(), Seed: a.world.random(),
		Suppression: a.config.Suppression, Rules: rules, Gather: a.world.gather,
	})
	if err != nil {
		return withCode(exitConfig, err)
	}
	a.queue = q
	return nil
}

// openIntake makes what stands behind every door.
func (a *core) openIntake() error {
	users, err := submission.LoadUsers(a.config.Submission)
	if err != nil {
		return withCode(exitConfig, err)
	}
	intake, err := submission.NewIntake(intakeConfig(a.config, a.config.Submission, users), submission.IntakeDeps{
		Queue: a.queue, Suppression: a.queue, Hostname: a.hostname, Log: a.log, Seed: a.world.random(),
	})
	if err != nil {
		return withCode(exitConfig, err)
	}
	a.intake = intake
	return nil
}

// intakeConfig gathers what is said about mail that comes in. The section [submission] is that of the start, but for the users.
func intakeConfig(c *configuration, start submission.Config, users []submission.User) submission.IntakeConfig {
	guard, _ := c.Delivery.Guard() // loadConfig has checked it
	return submission.IntakeConfig{
		Domain: start.Domain, Users: users, RecipientsPerHour: start.RecipientsPerHour, Aliases: c.Aliases, Guard: guard,
	}
}

// begin has work do what the core does until ctx ends or a part of it fails.
func (a *core) begin(ctx context.Context, work *errgroup.Group) {
	work.Go(func() error { return a.queue.Run(ctx) })
	work.Go(func() error { return a.watchStore(ctx) })
	work.Go(func() error { return a.sweepJournal(ctx) })
}

// watchStore ends the agent when the store does not take writes any more: what is known of the disk then is nothing.
func (a *core) watchStore(ctx context.Context) error {
	select {
	case <-a.store.Failed():
		return queue.ErrStopped
	case <-ctx.Done():
		return nil
	}
}

// journalSweep is how often the journal forgets what is too old. Its size it keeps by itself while it grows.
const journalSweep = 5 * time.Minute

// sweepJournal keeps the journal within its bounds.
func (a *core) sweepJournal(ctx context.Context) error {
	sweep := time.NewTicker(journalSweep)
	defer sweep.Stop()
	for {
		if err := a.store.Expire(time.Now()); err != nil {
			a.log.Error("the journal cannot forget its oldest entries", zap.Error(err))
		}
		select {
		case <-sweep.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Close closes what is open, the store last.
func (a *core) Close() error {
	var errs []error
	if a.carrier != nil {
		errs = append(errs, a.carrier.Close())
	}
	return errors.Join(append(errs, a.store.Close())...)
}
