package spool

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"sternpost/mail"
	"sternpost/queue"
)

func submission(to string) queue.Submission {
	a, err := mail.ParseAddress(to)
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return queue.Submission{
		Envelope: mail.Envelope{Recipients: []mail.Recipient{{Address: a}}}, Sender: "us", Received: now, Expires: now.AddDate(0, 0, 5),
	}
}

func accept(t testing.TB, s *Store, content []byte) ([]queue.Owed, error) {
	t.Helper()
	d, err := s.Begin(t.Context())
	if err != nil {
		return nil, err
	}
	if _, err := d.Write(content); err != nil {
		d.Abort()
		return nil, err
	}
	return d.Commit(t.Context(), submission("a@b.example"), nil)
}

func TestFailedSyncStopsTheStore(t *testing.T) {
	bad := errors.New("the disk is gone")
	toggle := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData {
			return bad
		}
		return nil
	})}
	s := openAt(t, errorfs.Wrap(vfs.NewMem(), toggle), "/spool")
	work, err := accept(t, s, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	toggle.On()
	if _, err := accept(t, s, []byte("two")); !errors.Is(err, queue.ErrStopped) {
		t.Errorf("an accept whose sync fails: %v", err)
	}
	<-s.Failed()
	if _, err := accept(t, s, []byte("three")); !errors.Is(err, queue.ErrStopped) {
		t.Errorf("an accept after it: %v", err)
	}
	if err := s.Settle(t.Context(), []queue.Settlement{{ID: work[0].ID, Destination: "b.example"}}); !errors.Is(err, queue.ErrStopped) {
		t.Errorf("a settlement after it: %v", err)
	}
	if _, err := s.Content(t.Context(), work[0].ID); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestFullDiskRefusesMailAndSettles(t *testing.T) {
	fs := vfs.NewMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 1 << 30})
	s := openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	work, err := accept(t, s, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 100 << 20})
	if _, err := s.Begin(t.Context()); !errors.Is(err, queue.ErrFull) {
		t.Errorf("Begin: %v", err)
	}
	err = s.Settle(t.Context(), []queue.Settlement{{ID: work[0].ID, Destination: "b.example", States: map[int]queue.RecipientState{0: {State: queue.Delivered}}}})
	if err != nil {
		t.Errorf("Settle: %v", err)
	}
}

func TestOneOwner(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	c := DefaultConfig()
	c.Directory = "/spool"
	if _, err := Open(c, fs, s.log); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second owner: %v", err)
	}
}

func TestLargeContentIsNotHeldInMemory(t *testing.T) {
	s := openAt(t, vfs.Default, t.TempDir())
	defer func() { _ = s.Close() }()
	d, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), 2048)
	for range 1024 { // 32 MiB
		if _, err := d.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if n := len(d.(*draft).b); n > largestInline {
			t.Fatalf("%d octets in memory", n)
		}
	}
	work, err := d.Commit(t.Context(), submission("a@b.example"), nil)
	if err != nil {
		t.Fatal(err)
	}
	reading, err := work[0].Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, reading); err != nil || n != 32<<20 {
		t.Errorf("read %d: %v", n, err)
	}
	if err := reading.Close(); err != nil {
		t.Error(err)
	}
}

// A directory that cannot be synced ends the store in order, though Pebble would panic; at the start too, and the next start recovers.
func TestFailedSyncOfADirectory(t *testing.T) {
	bad := errors.New("the disk is gone")
	mem := vfs.NewMem()
	toggle := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync && op.Path == "/spool/store" {
			return bad
		}
		return nil
	})}
	s := openAt(t, errorfs.Wrap(mem, toggle), "/spool")
	for range 3 {
		if _, err := accept(t, s, []byte("text")); err != nil {
			t.Fatal(err)
		}
	}
	toggle.On()
	go func() { _, _ = s.db.AsyncFlush() }() // the next log is a new name; who makes it does not come back
	<-s.Failed()
	if _, err := accept(t, s, []byte("text")); !errors.Is(err, queue.ErrStopped) {
		t.Errorf("an accept after it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	c := DefaultConfig()
	c.Directory = "/spool"
	if _, err := Open(c, errorfs.Wrap(mem, toggle), s.log); !errors.Is(err, bad) {
		t.Errorf("a start on the same disk: %v", err)
	}
	s = openAt(t, mem, "/spool")
	defer func() { _ = s.Close() }()
	if n := len(lease(t, s, at(1))); n != 3 {
		t.Errorf("%d messages are found at the next start, want 3", n)
	}
}
