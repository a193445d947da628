package spool

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/queue"
)

// contents is all that stands on a disk.
func contents(t *testing.T, fs vfs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range files(fs, "/spool") {
		all[path] = string(contentOf(t, fs, path))
	}
	return all
}

// Keys that do not fit together are named, each by itself.
func TestVerifyNamesWhatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, s *Store, fs vfs.FS, r row)
		want  string
	}{
		"row": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			drop(t, s, r.key(), r.deadlineKey())
		}, "has no waiting row for b.example"},
		"message": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			drop(t, s, idKey(kindMessage, r.id))
		}, "waits for b.example, but there is no such message"},
		"hint": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			drop(t, s, r.hint())
		}, "no hint leads to what waits for b.example"},
		"late hint": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			drop(t, s, r.hint())
			keep(t, s, hintKey(r.due+1e9, r.destination), nil)
		}, "no hint leads to what waits for b.example"},
		"deadline": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			drop(t, s, r.deadlineKey())
		}, "its deadline for b.example is missing"},
		"stray deadline": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			r.due++
			keep(t, s, r.deadlineKey(), r.middle(false))
		}, "has a deadline, but does not wait for b.example"},
		"owner": {func(t *testing.T, s *Store, _ vfs.FS, _ row) {
			drop(t, s, fileKey(1))
		}, "its content file 1 belongs to nobody"},
		"owned": {func(t *testing.T, s *Store, _ vfs.FS, _ row) {
			keep(t, s, fileKey(7), idKey(kindMessage, 99<<idSpare)[1:])
		}, "owns the content file 7, but there is no such message"},
		"content": {func(t *testing.T, s *Store, fs vfs.FS, _ row) {
			if err := fs.Remove("/spool/content/1"); err != nil {
				t.Fatal(err)
			}
		}, "content file 1: "},
		"stray content": {func(t *testing.T, s *Store, fs vfs.FS, _ row) {
			if err := writeFile(fs, "/spool/content/9", []byte("x")); err != nil {
				t.Fatal(err)
			}
		}, "the content file 9 belongs to no message"},
		"states": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			keep(t, s, idKey(kindStates, r.id), []byte{version, 99})
		}, "states: is damaged"},
		"entry": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			keep(t, s, append(entryPrefix(1), cursor(1, 1)...), []byte{version, 99})
		}, "an entry of the journal: is damaged"},
		"idempotency key": {func(t *testing.T, s *Store, _ vfs.FS, r row) {
			keep(t, s, onceKey(7, "us", "key"), once{id: r.id, received: 8 * uint64(time.Hour)}.value())
		}, "an idempotency key is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := openAt(t, fs, "/spool")
			work, err := accept(t, s, make([]byte, largestInline+1))
			if err != nil {
				t.Fatal(err)
			}
			s.Return(work)
			var rows []row
			if err := s.rowsOf("b.example", func(r row) { rows = append(rows, r) }); err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
			c.spoil(t, s, fs, rows[0])
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			found, err := Verify("/spool", fs)
			if err != nil || !strings.Contains(found.String(), c.want) {
				t.Errorf("found %v, want %q: %v", found, c.want, err)
			}
		})
	}
}

func drop(t *testing.T, s *Store, keys ...[]byte) {
	t.Helper()
	for _, key := range keys {
		if err := s.db.Delete(key, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
}

func keep(t *testing.T, s *Store, key, value []byte) {
	t.Helper()
	if err := s.db.Set(key, value, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// Verify changes nothing, also where there is much to be done.
func TestVerifyChangesNothing(t *testing.T) {
	for name, fill := range shelf(t) {
		t.Run(name, func(t *testing.T) {
			k, mem := fill()
			k.count()
			for _, damaged := range []bool{false, true} {
				fs := mem.CrashClone(vfs.CrashCloneCfg{})
				for _, path := range files(fs, "/spool/store") {
					if raw := contentOf(t, fs, path); damaged && len(raw) > 0 {
						put(t, fs, path, len(raw)/3, []byte{^raw[len(raw)/3]})
					}
				}
				before := contents(t, fs)
				found, err := Verify("/spool", fs)
				if err != nil || (len(found) > 0) != damaged {
					t.Errorf("damaged %v: found %v, %v", damaged, found, err)
				}
				if after := contents(t, fs); fmt.Sprint(after) != fmt.Sprint(before) {
					t.Errorf("damaged %v: the disk has changed", damaged)
				}
			}
		})
	}
}

// Where it cannot look, Verify says why.
func TestVerifyCannotLook(t *testing.T) {
	fs := vfs.NewMem()
	if _, err := Verify("/spool", fs); err == nil || !strings.Contains(err.Error(), "there is no queue in it") {
		t.Errorf("nothing there: %v", err)
	}
	s := openAt(t, fs, "/spool")
	if _, err := Verify("/spool", fs); err == nil || !strings.Contains(err.Error(), "an agent runs on it") {
		t.Errorf("while an agent runs: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := Verify("/spool", fs); err != nil || len(found) > 0 {
		t.Errorf("an empty store: %v, %v", found, err)
	}
}

// What was set aside while an agent ran is named until a person removes it.
func TestVerifyNamesQuarantine(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "/spool")
	id := wait(t, s, make([]byte, largestInline+1), "a@b.example", "c@d.example")
	spoil(t, s, id)
	lease(t, s, later())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := Verify("/spool", fs)
	if err != nil || len(found) != 1 || found[0].Message != id || !strings.Contains(found[0].What, "was set aside") {
		t.Errorf("found %v, %v", found, err)
	}
	s = openAt(t, fs, "/spool")
	if n, err := s.Change(t.Context(), queue.Query{ID: id}, queue.Remove, later()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if found, err := Verify("/spool", fs); err != nil || len(found) > 0 {
		t.Errorf("after its removal: %v, %v", found, err)
	}
}
