package spool

import (
	"context"
	"errors"
	"slices"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

var errAction = errors.New("is not an action: retry, hold, release or remove")

// Change implements queue.Store. Of a query by recipient or destination, only the recipients that it means are changed. Messages are changed in commits of
// some dozens: after an error the number says how many recipients were changed before.
func (s *Store) Change(ctx context.Context, q queue.Query, a queue.Action, now time.Time) (int, error) {
	if _, known := actions()[a]; !known {
		return 0, errAction
	}
	if err := s.enterToWrite(); err != nil {
		return 0, err
	}
	defer s.leave()
	if a == queue.Remove && q.ID != 0 && q == (queue.Query{ID: q.ID, Limit: q.Limit}) {
		if n, err := s.removeDamaged(ctx, q.ID); n > 0 || err != nil {
			return n, err
		}
	}
	changed, left := 0, q.Limit
	q.Limit = 0 // messages that are under way do not count
	p := personal{q: q, action: a, now: now}
	var claimed []claimedMessage
	for m, err := range s.Messages(ctx, q) {
		if err != nil {
			s.unclaim(claimed)
			return changed, err
		}
		c, taken := s.claim(m.ID)
		if !taken {
			continue
		}
		claimed = append(claimed, c)
		if left--; left == 0 {
			break
		}
		if len(claimed) == page {
			n, err := s.changeSome(claimed, p)
			if changed += n; err != nil {
				return changed, err
			}
			claimed = nil
		}
	}
	n, err := s.changeSome(claimed, p)
	return changed + n, err
}

// claimedMessage is a message that is taken as a whole, with its writing held.
type claimedMessage struct {
	*change
	id   queue.ID
	rows []row
}

// personal is what a person asked for.
type personal struct {
	q      queue.Query
	action queue.Action
	now    time.Time
}

// actions gives for each action the state of a recipient before and after; release and retry make it due.
func actions() map[queue.Action]func(queue.RecipientState, time.Time) (queue.RecipientState, bool) {
	return map[queue.Action]func(queue.RecipientState, time.Time) (queue.RecipientState, bool){
		queue.Retry: func(s queue.RecipientState, now time.Time) (queue.RecipientState, bool) {
			change := s.State == queue.Pending
			s.Due = now
			return s, change
		},
		queue.Hold: func(s queue.RecipientState, _ time.Time) (queue.RecipientState, bool) {
			change := s.State == queue.Pending
			s.State = queue.Held
			return s, change
		},
		queue.Release: func(s queue.RecipientState, now time.Time) (queue.RecipientState, bool) {
			change := s.State == queue.Held
			s.State, s.Due = queue.Pending, now
			return s, change
		},
		queue.Remove: func(s queue.RecipientState, _ time.Time) (queue.RecipientState, bool) {
			change := !s.State.Final()
			s.State = queue.Removed
			return s, change
		},
	}
}

// changeSome changes messages in one commit, returns how many recipients it changed, and ends the claims.
func (s *Store) changeSome(claimed []claimedMessage, p personal) (int, error) {
	t := &settling{s: s, b: s.db.NewBatch(), touched: map[queue.ID]*change{}}
	defer s.unclaim(claimed)
	changed := 0
	for _, c := range claimed {
		n := t.act(c, p)
		if n == 0 {
			continue
		}
		changed += n
		t.touched[c.id] = c.change
		for _, r := range c.rows {
			if err := t.move(c.change, r, r.deadline); err != nil {
				return 0, errors.Join(err, t.b.Close())
			}
		}
	}
	if changed == 0 {
		return 0, t.b.Close()
	}
	if err := t.commit(); err != nil {
		return 0, err
	}
	return changed, nil
}

// act changes the states of one message and writes down which.
func (t *settling) act(c claimedMessage, p personal) int {
	changed := 0
	kind := journal.Changed
	if p.action == queue.Remove {
		kind = journal.Removed
	}
	for i, recipient := range c.own.Envelope.Recipients {
		if !p.q.Means(queue.Message{Submission: c.own.Submission, Recipients: c.states}, i) {
			continue
		}
		state, ok := actions()[p.action](c.states[i], p.now)
		if !ok {
			continue
		}
		changed++
		c.states[i] = state
		t.entries = append(t.entries, journal.Entry{
			Kind: kind, Message: c.id.String(), Sender: c.own.Envelope.From.String(), Recipient: recipient.Address.String(),
			Domain: recipient.Address.Domain, MessageID: c.own.MessageID, Reason: string(p.action),
		})
	}
	return changed
}

// claim takes all rows of a message that nobody holds a lease of; false: somebody does, or it cannot be read.
func (s *Store) claim(id queue.ID) (claimedMessage, bool) {
	s.mu.Lock()
	if s.messages[id] != nil {
		s.mu.Unlock()
		return claimedMessage{}, false
	}
	own := &message{rows: map[mail.Domain]row{}, claimed: true}
	own.writing.Lock()
	s.messages[id] = own
	s.mu.Unlock()

	c := claimedMessage{change: &change{own: own}, id: id}
	err := s.read(own, id)
	if err == nil {
		c.states = slices.Clone(own.states)
		c.rows, err = s.rowsOfMessage(id, c.change)
	}
	if err != nil {
		s.complain(id, err)
		s.unclaim([]claimedMessage{c})
		return claimedMessage{}, false
	}
	s.mu.Lock()
	for _, r := range c.rows {
		s.take(r)
	}
	s.mu.Unlock()
	return c, true
}

// unclaim ends claims, and the leases that are left of them.
func (s *Store) unclaim(claimed []claimedMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range claimed {
		for _, r := range c.own.rows {
			s.release(r)
			s.ripen([]row{r})
		}
		if s.messages[c.id] == c.own {
			delete(s.messages, c.id)
			if c.own.owes {
				s.reports.ripe[c.id] = struct{}{}
			}
		}
		c.own.writing.Unlock()
	}
}

// rowsOfMessage finds the waiting rows of a message by the states of its recipients.
func (s *Store) rowsOfMessage(id queue.ID, c *change) ([]row, error) {
	var rows []row
	for _, d := range destinationsOf(c.own.Envelope) {
		r := row{destination: d, turn: turnOf(c.own.Sender), id: id}
		if !c.place(&r) {
			continue
		}
		var err error
		if r.deadline, err = s.deadlineOf(r); err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}
