// Package spool is the embedded Store: one directory that holds the queue and its journal, on Pebble.
//
// What is promised: what Commit and Settle answered with nil survives kill -9 and a power cut, whole or not at all, since each is one synced batch of
// the write-ahead log; concurrent ones share one fdatasync. Leases are in memory and end with the process. Opening costs the same however much waits.
//
// How failure is judged: a failed commit or fsync ends the store (queue.ErrStopped); nothing is synced a second time, because a kernel reports lost
// pages only once. A damaged message is named in the log and set aside, and everything else goes on. Damaged files are found at the start, and the store is
// made anew of all that can be read, with what is missing named; damage that stands in the way of a running store ends it. Too little room on the disk
// refuses new mail only (queue.ErrFull).
//
// A Store may be used by any number of goroutines. One process owns a directory.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// Config is what an operator may set. It is part of the section [queue].
type Config struct {
	Directory   string // one process owns it
	JournalDays int    // how long the journal is kept
	// JournalBytes is how large it may grow, in octets; the oldest day goes first. 0: 10 GiB, but at most a tenth of the disk.
	JournalBytes int64
}

// DefaultConfig is the configuration of an operator who said nothing, but for the directory.
func DefaultConfig() Config { return Config{JournalDays: 30} }

// Store is the embedded queue.Store. Open makes it.
type Store struct {
	config Config
	fs     vfs.FS
	still  bool // see open
	log    *zap.Logger
	db     *pebble.DB
	lock   *pebble.Lock
	disk   disk

	failed  chan struct{}
	once    sync.Once // closes failed
	cause   error     // why; to be read when failed is closed
	closing chan struct{}
	watch   watch
	marker  string // the file that asks the next start to rebuild; empty: there is none

	drafts budget // octets of content in memory, of drafts and of leases together
	firsts budget // the part of them that leases hold
	files  atomic.Uint64

	committing atomic.Int32 // commits that wait for their sync

	life struct {
		sync.Mutex
		closed bool
		inside sync.WaitGroup
	}

	// mu guards what follows. It is held while rows of the index are read, never while a sync is waited for.
	mu           sync.Mutex
	lastID       queue.ID
	reserved     queue.ID // the last id that may have been given, as it is on the disk; zero: unknown
	messages     map[queue.ID]*message
	destinations map[mail.Domain]*destination
	crowd        int    // how many destinations are remembered before the idle ones are forgotten again
	floor        uint64 // no hint stands before it
	reports      reports

	diary diary
	keys  keyring

	// suppressing is held by whoever changes the suppression list, from what he reads of it to his commit.
	suppressing       sync.Mutex
	suppressionsSwept time.Time
}

var _ queue.Store = (*Store)(nil)

// Open opens the store in c.Directory, or makes it. All files are written through fs; log says what an operator must know. A directory that
// another process owns is an error.
func Open(c Config, fs vfs.FS, log *zap.Logger) (*Store, error) { return open(c, fs, log, false) }

// open is Open. A still engine does nothing by itself while nothing is written.
func open(c Config, fs vfs.FS, log *zap.Logger, still bool) (*Store, error) {
	if c.Directory == "" {
		return nil, errors.New("the queue has no directory")
	}
	if c.JournalDays <= 0 {
		c.JournalDays = DefaultConfig().JournalDays
	}
	s := &Store{
		config: c, fs: fs, still: still, log: log, failed: make(chan struct{}), closing: make(chan struct{}),
		drafts: budget{most: memoryOfDrafts}, firsts: budget{most: memoryOfDrafts},
		messages: map[queue.ID]*message{}, destinations: map[mail.Domain]*destination{},
	}
	s.diary.flying = map[uint64]struct{}{}
	s.reports = reports{ripe: map[queue.ID]struct{}{}, waiting: map[queue.ID][]mail.Domain{}}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("queue directory %s: %w", c.Directory, err)
	}
	return s, nil
}

func (s *Store) open() error {
	if err := makeDirectory(s.fs, s.config.Directory); err != nil {
		return err
	}
	lock, err := pebble.LockDirectory(s.config.Directory, s.fs)
	if err != nil {
		return fmt.Errorf("is in use by another process, or cannot be locked: %w", err)
	}
	s.lock = lock
	s.disk = newDisk(s.fs, s.config.Directory)
	s.marker = s.fs.PathJoin(s.path(storeFolder), markerFile)
	if err := s.start(); err != nil {
		return errors.Join(err, s.closeEngine(), lock.Close())
	}
	return nil
}

// start brings the engine up. It looks through the files before, and reads the index behind: a store that is damaged is rebuilt, once.
func (s *Store) start() error {
	there, err := s.finishSwap()
	if err == nil && !there {
		err = s.create()
	}
	if err != nil {
		return err
	}
	i, err := s.lookThrough()
	if err != nil {
		return err
	}
	if len(i.found) == 0 {
		trouble := s.serve()
		if !corrupt(trouble) {
			return trouble
		}
		// What the engine has done meanwhile changed the list of its files.
		if err := s.closeEngine(); err != nil {
			return err
		}
		if i, err = s.lookThrough(); err != nil {
			return err
		}
		i.add(damage{file: storeFolder, what: short(trouble)})
	}
	if err := s.salvage(i); err != nil {
		return err
	}
	s.watch.repaired()
	return s.serve()
}

// lookThrough inspects the store, and deals with what is not as it was written and takes nothing away.
func (s *Store) lookThrough() (*inspection, error) {
	i, err := inspect(s.fs, s.path(storeFolder))
	if err != nil {
		return nil, err
	}
	return i, s.tolerate(i)
}

func (s *Store) tolerate(i *inspection) error {
	for _, f := range i.torn {
		s.log.Warn("what was written last did not become whole", zap.String("place", f.String()))
	}
	if i.options == "" {
		return nil
	}
	s.log.Warn("a file of options is damaged and is dropped", zap.String("file", i.options))
	return s.fs.Remove(i.path(i.options))
}

// serve opens the engine and makes the store ready.
func (s *Store) serve() error {
	if err := s.openEngine(s.path(storeFolder), s.options()); err != nil {
		return err
	}
	if err := errors.Join(s.scanIndex(), s.recall(), s.sweepContent()); err != nil {
		return err
	}
	s.watch.Lock()
	defer s.watch.Unlock()
	s.watch.serving = s.watch.broken == nil
	return s.watch.broken
}

// recall finds where ids and the cursors of the journal go on, and which hours have idempotency keys.
func (s *Store) recall() error {
	value, closer, err := s.db.Get([]byte{kindLastID})
	if err == nil {
		if len(value) == 8 {
			s.lastID = queue.ID(binary.BigEndian.Uint64(value))
		}
		err = closer.Close()
	}
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	s.diary.last, err = s.lastEntry()
	return errors.Join(err, s.recallHours())
}

// lastKey is the last key of a kind; nil: there is none.
func (s *Store) lastKey(kind byte) ([]byte, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return nil, err
	}
	var key []byte
	if it.Last() {
		key = append(key, it.Key()...)
	}
	return key, it.Close()
}

// enter notes a call in progress; Close waits for it. The caller calls leave if it was let in.
func (s *Store) enter() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.life.closed {
		return queue.ErrStopped
	}
	s.life.inside.Add(1)
	return nil
}

func (s *Store) leave() { s.life.inside.Done() }

// enterToWrite is enter for what writes: it is refused after a failed commit.
func (s *Store) enterToWrite() error {
	select {
	case <-s.failed:
		return queue.ErrStopped
	default:
		return s.enter()
	}
}

// Failed implements queue.Store.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close implements queue.Store. It waits for the calls in progress. After a failed commit the files are left to the end of the process, as Pebble's
// goroutines are parked in the middle of a write; only the lock is given back.
func (s *Store) Close() error {
	s.life.Lock()
	already := s.life.closed
	s.life.closed = true
	s.life.Unlock()
	if already {
		return nil
	}
	s.life.inside.Wait()
	close(s.closing)
	return errors.Join(s.closeEngine(), s.lock.Close())
}
