package main

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sternpost/bounce"
	"sternpost/console"
	"sternpost/queue"
	"sternpost/submission"
	"sternpost/webhook"
)

// service is the running agent: its core, the doors of it, and who tells others.
type service struct {
	*core
	shell      *shell
	level      zap.AtomicLevel
	stopping   atomic.Bool
	metrics    *console.Metrics
	submission *submission.Server
	console    *console.Console
	doors      *doors
	notifier   *webhook.Notifier
}

// openService builds the rooms and opens the listeners.
func openService(sh *shell, c *configuration) (*service, error) {
	s := &service{shell: sh, level: zap.NewAtomicLevelAt(c.Log.level())}
	s.metrics = s.measured(c.Queue.Directory)
	inner, err := openCore(realWorld(), c, newServiceLog(sh.stderr, s.level), s.metrics)
	if err != nil {
		return nil, err
	}
	s.core = inner
	for _, open := range []func() error{s.openSubmission, s.openWebhooks, s.openConsole} {
		if err := open(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// counted is the intake for the doors.
func (s *service) counted() submission.Intake { return metered{s.intake, s.metrics, &s.stopping} }

func (s *service) openSubmission() error {
	directory := s.config.Queue.Directory
	if s.config.Submission.Socket == "" {
		if err := letPass(directory); err != nil {
			return withCode(exitAgain, err)
		}
	}
	opened, err := openDoors(s.config.Submission.Endpoints(directory))
	if err != nil {
		return withCode(exitAgain, err)
	}
	s.doors = opened
	s.submission, err = submission.New(s.config.Submission, submission.Deps{
		Intake: s.counted(), Hostname: s.hostname, Log: s.log, Directory: directory, Listen: opened.take,
	})
	if err != nil {
		return withCode(exitConfig, err)
	}
	return nil
}

func (s *service) openConsole() error {
	c, err := console.Open(s.config.Console, console.Deps{
		Queue: asked{s.queue, &s.stopping}, Journal: s.store.Journal(), Judge: s.judge.entry, Outlook: s.carrier.Outlook, Suppressions: s.store, Webhooks: receivers{s.notifier},
		Metrics: s.metrics, Log: s.log, Directory: s.config.Queue.Directory,
		Submission: submission.NewHTTP(s.config.Submission, submission.HTTPDeps{Intake: s.counted(), Client: clientOf, Log: s.log}),
	})
	if err != nil {
		return withCode(exitAgain, err)
	}
	s.console = c
	return nil
}

// Close closes what is open, the store last. The listeners close with what runs on them.
func (s *service) Close() error {
	var errs []error
	if s.doors != nil {
		errs = append(errs, s.doors.Close())
	}
	return errors.Join(append(errs, s.core.Close())...)
}

// reload reads the configuration again, and says whether our name is another one now. What cannot be used as a whole is refused as a whole.
func (s *service) reload() (renamed bool) {
	before := s.carrier.hostname()
	fresh, err := loadConfig(s.shell)
	if err == nil {
		err = s.adopt(fresh)
	}
	if err != nil {
		s.log.Error("the new configuration is refused; the old one stays in force", zap.Error(err))
		notify(s.shell.environ, "READY=1\nSTATUS=the new configuration is refused")
		return false
	}
	s.log.Info("configuration reloaded")
	notify(s.shell.environ, "READY=1\nSTATUS=configuration reloaded")
	return s.carrier.hostname() != before
}

// adopt puts fresh in force, but for what is only read at the start.
func (s *service) adopt(fresh *configuration) error {
	old := s.config
	users, err := submission.LoadUsers(fresh.Submission)
	if err != nil {
		return err
	}
	rules, err := bounce.New(fresh.Bounce.Rules)
	if err != nil {
		return err
	}
	r, err := s.freshRooms(fresh)
	if err != nil {
		return err
	}
	if err := s.intake.Reload(intakeConfig(fresh, old.Submission, users)); err != nil {
		return errors.Join(err, closeRooms(r))
	}
	if r != nil {
		s.carrier.replace(r, func(err error) {
			if err != nil {
				s.log.Warn("the old sessions did not end in order", zap.Error(err))
			}
		})
	}
	if err := errors.Join(s.queue.Reload(fresh.Queue), s.queue.ReloadSuppression(fresh.Suppression)); err != nil {
		return err // not reached: loadConfig has checked it
	}
	s.queue.ReloadRules(rules)
	s.judge.rules.Store(rules)
	if err := s.notifier.Reload(fresh.Webhooks); err != nil {
		return err // not reached either
	}
	s.submission.SetUsers(users)
	s.level.SetLevel(fresh.Log.level())
	s.tellRestart(fresh)
	fresh.Submission = withUsers(old.Submission, fresh.Submission)
	fresh.Console, fresh.Queue.Directory = old.Console, old.Queue.Directory
	fresh.Queue.JournalDays, fresh.Queue.JournalBytes = old.Queue.JournalDays, old.Queue.JournalBytes
	s.config = fresh
	return nil
}

// freshRooms opens other rooms, where fresh needs them; nil: it does not. The listeners stay those of the start.
func (s *service) freshRooms(fresh *configuration) (*rooms, error) {
	old := s.config
	if reflect.DeepEqual(fresh.Delivery, old.Delivery) && reflect.DeepEqual(fresh.Resolver, old.Resolver) {
		return nil, nil
	}
	return openRooms(s.world, fresh, s.deliveryDeps(old))
}

func closeRooms(r *rooms) error {
	if r == nil {
		return nil
	}
	return r.Close()
}

// tellRestart names the changes that only a restart puts in force.
func (s *service) tellRestart(fresh *configuration) {
	var keys []string
	if s.carrier.hostname() != s.hostname { // EHLO follows at once
		keys = append(keys, "delivery.hostname, in the banner and in reports")
	}
	if fresh.Queue.Directory != s.config.Queue.Directory {
		keys = append(keys, "queue.directory")
	}
	if fresh.Queue.JournalDays != s.config.Queue.JournalDays || fresh.Queue.JournalBytes != s.config.Queue.JournalBytes {
		keys = append(keys, "queue.journal_days, queue.journal_bytes")
	}
	if !reflect.DeepEqual(fresh.Submission, withUsers(s.config.Submission, fresh.Submission)) {
		keys = append(keys, "[submission]")
	}
	if !reflect.DeepEqual(fresh.Console, s.config.Console) {
		keys = append(keys, "[console]")
	}
	if len(keys) > 0 {
		s.log.Warn("some changes need a restart", zap.Strings("keys", keys))
	}
}

// errStopping says why no mail is accepted from the signal on.
var errStopping = errors.New("the agent is shutting down")

// asked is the queue as the console asks it.
type asked struct {
	*queue.Queue
	stopping *atomic.Bool
}

// Ready says why no mail is accepted: from the signal on none is.
func (a asked) Ready() error {
	if a.stopping.Load() {
		return errStopping
	}
	return a.Queue.Ready()
}

// Destinations are those of the queue in the console's words.
func (a asked) Destinations(ctx context.Context) ([]console.Destination, error) {
	list, err := a.Queue.Destinations(ctx)
	told := make([]console.Destination, 0, len(list))
	for _, d := range list {
		told = append(told, destinationOf(d))
	}
	shareSites(told)
	return told, err
}

// shareSites adds up what is under way for each site: whatever is has a destination in the list.
func shareSites(list []console.Destination) {
	underWay := map[string]int{}
	for _, d := range list {
		underWay[d.Site] += d.UnderWay
	}
	for i := range list {
		if list[i].Site != "" {
			list[i].SiteUnderWay = underWay[list[i].Site]
		}
	}
}

func destinationOf(d queue.DestinationStatus) console.Destination {
	told := console.Destination{
		Domain: string(d.Destination), Messages: d.Waiting + d.Leased + d.Held, UnderWay: d.UnderWay, Held: d.Held,
		Oldest: instantOf(d.Oldest), Next: instantOf(d.Next), Suspended: instantOf(d.Suspended),
		Site: d.Site, Window: d.Window, Health: console.HealthGood, LastReply: d.LastReason,
	}
	switch {
	case d.Dead:
		told.Health = console.HealthDead
	case d.Suspended.After(time.Now()):
		told.Health = console.HealthSuspended
	}
	return told
}

// instantOf is t in UTC, and nil for none.
func instantOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
