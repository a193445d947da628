package spool

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// A damaged store is rebuilt: what can be read goes into a new one beside it, the old one is set aside whole, and the new one takes its place. A kill at any moment
// leaves the old one where it is, or the new one complete.
const (
	salvageFolder = "salvaging"
	// completeFile says that the new store lacks nothing but its name.
	completeFile = "complete"
	damagedName  = "damaged-"
	reportName   = "REPORT"
	// salvageMemtable is that of the new store while it fills.
	salvageMemtable = 16 << 20
	// mostNamed is how many missing messages the log names; the report names all.
	mostNamed = 1000
)

// finishSwap ends what a rebuilding that was cut short has begun. It returns whether there is a store.
func (s *Store) finishSwap() (bool, error) {
	fresh := s.path(salvageFolder)
	there, err := exists(s.fs, s.path(storeFolder))
	if err != nil {
		return there, err
	}
	if !there {
		complete, err := exists(s.fs, s.fs.PathJoin(fresh, completeFile))
		if err != nil {
			return false, err
		}
		if complete {
			return true, s.adopt(fresh)
		}
	}
	return there, s.fs.RemoveAll(fresh)
}

// adopt gives the new store its name.
func (s *Store) adopt(fresh string) error {
	return errors.Join(s.fs.Rename(fresh, s.path(storeFolder)), syncDirectory(s.fs, s.config.Directory))
}

func (s *Store) path(name string) string { return s.fs.PathJoin(s.config.Directory, name) }

func isMissing(err error) bool { return errors.Is(err, os.ErrNotExist) }

func exists(fs vfs.FS, name string) (bool, error) {
	switch _, err := fs.Stat(name); {
	case err == nil:
		return true, nil
	case isMissing(err):
		return false, nil
	default:
		return false, err
	}
}

// create makes an empty store. It is closed and opened again: Pebble makes the first log in its oldest format, from which damage cannot be told.
func (s *Store) create() error {
	fresh, err := s.bare(s.fs, s.path(salvageFolder), nil)
	if err != nil {
		return err
	}
	if err := errors.Join(fresh.closeEngine(), s.complete()); err != nil {
		return err
	}
	if err := s.setContentAside(nil, ""); err != nil {
		return err
	}
	return s.adopt(s.path(salvageFolder))
}

// complete says on the disk that the new store is.
func (s *Store) complete() error {
	fresh := s.path(salvageFolder)
	return errors.Join(writeFile(s.fs, s.fs.PathJoin(fresh, completeFile), nil), syncDirectory(s.fs, s.config.Directory))
}

// bare is a store of which only the engine is in use.
func (s *Store) bare(fs vfs.FS, directory string, change func(*pebble.Options)) (*Store, error) {
	fresh := &Store{config: s.config, fs: fs, log: s.log, disk: s.disk, failed: make(chan struct{}), closing: make(chan struct{})}
	options := fresh.options()
	if change != nil {
		change(options)
	}
	if err := fs.MkdirAll(directory, 0o700); err != nil {
		return nil, err
	}
	return fresh, fresh.openEngine(directory, options)
}

// forSalvage are the options of a store that fills with what is found. It needs no log: it counts when it is complete.
func forSalvage(o *pebble.Options) {
	o.DisableWAL = true
	o.MemTableSize = min(o.MemTableSize, salvageMemtable)
}

// salvage rebuilds the store in the place of the damaged one.
func (s *Store) salvage(i *inspection) error {
	s.log.Error("the queue is damaged and is rebuilt", zap.Int("places", len(i.found)), zap.String("first", i.found[0].String()))
	began := time.Now()
	aside, err := s.asideDirectory(began)
	if err != nil {
		return err
	}
	r, err := s.newReport(aside)
	if err != nil {
		_ = s.fs.Remove(aside) // it is empty
		return s.lacking(i, err)
	}
	err = s.rebuild(i, r)
	if err = errors.Join(err, r.close()); err != nil {
		// Nothing has become of it. The directory stays only if content is in it already.
		_ = s.fs.Remove(s.fs.PathJoin(aside, reportName))
		_ = s.fs.Remove(aside)
		return errors.Join(s.lacking(i, err), s.fs.RemoveAll(s.path(salvageFolder)))
	}
	if err := s.swap(aside); err != nil {
		return err
	}
	s.log.Error("the queue is rebuilt", zap.Int("messages", r.messages), zap.Int("missing", r.missing),
		zap.String("report", s.fs.PathJoin(aside, reportName)), zap.Duration("took", time.Since(began)))
	return nil
}

// swap sets the old store aside and puts the new one in its place.
func (s *Store) swap(aside string) error {
	err := s.fs.Rename(s.path(storeFolder), s.fs.PathJoin(aside, storeFolder))
	if err == nil {
		err = errors.Join(syncDirectory(s.fs, aside), syncDirectory(s.fs, s.config.Directory))
	}
	if err != nil {
		return err
	}
	return s.adopt(s.path(salvageFolder))
}

// asideDirectory makes the directory of a damaged store.
func (s *Store) asideDirectory(now time.Time) (string, error) {
	names, err := s.fs.List(s.config.Directory)
	if err != nil {
		return "", err
	}
	first := damagedName + now.UTC().Format("20060102T150405Z")
	name := first
	for n := 2; slices.Contains(names, name); n++ {
		name = fmt.Sprintf("%s-%d", first, n)
	}
	return s.path(name), makeDirectory(s.fs, s.path(name))
}

// rebuild makes the new store.
func (s *Store) rebuild(i *inspection, r *report) error {
	fresh, err := s.bare(s.fs, s.path(salvageFolder), forSalvage)
	if err != nil {
		return err
	}
	j := &judging{c: newCollection(fresh), lost: r.name}
	err = j.all(i)
	r.judging = j
	r.places(i)
	if err == nil {
		err = fresh.flushEngine()
	}
	if err == nil {
		err = s.setContentAside(fresh, r.aside)
	}
	if err = errors.Join(err, fresh.closeEngine()); err != nil {
		return err
	}
	return s.complete()
}

// flushEngine writes all memtables out, or finds that it cannot be done.
func (s *Store) flushEngine() error {
	done := make(chan error, 1)
	go func() { done <- orPanic(s.db.Flush) }()
	select {
	case err := <-done:
		return err
	case <-s.failed:
		return s.cause
	}
}

// all reads all of a damaged store and judges it: the logs first, so that of what was settled lately not even the content is copied.
func (j *judging) all(i *inspection) error {
	i.forget()
	for _, name := range i.logs {
		if err := i.log(name, j.c.record); err != nil {
			return err
		}
	}
	for _, name := range i.tables {
		ranges, err := i.data(name, j.c.take)
		if err != nil {
			return err
		}
		j.c.ranges = append(j.c.ranges, ranges...)
	}
	if err := j.c.mention(i.traces); err != nil {
		return err
	}
	return j.run()
}

// setContentAside moves the files of content that no message of the new store owns beside the damaged one: they may be all that is left of a message.
func (s *Store) setContentAside(fresh *Store, aside string) error {
	directory := contentDirectory(s.fs, s.config.Directory)
	names, err := s.fs.List(directory)
	if isMissing(err) || len(names) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if aside == "" {
		if aside, err = s.asideDirectory(time.Now()); err != nil {
			return err
		}
	}
	target := s.fs.PathJoin(aside, contentFolder)
	if err := makeDirectory(s.fs, target); err != nil {
		return err
	}
	moved := 0
	for _, name := range names {
		number, err := strconv.ParseUint(name, 16, 64)
		if err != nil {
			continue
		}
		owned := false
		if fresh != nil {
			owned, err = fresh.has(fileKey(number))
		}
		if err == nil && !owned {
			err = s.fs.Rename(s.fs.PathJoin(directory, name), s.fs.PathJoin(target, name))
			moved++
		}
		if err != nil {
			return err
		}
	}
	if moved > 0 {
		s.log.Warn("files of content that no message owns are set aside", zap.Int("files", moved), zap.String("directory", target))
	}
	return errors.Join(syncDirectory(s.fs, target), syncDirectory(s.fs, directory))
}

// lacking adds to an error how much room a rebuilding takes: that is what it fails for as a rule.
func (s *Store) lacking(i *inspection, err error) error {
	need := uint64(reserveForContent)
	for _, name := range slices.Concat(i.tables, i.logs) {
		if info, err := s.fs.Stat(i.path(name)); err == nil {
			need += uint64(info.Size())
		}
	}
	text := fmt.Sprintf("the damaged queue cannot be rebuilt; it takes about %d MiB", need>>20)
	if usage, err := s.fs.GetDiskUsage(s.config.Directory); err == nil {
		text += fmt.Sprintf(", and %d MiB are free", usage.AvailBytes>>20)
	}
	return fmt.Errorf("%s: %w", text, err)
}
