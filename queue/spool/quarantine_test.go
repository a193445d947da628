package spool

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// openLogged is openAt with what the log says from warnings on.
func openLogged(t *testing.T, fs vfs.FS) (*Store, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	c := DefaultConfig()
	c.Directory = "/spool"
	s, err := Open(c, fs, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	return s, logs
}

// wait accepts a message, with its entry in the journal, that waits for these recipients.
func wait(t *testing.T, s *Store, content []byte, recipients ...string) queue.ID {
	t.Helper()
	d, err := s.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(content); err != nil {
		t.Fatal(err)
	}
	m := submission(recipients[0])
	for _, r := range recipients[1:] {
		m.Envelope.Recipients = append(m.Envelope.Recipients, submission(r).Envelope.Recipients...)
	}
	work, err := d.Commit(t.Context(), m, []journal.Entry{{Kind: journal.Accepted, Sender: "us@a.example", MessageID: "1@a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Return(work)
	return work[0].ID
}

func entries(t *testing.T, s *Store, q journal.Query) []journal.Entry {
	t.Helper()
	var list []journal.Entry
	for e, err := range s.Journal().Find(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

func overdue(t *testing.T, s *Store, now time.Time) []queue.Owed {
	t.Helper()
	work, err := s.Overdue(t.Context(), now, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return work
}

// rows is how many waiting rows, deadlines and messages in quarantine there are.
func rows(t *testing.T, s *Store) [3]int {
	t.Helper()
	return [3]int{s.count(t, kindWaiting), s.count(t, kindDeadline), s.count(t, kindQuarantine)}
}

// finds says what both ways to lease find, twice, as the first time may mend something.
func finds(t *testing.T, s *Store) (found []queue.ID) {
	t.Helper()
	for range 2 {
		var work []queue.Owed
		work = append(work, lease(t, s, at(1))...)
		work = append(work, overdue(t, s, at(0).AddDate(1, 0, 0))...)
		found = nil
		for _, o := range work {
			found = append(found, o.ID)
		}
		s.Return(work)
	}
	return found
}

// A row of the index that leads to no message goes, and stands in nobody's way.
func TestRowWithoutMessage(t *testing.T) {
	fs := vfs.NewMem()
	s, logs := openLogged(t, fs)
	lost := wait(t, s, []byte("lost"), "a@b.example", "a@c.example")
	kept := wait(t, s, []byte("kept"), "a@b.example")
	if err := s.db.SingleDelete(idKey(kindMessage, lost), nil); err != nil {
		t.Fatal(err)
	}
	if found := finds(t, s); !slices.Equal(found, []queue.ID{kept}) {
		t.Errorf("leased %v, want %v", found, kept)
	}
	if n := rows(t, s); n != [3]int{1, 1, 0} {
		t.Errorf("rows, deadlines, quarantine: %v", n)
	}
	if logs.Len() != 2 {
		t.Errorf("each row that went is named once: %v", logs.All())
	}
	settle(t, s, lease(t, s, at(1))[0], queue.RecipientState{State: queue.Delivered})
	if _, found, err := s.Next(t.Context()); found || err != nil {
		t.Errorf("Next: %v, %v", found, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A row that is not where its message says moves there; also where the right one is there already.
func TestMisplacedRow(t *testing.T) {
	s, logs := openLogged(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	id := wait(t, s, []byte("text"), "a@b.example")
	settle(t, s, lease(t, s, at(1))[0], queue.RecipientState{Due: at(10)})
	right := s.rowsFor(t, "b.example")[0]
	wrong := right
	wrong.due = nanos(at(2))
	b := s.db.NewBatch()
	if err := errors.Join(s.putRows(b, []row{wrong}), b.Commit(nil)); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.lower([]row{wrong}) // nobody knows yet what stands before it
	s.mu.Unlock()
	if work := lease(t, s, at(3)); len(work) != 0 {
		t.Errorf("leased before it is due: %v", work)
	}
	if list := s.rowsFor(t, "b.example"); !slices.Equal(list, []row{right}) {
		t.Errorf("rows %v, want %v", list, right)
	}
	if logs.Len() != 1 {
		t.Errorf("the row is named once: %v", logs.All())
	}
	work := lease(t, s, at(10))
	if len(work) != 1 || work[0].ID != id {
		t.Fatalf("leased %v, want %v", work, id)
	}
	settle(t, s, work[0], queue.RecipientState{State: queue.Delivered})
	if n := rows(t, s); n != [3]int{} {
		t.Errorf("rows, deadlines, quarantine: %v", n)
	}
}

func (s *Store) rowsFor(t *testing.T, d mail.Domain) []row {
	t.Helper()
	var list []row
	if err := s.rowsOf(d, func(r row) { list = append(list, r) }); err != nil {
		t.Fatal(err)
	}
	return list
}

// damages are the ways in which a message can be beyond repair.
func damages() map[string]func(*testing.T, *Store, queue.ID) {
	return map[string]func(*testing.T, *Store, queue.ID){
		"value": spoil,
		"states": func(t *testing.T, s *Store, id queue.ID) {
			if err := s.db.Set(idKey(kindStates, id), []byte("garbage"), nil); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// A damaged message is told of once, with all that is known; it is not tried again, not after a restart either, until a person takes it out.
func TestDamagedMessage(t *testing.T) {
	for name, damage := range damages() {
		for size, content := range map[string][]byte{"inline": []byte("text"), "file": bytes.Repeat([]byte("x"), largestInline+1)} {
			t.Run(name+" "+size, func(t *testing.T) { testDamagedMessage(t, damage, content) })
		}
	}
}

func testDamagedMessage(t *testing.T, damage func(*testing.T, *Store, queue.ID), content []byte) {
	fs := vfs.NewMem()
	s, logs := openLogged(t, fs)
	id := wait(t, s, content, "a@b.example", "a@c.example")
	kept := wait(t, s, []byte("kept"), "a@b.example")
	damage(t, s, id)
	for range 2 {
		if found := finds(t, s); !slices.Equal(found, []queue.ID{kept}) {
			t.Errorf("leased %v, want %v", found, kept)
		}
		if n := rows(t, s); n != [3]int{1, 1, 1} {
			t.Errorf("rows, deadlines, quarantine: %v", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var told *observer.ObservedLogs
		if s, told = openLogged(t, fs); told.Len() > 0 {
			t.Errorf("the next start tells of it: %v", told.All())
		}
	}
	defer func() { _ = s.Close() }()
	if named := logs.FilterField(zap.Stringer("id", id)); logs.Len() != 2 || named.FilterField(zap.String("from", "us@a.example")).Len() != 2 {
		t.Errorf("each of two destinations is named once: %v", logs.All())
	}
	testObituaries(t, s, id)
	testRemovalOfDamage(t, s, fs, id)
}

func testObituaries(t *testing.T, s *Store, id queue.ID) {
	told := entries(t, s, journal.Query{Message: id.String(), Kind: journal.Lost})
	domains := map[mail.Domain]bool{}
	for _, e := range told {
		domains[e.Domain] = e.Sender == "us@a.example" && e.MessageID == "1@a.example" && e.Scope == mail.ScopeLocal && strings.Contains(e.Reason, "damaged")
	}
	if len(told) != 2 || !domains["b.example"] || !domains["c.example"] {
		t.Errorf("the journal tells of it: %+v", told)
	}
	for _, err := range s.Messages(t.Context(), queue.Query{ID: id}) {
		if !errors.Is(err, queue.ErrDamaged) || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("asked for it: %v, want %v", err, queue.ErrDamaged)
		}
	}
	if _, err := s.Change(t.Context(), queue.Query{ID: id}, queue.Retry, at(1)); !errors.Is(err, queue.ErrDamaged) {
		t.Errorf("retry: %v, want %v", err, queue.ErrDamaged)
	}
}

func testRemovalOfDamage(t *testing.T, s *Store, fs vfs.FS, id queue.ID) {
	if n, err := s.Change(t.Context(), queue.Query{ID: id}, queue.Remove, at(1)); n != 1 || err != nil {
		t.Errorf("remove: %d, %v", n, err)
	}
	if n, err := s.Change(t.Context(), queue.Query{ID: id}, queue.Remove, at(1)); n != 0 || err != nil {
		t.Errorf("remove again: %d, %v", n, err)
	}
	if n := s.count(t, kindQuarantine) + s.count(t, kindFile); n != 0 {
		t.Errorf("%d keys of it are left", n)
	}
	if list, err := fs.List("/spool/content"); err != nil || len(list) > 0 {
		t.Errorf("files of content are left: %v, %v", list, err)
	}
	if told := entries(t, s, journal.Query{Message: id.String(), Kind: journal.Removed}); len(told) != 1 {
		t.Errorf("the journal tells of the removal: %+v", told)
	}
}

// A person may take a damaged message out that no lease has found yet.
func TestRemoveDamagedMessage(t *testing.T) {
	for name, damage := range damages() {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s, _ := openLogged(t, fs)
			defer func() { _ = s.Close() }()
			id := wait(t, s, bytes.Repeat([]byte("x"), largestInline+1), "a@b.example")
			damage(t, s, id)
			testRemovalOfDamage(t, s, fs, id)
			if found := finds(t, s); len(found) > 0 {
				t.Errorf("leased %v", found)
			}
			if n := rows(t, s); n != [3]int{} {
				t.Errorf("rows, deadlines, quarantine: %v", n)
			}
		})
	}
}

// unread is a store with three messages that were leased while the second could not be read: such was the trouble. It is told of once.
func unread(t *testing.T, bad error) (s *Store, second queue.ID) {
	t.Helper()
	fs := vfs.NewMem()
	s, _ = openLogged(t, fs)
	wait(t, s, make([]byte, largestInline), "a@b.example")
	second = wait(t, s, make([]byte, largestInline), "a@b.example") // in a block of the table that opening does not read
	wait(t, s, make([]byte, largestInline), "a@b.example")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	trouble := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") {
			return bad
		}
		return nil
	})}
	s, logs := openLogged(t, errorfs.Wrap(fs, trouble))
	t.Cleanup(func() { _ = s.Close() })
	taken, err := s.takeDue(queue.Want{Now: at(1), Most: 10, PerDestination: 10})
	if err != nil || len(taken) != 3 {
		t.Fatal(taken, err)
	}
	trouble.On()
	if work := s.load(taken, nanos(at(1)), func(uint64) bool { return true }); len(work) != 2 {
		t.Fatalf("one of three cannot be read: %v", work)
	}
	trouble.Off()
	if logs.FilterField(zap.Stringer("id", second)).Len() != 1 {
		t.Errorf("it is told once: %v", logs.All())
	}
	return s, second
}

// What cannot be read because of trouble that passes is not damaged: it is read again in a minute.
func TestTroubleThatPasses(t *testing.T) {
	s, second := unread(t, errors.New("too many open files"))
	if work := lease(t, s, at(1)); len(work) > 0 {
		t.Errorf("it is read again at once: %v", work)
	}
	if next, found, err := s.Next(t.Context()); !found || err != nil || !next.Equal(at(2)) {
		t.Errorf("Next: %v, %v, %v; want %v", next, found, err, at(2))
	}
	if work := lease(t, s, at(2)); len(work) != 1 || work[0].ID != second {
		t.Errorf("it is not read again after a minute: %v", work)
	}
}

// What stands in a damaged block is left as it is for the rebuilding at the next start, and is not looked at again and again.
func TestDamagedBlock(t *testing.T) {
	s, second := unread(t, fmt.Errorf("a block is damaged: %w", pebble.ErrCorruption))
	if work := append(lease(t, s, at(600)), overdue(t, s, at(0).AddDate(1, 0, 0))...); len(work) > 0 {
		t.Errorf("it is read again: %v", work)
	}
	if _, found, err := s.Next(t.Context()); found || err != nil {
		t.Errorf("Next: %v, %v", found, err)
	}
	if there, err := s.has(idKey(kindMessage, second)); !there || err != nil {
		t.Errorf("the message is gone: %v", err)
	}
	if n := s.count(t, kindQuarantine); n != 0 {
		t.Errorf("%d messages are in quarantine", n)
	}
}
