package spool

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

const (
	// quiet is how long what was said once is not said again.
	quiet = time.Minute
	// tries is how often Pebble may fail to write out a memtable while it opens; it would try for ever.
	tries = 4
	// longestPause is how long a write-out waits that has failed before. Pebble itself does not wait.
	longestPause = 5 * time.Second
)

// watch is what the engine has told of its files.
type watch struct {
	sync.Mutex
	named   map[string]bool // files that were said to be damaged
	said    time.Time       // when one of them was named again
	looked  time.Time       // when the index was last read because of that
	excused time.Time       // when it was last said that tidying up fails
	missed  int             // how often that was not said since
	failed  int             // write-outs that failed in a row
	serving bool            // the store is open
	broken  error           // what the engine found damaged before
}

// repaired forgets what was known of files that are set aside now.
func (w *watch) repaired() {
	w.Lock()
	defer w.Unlock()
	w.named, w.broken, w.failed = nil, nil, 0
}

// damaged is told of blocks that cannot be read. It is not the end: what stands in other blocks is delivered, and the next start, whenever that is, rebuilds the store. But the index must
// be whole, or what it no longer leads to would wait for ever.
func (s *Store) damaged(d pebble.DataCorruptionInfo) {
	now := time.Now()
	s.watch.Lock()
	known := s.watch.named[d.Path]
	say := !known || now.Sub(s.watch.said) >= quiet
	look := s.watch.serving && (!known || now.Sub(s.watch.looked) >= quiet)
	if s.watch.named == nil {
		s.watch.named = map[string]bool{}
	}
	s.watch.named[d.Path] = true
	if say {
		s.watch.said = now
	}
	if look {
		s.watch.looked = now
	}
	s.watch.Unlock()
	if say {
		s.log.Error("a file of the queue is damaged; the next start rebuilds the queue", zap.String("file", d.Path),
			zap.String("holds", describe(d.Bounds.Start)+" to "+describe(d.Bounds.End.Key)), zap.String("error", short(d.Details)))
	}
	if look {
		s.tend(func() error {
			s.mark(d.Details)
			return s.scanIndex()
		})
	}
}

// mark tells the next start to rebuild.
func (s *Store) mark(why error) {
	if err := writeFile(s.fs, s.marker, []byte(short(why)+"\n")); err != nil {
		s.log.Error("the next start cannot be told that the queue is damaged", zap.String("error", short(err)))
	}
}

// background is told of work of the engine's own that failed. It is called with Pebble's lock held: it may neither wait nor ask the database. What stands in the way of a compaction for
// good is for the next start to put right, before files pile up.
func (s *Store) background(err error) {
	now := time.Now()
	s.watch.Lock()
	if corrupt(err) {
		serving := s.watch.serving
		if !serving {
			s.watch.broken = err
		}
		s.watch.Unlock()
		if serving {
			s.tend(func() error { return err })
		}
		return
	}
	s.watch.failed++
	hopeless := !s.watch.serving && s.watch.failed >= tries
	say := now.Sub(s.watch.excused) >= quiet
	missed := s.watch.missed
	if say {
		s.watch.excused, s.watch.missed = now, 0
	} else {
		s.watch.missed++
	}
	s.watch.Unlock()
	if say {
		s.log.Error("the queue cannot tidy up its files; it goes on trying", zap.String("error", short(err)), zap.Int("unsaid", missed))
	}
	if hopeless {
		s.fail(fmt.Errorf("the files of the queue cannot be written: %w", err))
	}
}

// flushed ends the pauses between write-outs.
func (s *Store) flushed(f pebble.FlushInfo) {
	if f.Err != nil {
		return // background is told too
	}
	s.watch.Lock()
	s.watch.failed = 0
	s.watch.Unlock()
}

// pace lets the write-out of a memtable wait that has failed before.
func (s *Store) pace(file string) {
	if !strings.HasSuffix(file, ".sst") {
		return
	}
	s.watch.Lock()
	failed := s.watch.failed
	s.watch.Unlock()
	if failed == 0 {
		return
	}
	wait := time.NewTimer(min(longestPause, 10*time.Millisecond<<min(failed, 10)))
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-s.failed:
	case <-s.closing:
	}
}

// tend finds out in a goroutine of its own, for which Close waits, whether the store must be rebuilt: an error says so. The next start is told by a file, and
// the store stops in order.
func (s *Store) tend(verdict func() error) {
	if s.marker == "" || s.enterToWrite() != nil {
		return
	}
	go func() {
		defer s.leave()
		err := verdict()
		if !corrupt(err) {
			return
		}
		s.mark(err)
		s.fail(fmt.Errorf("files of the queue are damaged, and the next start will rebuild it: %w", err))
	}()
}

// corrupt says whether an error means that files are not what was written.
func corrupt(err error) bool {
	var panicked errPanicked
	return err != nil && (pebble.IsCorruptionError(err) || errors.As(err, &panicked))
}

// small are the kinds of keys that are read at each start: all but messages and the journal.
const small = "dfhiknqrstwx"

// scanIndex reads all that leads to messages. It takes a second for some millions of them.
func (s *Store) scanIndex() error {
	for _, kind := range []byte(small) {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
		if err != nil {
			return err
		}
		err = orPanic(func() error {
			for ok := it.First(); ok; ok = it.Next() {
				_ = it.Value() // reading it is what can fail
			}
			return it.Error()
		})
		if err := errors.Join(err, it.Close()); err != nil {
			return err
		}
	}
	return nil
}

// writeFile writes a whole file, durably. A vfs.File may change what it is given, so it gets a copy.
func writeFile(fs vfs.FS, name string, text []byte) error {
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(bytes.Clone(text))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return syncDirectory(fs, fs.PathDir(name))
}

// longestError is where short cuts, in octets.
const longestError = 240

// short is an error for one line of the log: Pebble's can have pages.
func short(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text[:min(len(text), longestError)]
}
