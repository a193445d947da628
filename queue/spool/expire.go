package spool

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

const (
	// shares is into how many volumes a full journal is divided at least: one goes at once.
	shares = 16
	// smallestVolume bounds their number where the journal may hold very little.
	smallestVolume = 64 << 10
	// squeezed is how many octets of the journal become one in a table at most.
	squeezed = 8
)

// journalBound is how large the journal may grow, in octets.
func (s *Store) journalBound() uint64 {
	bound := s.config.JournalBytes
	if bound <= 0 {
		bound = s.disk.journal()
	}
	return max(uint64(bound), shares*smallestVolume)
}

// Expire takes away the volumes of the journal that are older than the configuration allows, and then the oldest until it is small enough. The last one
// stays while its day is young. The size is kept too whenever a volume begins; it holds but for the last volume. Idempotency keys go with their hour, and so does what was forgotten of the suppression list, once a day.
func (s *Store) Expire(now time.Time) error {
	if err := s.enterToWrite(); err != nil {
		return err
	}
	defer s.leave()
	return errors.Join(s.expireKeys(now), s.expireSuppressions(now), s.expireJournal(now))
}

func (s *Store) expireJournal(now time.Time) error {
	list, err := s.volumes()
	if err != nil {
		return err
	}
	old := 0
	for old < len(list) && list[old]/day+uint64(s.config.JournalDays) < nanos(now)/day {
		s.diary.close(list[old])
		old++
	}
	large, err := s.tooLarge(list[old:])
	if err != nil {
		return err
	}
	return s.drop(list, old+large)
}

// trim keeps the journal within its size.
func (s *Store) trim() {
	list, err := s.volumes()
	if err == nil {
		var large int
		if large, err = s.tooLarge(list); err == nil {
			err = s.drop(list, large)
		}
	}
	if err != nil {
		s.log.Error("the journal cannot forget its oldest entries", zap.Error(err))
	}
}

// tooLarge is how many of the oldest volumes must go. The last one stays, and so do those that are still written to.
func (s *Store) tooLarge(list []uint64) (int, error) {
	sizes, total, err := s.sizes(list)
	if err != nil {
		return 0, err
	}
	bound, horizon := s.journalBound(), s.diary.horizon()
	n := 0
	for total > bound && n < len(list)-1 && list[n+1] <= horizon {
		total -= sizes[n]
		n++
	}
	return n, nil
}

// sizes is how much each volume holds, in octets, and all of them. Pebble knows what is in tables. What is still in memory only is taken for as much as was
// written: those are the last volumes, up to the first that has its share of the tables.
func (s *Store) sizes(list []uint64) (sizes []uint64, total uint64, err error) {
	sizes = make([]uint64, len(list))
	flushed := false
	for i := len(list) - 1; i >= 0; i-- {
		prefix := volumePrefix(list[i])
		size, err := s.db.EstimateDiskUsage(prefix, after(prefix))
		if err != nil {
			return nil, 0, err
		}
		if written := s.diary.octets(list[i]); !flushed {
			flushed = size >= written/squeezed
			size = max(size, written)
		}
		sizes[i] = size
		total += size
	}
	return sizes, total, nil
}

// drop takes the first n volumes of the list away. What a crash undoes is done again.
func (s *Store) drop(list []uint64, n int) error {
	if n == 0 {
		return nil
	}
	end := after(volumePrefix(list[n-1]))
	b := s.db.NewBatch()
	if err := b.DeleteRange([]byte{kindJournal}, end, nil); err != nil {
		return err
	}
	if err := s.commit(b, pebble.NoSync); err != nil {
		return err
	}
	s.diary.forget(list[:n])
	s.log.Info("the oldest entries of the journal have expired", zap.Time("from", moment(list[0])), zap.Time("to", moment(list[n-1])), zap.Int("volumes", n))
	return nil
}

// close ends a volume if it is the one that is written to.
func (d *diary) close(volume uint64) {
	d.Lock()
	defer d.Unlock()
	if d.volume == volume {
		d.volume = 0
	}
}

// octets is how much this process has written to a volume.
func (d *diary) octets(volume uint64) uint64 {
	d.Lock()
	defer d.Unlock()
	return d.written[volume]
}

func (d *diary) forget(list []uint64) {
	d.Lock()
	defer d.Unlock()
	for _, volume := range list {
		delete(d.written, volume)
	}
}
