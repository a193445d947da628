package storetest

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"slices"

	"sternpost/journal"
	"sternpost/queue"
)

// octets is content in memory.
type octets []byte

func (o octets) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(o)), nil }
func (o octets) Size() int64                  { return int64(len(o)) }

// draft is a message on its way into a Memory.
type draft struct {
	memory  *Memory
	content bytes.Buffer
	ended   bool
}

// Begin starts a message.
func (m *Memory) Begin(ctx context.Context) (queue.Draft, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Begin++
	if err := m.acceptable(ctx); err != nil {
		return nil, err
	}
	return &draft{memory: m}, nil
}

// acceptable says why no message can be accepted.
func (m *Memory) acceptable(ctx context.Context) error {
	if err := m.writable(ctx); err != nil {
		return err
	}
	if m.full {
		return queue.ErrFull
	}
	return nil
}

func (d *draft) Write(p []byte) (int, error) {
	if d.ended {
		return 0, fs.ErrClosed
	}
	return d.content.Write(p)
}

func (d *draft) Abort() { d.ended = true }

func (d *draft) Commit(ctx context.Context, s queue.Submission, entries []journal.Entry) ([]queue.Owed, error) {
	m := d.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Commit++
	if d.ended {
		return nil, fs.ErrClosed
	}
	d.ended = true
	if len(s.Envelope.Recipients) == 0 {
		return nil, errNoRecipients
	}
	if err := m.acceptable(ctx); err != nil {
		return nil, err
	}
	if err := m.repeated(s); err != nil {
		return nil, err
	}
	next, reports := m.nextID(s), []queue.Spawned(nil)
	if s.Reports != nil {
		reports = s.Reports(next)
	}
	if slices.ContainsFunc(reports, func(r queue.Spawned) bool { return len(r.Envelope.Recipients) == 0 }) {
		return nil, errNoRecipients
	}
	if err := m.commit(); err != nil {
		return nil, err
	}
	k := m.add(s, d.content.Bytes())
	if s.Key != "" {
		m.keys[sealed{s.Sender, s.Key}] = keyed{k.message.ID, s.Digest, s.Received}
	}
	entries = about(k.message.ID, entries)
	for _, report := range reports {
		entries = append(entries, m.spawn(report))
	}
	m.write(entries)
	return m.leaseAll(k), nil
}

// repeated says which message was accepted with the key of s before.
func (m *Memory) repeated(s queue.Submission) error {
	before, known := m.keys[sealed{s.Sender, s.Key}]
	switch {
	case s.Key == "" || !known || !queue.KeyKnown(before.received, s.Received):
		return nil
	case before.digest != s.Digest:
		return queue.ErrOtherContent
	}
	return &queue.RepeatedError{ID: before.id}
}

// about fills in the id of a message that had none yet when the entries were made.
func about(id queue.ID, entries []journal.Entry) []journal.Entry {
	entries = slices.Clone(entries)
	for i := range entries {
		if entries[i].Message == "" {
			entries[i].Message = id.String()
		}
	}
	return entries
}

// leaseAll leases each destination of a new message.
func (m *Memory) leaseAll(k *kept) []queue.Owed {
	var work []queue.Owed
	for _, d := range k.destinations() {
		if w, ok := k.owed(d); ok {
			m.leases[unit{k.message.ID, d}] = true
			work = append(work, w)
		}
	}
	return work
}
