package spool

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/queue"
)

// memory is what is counted: all, and the part of leases.
func memory(s *Store) [2]int64 { return [2]int64{s.drafts.used.Load(), s.firsts.used.Load()} }

func begin(t *testing.T, s *Store, chunks ...[]byte) *draft {
	t.Helper()
	d, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range chunks {
		if _, err := d.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	return d.(*draft)
}

// Drafts and leases share 64 MiB; what does not fit goes to a file, and comes from there.
func TestMemoryOfDrafts(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	chunk := make([]byte, largestInline)
	var drafts []*draft
	for range memoryOfDrafts / largestInline {
		drafts = append(drafts, begin(t, s, chunk))
	}
	if got := memory(s); got != [2]int64{memoryOfDrafts, 0} {
		t.Fatalf("in memory: %v", got)
	}
	spilt := begin(t, s, []byte("one octet more is too much"))
	if spilt.file == nil || spilt.b != nil || memory(s)[0] != memoryOfDrafts {
		t.Errorf("a draft beyond the bound is not in a file: %v", memory(s))
	}
	spilt.Abort()
	drafts[0].Abort()
	if again := begin(t, s, chunk); again.file != nil {
		t.Error("what was given back is not used again")
	} else {
		again.Abort()
	}
	for _, d := range drafts {
		d.Abort()
	}
	if got := memory(s); got != [2]int64{} {
		t.Errorf("in memory when all is over: %v", got)
	}
}

// A draft counts what it has, not what it uses.
func TestDraftCountsItsCapacity(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	d := begin(t, s)
	for size := range 300 {
		if _, err := d.Write(bytes.Repeat([]byte("x"), size)); err != nil {
			t.Fatal(err)
		}
		if got := memory(s)[0]; got != int64(cap(d.b)) {
			t.Fatalf("%d octets count, %d are held", got, cap(d.b))
		}
	}
	work, err := d.Commit(t.Context(), submission("a@b.example"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := memory(s); got != [2]int64{int64(cap(d.b)), int64(cap(d.b))} {
		t.Errorf("in memory while it is leased: %v", got)
	}
	s.Return(work)
	if got := memory(s); got != [2]int64{} {
		t.Errorf("in memory behind the lease: %v", got)
	}
}

// The content of a leased message is read once, with the message.
func TestLeasedContentIsReadOnce(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	content := bytes.Repeat([]byte("x"), 5000)
	id := wait(t, s, content, "a@b.example", "a@c.example")
	work := lease(t, s, at(1))
	if got := memory(s); len(work) != 2 || got != [2]int64{5000, 5000} {
		t.Fatalf("in memory: %v, for two leases of one message: %v", got, work)
	}
	spoil(t, s, id) // nobody looks at it again
	for _, o := range work {
		if got, err := read(o.Content); err != nil || !bytes.Equal(got, content) {
			t.Errorf("read %d octets: %v", len(got), err)
		}
	}
	s.Return(work[:1])
	settle(t, s, work[1], queue.RecipientState{Due: at(10)})
	if got := memory(s); got != [2]int64{} {
		t.Errorf("in memory behind the leases: %v", got)
	}
}

// Leases have half of the memory, so that mail still comes in that is not slowed down by files.
func TestMemoryOfLeases(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	const more = 3
	chunk := make([]byte, largestInline)
	for range memoryOfLeases/largestInline + more {
		wait(t, s, chunk, "a@b.example")
	}
	work := lease(t, s, at(1))
	onDisk := 0
	for _, o := range work {
		if _, ok := o.Content.(kept); ok {
			onDisk++
		}
		if got, err := read(o.Content); err != nil || len(got) != largestInline {
			t.Errorf("read %d octets: %v", len(got), err)
		}
	}
	if got := memory(s); onDisk != more || got != [2]int64{memoryOfLeases, memoryOfLeases} {
		t.Errorf("%d of %d are read from the disk, in memory: %v", onDisk, len(work), got)
	}
	d := begin(t, s, chunk)
	if d.file != nil {
		t.Error("a draft is driven into a file")
	}
	fresh, err := d.Commit(t.Context(), submission("a@b.example"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := fresh[0].Content.(kept); !ok || memory(s)[0] != memoryOfLeases {
		t.Errorf("a fresh lease goes beyond the bound: %v", memory(s))
	}
	s.Return(append(work, fresh...))
	if got := memory(s); got != [2]int64{} {
		t.Errorf("in memory behind the leases: %v", got)
	}
}
