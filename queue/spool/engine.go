package spool

import (
	"fmt"

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
		FS:                          s.fs,
		FormatMajorVersion:          format,
		Logger:                      engineLog{s},
		CacheSize:                   blockCache,
		MemTableSize:                s.disk.memtable(),
		MemTableStopWritesThreshold: memtables,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               256 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		EventListener:               &pebble.EventListener{DataCorruption: s.damaged, BackgroundError: s.background},
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return options
}

// damaged is told of blocks that cannot be read. It is not the end: what stands in other blocks is delivered.
func (s *Store) damaged(d pebble.DataCorruptionInfo) {
	s.log.Error("a file of the queue is damaged", zap.String("file", d.Path), zap.Error(d.Details))
}

func (s *Store) background(err error) {
	s.log.Error("the queue cannot tidy up its files", zap.Error(err))
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

// fail ends the store.
func (s *Store) fail(err error) {
	s.once.Do(func() {
		s.log.Error("the queue has stopped: a write failed, nothing is accepted until the next start", zap.Error(err))
		close(s.failed)
	})
}

// commit applies b and waits until it is synced, or until the store has failed. The goroutine of the write is parked in Fatalf then, so it cannot be the
// caller's.
func (s *Store) commit(b *pebble.Batch, how *pebble.WriteOptions) error {
	done := make(chan error, 1)
	go func() { done <- s.apply(b, how) }()
	select {
	case err := <-done:
		if err != nil {
			s.fail(err)
			return queue.ErrStopped
		}
		return b.Close()
	case <-s.failed:
		return queue.ErrStopped
	}
}

// apply is Apply without its panic: a commit that comes after the log writer has failed, and before Fatalf has told of it, panics in Pebble.
func (s *Store) apply(b *pebble.Batch, how *pebble.WriteOptions) (err error) {
	defer func() {
		if trouble := recover(); trouble != nil {
			err = fmt.Errorf("the commit panicked: %v", trouble)
		}
	}()
	return s.db.Apply(b, how)
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
