package main

import (
	"context"
	"sync"
	"time"

	"sternpost/mail"
)

// carrier is the queue's Deliverer: it gives transactions to the rooms of delivery. A reload puts other rooms in their place; what is under way stays with
// the old ones, which close behind it. Safe for concurrent use.
type carrier struct {
	mu      sync.Mutex
	current *carriage
	leaving sync.WaitGroup // rooms that were replaced and are still used
}

// carriage is rooms, and who is in them.
type carriage struct {
	*rooms
	users sync.WaitGroup
}

func newCarrier(r *rooms) *carrier { return &carrier{current: &carriage{rooms: r}} }

// enter returns the rooms in force. The caller says Done to their users.
func (c *carrier) enter() *carriage {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current.users.Add(1)
	return c.current
}

// hostname is our name in EHLO.
func (c *carrier) hostname() string {
	r := c.enter()
	defer r.users.Done()
	return r.agent.Hostname()
}

// Site names the exchangers that mail for domain goes to now.
func (c *carrier) Site(ctx context.Context, domain mail.Domain) (string, time.Time) {
	r := c.enter()
	defer r.users.Done()
	return r.agent.Site(ctx, domain)
}

// Deliver makes one attempt.
func (c *carrier) Deliver(ctx context.Context, t mail.Transaction) mail.Attempt {
	r := c.enter()
	defer r.users.Done()
	return r.agent.Deliver(ctx, t)
}

// Outlook is the plan that an attempt would have now.
func (c *carrier) Outlook(ctx context.Context, domain mail.Domain) (mail.Attempt, string) {
	r := c.enter()
	defer r.users.Done()
	return r.agent.Outlook(ctx, domain)
}

// replace puts r in force. The error of closing the old rooms goes to told.
func (c *carrier) replace(r *rooms, told func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.current
	c.current = &carriage{rooms: r}
	c.leaving.Go(func() {
		old.users.Wait()
		told(old.Close())
	})
}

// Close waits for all that is under way, and closes the rooms. Nothing may be given to the carrier any more.
func (c *carrier) Close() error {
	c.leaving.Wait()
	c.current.users.Wait()
	return c.current.Close()
}
