package delivery

import (
	"context"
	"net/netip"
	"time"

	"sternpost/mail"
	"sternpost/resolver"
)

// The limits of one attempt (design section 4): the last of each is kept for the least preferred host.
const (
	maxSessions = 3 // past EHLO and TLS
	maxContents = 2 // transmissions of content
)

// walk is one attempt on its way over the plan. It belongs to one goroutine, but for races, which it waits for.
type walk struct {
	*Agent
	ctx         context.Context // of all but content on its way
	cutoff      context.Context // of that
	t           mail.Transaction
	message     *message
	tree        *mail.Attempt
	found       resolver.Exchangers // what the DNS said; zero for a smarthost
	plan        []*candidate
	least       string // the least preferred host
	rcpts       []*pending
	budget      budget
	sessions    int
	contents    int
	interrupted bool                    // the context ended while there was more to try
	answered    map[string]bool         // hosts whose word on the mail stands for this attempt
	doubted     map[netip.AddrPort]bool // addresses that may have the content
	busy        *candidate              // the first that had no connection to spare
	twin        *candidate              // the other family of a host that refused: the next to be tried
	rehearsal   *rehearsal              // of a probe; nil: mail is sent
}

// run tries the candidates in turn until no recipient is left.
func (w *walk) run() {
	for len(w.owed()) > 0 {
		c := w.next()
		if c == nil {
			c = w.lastResort()
		}
		if c == nil || w.waits(c) {
			break
		}
		if w.ctx.Err() != nil {
			w.interrupted = true
			break
		}
		w.try(c)
	}
	w.conclude()
}

// owed are the recipients that have no verdict yet.
func (w *walk) owed() []*pending {
	owed := make([]*pending, 0, len(w.rcpts))
	for _, p := range w.rcpts {
		if p.outcome == nil {
			owed = append(owed, p)
		}
	}
	return owed
}

// next is the next candidate to try; those that the limits rule out are skipped with the reason.
func (w *walk) next() *candidate {
	if w.twin != nil {
		return w.twin
	}
	for _, c := range w.plan {
		if !c.open() && !c.again {
			continue
		}
		reason := w.barred(c)
		if reason == "" {
			return c
		}
		if c.again {
			c.again = false
			w.halt(c, reason)
		} else {
			c.skip(reason)
		}
	}
	return nil
}

// lastResort is a candidate that was skipped for its health, when nothing else is left: to wait would prove nothing. Nil: there is none.
func (w *walk) lastResort() *candidate {
	if w.busy != nil {
		return nil
	}
	for _, c := range w.plan {
		if !c.unhealthy {
			continue
		}
		c.unhealthy = false
		w.least = c.name() // there is no other that the last session could be kept for
		if w.barred(c) == "" {
			c.reopen("down, and tried because nothing else is left")
			return c
		}
	}
	return nil
}

// barred says which limit of the attempt keeps c from being tried now; empty: none.
func (w *walk) barred(c *candidate) string {
	kept := c.name() != w.least
	switch {
	case w.answered[c.name()] && !c.again:
		return c.Host + " has answered already"
	case w.doubted[c.target.addr]:
		return "its address may have the message already"
	case w.sessions >= maxSessions || w.contents >= maxContents:
		return "this attempt has done enough"
	case kept && w.sessions >= maxSessions-1:
		return "the last session of this attempt is kept for the least preferred host"
	case kept && w.contents >= maxContents-1:
		return "the last transmission of this attempt is kept for the least preferred host"
	case w.budget.share(w.last(c)) <= 0:
		return "the time of this attempt is used up"
	}
	if resting := w.resting(c.target); !resting.IsZero() {
		return restReason(resting)
	}
	return ""
}

// last says whether no other candidate is open behind c.
func (w *walk) last(c *candidate) bool {
	for i := len(w.plan) - 1; i >= 0; i-- {
		if w.plan[i].open() {
			return w.plan[i] == c
		}
	}
	return true
}

// alone says whether c is all that the plan has left, and nothing was tried before it.
func (w *walk) alone(c *candidate) bool {
	for _, other := range w.plan {
		if other != c && other.Verdict != mail.VerdictSkipped {
			return false
		}
	}
	return true
}

// until is when the share of c ends that begins now.
func (w *walk) until(c *candidate) time.Time { return time.Now().Add(w.budget.share(w.last(c))) }

// try visits one candidate, or one beside it that was faster.
func (w *walk) try(c *candidate) {
	if w.pretend(c) {
		return
	}
	c.again = false
	c.lastResort = c.lastResort || w.alone(c)
	began := time.Now()
	c, s := w.reach(c)
	var results []*result
	if s != nil {
		results = w.carry(s)
		if s.overtaken(results) {
			w.close(c, s)
			if s = w.fresh(c); s != nil {
				results = w.carry(s)
			}
		}
	}
	if s == nil {
		w.budget.spend(time.Since(began))
	} else {
		w.budget.spend(time.Since(began) - s.contentTook)
		w.count(results, s.transmitted)
		w.judge(c, results)
		w.release(c, s)
	}
	w.endTwin()
}

// carry takes the message to the recipients that are owed. The connection is closed when the attempt is called off, and earlier, when we are stopping and no content is on
// its way.
func (w *walk) carry(s *session) []*result {
	s.cutoff = w.cutoff
	defer onEnd(w.ctx, s.stop)()
	if w.cutoff != w.ctx {
		defer onEnd(w.cutoff, func() { s.raw.Close() })()
	}
	var rcpts []mail.Recipient
	for _, p := range w.owed() {
		rcpts = append(rcpts, p.Recipient)
	}
	return s.carry(w.message, w.t.Envelope, rcpts)
}

// count charges a session to the limits of the attempt. One with a host that cannot take such a message was none.
func (w *walk) count(results []*result, transmitted bool) {
	for _, r := range results {
		if r != nil && (r.event == nil || classify(*r.event).rank != rankCapability) {
			w.sessions++
			break
		}
	}
	if transmitted {
		w.contents++
	}
}

// reach gets a session with c, idle or new, ready for MAIL. The session is nil where there is none; the events are noted then.
func (w *walk) reach(c *candidate) (*candidate, *session) {
	if c == w.twin { // nobody else may take its place
		return c, w.fresh(c)
	}
	if c, s := w.idleAt(c); s != nil {
		s.take(w.ctx, w.until(c), c.note)
		c.Reused, c.TLS = true, s.tls
		return c, s
	}
	winner, s := w.race(c)
	if s == nil {
		return c, nil
	}
	return winner, w.ready(winner, s)
}

// idleAt finds an idle session with c, or with another host of its preference: equal hosts share the load by the sessions that are made, and a session that stands is
// used up first.
func (w *walk) idleAt(c *candidate) (*candidate, *session) {
	if s := w.idleSession(c.target); s != nil {
		return c, s
	}
	for _, r := range w.plan {
		if w.equal(c, r) {
			if s := w.idleSession(r.target); s != nil {
				return r, s
			}
		}
	}
	return c, nil
}

// fresh is reach without idle sessions and without a race.
func (w *walk) fresh(c *candidate) *session {
	c.Reused = false
	s := w.openAlone(c, w.until(c))
	if s == nil {
		return nil
	}
	return w.ready(c, s)
}

// openAlone is open outside a race; nil after the event was noted.
func (w *walk) openAlone(c *candidate, until time.Time) *session {
	r := w.open(w.ctx, c, until, make(chan struct{}, 1))
	w.finished(r, new(opened))
	return r.session
}

// ready goes from the greeting to MAIL. A handshake that fails is tried once more in clear, on a new connection to the same address, where
// nothing was asked of TLS (RFC 7435). Credentials never go that way.
func (w *walk) ready(c *candidate, s *session) *session {
	s.afterTLS = w.rehearsal == nil && mayFallBack(c.target) && w.remembersClear(c.target, time.Now())
	e := w.establish(s, s.afterTLS || w.pretendsNoTLS(c))
	if e != nil && e.cause == causeHandshake && mayFallBack(c.target) && w.ctx.Err() == nil {
		until := s.until
		w.close(c, s)
		w.rememberClear(c.target, time.Now())
		if s = w.openAlone(c, until); s == nil {
			return nil
		}
		s.afterTLS = true
		e = w.establish(s, true)
	}
	c.TLS = s.tls
	if e != nil {
		w.close(c, s)
		w.missed(c, e)
		return nil
	}
	w.health.succeeded(c.target.addr)
	c.probe = false
	return s
}

// establish is session.establish under the context of the attempt.
func (w *walk) establish(s *session, clear bool) *event {
	s.ctx = w.ctx
	stop := onEnd(w.ctx, func() { s.raw.Close() })
	defer stop()
	return s.establish(w.hostname, clear)
}

// release keeps the session for the next message, or ends it.
func (w *walk) release(c *candidate, s *session) {
	if s.broken || w.old(s) || s.spent() || s.uses >= w.config.SessionUses || !w.idle.put(w.idleKey(s.target, s.tls != nil), s) {
		w.close(c, s)
	}
}

// close ends a session without making anybody wait for the reply to QUIT. Its place is free at once.
func (w *walk) close(c *candidate, s *session) {
	if w.rehearsal != nil { // one session a host at a time
		s.leave(c.note)
		c.ClosedBy = closer(s)
		return
	}
	c.ClosedBy = closer(s)
	s.uncount()
	w.ending.Go(s.quit)
}
