package spool

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/queue"
)

// heldAt lists the messages of which a table keeps something in the block at an offset.
func heldAt(t *testing.T, fs vfs.FS, path string, at int) []queue.ID {
	t.Helper()
	blocks, _, err := layout(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	raw := contentOf(t, fs, path)
	var ids []queue.ID
	for _, h := range blocks.data {
		end := int(h.Offset+h.Length) + blockTrailer
		if at < int(h.Offset) || at >= end {
			continue
		}
		err := newBlockReader().eachIn(raw[h.Offset:end], func(e entry) error {
			if len(e.key) == messageKeyLength && (e.key[0] == kindMessage || e.key[0] == kindStates) {
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
		held := heldAt(t, base, path, at)
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
		return 24
	default:
		return 6
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
				for place := range places(path) {
					where := place*end/places(path) + k.random.IntN(max(1, end/places(path)))
					fs := base.CrashClone(vfs.CrashCloneCfg{})
					put(t, fs, path, where, []byte{raw[where] ^ 0x5a})
					a := k.examine(t, fs)
					k.judge(t, base, path, where, a)
					sound(t, fs, a)
					lost, changed, back = lost+len(a.lost), changed+len(a.changed), back+len(a.back)
					if a.rebuilt {
						rebuilt++
					}
					if t.Failed() {
						t.Fatalf("octet %d of %s", where, path)
					}
				}
				t.Logf("%-60s %7d octets, %2d places: %2d rebuilt, %2d lost, %2d back, %2d changed", path, end, places(path), rebuilt, lost, back, changed)
			}
		})
	}
}
