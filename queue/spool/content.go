package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/queue"
)

const (
	// largestInline is the largest content that is part of the message's value, in octets. Larger ones have a file.
	largestInline = 256 << 10
	// memoryOfDrafts bounds what all drafts and leased messages hold in memory together; beyond it drafts write files, and leased messages are read from
	// the disk.
	memoryOfDrafts = 64 << 20
	// memoryOfLeases is the part of it that leased messages may have, so that slow destinations do not drive new mail into files.
	memoryOfLeases = memoryOfDrafts / 2
	contentFolder  = "content"
	fileBuffer     = 64 << 10
)

func contentDirectory(disk vfs.FS, directory string) string {
	return disk.PathJoin(directory, contentFolder)
}

func contentPath(disk vfs.FS, directory string, number uint64) string {
	return disk.PathJoin(contentDirectory(disk, directory), strconv.FormatUint(number, 16))
}

// contentFile is a file of content that is being written.
type contentFile struct {
	s      *Store
	number uint64
	file   vfs.File
	buffer []byte // a vfs.File may change what it is given, so it gets a copy
	sum    uint32
}

func (s *Store) createContent() (*contentFile, error) {
	number := s.files.Add(1)
	file, err := s.fs.Create(contentPath(s.fs, s.config.Directory, number), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	return &contentFile{s: s, number: number, file: file, buffer: make([]byte, 0, fileBuffer)}, nil
}

func (f *contentFile) Write(p []byte) (int, error) {
	written := len(p)
	f.sum = checksum(f.sum, p)
	for len(p) > 0 {
		n := min(len(p), fileBuffer-len(f.buffer))
		f.buffer = append(f.buffer, p[:n]...)
		p = p[n:]
		if len(f.buffer) == fileBuffer {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

func (f *contentFile) flush() error {
	_, err := f.file.Write(f.buffer)
	f.buffer = f.buffer[:0]
	return err
}

// finish makes the file and its name durable. A failed fsync ends the store: the next one would say nothing of what was lost.
func (f *contentFile) finish() error {
	if err := f.flush(); err != nil {
		return err
	}
	err := f.file.Sync()
	if err == nil {
		err = syncDirectory(f.s.fs, contentDirectory(f.s.fs, f.s.config.Directory))
	}
	if err != nil {
		f.s.fail(fmt.Errorf("a file of content cannot be synced: %w", err))
		return queue.ErrStopped
	}
	closing := f.file.Close()
	f.file = nil
	return closing
}

// discard forgets the file. What stays behind after an error is swept away at the next start.
func (f *contentFile) discard() {
	if f.file != nil {
		_ = f.file.Close() // it is removed
	}
	f.s.removeContent(f.number)
}

func (s *Store) removeContent(number uint64) {
	if err := s.fs.Remove(contentPath(s.fs, s.config.Directory, number)); err != nil {
		s.log.Warn("a file of content cannot be removed; the next start will try again", zap.Uint64("file", number), zap.Error(err))
	}
}

// sweepContent removes files that no message owns: those of drafts that a crash cut short, and of messages that were removed. New files get numbers behind
// those of all that are there and of all that are owned: an owned file that is missing must not become another message's.
func (s *Store) sweepContent() error {
	directory := contentDirectory(s.fs, s.config.Directory)
	if err := makeDirectory(s.fs, directory); err != nil {
		return err
	}
	last, err := s.lastKey(kindFile)
	if err != nil {
		return err
	}
	if len(last) == fileKeyLength {
		s.files.Store(fileNumber(last))
	}
	names, err := s.fs.List(directory)
	if err != nil {
		return err
	}
	for _, name := range names {
		number, err := strconv.ParseUint(name, 16, 64)
		if err != nil {
			s.log.Warn("a file in the directory of content is not ours", zap.String("file", name))
			continue
		}
		s.files.Store(max(s.files.Load(), number))
		owned, err := s.has(fileKey(number))
		if err != nil {
			return err
		}
		if !owned {
			s.removeContent(number)
		}
	}
	return nil
}

func (s *Store) has(key []byte) (bool, error) {
	_, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, closer.Close()
}

// held is content in memory.
type held []byte

func (h held) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(h)), nil }
func (h held) Size() int64                  { return int64(len(h)) }
func (h held) Octets() []byte               { return h }

// kept is content on the disk.
type kept struct {
	s    *Store
	id   queue.ID
	size int64
	file uint64 // 0: in the value of the message
	sum  uint32
}

func (k kept) Size() int64 { return k.size }

// Open implements mail.Content. A file that is missing or too short is found here and not in the middle of a transaction.
func (k kept) Open() (io.ReadCloser, error) {
	if err := k.s.enter(); err != nil {
		return nil, err
	}
	defer k.s.leave()
	if k.file == 0 {
		return k.openInline()
	}
	file, err := k.s.fs.Open(contentPath(k.s.fs, k.s.config.Directory, k.file), vfs.SequentialReadsOption)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, k.damaged("its file is missing")
	}
	if err != nil {
		return nil, err
	}
	about, err := file.Stat()
	if err == nil && about.Size() != k.size {
		err = k.damaged(fmt.Sprintf("its file has %d octets in place of %d", about.Size(), k.size))
	}
	if err != nil {
		_ = file.Close() // it was not read
		return nil, err
	}
	return &checked{File: file, of: k, left: k.size}, nil
}

func (k kept) openInline() (io.ReadCloser, error) {
	value, closer, err := k.s.db.Get(idKey(kindMessage, k.id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, queue.ErrNotFound
	}
	if pebble.IsCorruptionError(err) {
		return nil, k.damaged(err.Error())
	}
	if err != nil {
		return nil, err
	}
	_, content, err := decodeMessage(k.id, value)
	content = bytes.Clone(content)
	if err != nil {
		err = k.damaged("its value is damaged")
	}
	if err := errors.Join(err, closer.Close()); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// damaged says what is wrong. A message that has left the queue meanwhile has taken its content along.
func (k kept) damaged(how string) error {
	if err := k.s.exists(k.id); errors.Is(err, queue.ErrNotFound) {
		return err
	}
	return fmt.Errorf("message %s: %w: %s", k.id, queue.ErrDamaged, how)
}

// checked reads a file and fails at its end where size or checksum are not those of the content: a damaged message is then never finished with a dot.
type checked struct {
	vfs.File
	of   kept
	sum  uint32
	left int64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.File.Read(p)
	c.sum = checksum(c.sum, p[:n])
	c.left -= int64(n)
	if c.left < 0 || errors.Is(err, io.EOF) && (c.left != 0 || c.sum != c.of.sum) {
		return n, fmt.Errorf("message %s: %w: its file has changed", c.of.id, queue.ErrDamaged)
	}
	return n, err
}
