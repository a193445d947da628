package spool

import (
	"bufio"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/mail"
	"sternpost/queue"
)

// loss is a message that is gone.
type loss struct {
	id           queue.ID
	why          string // which trace of it is left
	destinations []mail.Domain
	files        []uint64 // where its content may be
}

// String is one line.
func (l loss) String() string { return "message " + l.id.String() + ": " + l.trace() }

// trace is what is left of it.
func (l loss) trace() string {
	text := l.why
	for _, d := range l.destinations {
		text += ", for " + string(d)
	}
	for _, n := range l.files {
		text += fmt.Sprintf(", content in file %x", n)
	}
	return text
}

// report is what is written beside a damaged store, and in short to the log.
type report struct {
	s     *Store
	aside string
	file  vfs.File
	w     *bufio.Writer
	named int
	*judging
}

func (s *Store) newReport(aside string) (*report, error) {
	file, err := s.fs.Create(s.fs.PathJoin(aside, reportName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	r := &report{s: s, aside: aside, file: file, w: bufio.NewWriter(file)}
	_, err = r.w.WriteString("What is left of a damaged queue. The store beside this file is the damaged one, as it was found.\n\nMissing messages:\n")
	return r, err
}

// name names a missing message.
func (r *report) name(l loss) error {
	if r.named++; r.named <= mostNamed {
		fields := []zap.Field{zap.Stringer("id", l.id), zap.String("why", l.why)}
		if len(l.destinations) > 0 {
			fields = append(fields, zap.Any("domains", l.destinations))
		}
		r.s.log.Error("a message of the queue is missing", fields...)
	}
	_, err := fmt.Fprintln(r.w, l)
	return err
}

// places names what is damaged.
func (r *report) places(i *inspection) {
	_, _ = r.w.WriteString("\nDamaged:\n") // a writer keeps its error
	for n, f := range slices.Concat(i.found, i.torn) {
		if n < mostNamed {
			r.s.log.Error("a place in the queue is damaged", zap.String("place", f.String()))
		}
		_, _ = fmt.Fprintln(r.w, f)
	}
}

// close writes the sums and makes the report durable.
func (r *report) close() error {
	if r.judging != nil {
		_, _ = fmt.Fprintf(r.w, "\n%d messages were found, %d are missing, %d were settled. %d entries of the journal cannot be read.\n", r.messages, r.missing, r.settled, r.c.entries)
	}
	err := errors.Join(r.w.Flush(), r.file.Sync(), r.file.Close())
	return errors.Join(err, syncDirectory(r.s.fs, r.aside))
}
