package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// reports is which reports may go before they are due. Store.mu guards it.
type reports struct {
	// ripe are messages that owe a report and that nobody holds a lease of any more.
	ripe map[queue.ID]struct{}
	// waiting are those that nobody holds a lease of and that were not ripe, with the destinations where a recipient was due. They ripen when the last of those is suspended.
	waiting map[queue.ID][]mail.Domain
	// look says that a destination was suspended since those were last looked through.
	look bool
	// seen is how far the reports were looked through that were owed at the start, when nobody held anything.
	seen    []byte
	seenAll bool
}

func reportKey(due uint64, id queue.ID) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{kindReport}, due), uint64(id))
}

const reportKeyLength = 1 + 8 + 8

func parseReport(key []byte) (due uint64, id queue.ID, ok bool) {
	if len(key) != reportKeyLength || key[0] != kindReport {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), queue.ID(binary.BigEndian.Uint64(key[9:])), true
}

// moveReport keeps the index of owed reports in step with the states of a message.
func moveReport(b *pebble.Batch, id queue.ID, was, is []queue.RecipientState) error {
	before, now := nanos(queue.ReportDue(was)), nanos(queue.ReportDue(is))
	if before == now {
		return nil
	}
	var err error
	if before != 0 {
		err = b.Delete(reportKey(before, id), nil)
	}
	if now != 0 {
		err = errors.Join(err, b.Set(reportKey(now, id), nil, nil))
	}
	return err
}

// Reports implements queue.Store.
func (s *Store) Reports(ctx context.Context, now time.Time, most int) ([]queue.Owed, time.Time, error) {
	if err := s.enterToWrite(); err != nil {
		return nil, time.Time{}, err
	}
	defer s.leave()
	if err := ctx.Err(); err != nil || most <= 0 {
		return nil, time.Time{}, err
	}
	var work []queue.Owed
	var next time.Time
	for range looksForReports {
		rows, first, err := s.takeReports(nanos(now), most-len(work))
		if err != nil {
			s.Return(work)
			return nil, time.Time{}, err
		}
		next = first
		for _, r := range rows {
			if o, ok := s.loadReport(r, nanos(now)); ok {
				work = append(work, o)
			}
		}
		if len(rows) == 0 || len(work) == most {
			break
		}
	}
	return work, next, nil
}

// looksForReports bounds how often one call looks again because what it found may not go yet.
const looksForReports = 64

// takeReports leases what may go now, as far as the index tells, and says when the first of the others is due.
func (s *Store) takeReports(now uint64, most int) (rows []row, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindReport}, UpperBound: []byte{kindReport + 1}})
	if err != nil {
		return nil, time.Time{}, err
	}
	s.tryAgain(queue.ReportWork, now)
	s.ripenWaiting(now)
	rows = s.takeRipe(nil, most)
	ok := it.First()
	for ; ok && len(rows) < most; ok = it.Next() {
		due, id, fits := parseReport(it.Key())
		if fits && due > now {
			next = moment(due)
			break
		}
		if own := s.messages[id]; fits && (own == nil || !own.claimed && !own.holds(queue.ReportWork)) {
			rows = s.takeReport(rows, id)
		}
	}
	rows = s.takeFirst(it, rows, most)
	if err := it.Close(); err != nil {
		s.putBack(rows)
		return nil, time.Time{}, err
	}
	return rows, next, nil
}

func (s *Store) takeReport(rows []row, id queue.ID) []row {
	delete(s.reports.ripe, id)
	delete(s.reports.waiting, id)
	r := row{id: id, priority: heldRow}
	s.take(r)
	return append(rows, r)
}

// takeRipe takes messages that nobody holds any more. Those that somebody has taken again come back when that ends.
func (s *Store) takeRipe(rows []row, most int) []row {
	for id := range s.reports.ripe {
		if len(rows) == most {
			break
		}
		if s.messages[id] == nil {
			rows = s.takeReport(rows, id)
		} else {
			delete(s.reports.ripe, id)
		}
	}
	return rows
}

// ripenWaiting finds whose destinations were suspended since. The caller holds mu.
func (s *Store) ripenWaiting(now uint64) {
	if !s.reports.look {
		return
	}
	s.reports.look = false
	kept := map[mail.Domain]bool{}
	for id, list := range s.reports.waiting {
		if !slices.ContainsFunc(list, func(d mail.Domain) bool { return s.turnComes(kept, d, now) }) {
			delete(s.reports.waiting, id)
			s.reports.ripe[id] = struct{}{}
		}
	}
}

// turnComes says whether the work of a destination is given out: it is not suspended. known remembers what was read.
func (s *Store) turnComes(known map[mail.Domain]bool, d mail.Domain, now uint64) bool {
	comes, read := known[d]
	if !read {
		until, err := s.suspended(d)
		comes = err != nil || until <= now
		known[d] = comes
	}
	return comes
}

// takeFirst takes what was owed at the start, each once.
func (s *Store) takeFirst(it *pebble.Iterator, rows []row, most int) []row {
	if s.reports.seenAll {
		return rows
	}
	ok := it.SeekGE(append([]byte{kindReport}, s.reports.seen...))
	for ; ok && len(rows) < most; ok = it.Next() {
		if _, id, fits := parseReport(it.Key()); fits && s.messages[id] == nil {
			rows = s.takeReport(rows, id)
		}
		s.reports.seen = append(append(s.reports.seen[:0], it.Key()[1:]...), 0) // what follows this key
	}
	s.reports.seenAll = !ok && it.Error() == nil
	return rows
}

// loadReport reads the message of a report; false: there is none for now. What leads to none is mended, as for attempts: see load.
func (s *Store) loadReport(r row, now uint64) (queue.Owed, bool) {
	s.mu.Lock()
	own := s.messages[r.id]
	s.mu.Unlock()
	o, ripe, err := s.loadOwing(own, r, now)
	switch {
	case err == nil:
		return o, ripe
	case pebble.IsCorruptionError(err):
		s.postpone(r, never, err)
	case errors.Is(err, queue.ErrNotFound), beyondRepair(err):
		s.mendReport(own, r, err)
	case errors.Is(err, errNobodyWaits):
		s.mu.Lock()
		s.release(r)
		s.mu.Unlock()
	default:
		s.postpone(r, now+readAgain, err)
	}
	return queue.Owed{}, false
}

// mendReport takes what leads to a report away that is not to be had any more.
func (s *Store) mendReport(own *message, r row, trouble error) {
	if err := s.forgetReports(r.id); err != nil {
		s.log.Error("the index of owed reports cannot be mended", zap.Stringer("id", r.id), zap.Error(err))
	}
	if beyondRepair(trouble) {
		s.mend(own, r, trouble)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(r)
}

// forgetReports takes all that leads to reports about a message out of the index.
func (s *Store) forgetReports(id queue.ID) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindReport}, UpperBound: []byte{kindReport + 1}})
	if err != nil {
		return err
	}
	b := s.db.NewBatch()
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if _, found, fits := parseReport(it.Key()); fits && found == id {
			err = b.Delete(it.Key(), nil)
		}
	}
	if err = errors.Join(err, it.Close()); err != nil || b.Empty() {
		return errors.Join(err, b.Close())
	}
	return s.commit(b, pebble.NoSync) // what a crash undoes is done again
}

// loadOwing reads the message of a report. One that is not due waits while a recipient is next in turn: it comes back when that attempt ends, or its destination is suspended.
func (s *Store) loadOwing(own *message, r row, now uint64) (o queue.Owed, ripe bool, err error) {
	own.writing.Lock()
	defer own.writing.Unlock()
	if err := s.readWhole(own, r.id); err != nil {
		return o, false, err
	}
	var indices []int
	for i, state := range own.states {
		if state.Owes() {
			indices = append(indices, i)
		}
	}
	if len(indices) == 0 { // within writing: nobody comes to owe one meanwhile
		return o, false, errors.Join(errNobodyWaits, s.forgetReports(r.id))
	}
	var waits []mail.Domain // for these
	if nanos(queue.ReportDue(own.states)) > now {
		known := map[mail.Domain]bool{}
		waits = queue.NextInTurn(own.Submission, own.states, moment(now))
		waits = slices.DeleteFunc(waits, func(d mail.Domain) bool { return !s.turnComes(known, d, now) })
	}
	if len(waits) == 0 {
		return own.owe(s, r, indices), true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(own.rows) == 1 {
		own.owes = false // not ripe for its own sake
		s.reports.waiting[r.id] = waits
	}
	s.release(r)
	return o, false, nil
}
