package spool

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/queue"
)

// Problem is one thing that is wrong in a directory.
type Problem struct {
	Message queue.ID // zero: it is about no message
	What    string
}

// Problems is what Verify found; none: all is well.
type Problems []Problem

// String names one problem a line.
func (p Problems) String() string {
	var b strings.Builder
	for _, one := range p {
		if one.Message != 0 {
			fmt.Fprintf(&b, "message %s: ", one.Message)
		}
		b.WriteString(one.What + "\n")
	}
	return b.String()
}

// Verify reads all of a store that no process has open, and names what is wrong: messages, states and contents that are damaged, and waiting rows without a
// message. It changes nothing. The error is that the directory cannot be opened or read on.
func Verify(directory string, fs vfs.FS) (Problems, error) {
	s := &Store{config: Config{Directory: directory}, fs: fs, log: zap.NewNop(), failed: make(chan struct{}), disk: newDisk(fs, directory)}
	options := s.options()
	options.ReadOnly = true
	db, err := pebble.Open(directory, options)
	if err != nil {
		return nil, fmt.Errorf("queue directory %s: %w", directory, err)
	}
	s.db = db
	v := &verification{s: s}
	err = errors.Join(v.each(kindMessage, v.message), v.each(kindWaiting, v.row), v.each(kindJournal, v.entry))
	return v.found, errors.Join(err, db.Close())
}

type verification struct {
	s     *Store
	found Problems
}

func (v *verification) add(id queue.ID, format string, arguments ...any) {
	v.found = append(v.found, Problem{Message: id, What: fmt.Sprintf(format, arguments...)})
}

func (v *verification) each(kind byte, check func(key, value []byte)) error {
	it, err := v.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		check(it.Key(), it.Value())
	}
	return it.Close()
}

func (v *verification) message(key, value []byte) {
	if len(key) != messageKeyLength {
		v.add(0, "a key of a message has %d octets", len(key))
		return
	}
	id := messageID(key)
	m, _, err := decodeMessage(id, value)
	if err != nil {
		v.add(id, "envelope and content: %v", err)
		return
	}
	if _, _, err := v.s.statesOf(id, len(m.Envelope.Recipients)); err != nil {
		v.add(id, "states: %v", err)
	}
	if m.file == 0 {
		return
	}
	reading, err := kept{s: v.s, id: id, size: m.size, file: m.file, sum: m.sum}.Open()
	if err != nil {
		v.add(id, "content: %v", err)
		return
	}
	if _, err := io.Copy(io.Discard, reading); err != nil {
		v.add(id, "content: %v", err)
	}
	_ = reading.Close() // it was only read
}

func (v *verification) row(key, value []byte) {
	r, ok := parseRow(key, value)
	if !ok {
		v.add(0, "a waiting row is damaged")
		return
	}
	if err := v.s.exists(r.id); err != nil {
		v.add(r.id, "waits for %s, but: %v", r.destination, err)
	}
}

func (v *verification) entry(key, value []byte) {
	if len(key) == dayLength+1+cursorLength && key[dayLength] == fieldEntry {
		if _, err := decodeEntry(value); err != nil {
			v.add(0, "an entry of the journal: %v", err)
		}
	}
}
