package spool

import (
	"io"
	"os"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashDisk is a disk on which the power may fail before and after each change: look is called there, with the disk held still.
type crashDisk struct {
	vfs.FS
	mem  *vfs.MemFS
	lies bool // syncs of files do nothing
	mu   sync.Mutex
	look func()
}

func newCrashDisk(mem *vfs.MemFS, look func()) *crashDisk {
	mem.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 16 << 20, AvailBytes: 16 << 20}) // the smallest memtables: much is flushed and compacted
	return &crashDisk{FS: mem, mem: mem, look: look}
}

// change makes one change.
func change1[T any](d *crashDisk, change func() (T, error)) (T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.look()
	done, err := change()
	d.look()
	return done, err
}

func (d *crashDisk) change(change func() error) error {
	_, err := change1(d, func() (struct{}, error) { return struct{}{}, change() })
	return err
}

// file wraps what a change has opened.
func (d *crashDisk) file(open func() (vfs.File, error)) (vfs.File, error) {
	f, err := change1(d, open)
	if err != nil {
		return nil, err
	}
	return &crashFile{File: f, disk: d}, nil
}

func (d *crashDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(func() (vfs.File, error) {
		if err := d.keepOrder(name); err != nil {
			return nil, err
		}
		return d.mem.Create(name, c)
	})
}

// keepOrder: Pebble counts on what journaling file systems do, that a new name is not kept where an older one in the same directory is lost. The disk in
// memory knows no such order, so the MANIFEST is made sure of before the marker that names it.
func (d *crashDisk) keepOrder(name string) error {
	if !strings.HasPrefix(d.PathBase(name), "marker.") {
		return nil
	}
	return syncDirectory(d.mem, d.PathDir(name))
}

func (d *crashDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return d.file(func() (vfs.File, error) { return d.mem.OpenReadWrite(name, c, o...) })
}

func (d *crashDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(func() (vfs.File, error) { return d.mem.ReuseForWrite(from, to, c) })
}

func (d *crashDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.mem.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &crashFile{File: f, disk: d, folder: true}, nil
}

func (d *crashDisk) Lock(name string) (io.Closer, error) {
	return change1(d, func() (io.Closer, error) { return d.mem.Lock(name) })
}

func (d *crashDisk) Link(from, to string) error {
	return d.change(func() error { return d.mem.Link(from, to) })
}

func (d *crashDisk) Rename(from, to string) error {
	return d.change(func() error { return d.mem.Rename(from, to) })
}

func (d *crashDisk) Remove(name string) error {
	return d.change(func() error { return d.mem.Remove(name) })
}

func (d *crashDisk) RemoveAll(name string) error {
	return d.change(func() error { return d.mem.RemoveAll(name) })
}

func (d *crashDisk) MkdirAll(name string, mode os.FileMode) error {
	return d.change(func() error { return d.mem.MkdirAll(name, mode) })
}

func (d *crashDisk) Unwrap() vfs.FS { return d.mem }

type crashFile struct {
	vfs.File
	disk   *crashDisk
	folder bool
}

func (f *crashFile) Write(p []byte) (int, error) {
	return change1(f.disk, func() (int, error) { return f.File.Write(p) })
}

func (f *crashFile) WriteAt(p []byte, at int64) (int, error) {
	return change1(f.disk, func() (int, error) { return f.File.WriteAt(p, at) })
}

func (f *crashFile) Sync() error {
	return f.disk.change(func() error { return f.sync(f.File.Sync) })
}

func (f *crashFile) SyncData() error {
	return f.disk.change(func() error { return f.sync(f.File.SyncData) })
}

func (f *crashFile) SyncTo(length int64) (bool, error) {
	return change1(f.disk, func() (bool, error) { return f.File.SyncTo(length) })
}

func (f *crashFile) sync(really func() error) error {
	if f.disk.lies && !f.folder {
		return nil
	}
	return really()
}
