package spool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"sternpost/journal"
)

// writeAt writes an entry about a message as if it happened at a time, in the volume of that day.
func writeAt(t *testing.T, s *Store, when time.Time, id string) {
	t.Helper()
	at := nanos(when)
	b := s.db.NewBatch()
	e := journal.Entry{Kind: journal.Failed, Message: id, Recipient: "a@b.example", Sender: "us@a.example", Domain: "b.example", Code: 550, Reason: "no"}
	if err := errors.Join(putEntry(b, e, flight{at: at, volume: at - at%day}, 0), b.Commit(nil)); err != nil {
		t.Fatal(err)
	}
}

// tell writes a thousand entries about one message each, of about 200 octets that do not compress.
func tell(t *testing.T, s *Store, random *rand.Rand, from int) {
	t.Helper()
	for n := range 10 {
		var list []journal.Entry
		for i := range 100 {
			reason := make([]byte, 100)
			for j := range reason {
				reason[j] = byte(random.Uint32())
			}
			list = append(list, journal.Entry{Kind: journal.Delivered, Message: fmt.Sprint(from + 100*n + i), Recipient: "a@b.example", Reason: string(reason)})
		}
		if err := s.commitWithEntries(s.db.NewBatch(), list); err != nil {
			t.Fatal(err)
		}
	}
}

// octets is how much the journal really holds, before it is compressed.
func octets(t *testing.T, s *Store) (n int) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kindJournal}, UpperBound: []byte{kindJournal + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n += len(it.Key()) + len(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// inTables is how much of the disk the journal takes when all of it is in tables.
func inTables(t *testing.T, s *Store) (n uint64) {
	t.Helper()
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	list, err := s.volumes()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		size, err := s.db.EstimateDiskUsage(volumePrefix(v), after(volumePrefix(v)))
		if err != nil {
			t.Fatal(err)
		}
		n += size
	}
	return n
}

func expire(t *testing.T, s *Store, now time.Time) {
	t.Helper()
	if err := s.Expire(now); err != nil {
		t.Fatal(err)
	}
}

func TestOldEntriesExpire(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for days := range 40 {
		writeAt(t, s, now.AddDate(0, 0, -days), fmt.Sprint(days))
	}
	expire(t, s, now)
	if n := len(entries(t, s, journal.Query{})); n != 31 {
		t.Errorf("%d days are kept, want today and 30 before", n)
	}
	if n := len(entries(t, s, journal.Query{Recipient: "a@b.example"})); n != 31 {
		t.Errorf("%d days are found by the index", n)
	}
	if n := len(entries(t, s, journal.Query{Message: "31"})); n != 0 {
		t.Error("what is 31 days old is kept")
	}
	expire(t, s, now.AddDate(0, 0, 31))
	if n := octets(t, s); n != 0 {
		t.Errorf("%d octets are kept a month after the last entry", n)
	}
}

// An agent that is idle keeps nothing longer, and goes on in a new volume.
func TestLastVolumeExpires(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	random := rand.New(rand.NewPCG(1, 1))
	tell(t, s, random, 0)
	expire(t, s, time.Now().AddDate(0, 0, 29))
	if n := len(entries(t, s, journal.Query{})); n != 1000 {
		t.Errorf("%d entries after 29 days, want 1000", n)
	}
	expire(t, s, time.Now().AddDate(0, 0, 32))
	if n := octets(t, s); n != 0 {
		t.Errorf("%d octets after 32 days", n)
	}
	tell(t, s, random, 1000)
	if n := len(entries(t, s, journal.Query{})); n != 1000 {
		t.Errorf("%d new entries are found, want 1000", n)
	}
}

// The journal stays within its size though all of it is of today, whether it is in tables already or not.
func TestLargeJournalExpires(t *testing.T) {
	c := DefaultConfig()
	c.Directory, c.JournalBytes = "/spool", 2<<20
	fs := vfs.NewMem()
	for _, memtable := range []uint64{1 << 30, 16 << 20} { // 32 MiB and 512 KiB
		fs.TestingSetDiskUsage(vfs.DiskUsage{TotalBytes: memtable, AvailBytes: memtable})
		s, err := Open(c, fs, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 1))
		for n := range 30 {
			tell(t, s, random, 1000*n)
			if got := octets(t, s); got > 4<<20 { // tables are smaller
				t.Errorf("the journal holds %d octets, the bound is %d", got, c.JournalBytes)
			}
		}
		if got := inTables(t, s); got > 5<<19 || got < 1<<20 {
			t.Errorf("the journal takes %d octets, the bound is %d", got, c.JournalBytes)
		}
		if n := len(entries(t, s, journal.Query{Message: "29999"})); n != 1 {
			t.Error("the last entry is gone")
		}
		if n := len(entries(t, s, journal.Query{Message: "0"})); n != 0 {
			t.Error("the first entry is kept")
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The bound holds for what was there before, as when the operator lowers it.
func TestLoweredBound(t *testing.T) {
	fs := vfs.NewMem()
	c := DefaultConfig()
	c.Directory, c.JournalBytes = "/spool", 8<<20
	s, err := Open(c, fs, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for n := range 40 {
		tell(t, s, random, 1000*n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c.JournalBytes = 2 << 20
	if s, err = Open(c, fs, zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	before := inTables(t, s)
	expire(t, s, time.Now())
	if got := inTables(t, s); before < 4<<20 || got > 2<<20 || got < 1<<20 {
		t.Errorf("%d of %d octets are kept, the bound is %d", got, before, c.JournalBytes)
	}
}

// Retention deletes a range: it does not look at the entries, so it costs the same however many there are.
func TestRetentionReadsNoEntries(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, fs, "/spool")
	random := rand.New(rand.NewPCG(1, 1))
	for n := range 20 {
		tell(t, s, random, 1000*n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, fs, "/spool")
	defer func() { _ = s.Close() }()
	blocks := func() int64 {
		m := s.db.Metrics()
		return m.BlockCache.Hits + m.BlockCache.Misses
	}
	before := blocks()
	if n := len(entries(t, s, journal.Query{})); n != 20_000 {
		t.Fatalf("%d entries", n)
	}
	reading := blocks() - before
	before = blocks()
	written := s.db.Metrics().WAL.BytesWritten
	expire(t, s, time.Now().AddDate(0, 0, 32))
	if n := blocks() - before; n > reading/10 {
		t.Errorf("%d blocks are read, and %d when all entries are", n, reading)
	}
	if n := s.db.Metrics().WAL.BytesWritten - written; n > 1000 {
		t.Errorf("%d octets are written to delete 20,000 entries", n)
	}
	if n := octets(t, s); n != 0 {
		t.Errorf("%d octets are left", n)
	}
}

// One damaged entry is named in the log and hides none behind it.
func TestDamagedEntry(t *testing.T) {
	s, logs := openLogged(t, vfs.NewMem())
	defer func() { _ = s.Close() }()
	var list []journal.Entry
	for i := range 5 {
		list = append(list, journal.Entry{Kind: journal.Delivered, Message: fmt.Sprint(i % 2), Recipient: "a@b.example", Reason: fmt.Sprint(i)})
	}
	if err := s.commitWithEntries(s.db.NewBatch(), list); err != nil {
		t.Fatal(err)
	}
	place := cursor(s.diary.last, 2)
	if err := s.db.Set(append(entryPrefix(s.diary.volume), place...), []byte("garbage"), nil); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		query journal.Query
		want  string
	}{
		{journal.Query{}, "[0 1 3 4]"},
		{journal.Query{Newest: true}, "[4 3 1 0]"},
		{journal.Query{Message: "0"}, "[0 4]"},
		{journal.Query{Recipient: "a@b.example", Limit: 3}, "[0 1 3]"},
	} {
		var got []string
		for _, e := range entries(t, s, test.query) {
			got = append(got, e.Reason)
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%+v: %v, want %s", test.query, got, test.want)
		}
	}
	if named := logs.FilterField(zap.Uint32("seq", 2)); named.Len() != 4 || logs.Len() != 4 {
		t.Errorf("each search names it: %v", logs.All())
	}
}
