package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"sternpost/queue/spool"
)

// openStore opens the embedded store in queue.directory.
func openStore(c *configuration, log *zap.Logger) (*spool.Store, error) {
	return spool.OpenDirectory(spool.Config{
		Directory: c.Queue.Directory, JournalDays: c.Queue.JournalDays, JournalBytes: c.Queue.JournalBytes,
	}, log)
}

// journalSweep is how often the journal forgets what is too old. Its size it keeps by itself while it grows.
const journalSweep = 5 * time.Minute

// sweepJournal keeps the journal within its bounds.
func (s *service) sweepJournal(ctx context.Context) error {
	sweep := time.NewTicker(journalSweep)
	defer sweep.Stop()
	for {
		if err := s.store.Expire(time.Now()); err != nil {
			s.log.Error("the journal cannot forget its oldest entries", zap.Error(err))
		}
		select {
		case <-sweep.C:
		case <-ctx.Done():
			return nil
		}
	}
}
