package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

type serveCommand struct{}

func (serveCommand) Help() string {
	return `Takes mail by SMTP, keeps it in queue.directory until it is delivered or has failed, and answers the queue commands. The log goes to standard error, one JSON object a line.

SIGTERM and SIGINT end it in order: what is being sent or taken comes to its end within bounds, the rest stays owed. SIGHUP reads the configuration again; one that is wrong is refused, and the old one stays.

Exit status: 0 after SIGTERM, 75 when the store has stopped or something it needs cannot be had (start it again), 78 when the configuration is wrong.

Example:

    sternpost --config ./sternpost.toml serve`
}

// garbagePercent is GOGC where the environment does not set it. Most of our memory is not the collector's (memtables, cache), so letting what is grow to three times
// what lives costs little, and collecting less often gives 3 percent more mail.
const garbagePercent = 200

// Run runs the agent until a signal ends it.
func (serveCommand) Run(sh *shell) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	ctx, stop := signal.NotifyContext(sh.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	c, err := loadConfig(sh)
	if err != nil {
		return err
	}
	s, err := openService(sh, c)
	if err != nil {
		return err
	}
	err = s.run(ctx, hangups)
	s.log.Info("stopped", zap.Error(err))
	if err = errors.Join(err, s.Close()); err != nil {
		return withCode(exitAgain, err)
	}
	return nil
}

// run serves until ctx ends or a part of the agent fails. Then nothing more is taken, what is under way comes to its end, and the console answers
// until that is done.
func (s *service) run(ctx context.Context, hangups <-chan os.Signal) error {
	consoleCtx, closeConsole := context.WithCancel(context.WithoutCancel(ctx))
	defer closeConsole()
	work, ctx := errgroup.WithContext(ctx)
	s.begin(ctx, work)
	work.Go(func() error { return s.submission.Serve(ctx) })
	work.Go(func() error { return s.notifier.Run(ctx) })
	work.Go(func() error { return s.warnOfName(ctx) })
	work.Go(func() error {
		for {
			select {
			case <-hangups:
				if s.reload() {
					work.Go(func() error { return s.warnOfName(ctx) })
				}
			case <-ctx.Done():
				return nil
			}
		}
	})
	var answers errgroup.Group
	consoleFailed := make(chan error, 1)
	answers.Go(func() error {
		err := s.console.Run(consoleCtx)
		consoleFailed <- err
		return err
	})
	work.Go(func() error {
		select {
		case err := <-consoleFailed:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	s.log.Info("started", zap.String("version", currentVersion().Version), zap.String("hostname", s.hostname))
	notify(s.shell.environ, "READY=1")
	work.Go(func() error {
		<-ctx.Done()
		s.stopping.Store(true)
		s.log.Info("stopping", zap.NamedError("cause", context.Cause(ctx)))
		notify(s.shell.environ, "STOPPING=1")
		return nil
	})
	err := work.Wait()
	closeConsole()
	return errors.Join(err, answers.Wait())
}

// nameQuestion is how long the look at our own name may take.
const nameQuestion = 30 * time.Second

// warnOfName says loudly when remotes will refuse our name.
func (s *service) warnOfName(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nameQuestion)
	defer cancel()
	r := s.carrier.enter()
	defer r.users.Done()
	if warning := r.agent.NameWarning(ctx); warning != "" && ctx.Err() == nil {
		s.log.Warn(warning)
	}
	return nil
}
