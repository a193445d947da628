package spool

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// OpenDir implements vfs.FS.
func (f engineFS) OpenDir(name string) (vfs.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return engineDir{File: d, s: f.s}, nil
}

// engineDir is a directory that Pebble syncs. Where that fails Pebble panics, in goroutines of its own too, and the process would end in the middle of everything: the
// store stops in order in its place.
type engineDir struct {
	vfs.File
	s *Store
}

// Sync implements vfs.File.
func (d engineDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.s.fail(fmt.Errorf("a directory cannot be synced: %w", err))
		select {}
	}
	return nil
}
