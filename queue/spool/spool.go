// Package spool is the embedded Store: one directory that holds the queue and its journal, on Pebble.
//
// What is promised: what Commit and Settle answered with nil survives kill -9 and a power cut, whole or not at all, since each is one synced batch of
// the write-ahead log; concurrent ones share one fdatasync. Leases are in memory and end with the process. Opening costs the same however much waits.
//
// How failure is judged: a failed commit or fsync ends the store (queue.ErrStopped); nothing is synced a second time, because a kernel reports lost
// pages only once. A damaged message is named in the log and set aside, and everything else goes on. Too little room on the disk refuses new mail
// only (queue.ErrFull).
//
// A Store may be used by any number of goroutines. One process owns a directory.
package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// Config is what an operator may set. It is part of the section [queue].
type Config struct {
	Directory    string `toml:"directory" doc:"Where the queue and its journal are kept. One process owns it."`
	JournalDays  int    `toml:"journal_days" doc:"How many days the journal is kept."`
	JournalBytes int64  `toml:"journal_bytes" doc:"How large the journal may grow, in octets; the oldest day goes first. 0: 10 GiB, but at most a tenth of the disk."`
}

// DefaultConfig is the configuration of an operator who said nothing, but for the directory.
func DefaultConfig() Config { return Config{JournalDays: 30} }

// Store is the embedded queue.Store. Open makes it.
type Store struct {
	config Config
	fs     vfs.FS
	log    *zap.Logger
	db     *pebble.DB
	lock   *pebble.Lock
	disk   disk

	failed chan struct{}
	once   sync.Once // closes failed

	drafts budget // octets of content that drafts hold
	firsts budget // octets of content that fresh leases hold
	files  atomic.Uint64

	life struct {
		sync.Mutex
		closed bool
		inside sync.WaitGroup
	}

	// mu guards what follows. It is held while rows of the index are read, never while a sync is waited for.
	mu           sync.Mutex
	lastID       queue.ID
	messages     map[queue.ID]*message
	destinations map[mail.Domain]*destination
	crowd        int    // how many destinations are remembered before the idle ones are forgotten again
	floor        uint64 // no hint stands before it

	diary diary
}

var _ queue.Store = (*Store)(nil)

// Open opens the store in c.Directory, or makes it. All files are written through fs; log says what an operator must know. A directory that
// another process owns is an error.
func Open(c Config, fs vfs.FS, log *zap.Logger) (*Store, error) {
	if c.Directory == "" {
		return nil, errors.New("the queue has no directory")
	}
	if c.JournalDays <= 0 {
		c.JournalDays = DefaultConfig().JournalDays
	}
	s := &Store{
		config: c, fs: fs, log: log, failed: make(chan struct{}),
		drafts: budget{most: memoryOfDrafts}, firsts: budget{most: memoryOfDrafts},
		messages: map[queue.ID]*message{}, destinations: map[mail.Domain]*destination{},
	}
	s.diary.flying = map[uint64]struct{}{}
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
	s.disk = newDisk(s.fs, s.config.Directory)
	options := s.options()
	options.Lock = lock
	db, err := pebble.Open(s.config.Directory, options)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	s.db, s.lock = db, lock
	if err := errors.Join(s.recall(), s.sweepContent()); err != nil {
		return errors.Join(err, db.Close(), lock.Close())
	}
	return nil
}

// recall finds where ids and the cursors of the journal go on.
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
	return err
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
	select {
	case <-s.failed:
		return s.lock.Close()
	default:
		return errors.Join(s.db.Close(), s.lock.Close())
	}
}
