package spool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/journal"
	"sternpost/queue"
)

// A row that is not what was written answers nobody.
func TestDamagedKey(t *testing.T) {
	for name, change := range map[string]func(value []byte) []byte{
		"version": func(v []byte) []byte { v[0]++; return v }, "shorter": func(v []byte) []byte { return v[1:] }, "longer": func(v []byte) []byte { return append(v, 0) },
		"empty": func([]byte) []byte { return nil }, "time": func(v []byte) []byte { v[10]++; return v },
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := openAt(t, fs, "/spool")
			if _, err := commit(t, s, keyedLetter("key", 0), nil); err != nil {
				t.Fatal(err)
			}
			key := onceKey(hourOf(nanos(at(0))), "us", "key")
			value, closer, err := s.db.Get(key)
			if err != nil {
				t.Fatal(err)
			}
			keep(t, s, key, change(slices.Clone(value)))
			if err := closer.Close(); err != nil {
				t.Fatal(err)
			}
			if work, err := commit(t, s, keyedLetter("key", 1), nil); !errors.Is(err, errDamaged) || len(work) > 0 {
				t.Errorf("%v, %v", work, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if found, err := Verify("/spool", fs); err != nil || !strings.Contains(found.String(), "an idempotency key is damaged") {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}

// keyedStock is a store with a key for each message: every second one is delivered, and the first ones have expired.
func keyedStock(t *testing.T) (s *Store, mem *vfs.MemFS, ids map[int]queue.ID) {
	t.Helper()
	mem = vfs.NewCrashableMem()
	s = openAt(t, mem, "/spool")
	ids = map[int]queue.ID{}
	stock := newStock(t, s)
	for n := -60; n < 120; n++ {
		work, err := commit(t, s, keyedLetter(fmt.Sprint(n), n), stock.text(9000))
		if err != nil {
			t.Fatal(err)
		}
		ids[n] = work[0].ID
		if n%2 == 0 {
			stock.settle(work[0], journal.Delivered, queue.RecipientState{State: queue.Delivered})
		} else {
			s.Return(work)
		}
	}
	if err := s.Expire(at(24 * 60)); err != nil {
		t.Fatal(err)
	}
	return s, mem, ids
}

// expectKeys compares the answers to all keys. again lists those that are accepted once more.
func expectKeys(t *testing.T, s *Store, ids map[int]queue.ID, again func(n int) bool) {
	t.Helper()
	for n, id := range ids {
		_, err := commit(t, s, keyedLetter(fmt.Sprint(n), 121), nil)
		switch {
		case again(n) && err != nil:
			t.Errorf("%d is refused: %v", n, err)
		case !again(n) && repeats(err) != id:
			t.Errorf("%d: %v, want that it repeats %v", n, err, id)
		}
	}
}

// reopenSpoilt closes a store and opens what a crash leaves of it, with a message damaged in the log, or in a table.
func reopenSpoilt(t *testing.T, s *Store, mem *vfs.MemFS, id queue.ID, inTable bool) (*Store, *observer.ObservedLogs) {
	t.Helper()
	if inTable {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	fs := mem.CrashClone(vfs.CrashCloneCfg{})
	spoilMessage(t, fs, id)
	if inTable { // a start does not read all messages
		s = openAt(t, fs, "/spool")
		if readable(t, s) {
			t.Error("all can be read")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, logs, err := openWatched(fs, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s, logs
}

// A rebuilt store knows the keys of all messages but of those that are missing, and none that had expired.
func TestKeysOfARebuiltStore(t *testing.T) {
	for name, flush := range map[string]bool{"log": false, "tables": true} {
		t.Run(name, func(t *testing.T) {
			s, mem, ids := keyedStock(t)
			s, logs := reopenSpoilt(t, s, mem, ids[33], flush)
			defer func() { _ = s.Close() }()
			if log := logText(logs); !strings.Contains(log, "is rebuilt") || strings.Count(log, "is missing") != 1 || !strings.Contains(log, ids[33].String()) {
				t.Fatal(log)
			}
			expectKeys(t, s, ids, func(n int) bool { return n < 0 || n == 33 })
		})
	}
}

// spoilMessage spoils the content of one message, wherever it stands.
func spoilMessage(t *testing.T, fs vfs.FS, id queue.ID) {
	t.Helper()
	key := idKey(kindMessage, id)
	for _, path := range files(fs, "/spool/store") {
		raw := contentOf(t, fs, path)
		switch {
		case strings.HasSuffix(path, ".log"):
			if n := strings.Index(string(raw), string(key)); n > 0 {
				put(t, fs, path, n+2000, []byte{^raw[n+2000]})
			}
		case strings.HasSuffix(path, ".sst"):
			blocks, _, err := layout(fs, path)
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range blocks.data {
				if from := int(h.Offset); slices.Contains(heldIn(t, fs, path, "m", from, from+1), id) {
					put(t, fs, path, from+int(h.Length)/2, []byte{^raw[from+int(h.Length)/2]})
				}
			}
		}
	}
}

// keysOfAnHour is a store whose keys fill several blocks of a table, all of one hour.
func keysOfAnHour(t *testing.T) (fs vfs.FS, ids map[int]queue.ID) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	s := openAt(t, mem, "/spool")
	ids = map[int]queue.ID{}
	for n := range 600 {
		work, err := commit(t, s, keyedLetter(fmt.Sprint(n), 0), nil)
		if err != nil {
			t.Fatal(err)
		}
		ids[n] = work[0].ID
		s.Return(work)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return mem.CrashClone(vfs.CrashCloneCfg{}), ids
}

// blocksOfKeys lists the keys in each block of a table that has nothing else.
func blocksOfKeys(t *testing.T, fs vfs.FS, path string) (offsets []int, keys [][]string) {
	t.Helper()
	blocks, _, err := layout(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	raw := contentOf(t, fs, path)
	for _, h := range blocks.data {
		var names []string
		all := true
		err := newBlockReader().eachIn(raw[h.Offset:int(h.Offset+h.Length)+blockTrailer], func(e entry) error {
			o, ok := parseOnce(e.key, e.value)
			names, all = append(names, o.key), all && ok
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if all {
			offsets, keys = append(offsets, int(h.Offset+h.Length/2)), append(keys, names)
		}
	}
	return offsets, keys
}

// Damage among the keys is found at the start, and costs no message.
func TestDamageAmongKeys(t *testing.T) {
	fs, ids := keysOfAnHour(t)
	var hit []string
	for _, path := range files(fs, "/spool/store") {
		if !strings.HasSuffix(path, ".sst") {
			continue
		}
		if offsets, keys := blocksOfKeys(t, fs, path); len(offsets) > 2 {
			at := offsets[len(offsets)/2]
			put(t, fs, path, at, []byte{^contentOf(t, fs, path)[at]})
			hit = keys[len(offsets)/2]
		}
	}
	if len(hit) == 0 {
		t.Fatal("no block has keys only")
	}
	s, logs, err := openWatched(fs, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if log := logText(logs); !strings.Contains(log, "is rebuilt") || strings.Contains(log, "is missing") || !strings.Contains(log, "idempotency keys from 2026-01-01T00:00:00Z") {
		t.Error(log)
	}
	if n := s.count(t, kindMessage); n != len(ids) {
		t.Errorf("%d messages, want %d", n, len(ids))
	}
	expectKeys(t, s, ids, func(n int) bool { return slices.Contains(hit, fmt.Sprint(n)) })
}
