package spool

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/journal"
	"sternpost/mail"
	"sternpost/queue"
)

// later is when all that waits is due.
func later() time.Time { return time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC) }

// stock is a store that is filled, and what it owes.
type stock struct {
	t      testing.TB
	s      *Store
	random *rand.Rand
	alive  map[queue.ID]queue.Message
	n      int
}

func newStock(t testing.TB, s *Store) *stock {
	return &stock{t: t, s: s, random: rand.New(rand.NewPCG(1, 1)), alive: map[queue.ID]queue.Message{}}
}

// letter is a submission to one recipient, or to three of two destinations.
func (k *stock) letter() queue.Submission {
	s := submission(fmt.Sprintf("u%d@d%d.example", k.n, k.n%5))
	if k.n%7 == 3 {
		for _, to := range []string{"second@d1.example", "third@d1.example"} {
			s.Envelope.Recipients = append(s.Envelope.Recipients, submission(to).Envelope.Recipients...)
		}
	}
	s.Sender = fmt.Sprintf("s%d", k.n%3)
	s.MessageID = fmt.Sprintf("%d@us.example", k.n)
	s.Received = s.Received.Add(time.Duration(k.n) * time.Second)
	s.Notice = s.Received.Add(4 * time.Hour)
	return s
}

// text is content that does not compress, but for its beginning.
func (k *stock) text(size int) []byte {
	b := bytes.Repeat([]byte("Subject: x\r\n"), size/12+1)[:size]
	for i := size / 4; i < size; i++ {
		b[i] = byte(k.random.Uint32())
	}
	return b
}

func (k *stock) accept(size int) []queue.Owed {
	k.t.Helper()
	d, err := k.s.Begin(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	if _, err := d.Write(k.text(size)); err != nil {
		k.t.Fatal(err)
	}
	l := k.letter()
	k.n++
	work, err := d.Commit(k.t.Context(), l, []journal.Entry{{Kind: journal.Accepted, Sender: "s", MessageID: l.MessageID}})
	if err != nil {
		k.t.Fatal(err)
	}
	return work
}

// settle ends or defers the work of one destination, as the queue does.
func (k *stock) settle(o queue.Owed, kind journal.Kind, state queue.RecipientState) {
	k.t.Helper()
	w := queue.Settlement{ID: o.ID, Destination: o.Destination, States: map[int]queue.RecipientState{}}
	for _, i := range o.Indices {
		w.States[i] = state
		w.Entries = append(w.Entries, journal.Entry{Kind: kind, Recipient: o.Envelope.Recipients[i].Address.String(), Domain: o.Destination, Code: 250})
	}
	if state.State == queue.Failed {
		w.Reports = []queue.Spawned{{Submission: submission("sender@us.example"), Content: []byte("failed")}}
		w.Reports[0].Origin, w.Reports[0].Received = o.ID, o.Received
	}
	if !state.Noticed {
		w.Deadline = o.Received.Add(4 * time.Hour)
	}
	if err := k.s.Settle(k.t.Context(), []queue.Settlement{w}); err != nil {
		k.t.Fatal(err)
	}
}

// fill accepts n messages: some deferred, held, settled in part or as a whole, some with files.
func (k *stock) fill(n, size int) {
	k.t.Helper()
	deferred := queue.RecipientState{Attempts: 1, Due: at(60 * 24), Last: mail.Outcome{Disposition: mail.Deferred, Reason: "busy"}}
	noticed := deferred
	noticed.Noticed = true
	for range n {
		step, octets := k.n%10, size
		if k.n%25 == 9 {
			octets += largestInline
		}
		work := k.accept(octets)
		switch step {
		case 1:
			k.settle(work[0], journal.Deferred, deferred)
		case 2, 3:
			k.settle(work[0], journal.Delivered, queue.RecipientState{State: queue.Delivered})
		case 5:
			k.settle(work[0], journal.Deferred, queue.RecipientState{State: queue.Held})
		case 6:
			k.settle(work[0], journal.Failed, queue.RecipientState{State: queue.Failed, Reported: true})
		case 7:
			k.settle(work[0], journal.Deferred, noticed)
		}
		k.s.Return(work)
	}
}

// count notes what the store owes.
func (k *stock) count() {
	k.alive = map[queue.ID]queue.Message{}
	for m, err := range k.s.Messages(k.t.Context(), queue.Query{}) {
		if err != nil {
			k.t.Fatal(err)
		}
		k.alive[m.ID] = m
	}
}

// files lists all files below a directory.
func files(fs vfs.FS, directory string) []string {
	var list []string
	names, _ := fs.List(directory)
	slices.Sort(names)
	for _, name := range names {
		path := fs.PathJoin(directory, name)
		if info, err := fs.Stat(path); err == nil && info.IsDir() {
			list = append(list, files(fs, path)...)
		} else {
			list = append(list, path)
		}
	}
	return list
}

func contentOf(t testing.TB, fs vfs.FS, path string) []byte {
	t.Helper()
	b, err := readAll(fs, path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// put overwrites octets of a file.
func put(t testing.TB, fs vfs.FS, path string, at int, b []byte) {
	t.Helper()
	file, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt(bytes.Clone(b), int64(at)); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// aftermath is what is left after damage.
type aftermath struct {
	// lost are gone, back were settled before, changed have other states, and of unreadable ones the content is damaged.
	lost, back, changed, unreadable []queue.ID
	rebuilt                         bool
	log                             string
}

// openWatched is Open at /spool with what the log says.
func openWatched(fs vfs.FS, level zapcore.Level) (*Store, *observer.ObservedLogs, error) {
	core, logs := observer.New(level)
	c := DefaultConfig()
	c.Directory = "/spool"
	s, err := Open(c, fs, zap.New(core))
	return s, logs, err
}

func logText(logs *observer.ObservedLogs) string {
	text := ""
	for _, e := range logs.All() {
		text += fmt.Sprintln(e.Message, e.ContextMap())
	}
	return text
}

// examine opens a damaged store and takes all its mail out. Where reading finds damage, it is opened once more.
func (k *stock) examine(t *testing.T, fs vfs.FS) aftermath {
	t.Helper()
	a := k.look(t, fs)
	if there, _ := exists(fs, "/spool/store/"+markerFile); there {
		before := a.log
		a = k.look(t, fs)
		a.log = before + a.log
	}
	return a
}

func (k *stock) look(t *testing.T, fs vfs.FS) (a aftermath) {
	t.Helper()
	s, logs, err := openWatched(fs, zapcore.WarnLevel)
	if err != nil {
		t.Fatal(err)
	}
	if !readable(t, s) {
		// What can be read is delivered all the same. The next start rebuilds.
		lease(t, s, later())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		a.log = logText(logs)
		return a
	}
	for m, err := range s.Messages(t.Context(), queue.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if was, known := k.alive[m.ID]; !known {
			a.back = append(a.back, m.ID)
		} else if !reflect.DeepEqual(m, was) {
			a.changed = append(a.changed, m.ID)
		}
	}
	got := k.drain(t, s, &a)
	for id, m := range k.alive {
		// A report goes with the failure that it tells of, where that is not recorded any more: both come again.
		owedAgain := m.Origin != 0 && slices.Contains(slices.Concat(a.back, a.changed), m.Origin)
		if !got[id] && !owedAgain {
			a.lost = append(a.lost, id)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	a.log = logText(logs)
	a.rebuilt = strings.Contains(a.log, "is rebuilt")
	return a
}

// readable says whether all messages and all of the journal can be read.
func readable(t *testing.T, s *Store) bool {
	t.Helper()
	whole := true
	for _, kind := range []byte{kindJournal, kindMessage} {
		it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
		if err != nil {
			t.Fatal(err)
		}
		for ok := it.First(); ok; ok = it.Next() {
			continue
		}
		whole = it.Close() == nil && whole
	}
	return whole
}

// drain leases all there is, held and suspended work too.
func (k *stock) drain(t *testing.T, s *Store, a *aftermath) map[queue.ID]bool {
	t.Helper()
	if _, found, err := s.Next(t.Context()); err != nil || found != (s.count(t, kindWaiting) > 0) {
		t.Fatal("Next: ", found, err)
	}
	if _, err := s.Change(t.Context(), queue.Query{Held: true}, queue.Release, at(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Suspend(t.Context(), "", time.Time{}); err != nil {
		t.Fatal(err)
	}
	got := map[queue.ID]bool{}
	work := lease(t, s, later())
	for _, o := range work {
		r, err := o.Content.Open()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			a.unreadable = append(a.unreadable, o.ID)
		}
		got[o.ID] = true
	}
	s.Return(work)
	overdue, err := s.Overdue(t.Context(), later(), 1000)
	if err != nil || len(overdue) != len(work) {
		t.Errorf("%d are due and %d overdue: %v", len(work), len(overdue), err)
	}
	return got
}

// sound fails unless nothing is wrong with the store any more, but for messages that are known to be damaged.
func sound(t *testing.T, fs vfs.FS, a aftermath) {
	t.Helper()
	found, err := Verify("/spool", fs)
	found = slices.DeleteFunc(found, func(p Problem) bool {
		return slices.Contains(a.unreadable, p.Message) || slices.Contains(a.lost, p.Message)
	})
	if err != nil || len(found) > 0 {
		t.Errorf("after the start: %v\n%s", err, found)
	}
	s, logs, err := openWatched(fs, zapcore.WarnLevel)
	if err != nil || logs.Len() > 0 {
		t.Fatalf("the second start: %v\n%s", err, logText(logs))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// smallDisk makes small memtables, so that there are tables.
func smallDisk() *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: 16 << 20, AvailBytes: 16 << 20})
	return fs
}

// shelf makes the stores of the tests.
func shelf(t *testing.T) map[string]func() (*stock, *vfs.MemFS) {
	return map[string]func() (*stock, *vfs.MemFS){
		"newest log": func() (*stock, *vfs.MemFS) {
			fs := vfs.NewCrashableMem()
			k := newStock(t, openAt(t, fs, "/spool"))
			k.fill(50, 2000)
			return k, fs
		},
		"table and log": func() (*stock, *vfs.MemFS) {
			fs := vfs.NewCrashableMem()
			k := newStock(t, openAt(t, fs, "/spool"))
			k.fill(40, 2000)
			if err := k.s.Close(); err != nil {
				t.Fatal(err)
			}
			k.s = openAt(t, fs, "/spool")
			k.fill(10, 2000)
			return k, fs
		},
		"two logs": func() (*stock, *vfs.MemFS) {
			mem := smallDisk()
			k := newStock(t, openAt(t, errorfs.Wrap(mem, noTables()), "/spool"))
			k.fill(50, 15000)
			return k, mem
		},
		"levels": func() (*stock, *vfs.MemFS) {
			fs := smallDisk()
			k := newStock(t, openAt(t, fs, "/spool"))
			for range 2 {
				k.fill(40, 6000)
				suspend(t, k.s, "d1.example", at(60*24*3))
				if err := k.s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
					t.Fatal(err)
				}
			}
			k.fill(110, 6000)
			return k, fs
		},
	}
}

// noTables lets the writing of tables fail, so that logs stay.
func noTables() errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return errorfs.ErrInjected
		}
		return nil
	})
}
