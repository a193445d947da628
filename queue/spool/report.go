package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"sternpost/queue"
)

// reports is which reports may go before they are due. Store.mu guards it.
type reports struct {
	// ripe are messages that owe a report and that nobody holds a lease of any more.
	ripe map[queue.ID]struct{}
	// all: we have just started, nobody holds anything, and all of them may go.
	all bool
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
	rows, next, err := s.takeReports(nanos(now), most)
	if err != nil {
		return nil, time.Time{}, err
	}
	var work []queue.Owed
	for _, r := range rows {
		if o, ok := s.loadReport(r); ok {
			work = append(work, o)
		}
	}
	return work, next, nil
}

// takeReports leases what may go now, and says when the first of the others is due.
func (s *Store) takeReports(now uint64, most int) (rows []row, next time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindReport}, UpperBound: []byte{kindReport + 1}})
	if err != nil {
		return nil, time.Time{}, err
	}
	take := func(id queue.ID) {
		delete(s.reports.ripe, id)
		r := row{id: id, priority: heldRow}
		if own := s.messages[id]; own == nil || !own.claimed && !own.holds(queue.ReportWork) {
			s.take(r)
			rows = append(rows, r)
		}
	}
	for id := range s.reports.ripe {
		if len(rows) == most {
			break
		}
		if s.messages[id] == nil {
			take(id)
		} else { // somebody has taken it again, and it comes back when that ends
			delete(s.reports.ripe, id)
		}
	}
	ok := it.First()
	for ; ok && len(rows) < most; ok = it.Next() {
		due, id, fits := parseReport(it.Key())
		if !fits {
			continue
		}
		if due > now && !s.reports.all {
			break
		}
		if due <= now || s.messages[id] == nil {
			take(id)
		}
	}
	if ok {
		if due, _, fits := parseReport(it.Key()); fits {
			next = moment(due)
		}
	} else {
		s.reports.all = false
	}
	if err := it.Close(); err != nil {
		s.putBack(rows)
		return nil, time.Time{}, err
	}
	return rows, next, nil
}

// loadReport reads the message of a report that is due.
func (s *Store) loadReport(r row) (queue.Owed, bool) {
	s.mu.Lock()
	own := s.messages[r.id]
	s.mu.Unlock()
	own.writing.Lock()
	defer own.writing.Unlock()
	err := s.readWhole(own, r.id)
	var indices []int
	for i, state := range own.states {
		if err == nil && state.Owes() {
			indices = append(indices, i)
		}
	}
	if len(indices) > 0 {
		return own.owe(s, r, indices), true
	}
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		s.log.Error("a message that owes a report cannot be read", zap.Stringer("id", r.id), zap.Error(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(r)
	return queue.Owed{}, false
}
