package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// pointOfNoReturn lies before the final dot. Either the dot is sent or the message is given up, never both, so that who interrupts is told the truth.
type pointOfNoReturn struct{ taken atomic.Bool }

// pass allows the dot to be sent; false: the message was given up.
func (p *pointOfNoReturn) pass() bool { return p.taken.CompareAndSwap(false, true) }

// giveUp is false when it is too late.
func (p *pointOfNoReturn) giveUp() bool { return p.pass() }

var errGivenUp = errors.New("interrupted: nothing was submitted")

// inDoubt is the error of a dot without a reply.
func inDoubt(err error) error {
	return withCode(exitAgain, fmt.Errorf("no reply to the end of the message: %w\n%s", err,
		"It may have been accepted. If it is submitted again it may come twice, unless both have the same idempotency key."))
}

// interruptible does work until it is done or a signal comes; the work may go on then, but does not send the dot any more. That nobody reads what we print is no signal: what was
// submitted is submitted.
func interruptible(ctx context.Context, work func(*pointOfNoReturn) error) error {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := untilSignal(ctx)
	defer stop()
	var point pointOfNoReturn
	ended := make(chan error, 1)
	go func() { ended <- work(&point) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		if point.giveUp() {
			return withCode(exitAgain, errGivenUp)
		}
		return inDoubt(errors.New("interrupted"))
	}
}

// untilSignal is a context that a signal ends. One that is ignored, as nohup and shells arrange, stays ignored.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	var heard []os.Signal
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			heard = append(heard, s)
		}
	}
	if len(heard) == 0 { // without a list all signals are meant
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(ctx, heard...)
}
