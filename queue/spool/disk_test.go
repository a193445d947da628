package spool

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"golang.org/x/sys/unix"

	"sternpost/queue"
)

func TestSizesFollowTheDisk(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, test := range []struct{ total, memtable, watermark, journal uint64 }{
		{8 * mib, 512 << 10, 2 * mib, 8 * mib / 10},
		{64 * mib, 2 * mib, 16 * mib, 64 * mib / 10}, // a quarter of the disk
		{512 * mib, 16 * mib, 128 * mib, 512 * mib / 10},
		{2 * gib, 64 * mib, 320 * mib, 2 * gib / 10}, // four memtables and a large message
		{20 * gib, 64 * mib, 1 * gib, 2 * gib},       // 5 percent
		{1000 * gib, 64 * mib, 50 * gib, 10 * gib},
		{0, 4 * mib, 0, 10 * gib}, // a file system that does not tell
	} {
		d := disk{total: test.total}
		if got := d.memtable(); got != test.memtable {
			t.Errorf("disk of %d MiB: memtables of %d octets, want %d", test.total/mib, got, test.memtable)
		}
		if got := d.watermark(test.total); got != test.watermark {
			t.Errorf("disk of %d MiB: watermark %d, want %d", test.total/mib, got, test.watermark)
		}
		if got := d.journal(); got != int64(test.journal) {
			t.Errorf("disk of %d MiB: journal of %d octets, want %d", test.total/mib, got, test.journal)
		}
	}
}

func TestInodesRunOut(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	for _, test := range []struct {
		free, all uint64
		full      bool
	}{
		{0, 0, false}, // there is no table of inodes
		{1023, 1 << 20, true},
		{1024, 1 << 20, false},
		{49, 200, true}, // a quarter of a small table
		{50, 200, false},
	} {
		s.disk.inodes = func(string) (free, all uint64) { return test.free, test.all }
		d, err := s.Begin(t.Context())
		if errors.Is(err, queue.ErrFull) != test.full {
			t.Errorf("%d of %d inodes are free: %v", test.free, test.all, err)
		}
		if err == nil {
			d.Abort()
		}
	}
}

// The inodes of this machine's disk are asked for, whatever they are.
func TestInodesOfThisMachine(t *testing.T) {
	if free, all := inodes(t.TempDir()); free > all {
		t.Errorf("%d of %d inodes are free", free, all)
	}
	if free, all := inodes("/does/not/exist"); free != 0 || all != 0 {
		t.Errorf("%d of %d inodes are free where nothing is", free, all)
	}
}

// A large draft asks for room on its way, so that it does not fill the disk; what it has written is given back at once.
func TestLargeDraftAsksForRoom(t *testing.T) {
	fs := vfs.NewMem()
	room := vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 1 << 30}
	full := vfs.DiskUsage{TotalBytes: 1 << 30, AvailBytes: 1 << 20}
	fs.TestingSetDiskUsage(room)
	s := openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	chunk := make([]byte, 1<<20)
	d := begin(t, s, chunk[:largestInline])
	fs.TestingSetDiskUsage(full)
	if _, err := d.Write([]byte("x")); !errors.Is(err, queue.ErrFull) {
		t.Errorf("a spill on a full disk: %v", err)
	}
	fs.TestingSetDiskUsage(room)
	d = begin(t, s, chunk)
	fs.TestingSetDiskUsage(full)
	written := len(chunk)
	for err := error(nil); err == nil; written += len(chunk) {
		if _, err = d.Write(chunk); err != nil && !errors.Is(err, queue.ErrFull) {
			t.Fatal(err)
		}
		if written > 2*askEvery {
			t.Fatalf("%d octets are written to a full disk", written)
		}
	}
	if list, err := fs.List("/spool/content"); err != nil || len(list) > 0 {
		t.Errorf("files are kept: %v, %v", list, err)
	}
	if _, err := d.Commit(t.Context(), submission("a@b.example"), nil); err == nil {
		t.Error("what was refused was committed")
	}
}

// No space is an answer to the client, not the end of the store; and nothing is kept of the draft.
func TestNoSpaceForContent(t *testing.T) {
	for name, kind := range map[string]errorfs.OpKind{"create": errorfs.OpCreate, "write": errorfs.OpFileWrite} {
		for _, code := range []error{unix.ENOSPC, unix.EDQUOT} {
			t.Run(name+" "+code.Error(), func(t *testing.T) { testNoSpace(t, kind, code) })
		}
	}
}

func testNoSpace(t *testing.T, kind errorfs.OpKind, code error) {
	mem := vfs.NewMem()
	trouble := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == kind && strings.Contains(op.Path, "content/") {
			return code
		}
		return nil
	})}
	s := openAt(t, errorfs.Wrap(mem, trouble), "/spool")
	defer func() { _ = s.Close() }()
	trouble.On()
	for _, size := range []int{largestInline + 1, largestInline + fileBuffer - 1, 3 << 20} {
		if _, err := accept(t, s, bytes.Repeat([]byte("x"), size)); !errors.Is(err, queue.ErrFull) {
			t.Errorf("%d octets: %v, want %v", size, err, queue.ErrFull)
		}
		if list, err := mem.List("/spool/content"); err != nil || len(list) > 0 {
			t.Errorf("%d octets: files are kept: %v, %v", size, list, err)
		}
	}
	if _, err := accept(t, s, []byte("small")); err != nil {
		t.Errorf("a small message: %v", err)
	}
	trouble.Off()
	if _, err := accept(t, s, bytes.Repeat([]byte("x"), largestInline+1)); err != nil {
		t.Errorf("a large one when there is space again: %v", err)
	}
	if got := memory(s); got[0] != got[1] {
		t.Errorf("memory of drafts is not given back: %v", got)
	}
}
