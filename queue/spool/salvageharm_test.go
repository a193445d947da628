package spool

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// truncate cuts a file down.
func truncate(t *testing.T, fs vfs.FS, path string, size int) {
	t.Helper()
	raw := contentOf(t, fs, path)
	if err := fs.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(fs, path, raw[:size]); err != nil {
		t.Fatal(err)
	}
}

// harm is what is done to one file.
type harm struct {
	name string
	do   func(t *testing.T, fs vfs.FS, path string, raw []byte)
	// from and to bound the octets that are hit.
	from, to func(size int) int
}

func harms() []harm {
	all := func(size int) int { return size }
	none := func(int) int { return 0 }
	list := []harm{
		{"missing", func(t *testing.T, fs vfs.FS, path string, _ []byte) {
			if err := fs.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, none, all},
		{"empty", func(t *testing.T, fs vfs.FS, path string, raw []byte) { truncate(t, fs, path, 0) }, none, all},
		{"half", func(t *testing.T, fs vfs.FS, path string, raw []byte) { truncate(t, fs, path, len(raw)/2) }, func(size int) int { return size / 2 }, all},
	}
	for _, tenth := range []int{0, 4, 9} {
		page := func(size int) int { return size * tenth / 10 / diskPage * diskPage }
		list = append(list, harm{"zeros", func(t *testing.T, fs vfs.FS, path string, raw []byte) {
			at := page(len(raw))
			put(t, fs, path, at, make([]byte, min(diskPage, len(raw)-at)))
		}, page, func(size int) int { return min(size, page(size)+diskPage) }})
	}
	return list
}

// Files are missing, too short, or a page of them is gone: the store opens, and what was not hit is there.
func TestHarm(t *testing.T) {
	for name, fill := range shelf(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, mem := fill()
			k.count()
			base := mem.CrashClone(vfs.CrashCloneCfg{})
			for _, path := range files(base, "/spool/store") {
				raw := contentOf(t, base, path)
				written := bytes.TrimRight(raw, "\x00")
				for n, h := range harms() {
					if n%slow > 0 {
						continue
					}
					fs := base.CrashClone(vfs.CrashCloneCfg{})
					if h.name != "missing" && len(written) == 0 {
						continue
					}
					h.do(t, fs, path, written)
					a := k.examine(t, fs)
					k.judgeHarm(t, base, path, h, len(written), a)
					sound(t, fs, a)
					t.Logf("%-8s %-60s: rebuilt %v, %d lost, %d back, %d changed", h.name, path, a.rebuilt, len(a.lost), len(a.back), len(a.changed))
					if t.Failed() {
						t.FailNow()
					}
				}
			}
		})
	}
}

func (k *stock) judgeHarm(t *testing.T, base vfs.FS, path string, h harm, size int, a aftermath) {
	t.Helper()
	hit := slices.Concat(a.lost, a.back, a.changed)
	switch {
	case strings.HasSuffix(path, ".log"):
		// What stood in the last log, and was cut off with nothing behind it, is nowhere to be found.
	case strings.HasSuffix(path, ".sst"):
		held := heldIn(t, base, path, "ms", h.from(size), h.to(size))
		for _, id := range hit {
			if !slices.Contains(held, id) {
				t.Errorf("%s did not stand there: lost %v, back %v, changed %v\n%s", id, a.lost, a.back, a.changed, a.log)
			}
		}
		// Where all traces of a message stood in the same table, only that is named.
		for _, id := range a.lost {
			if !strings.Contains(a.log, id.String()) && h.name == "zeros" || !strings.Contains(a.log, path[len(path)-10:len(path)-4]) {
				t.Errorf("%s is not named\n%s", id, a.log)
			}
		}
	case len(hit) > 0:
		t.Errorf("lost %v, back %v, changed %v\n%s", a.lost, a.back, a.changed, a.log)
	}
}
