package spool

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lookingFS lets the engine look at files and change none. With asked, it hides what the logs hold and notes which are asked for: those are the ones that
// the engine needs.
type lookingFS struct {
	vfs.FS
	asked *[]string
}

var errLooking = errors.New("the queue is only looked at")

// Unwrap implements vfs.FS.
func (f lookingFS) Unwrap() vfs.FS { return f.FS }

// Open implements vfs.FS.
func (f lookingFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if f.asked == nil || !strings.HasSuffix(name, ".log") {
		return f.FS.Open(name, options...)
	}
	*f.asked = append(*f.asked, f.PathBase(name))
	empty := vfs.NewMem()
	return empty.Create("empty", vfs.WriteCategoryUnspecified)
}

// List implements vfs.FS. Options may be damaged without harm.
func (f lookingFS) List(directory string) ([]string, error) {
	names, err := f.FS.List(directory)
	var seen []string
	for _, name := range names {
		if !strings.HasPrefix(name, "OPTIONS-") {
			seen = append(seen, name)
		}
	}
	return seen, err
}

// Lock implements vfs.FS.
func (lookingFS) Lock(string) (io.Closer, error) { return unlocked{}, nil }

// Create implements vfs.FS.
func (lookingFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errLooking }

// Link implements vfs.FS.
func (lookingFS) Link(string, string) error { return errLooking }

// OpenReadWrite implements vfs.FS.
func (lookingFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errLooking
}

// Remove implements vfs.FS.
func (lookingFS) Remove(string) error { return errLooking }

// RemoveAll implements vfs.FS.
func (lookingFS) RemoveAll(string) error { return errLooking }

// Rename implements vfs.FS.
func (lookingFS) Rename(string, string) error { return errLooking }

// ReuseForWrite implements vfs.FS.
func (lookingFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errLooking
}

// MkdirAll implements vfs.FS.
func (lookingFS) MkdirAll(string, os.FileMode) error { return errLooking }
