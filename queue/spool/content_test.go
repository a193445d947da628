package spool

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/mail"
	"sternpost/queue"
)

// overwrite makes a file of these octets.
func overwrite(t *testing.T, fs vfs.FS, name string, b []byte) {
	t.Helper()
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(bytes.Clone(b)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
}

func read(c mail.Content) ([]byte, error) {
	reading, err := c.Open()
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(reading)
	return b, errors.Join(err, reading.Close())
}

// Content that is not what was accepted is told apart from trouble that passes, and where that can be seen, before the first octet is sent.
func TestDamagedContent(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcde\n"), largestInline/16+1)
	changed := bytes.Clone(content)
	changed[70_000] ^= 1
	for _, damage := range []struct {
		name   string
		file   []byte // nil: there is none
		atOpen bool
	}{
		{"missing", nil, true},
		{"empty", []byte{}, true},
		{"short", content[:len(content)-1], true},
		{"long", append(bytes.Clone(content), '!'), true},
		{"changed", changed, false},
	} {
		t.Run(damage.name, func(t *testing.T) {
			fs := vfs.NewMem()
			s := openAt(t, fs, "/spool")
			defer func() { _ = s.Close() }()
			work, err := accept(t, s, content)
			if err != nil {
				t.Fatal(err)
			}
			name := contentPath(fs, "/spool", s.files.Load())
			if err := fs.Remove(name); err != nil {
				t.Fatal(err)
			}
			if damage.file != nil {
				overwrite(t, fs, name, damage.file)
			}
			reading, err := work[0].Content.Open()
			if !damage.atOpen && err == nil {
				_, err = io.Copy(io.Discard, reading)
			}
			if !errors.Is(err, queue.ErrDamaged) {
				t.Errorf("got %v, want %v", err, queue.ErrDamaged)
			}
		})
	}
}

// A reader who comes when the message has left is told so, and not that something is damaged.
func TestContentOfASettledMessage(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	work, err := accept(t, s, make([]byte, largestInline+1))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Content(t.Context(), work[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	settle(t, s, work[0], queue.RecipientState{State: queue.Delivered})
	if _, err := c.Open(); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("got %v, want %v", err, queue.ErrNotFound)
	}
}

func TestInlineContentIsDamaged(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	work, err := accept(t, s, []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Content(t.Context(), work[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, s, work[0].ID)
	if _, err := c.Open(); !errors.Is(err, queue.ErrDamaged) {
		t.Errorf("got %v, want %v", err, queue.ErrDamaged)
	}
}

// spoil changes one octet of the value of a message.
func spoil(t *testing.T, s *Store, id queue.ID) {
	t.Helper()
	value, closer, err := s.db.Get(idKey(kindMessage, id))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(value)
	changed[len(changed)/2] ^= 1
	b := s.db.NewBatch()
	err = errors.Join(closer.Close(), b.SingleDelete(idKey(kindMessage, id), nil), b.Set(idKey(kindMessage, id), changed, nil), b.Commit(nil))
	if err != nil {
		t.Fatal(err)
	}
}

// At the start files that no message owns are removed, strange ones are left, and a number that was ever owned is not given again.
func TestSweepContent(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "/spool")
	large := bytes.Repeat([]byte("x"), largestInline+1)
	var ids []queue.ID
	for range 3 {
		work, err := accept(t, s, large)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, work[0].ID)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"2f", "readme"} {
		overwrite(t, fs, "/spool/content/"+name, []byte("text"))
	}
	if err := fs.Remove("/spool/content/3"); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	c := DefaultConfig()
	c.Directory = "/spool"
	s, err := Open(c, fs, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	for name, kept := range map[string]bool{"1": true, "2": true, "2f": false, "readme": true} {
		if _, err := fs.Stat("/spool/content/" + name); (err == nil) != kept {
			t.Errorf("%s: kept is %v, want %v", name, err == nil, kept)
		}
	}
	if logs.FilterField(zap.String("file", "readme")).Len() != 1 {
		t.Errorf("the strange file is not named: %v", logs.All())
	}
	if n := s.files.Load(); n != 0x2f {
		t.Errorf("the last number is %x, want that of the highest file", n)
	}
	if err := errors.Join(s.Close(), fs.Remove("/spool/content/2"), fs.Remove("/spool/content/1")); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	if n := s.files.Load(); n != 3 {
		t.Errorf("the last number is %d, want that of the last owner", n)
	}
	if work, err := accept(t, s, large); err != nil || len(work) != 1 {
		t.Fatal(work, err)
	}
	for _, id := range ids {
		c, err := s.Content(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(c); !errors.Is(err, queue.ErrDamaged) {
			t.Errorf("the content of %s, whose file is missing: %v", id, err)
		}
	}
}
