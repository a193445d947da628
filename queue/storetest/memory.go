package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// Memory is a queue.Store that keeps everything in maps under one mutex. It starts no goroutine, so it may be used in a bubble of testing/synctest.
// Nothing in it is fast.
type Memory struct {
	mu        sync.Mutex
	last      queue.ID
	messages  map[queue.ID]*kept
	leases    map[unit]bool
	suspended map[mail.Domain]time.Time
	reasons   map[mail.Domain]string // of the last deferral
	turns     map[turn]string        // the sender that was served last
	keys      map[sealed]keyed
	addresses map[string]queue.Suppression
	bookmarks map[string]journal.Cursor
	entries   []journal.Entry

	failure error // what the next commit fails with, when some more have succeeded
	spared  int
	full    bool
	closed  bool
	stopped bool
	failed  chan struct{}
	counts  Counts
}

// Counts is how often a Memory was asked to do something, refusals included.
type Counts struct {
	Begin, Commit, Settle, Lease, Next, Suspend, Overdue, Reports, Change int
	// Leased is how many leases were given by Lease and Overdue.
	Leased int
}

// kept is a message as Memory keeps it.
type kept struct {
	message   queue.Message
	content   octets
	deadlines map[mail.Domain]time.Time
}

// unit is what is leased: a message and one destination.
type unit struct {
	id          queue.ID
	destination mail.Domain
}

// turn is where senders take turns.
type turn struct {
	destination mail.Domain
	priority    queue.Priority
}

// sealed is what a submission with a key is known by.
type sealed struct{ sender, key string }

// keyed is the message that was accepted with a key.
type keyed struct {
	id       queue.ID
	digest   [32]byte
	received time.Time
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{
		messages:  map[queue.ID]*kept{},
		leases:    map[unit]bool{},
		suspended: map[mail.Domain]time.Time{},
		reasons:   map[mail.Domain]string{},
		turns:     map[turn]string{},
		keys:      map[sealed]keyed{},
		addresses: map[string]queue.Suppression{},
		bookmarks: map[string]journal.Cursor{},
		failed:    make(chan struct{}),
	}
}

// FailCommits makes the next commit fail with err, which stops the store. Nil: commits succeed again; a store that has stopped stays so.
func (m *Memory) FailCommits(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failure, m.spared = err, 0
}

// FailCommitsAfter is FailCommits when so many more commits have succeeded.
func (m *Memory) FailCommitsAfter(n int, err error) {
	m.FailCommits(err)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spared = n
}

// SetFull makes Begin and Commit answer ErrFull, or ends that.
func (m *Memory) SetFull(full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = full
}

// Counts returns what was asked of m so far.
func (m *Memory) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// Reopen closes m and returns what a new process would find: everything that was committed, and no leases.
func (m *Memory) Reopen() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	n := NewMemory()
	n.last = m.last
	n.messages = maps.Clone(m.messages)
	n.suspended = maps.Clone(m.suspended)
	n.reasons = maps.Clone(m.reasons)
	n.keys = maps.Clone(m.keys)
	n.addresses = maps.Clone(m.addresses)
	n.bookmarks = maps.Clone(m.bookmarks)
	n.entries = slices.Clone(m.entries)
	return n
}

// Failed is closed when a commit has failed.
func (m *Memory) Failed() <-chan struct{} { return m.failed }

// Close ends the store and all leases.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	clear(m.leases)
	return nil
}

// usable says why nothing can be read.
func (m *Memory) usable(ctx context.Context) error {
	if m.closed {
		return fs.ErrClosed
	}
	return ctx.Err()
}

// writable says why nothing can be written.
func (m *Memory) writable(ctx context.Context) error {
	if m.stopped {
		return queue.ErrStopped
	}
	return m.usable(ctx)
}

// commit is the moment at which a change is made durable: the caller has checked it, and applies it when commit returns nil.
func (m *Memory) commit() error {
	if m.failure == nil {
		return nil
	}
	if m.spared > 0 {
		m.spared--
		return nil
	}
	m.stopped = true
	close(m.failed)
	return fmt.Errorf("%w: %w", queue.ErrStopped, m.failure)
}

// write appends entries to the journal. Those of one commit share its time.
func (m *Memory) write(entries []journal.Entry) {
	var last journal.Cursor
	if len(m.entries) > 0 {
		last = m.entries[len(m.entries)-1].Cursor
	}
	cursor := journal.Cursor{Time: time.Now()}
	if !cursor.Time.After(last.Time) { // the clock stands or was set back
		cursor = journal.Cursor{Time: last.Time, Seq: last.Seq + 1}
	}
	for _, e := range entries {
		e.Cursor = cursor
		m.entries = append(m.entries, e)
		cursor.Seq++
	}
}

// nextID names the next message.
func (m *Memory) nextID(s queue.Submission) queue.ID {
	return max(m.last+1, queue.ID(max(0, s.Received.UnixMilli()))<<20)
}

// add keeps a new message and returns it. The caller has committed.
func (m *Memory) add(s queue.Submission, content []byte) *kept {
	m.last = m.nextID(s)
	k := &kept{
		message: queue.Message{
			ID: m.last, Submission: s, Size: int64(len(content)), Recipients: make([]queue.RecipientState, len(s.Envelope.Recipients)),
		},
		content:   content,
		deadlines: map[mail.Domain]time.Time{},
	}
	k.message.Envelope.Recipients = slices.Clone(s.Envelope.Recipients)
	k.message.Notice = time.Time{}
	k.message.Key, k.message.Digest = "", [32]byte{}
	k.message.Reports, k.message.Expanded = nil, nil
	if !s.Notice.IsZero() {
		for _, d := range k.destinations() {
			k.deadlines[d] = s.Notice
		}
	}
	m.messages[m.last] = k
	return k
}

// settled forgets a message that nobody waits for.
func (m *Memory) settled(k *kept) {
	if !queue.Waits(k.message.Recipients) {
		delete(m.messages, k.message.ID)
	}
}

// oldestFirst are all messages in the order of their acceptance.
func (m *Memory) oldestFirst() []*kept {
	return slices.SortedFunc(maps.Values(m.messages), func(a, b *kept) int { return cmp.Compare(a.message.ID, b.message.ID) })
}

// destinations are those of k in the order of the envelope.
func (k *kept) destinations() []mail.Domain {
	var list []mail.Domain
	for i := range k.message.Recipients {
		if d := k.message.Destination(i); !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// snapshot is k.message for a reader, who may keep it.
func (k *kept) snapshot() queue.Message {
	message := k.message
	message.Recipients = slices.Clone(message.Recipients)
	return message
}

// due is when recipient i is tried next.
func (k *kept) due(i int) time.Time {
	if due := k.message.Recipients[i].Due; !due.IsZero() {
		return due
	}
	if k.message.SendAt.After(k.message.Received) {
		return k.message.SendAt
	}
	return k.message.Received
}

// owed is the work for one destination, and false where no recipient of it is pending.
func (k *kept) owed(destination mail.Domain) (queue.Owed, bool) {
	w := queue.Owed{Message: k.snapshot(), Destination: destination, Content: k.content}
	for i, s := range k.message.Recipients {
		if k.message.Destination(i) != destination || s.State != queue.Pending {
			continue
		}
		if due := k.due(i); len(w.Indices) == 0 || due.Before(w.Due) {
			w.Due = due
		}
		w.Indices = append(w.Indices, i)
	}
	return w, len(w.Indices) > 0
}

var errNoRecipients = errors.New("a message without recipients")
