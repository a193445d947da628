package spool

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/queue"
)

// heldIn lists the messages of which a table keeps something of these kinds in the blocks between two offsets.
func heldIn(t *testing.T, fs vfs.FS, path, kinds string, from, to int) []queue.ID {
	t.Helper()
	blocks, _, err := layout(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	raw := contentOf(t, fs, path)
	var ids []queue.ID
	for _, h := range blocks.data {
		end := int(h.Offset+h.Length) + blockTrailer
		if to <= int(h.Offset) || from >= end {
			continue
		}
		err := newBlockReader().eachIn(raw[h.Offset:end], func(e entry) error {
			if len(e.key) == messageKeyLength && strings.IndexByte(kinds, e.key[0]) >= 0 {
				ids = append(ids, messageID(e.key))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return ids
}

// judge says whether what became of damage at one place is no more than what stood there, and was named.
func (k *stock) judge(t *testing.T, base vfs.FS, path string, at int, a aftermath) {
	t.Helper()
	hit := slices.Concat(a.lost, a.back, a.changed)
	for _, id := range slices.Concat(a.lost, a.back, a.unreadable) {
		if !strings.Contains(a.log, id.String()) && !slices.Contains(a.unreadable, id) {
			t.Errorf("%s is not named\n%s", id, a.log)
		}
	}
	switch {
	case strings.HasSuffix(path, ".log"):
		if len(hit) > 1 {
			t.Errorf("one record held at most one message: lost %v, back %v, changed %v\n%s", a.lost, a.back, a.changed, a.log)
		}
	case strings.HasSuffix(path, ".sst"):
		held := heldIn(t, base, path, "ms", at, at+1)
		for _, id := range hit {
			if !slices.Contains(held, id) {
				t.Errorf("%s did not stand there: lost %v, back %v, changed %v\n%s", id, a.lost, a.back, a.changed, a.log)
			}
		}
		if len(a.back) > 0 {
			t.Errorf("%v were settled and are back", a.back)
		}
	default:
		if len(hit) > 0 {
			t.Errorf("nothing stood there: lost %v, back %v, changed %v\n%s", a.lost, a.back, a.changed, a.log)
		}
	}
}

// places is in how many places of a file one octet is wrong. All files together keep the test within seconds.
func places(path string) int {
	switch {
	case strings.Contains(path, "/content/"):
		return 1
	case strings.HasSuffix(path, ".log"), strings.HasSuffix(path, ".sst"):
		return 12
	case strings.Contains(path, "MANIFEST-"):
		return 6
	default:
		return 2
	}
}

// One octet is wrong, in many places of every file of every store.
func TestFlips(t *testing.T) {
	for name, fill := range shelf(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, mem := fill()
			k.count()
			base := mem.CrashClone(vfs.CrashCloneCfg{})
			for _, path := range files(base, "/spool") {
				raw := contentOf(t, base, path)
				end := len(bytes.TrimRight(raw, "\x00"))
				if end == 0 {
					continue
				}
				var lost, changed, back, rebuilt int
				n := max(1, places(path)/slow)
				for place := range n {
					where := place*end/n + k.random.IntN(max(1, end/n))
					fs := base.CrashClone(vfs.CrashCloneCfg{})
					put(t, fs, path, where, []byte{raw[where] ^ 0x5a})
					told, err := Verify("/spool", fs)
					a := k.examine(t, fs)
					k.judge(t, base, path, where, a)
					for _, id := range a.lost {
						if err != nil || a.rebuilt && !strings.Contains(told.String(), id.String()) {
							t.Errorf("Verify does not name %s: %v\n%s", id, err, told)
						}
					}
					if err != nil || a.rebuilt && len(told) == 0 {
						t.Errorf("Verify finds nothing: %v", err)
					}
					sound(t, fs, a)
					lost, changed, back = lost+len(a.lost), changed+len(a.changed), back+len(a.back)
					if a.rebuilt {
						rebuilt++
					}
					if t.Failed() {
						t.Fatalf("octet %d of %s", where, path)
					}
				}
				t.Logf("%-60s %7d octets, %2d places: %2d rebuilt, %2d lost, %2d back, %2d changed", path, end, n, rebuilt, lost, back, changed)
			}
		})
	}
}
