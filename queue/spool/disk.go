package spool

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"

	"sternpost/queue"
)

const (
	// memtables is how many memtables may wait for being written out, each with a log file of its size that is preallocated.
	memtables = 4
	// largestMemtable is in octets.
	largestMemtable = 64 << 20
	// memtableWithoutDisk serves file systems that do not tell their size: those in memory.
	memtableWithoutDisk = 4 << 20
	smallestMemtable    = 512 << 10
	// reserveForContent is what must be free next to the memtables: one large message.
	reserveForContent = 64 << 20
	// reserveOfInodes is how many inodes must be free.
	reserveOfInodes = 1024
)

// disk knows how much room there is.
type disk struct {
	fs        vfs.FS
	directory string
	total     uint64 // octets; 0: unknown
	// inodes tells how many inodes are free and how many there are; 0: the file system has no table of them to run out of.
	inodes func(directory string) (free, all uint64)
	// last is what room found last; nil: it asks each time.
	last *atomic.Pointer[finding]
}

// finding is an answer of the disk.
type finding struct {
	at  time.Time
	err error
}

// roomEvery is how often the disk is asked, which costs 3 percent of all time when it is asked for each message. In that time little more can be accepted than a memtable holds.
const roomEvery = 50 * time.Millisecond

func newDisk(fs vfs.FS, directory string) disk {
	d := disk{fs: fs, directory: directory, inodes: func(string) (free, all uint64) { return 0, 0 }}
	if usage, err := fs.GetDiskUsage(directory); err == nil {
		d.total = usage.TotalBytes
	}
	if vfs.Root(fs) == vfs.Default {
		d.inodes, d.last = inodes, new(atomic.Pointer[finding])
	}
	return d
}

func inodes(directory string) (free, all uint64) {
	var stat unix.Statfs_t
	if err := unix.Statfs(directory, &stat); err != nil {
		return 0, 0
	}
	return stat.Ffree, stat.Files
}

// full is queue.ErrFull where a write found no space left, and err else.
func full(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", queue.ErrFull, err)
	}
	return err
}

// memtable is the size of one memtable: on a small disk a 32nd, as its log is preallocated.
func (d disk) memtable() uint64 {
	if d.total == 0 {
		return memtableWithoutDisk
	}
	return max(smallestMemtable, min(largestMemtable, d.total/32))
}

// watermark is how many octets must be free: the larger of 5 percent and of what the memtables and a large message need, but never
// more than a quarter of the disk.
func (d disk) watermark(total uint64) uint64 {
	return min(total/4, max(total/20, memtables*d.memtable()+reserveForContent))
}

// room is nil, or queue.ErrFull. A file system that does not tell is never full.
func (d disk) room() error {
	if d.last == nil {
		return d.ask()
	}
	found := d.last.Load()
	if found == nil || time.Since(found.at) >= roomEvery {
		found = &finding{time.Now(), d.ask()}
		d.last.Store(found)
	}
	return found.err
}

func (d disk) ask() error {
	usage, err := d.fs.GetDiskUsage(d.directory)
	if err == nil && usage.AvailBytes < d.watermark(usage.TotalBytes) {
		return queue.ErrFull
	}
	if free, all := d.inodes(d.directory); all > 0 && free < min(reserveOfInodes, all/4) {
		return queue.ErrFull
	}
	return nil
}

// budget counts octets in memory.
type budget struct {
	most int64
	used atomic.Int64
}

// take asks for n octets.
func (b *budget) take(n int64) bool { return b.takeWithin(n, b.most) }

// takeWithin asks for n octets, of which so many may be in use.
func (b *budget) takeWithin(n, most int64) bool {
	if b.used.Add(n) > most {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }

// journal is how large the journal may be unless the operator says otherwise: 10 GiB, but at most a tenth of the disk.
func (d disk) journal() int64 {
	const most = 10 << 30
	if d.total == 0 {
		return most
	}
	return int64(min(most, d.total/10))
}
