package main

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sternpost/console"
	"sternpost/mail"
	"sternpost/queue"
	"sternpost/submission"
)

// metered is the intake as the doors see it: what it says is counted, and from the signal on it is not ready.
type metered struct {
	submission.Intake
	metrics  *console.Metrics
	stopping *atomic.Bool
}

// Ready implements submission.Intake.
func (m metered) Ready() error {
	if m.stopping.Load() {
		return errStopping
	}
	return m.Intake.Ready()
}

// Sender implements submission.Intake.
func (m metered) Sender(c submission.Client, from mail.ReversePath) error {
	err := m.Intake.Sender(c, from)
	m.count(c, err)
	return err
}

// Recipient implements submission.Intake.
func (m metered) Recipient(c submission.Client, from mail.ReversePath, r mail.Recipient) (submission.Expansion, error) {
	e, err := m.Intake.Recipient(c, from, r)
	m.count(c, err)
	return e, err
}

// Submit implements submission.Intake.
func (m metered) Submit(ctx context.Context, l submission.Letter, content io.Reader) (submission.Receipt, error) {
	receipt, err := m.Intake.Submit(ctx, l, content)
	if err == nil {
		m.metrics.Accepted(l.Client.Door, receipt.Repeated)
	}
	m.count(l.Client, err)
	return receipt, err
}

// count counts a refusal.
func (m metered) count(c submission.Client, err error) {
	var r *submission.Refusal
	switch {
	case err == nil:
	case errors.As(err, &r):
		m.metrics.Refused(c.Door, r.Code)
	case errors.Is(err, queue.ErrFull), errors.Is(err, queue.ErrStopped):
		m.metrics.Refused(c.Door, 452)
	default:
		m.metrics.Refused(c.Door, 0)
	}
}

// measured makes the metrics, with what is read when somebody asks.
func (s *service) measured(directory string) *console.Metrics {
	m := console.NewMetrics(currentVersion().Version, []string{submission.DoorSMTP, submission.DoorSocket, submission.DoorHTTP})
	m.Gauge("disk_free_bytes", "What is free for us on the disk of queue.directory; NaN: it does not say.", func() float64 { return diskFree(directory) })
	figure := func(read func(submission.Figures) float64) func() float64 {
		return func() float64 { return read(s.submission.Figures()) }
	}
	m.Gauge("smtp_connections", "Connections of SMTP that are open, on all listeners.", figure(func(f submission.Figures) float64 { return float64(f.Connections) }))
	m.Counter("smtp_connections_turned_away_total", "Connections that were not let in.", figure(func(f submission.Figures) float64 { return float64(f.TurnedAway) }))
	m.Counter("smtp_auth_failures_total", "Attempts to log in that failed.", figure(func(f submission.Figures) float64 { return float64(f.FailedLogins) }))
	return m
}

func diskFree(directory string) float64 {
	var disk unix.Statfs_t
	if err := unix.Statfs(directory, &disk); err != nil {
		return math.NaN()
	}
	return float64(disk.Bavail) * float64(disk.Bsize)
}

// clientOf is who has sent a request to the console, for the door that it passes on to.
func clientOf(r *http.Request) submission.Client {
	c := console.CallerOf(r)
	return submission.Client{Door: submission.DoorHTTP, User: c.User, UID: c.UID, Address: c.Address, Protocol: "HTTP"}
}
