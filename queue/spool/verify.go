package spool

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/mail"
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

// Verify reads all of a store that no process has open, and names what is wrong: damaged files with the messages that are missing because of them, and keys that do not fit
// together. It changes nothing. The error is that it cannot look, above all because an agent runs on the directory.
func Verify(directory string, fs vfs.FS) (Problems, error) {
	v := &verification{s: &Store{config: Config{Directory: directory}, fs: lookingFS{FS: fs}, log: zap.NewNop(), failed: make(chan struct{}), closing: make(chan struct{})}}
	v.s.disk = newDisk(fs, directory)
	err := v.alone(fs, func() error { return v.store() })
	if err != nil {
		return nil, fmt.Errorf("queue directory %s: %w", directory, err)
	}
	return v.found, nil
}

// verification is one reading of a store.
type verification struct {
	s     *Store
	found Problems
	first map[mail.Domain]uint64 // the first hint of each destination
	rows  destinationRows
}

// destinationRows is the destination whose waiting rows are being read.
type destinationRows struct {
	name  mail.Domain
	first uint64 // the earliest due time; never: none is due by itself
}

func (v *verification) add(id queue.ID, format string, arguments ...any) {
	v.found = append(v.found, Problem{Message: id, What: fmt.Sprintf(format, arguments...)})
}

// alone does something while no agent runs.
func (v *verification) alone(fs vfs.FS, look func() error) error {
	// Where the file of the lock is missing no agent ever ran, and locking would make it.
	if there, err := exists(fs, v.s.path("LOCK")); err != nil || !there {
		return errors.Join(err, look())
	}
	lock, err := pebble.LockDirectory(v.s.config.Directory, fs)
	if err != nil {
		return fmt.Errorf("an agent runs on it, so it cannot be looked at: %w", err)
	}
	return errors.Join(look(), lock.Close())
}

// store looks at the files, and then reads all keys: by the engine if the files are whole, else as a rebuilding would.
func (v *verification) store() error {
	directory := v.s.path(storeFolder)
	there, err := exists(v.s.fs, directory)
	if err != nil {
		return err
	}
	if !there {
		directory = v.s.path(salvageFolder)
		complete, err := exists(v.s.fs, v.s.fs.PathJoin(directory, completeFile))
		if err != nil {
			return err
		}
		if !complete {
			return errors.New("there is no queue in it")
		}
		v.add(0, "the rebuilding of the damaged queue was cut short; the next start ends it")
	}
	i, err := inspect(v.s.fs, directory)
	if err != nil {
		return err
	}
	if i.options != "" {
		v.add(0, "%s: the file of options is damaged; the next start drops it", i.options)
	}
	if len(i.found) == 0 {
		found := v.found
		err := v.sound(directory)
		if !corrupt(err) {
			return err
		}
		v.found = found
	}
	return v.damaged(i)
}

// sound reads a store whose files are whole.
func (v *verification) sound(directory string) error {
	options := v.s.options()
	options.ReadOnly = true
	if err := v.s.openEngine(directory, options); err != nil {
		return err
	}
	v.first = map[mail.Domain]uint64{}
	err := orPanic(func() error {
		return errors.Join(v.each(kindMessage, v.message), v.each(kindQuarantine, v.aside), v.each(kindHint, v.hint), v.each(kindWaiting, v.row), v.led(),
			v.each(kindDeadline, v.deadline), v.each(kindReport, v.report), v.each(kindFile, v.file), v.contents(), v.each(kindJournal, v.entry), v.each(kindOnce, v.key),
			v.each(kindSuppression, v.suppression), v.each(kindBookmark, v.bookmark))
	})
	return errors.Join(err, v.s.closeEngine())
}

func (v *verification) each(kind byte, check func(key, value []byte) error) error {
	it, err := v.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		err = check(it.Key(), it.Value())
	}
	return errors.Join(err, it.Close())
}

func (v *verification) message(key, value []byte) error {
	if len(key) != messageKeyLength {
		v.add(0, "a key of a message has %d octets", len(key))
		return nil
	}
	id := messageID(key)
	m, _, err := decodeMessage(id, value)
	if err != nil {
		v.add(id, "envelope and content: %v", err)
		return nil
	}
	states, _, err := v.s.statesOf(id, len(m.Envelope.Recipients))
	if corrupt(err) {
		return err
	}
	if err != nil {
		v.add(id, "states: %v", err)
		return nil
	}
	if err := v.content(id, m); err != nil {
		return err
	}
	c := &change{own: &message{stored: m}, states: states}
	for _, d := range destinationsOf(m.Envelope) {
		r := row{destination: d, turn: turnOf(m.Sender), id: id}
		if !c.place(&r) {
			continue
		}
		if waits, err := v.s.has(r.key()); err != nil {
			return err
		} else if !waits {
			v.add(id, "has no waiting row for %s", d)
		}
	}
	if due := nanos(queue.ReportDue(states)); due != 0 {
		if err := v.want(reportKey(due, id), id, "owes a report, and nothing leads to it"); err != nil {
			return err
		}
	}
	if m.file == 0 {
		return nil
	}
	return v.want(fileKey(m.file), id, "its content file %x belongs to nobody", m.file)
}

// aside names what was set aside because it is damaged.
func (v *verification) aside(key, _ []byte) error {
	if len(key) != messageKeyLength {
		v.add(0, "a key of a damaged message has %d octets", len(key))
		return nil
	}
	err := v.s.quarantined(messageID(key))
	if !errors.Is(err, queue.ErrDamaged) {
		return err
	}
	v.add(messageID(key), "%v; `queue remove` with its id takes it out", err)
	return nil
}

// owner adds a problem where a message is missing, unless it was set aside.
func (v *verification) owner(id queue.ID, format string, arguments ...any) error {
	if aside, err := v.s.has(idKey(kindQuarantine, id)); aside || err != nil {
		return err
	}
	return v.want(idKey(kindMessage, id), id, format, arguments...)
}

// want adds a problem where a key is missing.
func (v *verification) want(key []byte, id queue.ID, format string, arguments ...any) error {
	there, err := v.s.has(key)
	if err == nil && !there {
		v.add(id, format, arguments...)
	}
	return err
}

// content reads the content of a message that has a file.
func (v *verification) content(id queue.ID, m stored) error {
	if m.file == 0 {
		return nil
	}
	reading, err := kept{s: v.s, id: id, size: m.size, file: m.file, sum: m.sum}.Open()
	if err != nil {
		v.add(id, "content file %x: %v", m.file, err)
		return nil
	}
	if _, err := io.Copy(io.Discard, reading); err != nil {
		v.add(id, "content file %x: %v", m.file, err)
	}
	return reading.Close()
}
