package spool

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"sternpost/journal"
	"sternpost/mail"
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

// accept writes the message and gives it leased. The lease is taken before the write, since what is written is seen before it is synced. The memory of the
// content becomes the lease's if there is room for that, and is given back if not.
func (s *Store) accept(m stored, content []byte, entries []journal.Entry) ([]queue.Owed, error) {
	s.mu.Lock()
	id := s.nextID(m)
	rows := firstRows(id, m.Submission)
	own := s.register(id, m, rows)
	if m.file == 0 && s.firsts.takeWithin(int64(cap(content)), memoryOfLeases) {
		own.content = content[:len(content):cap(content)]
	} else {
		defer s.drafts.give(int64(cap(content)))
	}
	unhinted := s.withoutHint(rows)
	s.mu.Unlock()

	b := s.db.NewBatchWithSize(len(content) + 2048)
	if err := s.putMessage(b, id, m, content); err != nil {
		return nil, s.withdraw(rows, err)
	}
	if err := errors.Join(putWaiting(b, rows), putHints(b, unhinted)); err != nil {
		return nil, s.withdraw(rows, err)
	}
	if err := s.commitWithEntries(b, stamp(entries, id)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.lower(rows)
	for _, r := range unhinted {
		s.destination(r.destination).hinted = hintTime(r.due)
	}
	s.mu.Unlock()
	return own.owed(s, rows), nil
}

// withoutHint lists the rows that no hint on the disk leads to. The others are leased already, so that nobody takes their hint away. The caller holds mu.
func (s *Store) withoutHint(rows []row) []row {
	var list []row
	for _, r := range rows {
		if s.destination(r.destination).hinted != hintTime(r.due) {
			list = append(list, r)
		}
	}
	return list
}

// stamp names the message in entries that were made before it had an id.
func stamp(entries []journal.Entry, id queue.ID) []journal.Entry {
	list := make([]journal.Entry, len(entries))
	for i, e := range entries {
		if e.Message == "" && e.Kind != journal.Probe {
			e.Message = id.String()
		}
		list[i] = e
	}
	return list
}

// withdraw ends leases of what was not written and passes the error on.
func (s *Store) withdraw(rows []row, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		s.release(r)
	}
	return err
}

// nextID names m: by its time of acceptance, and above all ids before. The caller holds mu.
func (s *Store) nextID(m stored) queue.ID {
	id := queue.ID(0)
	if t := m.Received; !t.IsZero() && t.Unix() > 0 {
		id = queue.ID(t.UnixMilli()) << idSpare
	}
	s.lastID = max(s.lastID+1, id)
	return s.lastID
}

// lastMessage is the highest id of a message that is there, damaged ones included; zero: there is none.
func (s *Store) lastMessage() (queue.ID, error) {
	last := queue.ID(0)
	for _, kind := range []byte{kindMessage, kindQuarantine} {
		key, err := s.lastKey(kind)
		if err != nil {
			return 0, err
		}
		if len(key) == messageKeyLength {
			last = max(last, messageID(key))
		}
	}
	return last, nil
}

// firstRows are the waiting rows of a new message, one for each destination in the order of the envelope.
func firstRows(id queue.ID, s queue.Submission) []row {
	due := dueOf(s, queue.RecipientState{})
	turn := turnOf(s.Sender)
	deadline := s.Expires
	if !s.Notice.IsZero() {
		deadline = s.Notice
	}
	var rows []row
	for _, d := range destinationsOf(s.Envelope) {
		rows = append(rows, row{destination: d, priority: byte(min(s.Priority, queue.Report)), turn: turn, due: due, id: id, deadline: nanos(deadline)})
	}
	return rows
}

// destinationsOf lists each domain of the recipients once.
func destinationsOf(e mail.Envelope) []mail.Domain {
	if len(e.Recipients) == 1 {
		return []mail.Domain{e.Recipients[0].Address.Domain}
	}
	seen := map[mail.Domain]bool{}
	var list []mail.Domain
	for _, r := range e.Recipients {
		if d := r.Address.Domain; !seen[d] {
			seen[d] = true
			list = append(list, d)
		}
	}
	return list
}

// putMessage adds the message to b, and who owns its file.
func (s *Store) putMessage(b *pebble.Batch, id queue.ID, m stored, content []byte) error {
	header := encodeHeader(m)
	op := b.SetDeferred(messageKeyLength, len(header)+len(content))
	copy(op.Key, idKey(kindMessage, id))
	copy(op.Value[copy(op.Value, header):], content)
	seal(op.Value, id)
	err := errors.Join(op.Finish(), b.Set([]byte{kindLastID}, reserved(id), nil))
	if err != nil || m.file == 0 {
		return err
	}
	return b.Set(fileKey(m.file), idKey(kindMessage, id)[1:], nil)
}

// putRows adds waiting rows, with their deadlines and the hints that lead to them.
func (s *Store) putRows(b *pebble.Batch, rows []row) error {
	return errors.Join(putWaiting(b, rows), putHints(b, rows))
}

// putWaiting adds waiting rows and their deadlines.
func putWaiting(b *pebble.Batch, rows []row) error {
	for _, r := range rows {
		if err := b.Set(r.key(), r.value(), nil); err != nil {
			return err
		}
		if r.priority == heldRow || r.deadline == 0 {
			continue
		}
		if err := b.Set(r.deadlineKey(), r.middle(false), nil); err != nil {
			return err
		}
	}
	return nil
}

// putHints adds the hints that lead to rows.
func putHints(b *pebble.Batch, rows []row) error {
	for _, r := range rows {
		if r.priority == heldRow {
			continue
		}
		if err := b.Set(r.hint(), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// dropRows takes waiting rows and their deadlines away. Hints stay until a lease finds them stale.
func (s *Store) dropRows(b *pebble.Batch, rows []row) error {
	for _, r := range rows {
		if err := b.SingleDelete(r.key(), nil); err != nil {
			return err
		}
		if r.deadline == 0 || r.priority == heldRow {
			continue
		}
		if err := b.SingleDelete(r.deadlineKey(), nil); err != nil {
			return err
		}
	}
	return nil
}
