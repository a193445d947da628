package spool

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// settling is one commit of settlements on its way.
type settling struct {
	s       *Store
	b       *pebble.Batch
	entries []journal.Entry
	touched map[queue.ID]*change
	// suppressed are the rows of the suppression list that it writes, by their keys.
	suppressed map[string]queue.Suppression
	// done are rows whose leases end; fresh rows wait from then on. New reports are leased until they are durable.
	done, fresh []row
	files       []uint64 // content that nobody needs any more
}

// change is what becomes of one message. Its message's writing is held.
type change struct {
	own    *message
	states []queue.RecipientState
}

// Settle implements queue.Store.
func (s *Store) Settle(ctx context.Context, work []queue.Settlement) error {
	if err := s.enterToWrite(); err != nil {
		return err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil || len(work) == 0 {
		return err
	}
	t := &settling{s: s, b: s.db.NewBatch(), touched: map[queue.ID]*change{}, suppressed: map[string]queue.Suppression{}}
	if err := t.hold(work); err != nil {
		return errors.Join(err, t.b.Close())
	}
	defer t.letGo()
	if slices.ContainsFunc(work, func(w queue.Settlement) bool { return len(w.Suppress) > 0 }) {
		s.suppressing.Lock()
		defer s.suppressing.Unlock()
	}
	for _, w := range work {
		if err := t.settle(w); err != nil {
			t.withdraw()
			return errors.Join(err, t.b.Close())
		}
	}
	return t.commit()
}

// hold takes the messages of the work, in the order of their ids so that two settlements never wait for each other.
func (t *settling) hold(work []queue.Settlement) error {
	t.s.mu.Lock()
	seen := map[row]bool{}
	for _, w := range work {
		own := t.s.messages[w.ID]
		if own == nil {
			t.s.mu.Unlock()
			return errors.Join(errNotLeased, t.s.exists(w.ID))
		}
		if !own.holds(w.Destination) || seen[own.rows[w.Destination]] {
			t.s.mu.Unlock()
			return errNotLeased
		}
		seen[own.rows[w.Destination]] = true
		t.touched[w.ID] = &change{own: own}
	}
	t.s.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(t.touched)) {
		c := t.touched[id]
		c.own.writing.Lock()
		c.states = slices.Clone(c.own.states)
	}
	return nil
}

func (m *message) holds(d mail.Domain) bool {
	_, held := m.rows[d]
	return held
}

func (t *settling) letGo() {
	for _, c := range t.touched {
		c.own.writing.Unlock()
	}
}

// withdraw ends the leases of reports that were not written.
func (t *settling) withdraw() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, r := range t.fresh {
		if t.touched[r.id] == nil {
			t.s.release(r)
		}
	}
}

func (t *settling) settle(w queue.Settlement) error {
	c := t.touched[w.ID]
	reports := w.Reports
	noticed := slices.ContainsFunc(c.states, func(s queue.RecipientState) bool { return s.Noticed })
	if w.Notice != nil && !noticed {
		reports = append(slices.Clone(reports), *w.Notice)
		noticed = true
	}
	if err := c.take(w); err != nil {
		return err
	}
	for i := range c.states {
		c.states[i].Noticed = c.states[i].Noticed || noticed && !c.states[i].State.Final()
	}
	if err := t.place(c, w); err != nil {
		return err
	}
	t.entries = append(t.entries, stamp(w.Entries, w.ID)...)
	if err := t.suppress(w.Suppress); err != nil {
		return err
	}
	for _, report := range reports {
		if err := t.spawn(report); err != nil {
			return err
		}
	}
	return t.remember(w)
}

// take takes the states of a settlement over.
func (c *change) take(w queue.Settlement) error {
	for i, state := range w.States {
		if i < 0 || i >= len(c.states) || w.Destination != queue.ReportWork && c.own.Envelope.Recipients[i].Address.Domain != w.Destination {
			return errors.New("a settlement names a recipient that its destination does not have")
		}
		if w.Destination == queue.ReportWork && !c.states[i].Owes() {
			return errors.New("a report is settled that is not owed")
		}
		c.states[i] = state
	}
	return nil
}

// place puts the row of settled work where its states say. A report has none.
func (t *settling) place(c *change, w queue.Settlement) error {
	t.s.mu.Lock()
	r := c.own.rows[w.Destination]
	t.s.mu.Unlock()
	if w.Destination == queue.ReportWork {
		t.done = append(t.done, r)
		return nil
	}
	return t.move(c, r, nanos(w.Deadline))
}

// move puts the row of a destination where its states say. deadline 0 is the end of the lifetime.
func (t *settling) move(c *change, r row, deadline uint64) error {
	if err := t.s.dropRows(t.b, []row{r}); err != nil {
		return err
	}
	t.done = append(t.done, r)
	next := r
	next.deadline = deadline
	if deadline == 0 {
		next.deadline = nanos(c.own.Expires)
	}
	if !c.place(&next) {
		return nil
	}
	t.fresh = append(t.fresh, next)
	return t.s.putRows(t.b, []row{next})
}

// place sets priority and due time of a row by the states of its recipients; false: nobody waits there any more.
func (c *change) place(r *row) bool {
	r.priority, r.due = heldRow, never
	waits := false
	for i, recipient := range c.own.Envelope.Recipients {
		if recipient.Address.Domain != r.destination || c.states[i].State.Final() {
			continue
		}
		waits = true
		if c.states[i].State == queue.Pending {
			r.priority = byte(min(c.own.Priority, queue.Report))
			r.due = min(r.due, dueOf(c.own.Submission, c.states[i]))
		}
	}
	if r.priority == heldRow {
		r.due = 0
	}
	return waits
}

// spawn adds a report.
func (t *settling) spawn(report queue.Spawned) error {
	rows, entry, err := t.s.spawn(t.b, report)
	t.fresh = append(t.fresh, rows...)
	t.entries = append(t.entries, entry)
	return err
}

// remember keeps the reason of the last deferral of a destination, for lists.
func (t *settling) remember(w queue.Settlement) error {
	for _, i := range slices.Backward(slices.Sorted(maps.Keys(w.States))) {
		if s := w.States[i]; s.State == queue.Pending && s.Last.Disposition == mail.Deferred {
			return t.b.Set(destinationKey(aboutReason, w.Destination), []byte(s.Last.Reason), nil)
		}
	}
	return nil
}

// commit writes the messages that changed and then everything, and ends the leases.
func (t *settling) commit() error {
	for id, c := range t.touched {
		if err := t.write(id, c); err != nil {
			t.withdraw()
			return errors.Join(err, t.b.Close())
		}
	}
	if err := t.s.commitWithEntries(t.b, t.entries); err != nil {
		return err
	}
	for _, c := range t.touched {
		c.own.states, c.own.saved = c.states, true
	}
	t.s.mu.Lock()
	for _, c := range t.touched {
		c.own.owes = !queue.ReportDue(c.states).IsZero()
	}
	for _, r := range slices.Concat(t.done, t.fresh) {
		t.s.release(r)
	}
	t.s.ripen(t.fresh)
	t.s.mu.Unlock()
	for _, number := range t.files {
		t.s.removeContent(number)
	}
	return nil
}

// write adds what becomes of a message: its states, or that it is gone.
func (t *settling) write(id queue.ID, c *change) error {
	err := moveReport(t.b, id, c.own.states, c.states)
	if queue.Waits(c.states) {
		return errors.Join(err, t.b.Set(idKey(kindStates, id), encodeStates(c.states), nil))
	}
	err = errors.Join(err, t.b.SingleDelete(idKey(kindMessage, id), nil))
	if c.own.saved {
		err = errors.Join(err, t.b.Delete(idKey(kindStates, id), nil))
	}
	if c.own.file != 0 {
		t.files = append(t.files, c.own.file)
		err = errors.Join(err, t.b.Delete(fileKey(c.own.file), nil))
	}
	return err
}

// exists is nil, or queue.ErrNotFound.
func (s *Store) exists(id queue.ID) error {
	found, err := s.has(idKey(kindMessage, id))
	if err == nil && !found {
		err = queue.ErrNotFound
	}
	return err
}
