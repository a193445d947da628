package spool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/mail"
	"sternpost/queue"
)

// The index has two steps. A hint says that a destination may have something due from a time on; it is never later than the truth. Whoever finds a
// hint asks the waiting rows of that destination for the exact time, and moves the hint there. So suspended destinations are passed over
// without a look at what waits for them. Hints of a destination with leases stay: the leases end with a crash, and the hints must be there then.

// mostDestinations is how many destinations without leases are remembered.
const mostDestinations = 4096

// destination is what is remembered of a destination.
type destination struct {
	leases int
	known  bool                  // next is exact
	next   uint64                // the earliest due time of a row that is not leased, or the end of the suspension; never: there is none
	until  uint64                // suspended until; 0: not
	turn   [queue.Report + 1]int // the sender whose turn is next, by priority
	// low is where a search may begin: no row before it can be leased. The zero row: that is not known. Rows that are done are passed over one by one until
	// Pebble has forgotten them, and a busy destination has tens of thousands.
	low row
	// hinted is the time of a hint that is on the disk; 0: none is known. Each further version of one is passed over too.
	hinted uint64
	later  []postponed
}

// destination finds or makes what is remembered of d. The caller holds mu.
func (s *Store) destination(d mail.Domain) *destination {
	if known := s.destinations[d]; known != nil {
		return known
	}
	if len(s.destinations) >= max(mostDestinations, s.crowd) {
		s.forgetIdle()
	}
	fresh := &destination{}
	s.destinations[d] = fresh
	return fresh
}

// forgetIdle forgets destinations without leases; their hints are exact or early.
func (s *Store) forgetIdle() {
	for name, d := range s.destinations {
		if d.leases == 0 {
			delete(s.destinations, name)
		}
	}
	s.crowd = 2 * len(s.destinations)
}

// ripen notes rows that can be leased from now on. The caller holds mu.
func (s *Store) ripen(rows []row) {
	for _, r := range rows {
		if r.priority == heldRow {
			continue
		}
		if d := s.destination(r.destination); d.known {
			d.next = min(d.next, max(r.due, d.until))
		}
	}
	s.lower(rows)
}

// lower keeps the floor below the hints of rows that were written. The caller holds mu.
func (s *Store) lower(rows []row) {
	for _, r := range rows {
		if r.priority == heldRow {
			continue
		}
		s.floor = min(s.floor, hintTime(r.due))
		if d := s.destinations[r.destination]; d != nil && r.before(d.low) {
			d.low = r
		}
	}
}

// look is one look at the index, with mu held from its beginning to its end.
type look struct {
	s     *Store
	rows  *pebble.Iterator
	hints *pebble.Iterator
	fixes *pebble.Batch
	err   error
	// claims is set when free has passed over a message that is claimed: its rows count as leased though its destinations do not know it yet, and it
	// comes back without a hint.
	claims bool
}

func (s *Store) look() (*look, error) {
	rows, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindWaiting}, UpperBound: []byte{kindWaiting + 1}})
	if err != nil {
		return nil, err
	}
	hints, err := s.db.NewIter(&pebble.IterOptions{LowerBound: hintKey(s.floor, ""), UpperBound: []byte{kindHint + 1}})
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return &look{s: s, rows: rows, hints: hints, fixes: s.db.NewBatch()}, nil
}

// close ends the look and writes the hints that were put right. They need no sync: an early hint does no harm, and the log keeps the order.
func (l *look) close() error {
	err := errors.Join(l.err, l.rows.Close(), l.hints.Close())
	if err != nil || l.fixes.Empty() {
		return errors.Join(err, l.fixes.Close())
	}
	return l.s.commit(l.fixes, pebble.NoSync)
}

// ripe lists destinations that have something due, earliest first: as many as could be needed.
func (l *look) ripe(w queue.Want) []mail.Domain {
	now := nanos(w.Now)
	next := map[mail.Domain]uint64{}
	var list []mail.Domain
	for at, name := range l.walk {
		if at > now || len(list) >= w.Most {
			break
		}
		if _, seen := next[name]; seen {
			continue
		}
		next[name] = never
		if w.Of(name) == 0 {
			continue
		}
		if d := l.visit(at, name, now); d.next <= now {
			next[name] = d.next
			list = append(list, name)
		}
	}
	slices.SortFunc(list, func(a, b mail.Domain) int { return cmp.Or(cmp.Compare(next[a], next[b]), cmp.Compare(a, b)) })
	return list
}

// walk yields the hints in their order and notes where they begin.
func (l *look) walk(yield func(uint64, mail.Domain) bool) {
	first := true
	for ok := l.hints.First(); ok; ok = l.hints.Next() {
		at, name := parseHint(l.hints.Key())
		if first {
			l.s.floor, first = at, false
		}
		if !yield(at, name) {
			return
		}
	}
	if err := l.hints.Error(); err != nil {
		l.err = err
	}
}

// visit learns when the destination that a hint leads to has something, and puts the hint right. A time up to now need not be the earliest. Where nothing
// waits the hint stays at the end of the suspension, which is forgotten then.
func (l *look) visit(at uint64, name mail.Domain, now uint64) *destination {
	d := l.s.destination(name)
	l.s.tryAgain(name, now)
	if !d.known {
		l.learn(name, d, now)
	}
	right := d.next
	if right == never && d.until > now {
		right = max(d.until, at)
	}
	if !d.known || d.leases > 0 || right == at || l.err != nil {
		return d
	}
	l.note(l.fixes.Delete(hintKey(at, name), nil))
	d.hinted = 0
	if right != never {
		l.note(l.fixes.Set(hintKey(right, name), nil, nil))
		return d
	}
	if !l.waits(name) {
		l.note(l.fixes.Delete(destinationKey(aboutReason, name), nil))
		if d.until > 0 {
			l.note(l.fixes.Delete(destinationKey(aboutSuspension, name), nil))
			d.until = 0
		}
	}
	return d
}

func (l *look) note(err error) {
	if err != nil {
		l.err = err
	}
}

// waits says whether there is any row, held ones included.
func (l *look) waits(name mail.Domain) bool {
	prefix := waitingPrefix(name)
	return l.rows.SeekGE(prefix) && string(l.rows.Key()[:min(len(prefix), len(l.rows.Key()))]) == string(prefix)
}

// learn finds the earliest row that is not leased, one seek for each sender; a row that is due by enough ends the search.
func (l *look) learn(name mail.Domain, d *destination, enough uint64) {
	until, err := l.s.suspended(name)
	l.note(err)
	d.until, d.next, d.known, l.claims = until, never, false, false
	for r, ok := l.free(row{destination: name}); ok; r, ok = l.free(row{destination: name, priority: r.priority, turn: r.turn + 1}) {
		if d.next = min(d.next, max(r.due, until)); d.next <= enough {
			return
		}
	}
	for _, p := range d.later {
		d.next = min(d.next, max(p.until, until))
	}
	d.known = l.err == nil && !l.claims
}

// earliest is the due time of the first row, leased or not.
func (l *look) earliest(name mail.Domain) uint64 {
	best := uint64(never)
	for r, ok := l.seek(row{destination: name}); ok; r, ok = l.seek(row{destination: name, priority: r.priority, turn: r.turn + 1}) {
		best = min(best, r.due)
	}
	return best
}

// seek finds the first row at or behind one, in the same destination; not the held ones.
func (l *look) seek(from row) (row, bool) {
	return l.here(from, l.rows.SeekGE(from.key()))
}

// here reads the row that the iterator stands at.
func (l *look) here(from row, valid bool) (row, bool) {
	if !valid {
		l.note(l.rows.Error())
		return row{}, false
	}
	r, ok := parseRow(l.rows.Key(), l.rows.Value())
	return r, ok && r.destination == from.destination && r.priority <= byte(queue.Report) && r.turn < turns
}

// free is seek for rows that nobody holds.
func (l *look) free(from row) (row, bool) {
	d := l.s.destination(from.destination)
	behind := d.low.before(from)
	if !behind {
		from = d.low.in(from.destination)
	}
	claims := false
	r, ok := l.seek(from)
	for ok && l.s.leased(r) {
		claims = claims || l.s.messages[r.id].claimed
		r, ok = l.here(from, l.rows.Next())
	}
	l.claims = l.claims || claims
	if !behind && !claims && l.err == nil {
		d.low = r
		if !ok {
			d.low = row{priority: heldRow}
		}
	}
	return r, ok
}

// Next implements queue.Store.
func (s *Store) Next(ctx context.Context) (time.Time, bool, error) {
	if err := s.enter(); err != nil {
		return time.Time{}, false, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil {
		return time.Time{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	look, err := s.look()
	if err != nil {
		return time.Time{}, false, err
	}
	best := uint64(never)
	for at, name := range look.walk {
		if at >= best {
			break
		}
		best = min(best, look.visit(at, name, 0).next)
	}
	if err := look.close(); err != nil {
		return time.Time{}, false, err
	}
	return moment(best), best != never, nil
}
