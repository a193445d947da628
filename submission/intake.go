package submission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// IntakeDeps are the parts that a Desk does not make itself.
type IntakeDeps struct {
	Queue Acceptor
	// Suppression says to whom nothing is to be sent; nil: there is no such list.
	Suppression Suppressor
	// Hostname is the name of this host: in the Received field, in Message-IDs, and as the domain of local-parts that stand alone.
	Hostname string
	// Log may be nil.
	Log *zap.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Seed is the source of randomness in Message-IDs.
	Seed uint64
}

// Desk is the Intake of the agent. Safe for concurrent use.
type Desk struct {
	deps  IntakeDeps
	names *names
	rules atomic.Pointer[rules]
	sent  hourly
	heads sync.Pool    // of *head
	large atomic.Int64 // octets of heads beyond their headRoom
}

// NewIntake makes a Desk. The errors are those of the configuration, with their keys, or say what is missing from d.
func NewIntake(c IntakeConfig, d IntakeDeps) (*Desk, error) {
	if d.Queue == nil || d.Hostname == "" {
		return nil, errors.New("submission: a queue and a host name are needed")
	}
	if d.Log == nil {
		d.Log = zap.NewNop()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	desk := &Desk{deps: d, names: newNames(d.Seed, d.Hostname)}
	desk.heads.New = func() any { return &head{buf: make([]byte, 0, headRoom), large: &desk.large} }
	return desk, desk.Reload(c)
}

// Reload puts other rules in force. What is being submitted goes on under the old ones. After an error nothing has changed.
func (d *Desk) Reload(c IntakeConfig) error {
	fresh, err := c.rules(d.deps.Hostname)
	if err != nil {
		return err
	}
	d.rules.Store(fresh)
	d.sent.forget(d.deps.Now())
	if to := fresh.guard.RedirectAll; !to.IsZero() {
		d.deps.Log.Warn("delivery.redirect_all is set: all mail goes to one address", zap.Stringer("to", to))
	}
	if len(fresh.guard.OnlyTo) > 0 {
		d.deps.Log.Warn("delivery.only_to is set: mail to others is refused")
	}
	return nil
}

// Ready implements Intake.
func (d *Desk) Ready() error { return d.deps.Queue.Ready() }

// Sender implements Intake.
func (d *Desk) Sender(c Client, from mail.ReversePath) error {
	_, err := d.rules.Load().sender(c, from)
	return err
}

// Recipient implements Intake.
func (d *Desk) Recipient(c Client, from mail.ReversePath, to mail.Recipient) (Expansion, error) {
	r := d.rules.Load()
	if limit := r.limit(c); limit > 0 {
		if wait := d.sent.look(c.User, limit, d.deps.Now()); wait > 0 {
			return Expansion{}, tooMany(limit, wait)
		}
	}
	e, err := r.recipient(to)
	if err == nil && d.deps.Suppression != nil {
		e.Recipients, err = d.unsuppressed(r, Letter{Client: c, Envelope: mail.Envelope{From: from}}, e.Recipients)
	}
	if err != nil {
		d.deps.Log.Info("recipient refused", zap.String("peer", c.Peer()), zap.String("recipient", mail.Escape(to.Address.String())), zap.Error(err))
		return Expansion{}, err
	}
	return e, nil
}

// tooMany refuses what is beyond a user's limit.
func tooMany(limit int, wait time.Duration) *Refusal {
	unit, n := "minutes", int((wait+time.Minute-1)/time.Minute)
	if n == 1 {
		unit = "minute"
	}
	return refuse(450, "4.7.1", fmt.Sprintf("you may send to %d recipients an hour; try again in %d %s", limit, n, unit))
}

// Submit implements Intake.
func (d *Desk) Submit(ctx context.Context, l Letter, content io.Reader) (Receipt, error) {
	r, now := d.rules.Load(), d.deps.Now()
	if err := r.complete(&l); err != nil {
		return Receipt{}, err
	}
	h := d.heads.Get().(*head)
	defer d.release(h)
	h.reset(r.trace(h.buf[:0], l, d.deps.Hostname, now))
	content = checked(content)
	if err := h.read(content); err != nil {
		return Receipt{}, err
	}
	key, err := h.keyOf(l)
	if err != nil {
		return Receipt{}, err
	}
	m := newMessage(h, h.missing(nil, now, d.names), content)
	if key != "" {
		m.digested(h, l.Envelope)
	}
	if err := d.charge(l, r, now); err != nil {
		return Receipt{}, err
	}
	s := r.submission(l, h, now)
	s.Key = key
	receipt, err := d.accept(ctx, s, m)
	if to := r.guard.RedirectAll; err == nil && !to.IsZero() {
		d.deps.Log.Info("recipients replaced", zap.Stringer("id", receipt.ID), zap.Int("recipients", len(l.Envelope.Recipients)), zap.Stringer("to", to))
	}
	if err != nil || receipt.Repeated {
		d.refund(l, r, now)
	}
	return receipt, err
}

// accept has the queue take the message, and tells what is wrong with the message from what is wrong with the queue.
func (d *Desk) accept(ctx context.Context, s queue.Submission, m *message) (Receipt, error) {
	accepted, err := d.deps.Queue.Submit(ctx, s, m)
	if errors.Is(err, queue.ErrOtherContent) {
		return Receipt{}, &Refusal{Code: 554, Status: mail.Status{5, 6, 0}, Text: "another message was accepted with the same Idempotency-Key", cause: err}
	}
	if errors.Is(err, queue.ErrOver) {
		return Receipt{}, &Refusal{Code: 550, Status: mail.Status{5, 4, 7}, Text: "the time for the message is over", cause: err} // RFC 3463 s3.5
	}
	return Receipt{ID: accepted.ID, Repeated: accepted.Repeated}, err
}

// release keeps the room of h for the next message, unless it is a large one.
func (d *Desk) release(h *head) {
	d.large.Add(-h.reserved)
	if h.reserved == 0 {
		d.heads.Put(h)
	}
}

// charge counts the recipients of l, where its user has a limit.
func (d *Desk) charge(l Letter, r *rules, now time.Time) error {
	limit, n := r.limit(l.Client), len(l.Envelope.Recipients)
	if limit == 0 {
		return nil
	}
	if n > limit {
		return refuse(550, "5.7.1", fmt.Sprintf("the message has %d recipients, and you may send to %d an hour", n, limit))
	}
	if wait := d.sent.take(l.Client.User, n, limit, now); wait > 0 {
		return tooMany(limit, wait)
	}
	return nil
}

// refund undoes a charge.
func (d *Desk) refund(l Letter, r *rules, then time.Time) {
	if r.limit(l.Client) > 0 {
		d.sent.giveBack(l.Client.User, len(l.Envelope.Recipients), then)
	}
}
