package delivery

import (
	"context"
	"errors"
	"net"
	"time"

	"sternpost/mail"
)

// headStart is how long a candidate has to connect before the next of the same preference is tried beside it (RFC 8305, with the patience
// that mail has).
const headStart = 2 * time.Second

// errLost is the cause of the end of a connection that came second in a race.
var errLost = errors.New("another host was first")

// opened is a connection that was greeted, or the event in its place.
type opened struct {
	candidate *candidate
	session   *session
	event     *event
}

// race connects to first, and to the next candidate of its preference beside it when first has not connected within the head start. The first
// 220 wins. A host that has connected keeps its turn while it delays its greeting: greet delays are a test of patience. It returns when all its
// goroutines have ended; the session is nil where nobody greeted.
func (w *walk) race(first *candidate) (*candidate, *session) {
	ctx, cancel := context.WithCancelCause(w.ctx)
	defer cancel(nil)
	connected, results := make(chan struct{}, 2), make(chan opened)
	running := 0
	start := func(c *candidate) {
		running++
		until := w.until(c)
		go func() { results <- w.open(ctx, c, until, connected) }()
	}
	start(first)
	delay := time.NewTimer(headStart)
	defer delay.Stop()
	var winner opened
	for running > 0 {
		select {
		case <-connected:
			delay.Stop()
		case <-delay.C:
			if rival := w.rival(first); rival != nil {
				start(rival)
			}
		case r := <-results:
			running--
			w.finished(r, &winner)
			if winner.session != nil {
				delay.Stop()
				cancel(errLost)
			}
		}
	}
	return winner.candidate, winner.session
}

// finished takes what one connection of a race came to. To lose is no fault.
func (w *walk) finished(r opened, winner *opened) {
	switch {
	case winner.session != nil:
		w.giveBack(r.candidate)
		if r.session != nil {
			w.close(r.candidate, r.session)
		}
	case r.event != nil && errors.Is(r.event.err, errBusy):
		w.busyAt(r.candidate)
	case r.event != nil:
		w.missed(r.candidate, r.event)
	default:
		*winner = r
	}
}

// giveBack ends the probe that c was admitted for, without a verdict on its address.
func (w *walk) giveBack(c *candidate) {
	if c.probe {
		w.health.abandoned(c.target.addr)
	}
	c.admitted, c.probe = false, false
}

// rival is the next candidate of the same preference as c that may be tried now, or nil.
func (w *walk) rival(c *candidate) *candidate {
	for _, r := range w.plan {
		if w.equal(c, r) {
			return r
		}
	}
	return nil
}

// equal says whether r may be tried in the place of c.
func (w *walk) equal(c, r *candidate) bool {
	return r != c && r.open() && r.Preference == c.Preference && w.barred(r) == "" && findMask(w.masks, r.Host, r.Address) == nil
}

// open dials and waits for the greeting. It tells connected when the connection stands.
func (w *walk) open(ctx context.Context, c *candidate, until time.Time, connected chan<- struct{}) opened {
	if reason := w.admit(c); reason != "" {
		return opened{c, nil, &event{stage: mail.StagePolicy, cause: causeLocal, err: errors.New(reason)}}
	}
	ctx, cancel := context.WithDeadlineCause(ctx, until, errBudget)
	defer cancel()
	began := time.Now()
	conn, e := w.dial(ctx, c.target)
	rec := mail.StageRecord{Stage: mail.StageConnect, At: began, Took: time.Since(began)}
	if e != nil {
		rec.Error = e.reason()
		c.note(rec)
		return opened{c, nil, e}
	}
	c.note(rec)
	c.ClosedBy = ""
	connected <- struct{}{}
	s := &session{
		raw: conn, conn: conn, r: newReplyReader(conn), target: c.target, config: &w.config, born: time.Now(), rehearsal: w.rehearsal,
	}
	s.take(ctx, until, c.note)
	stop := onEnd(ctx, func() { farewell(conn, c.target, context.Cause(ctx)) })
	defer stop()
	if e := s.begin(); e != nil {
		conn.Close()
		c.ClosedBy = closer(s)
		return opened{c, nil, e}
	}
	return opened{c, s, nil}
}

// admit asks the health of c's address once in an attempt.
func (w *walk) admit(c *candidate) (reason string) {
	if c.admitted {
		return ""
	}
	probe, reason := w.health.begin(c.target.addr, time.Now())
	if reason != "" && !c.lastResort {
		return reason
	}
	c.admitted, c.probe = true, probe
	return ""
}

// begin raises implicit TLS where the target wants it, and reads the greeting.
func (s *session) begin() *event {
	if s.target.level == TLSImplicit {
		if e := s.handshake(s.deadline(mail.StageStartTLS)); e != nil {
			return e
		}
	}
	return s.greet()
}

// farewell closes a connection whose race is over, with a QUIT to the loser: it did nothing wrong.
func farewell(conn net.Conn, t target, why error) {
	if errors.Is(why, errLost) && t.level != TLSImplicit {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // a courtesy: the connection is closed next
		_, _ = conn.Write([]byte("QUIT\r\n"))
	}
	conn.Close()
}

// onEnd runs f when ctx ends. The returned function calls it off, or waits until f is over.
func onEnd(ctx context.Context, f func()) (stop func()) {
	over := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(over)
		f()
	})
	return func() {
		if !cancel() {
			<-over
		}
	}
}

// closer says who ended a session that is not used again.
func closer(s *session) string {
	if s.closedBy == "" {
		return "us"
	}
	return s.closedBy
}
