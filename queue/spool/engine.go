package spool

import (
	"fmt"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/queue"
)

// format is pinned: a newer Pebble must not make a directory that the last release of ours cannot read. It is the last format before value
// separation, which stays off.
const format = pebble.FormatTableFormatV6

// blockCache is what reads keep in memory.
const blockCache = 16 << 20

func (s *Store) options() *pebble.Options {
	options := &pebble.Options{
		FS:                          engineFS{FS: s.fs, s: s},
		FormatMajorVersion:          format,
		Logger:                      engineLog{s},
		CacheSize:                   blockCache,
		MemTableSize:                s.disk.memtable(),
		MemTableStopWritesThreshold: memtables,
		WALMinSyncInterval:          s.syncInterval,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               256 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener:               &pebble.EventListener{DataCorruption: s.damaged, BackgroundError: s.background, FlushEnd: s.flushed},
	}
	if s.still {
		// The scheduler that is used else looks ten times a second whether there is something to compact. It goes by flushes and compactions too, and in a bubble, where days
		// pass in seconds, the looking costs more than all other work.
		options.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return options
}

// Group commits. One sync serves all commits that wait for it, so where many wait, the next one is delayed a little: fewer and larger ones cost less, and
// each sender waits for his own as long as for those of the others. Where few wait, nobody is served by waiting.
const (
	crowded     = 8 // commits under way
	crowdedWait = 1500 * time.Microsecond
)

// syncInterval is how long after a sync the next one is made at the earliest.
func (s *Store) syncInterval() time.Duration {
	if s.committing.Load() < crowded {
		return 0
	}
	return crowdedWait
}

// engineLog is what Pebble writes to.
type engineLog struct{ s *Store }

// Infof is for those who work on Pebble.
func (l engineLog) Infof(string, ...any) {}

// Errorf implements pebble.Logger.
func (l engineLog) Errorf(text string, arguments ...any) {
	l.s.log.Error("queue: " + fmt.Sprintf(text, arguments...))
}

// Fatalf is called where Pebble cannot go on, after a failed commit above all. Pebble expects never to come back from it, so it stops the store and
// parks the goroutine: its locks stay held, and nothing is written or synced any more.
func (l engineLog) Fatalf(text string, arguments ...any) {
	l.s.fail(fmt.Errorf(text, arguments...))
	select {}
}

// engineFS is what Pebble sees of the file system. It has no lock, as the one above the engine's directory is ours and is given back whatever becomes of the
// engine. A failed engine is left where it stands, and may not touch the files of the one that comes after it: it is parked.
type engineFS struct {
	vfs.FS
	s *Store
}

// Unwrap implements vfs.FS.
func (f engineFS) Unwrap() vfs.FS { return f.FS }

// Lock implements vfs.FS.
func (f engineFS) Lock(string) (io.Closer, error) { return unlocked{}, nil }

type unlocked struct{}

func (unlocked) Close() error { return nil }

// Create implements vfs.FS.
func (f engineFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.s.pace(name)
	f.park()
	return f.FS.Create(name, c)
}

// ReuseForWrite implements vfs.FS.
func (f engineFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f.park()
	return f.FS.ReuseForWrite(oldname, newname, c)
}

// Rename implements vfs.FS.
func (f engineFS) Rename(oldname, newname string) error {
	f.park()
	return f.FS.Rename(oldname, newname)
}

// Remove implements vfs.FS.
func (f engineFS) Remove(name string) error {
	f.park()
	return f.FS.Remove(name)
}

// park keeps the goroutines of a failed engine for ever.
func (f engineFS) park() {
	select {
	case <-f.s.failed:
		select {}
	default:
	}
}

// openEngine opens Pebble in a directory. Where Pebble can neither go on nor come back, the store fails, and the goroutine is left where it stands.
func (s *Store) openEngine(directory string, options *pebble.Options) error {
	var db *pebble.DB
	done := make(chan error, 1)
	go func() {
		done <- orPanic(func() (err error) {
			db, err = pebble.Open(directory, options)
			return err
		})
	}()
	select {
	case err := <-done:
		s.db = db
		return err
	case <-s.failed:
		return s.cause
	}
}

// closeEngine closes Pebble if it is open, unless it has failed or fails meanwhile.
func (s *Store) closeEngine() error {
	select {
	case <-s.failed:
		return nil
	default:
	}
	if s.db == nil {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- s.db.Close() }()
	select {
	case err := <-done:
		s.db = nil
		return err
	case <-s.failed:
		return s.cause
	}
}

// errPanicked is what a panic of Pebble's becomes: it asserts much of what it reads.
type errPanicked struct{ trouble any }

func (e errPanicked) Error() string { return fmt.Sprintf("the engine panicked: %v", e.trouble) }

func orPanic(f func() error) (err error) {
	defer func() {
		if trouble := recover(); trouble != nil {
			err = errPanicked{trouble}
		}
	}()
	return f()
}

// fail ends the store. It may be called with any lock of Pebble's held.
func (s *Store) fail(err error) {
	s.once.Do(func() {
		s.log.Error("the queue has stopped: nothing is accepted until the next start", zap.String("error", short(err)))
		s.cause = err
		close(s.failed)
	})
}

// commit applies b and waits until it is synced, or until the store has failed. The goroutine of the write is parked in Fatalf then, so it cannot be the
// caller's.
func (s *Store) commit(b *pebble.Batch, how *pebble.WriteOptions) error {
	s.committing.Add(1)
	defer s.committing.Add(-1)
	done := make(chan error, 1)
	// A commit that comes after the log writer has failed, and before Fatalf has told of it, panics in Pebble.
	go func() { done <- orPanic(func() error { return s.db.Apply(b, how) }) }()
	select {
	case err := <-done:
		if err != nil {
			s.fail(fmt.Errorf("a write failed: %w", err))
			return queue.ErrStopped
		}
		return b.Close()
	case <-s.failed:
		return queue.ErrStopped
	}
}

// makeDirectory makes a directory and its parents, and syncs that the parent knows it.
func makeDirectory(fs vfs.FS, name string) error {
	if err := fs.MkdirAll(name, 0o700); err != nil {
		return err
	}
	return syncDirectory(fs, fs.PathDir(name))
}

func syncDirectory(fs vfs.FS, name string) error {
	dir, err := fs.OpenDir(name)
	if err != nil {
		return err
	}
	if err := dir.Sync(); err != nil {
		_ = dir.Close() // the error of the sync is the one that counts
		return err
	}
	return dir.Close()
}
