package spool

import (
	"context"
	"errors"

	"sternpost/journal"
	"sternpost/queue"
)

var (
	errDraftDone    = errors.New("the draft was committed or aborted")
	errNoRecipients = errors.New("a message needs a recipient")
)

// draft is a message on its way in: in memory while it is small and there is room, else in a file.
type draft struct {
	s    *Store
	b    []byte
	file *contentFile // nil: b holds all
	size int64
	// unasked is how much was written to the file since the disk was asked for room.
	unasked int64
	done    bool
}

// askEvery is how much of a large draft is written before the disk is asked again whether there is room.
const askEvery = 4 << 20

// Begin implements queue.Store.
func (s *Store) Begin(ctx context.Context) (queue.Draft, error) {
	if err := s.enterToWrite(); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := errors.Join(ctx.Err(), s.disk.room()); err != nil {
		return nil, err
	}
	return &draft{s: s}, nil
}

// Write implements queue.Draft.
func (d *draft) Write(p []byte) (int, error) {
	if d.done {
		return 0, errDraftDone
	}
	if d.file == nil && d.hold(p) {
		d.size += int64(len(p))
		return len(p), nil
	}
	if err := d.writeFile(p); err != nil {
		d.Abort() // what is on the disk of it is needed by others
		return 0, full(err)
	}
	d.size += int64(len(p))
	return len(p), nil
}

// hold keeps p in memory; false: there is no room for it. All the memory that d.b has counts, used or not.
func (d *draft) hold(p []byte) bool {
	need := len(d.b) + len(p)
	if need > largestInline {
		return false
	}
	if need > cap(d.b) {
		grown := min(max(need, 2*cap(d.b)), largestInline)
		if !d.s.drafts.take(int64(grown)) {
			return false
		}
		larger := append(make([]byte, 0, grown), d.b...)
		d.forget()
		d.b = larger
	}
	d.b = append(d.b, p...)
	return true
}

// writeFile writes to the file, first what is in memory.
func (d *draft) writeFile(p []byte) error {
	if d.file == nil || d.unasked >= askEvery {
		if err := d.s.disk.room(); err != nil {
			return err
		}
		d.unasked = 0
	}
	if d.file == nil {
		file, err := d.s.createContent()
		if err != nil {
			return err
		}
		d.file = file
		if _, err := file.Write(d.b); err != nil {
			return err
		}
		d.forget()
	}
	_, err := d.file.Write(p)
	d.unasked += int64(len(p))
	return err
}

// forget gives the memory back.
func (d *draft) forget() {
	d.s.drafts.give(int64(cap(d.b)))
	d.b = nil
}

// Abort implements queue.Draft.
func (d *draft) Abort() {
	if d.done {
		return
	}
	d.done = true
	d.forget()
	if d.file != nil {
		d.file.discard()
	}
}

// Commit implements queue.Draft.
func (d *draft) Commit(ctx context.Context, s queue.Submission, entries []journal.Entry) ([]queue.Owed, error) {
	if d.done {
		return nil, errDraftDone
	}
	if err := d.s.enterToWrite(); err != nil {
		return nil, err
	}
	defer d.s.leave()
	if s.Key != "" {
		return d.commitOnce(ctx, s, entries)
	}
	return d.commit(ctx, s, entries)
}

// commitOnce is commit for a message that may have been accepted before.
func (d *draft) commitOnce(ctx context.Context, s queue.Submission, entries []journal.Entry) ([]queue.Owed, error) {
	giveBack, err := d.s.keys.take(ctx, string(onceKey(0, s.Sender, s.Key)), d.s.failed)
	if err != nil {
		d.Abort()
		return nil, err
	}
	defer giveBack()
	if err := d.s.answered(s); err != nil {
		d.Abort()
		return nil, err
	}
	return d.commit(ctx, s, entries)
}

func (d *draft) commit(ctx context.Context, s queue.Submission, entries []journal.Entry) ([]queue.Owed, error) {
	if err := d.prepare(ctx, s); err != nil {
		d.Abort()
		return nil, err
	}
	// From here on the outcome decides, and a file whose commit failed is the next start's to sweep.
	d.done = true
	m := stored{Submission: s, size: d.size}
	if d.file != nil {
		m.file, m.sum = d.file.number, d.file.sum
	}
	return d.s.accept(m, d.b, entries)
}

func (d *draft) prepare(ctx context.Context, s queue.Submission) error {
	if len(s.Envelope.Recipients) == 0 {
		return errNoRecipients
	}
	if err := errors.Join(ctx.Err(), d.s.disk.room()); err != nil {
		return err
	}
	if d.file != nil {
		return full(d.file.finish())
	}
	return nil
}
