package spool

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// specimen is the content of a store's first file with an ending, small enough for a fuzzer.
func specimen(t testing.TB, ending string, letters, size int) (name string, raw []byte) {
	t.Helper()
	fs := vfs.NewMem()
	k := newStock(t, openAt(t, fs, "/spool"))
	k.fill(letters, size)
	if ending == ".sst" {
		if err := k.s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range files(fs, "/spool/store") {
		if raw = bytes.TrimRight(contentOf(t, fs, path), "\x00"); strings.HasSuffix(path, ending) && len(raw) > 500 {
			if err := k.s.Close(); err != nil {
				t.Fatal(err)
			}
			if ending == ".log" {
				raw = append(raw, make([]byte, 100)...) // a record may end in zeros
			}
			return fs.PathBase(path), raw
		}
	}
	t.Fatal("no file with " + ending)
	return "", nil
}

// inspectionOf is one of a single file.
func inspectionOf(t testing.TB, name string, raw []byte) *inspection {
	t.Helper()
	fs := vfs.NewMem()
	if err := writeFile(fs, name, raw); err != nil {
		t.Fatal(err)
	}
	i := &inspection{fs: fs}
	if strings.HasSuffix(name, ".log") {
		i.logs = []string{name}
	}
	return i
}

func recordsOf(t testing.TB, name string, raw []byte) (records [][]byte, i *inspection) {
	t.Helper()
	i = inspectionOf(t, name, raw)
	err := i.log(name, func(record []byte, sound bool) error {
		if sound {
			records = append(records, bytes.Clone(record))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, i
}

// One octet of a log is wrong: all other records are read.
func TestLogReadsOn(t *testing.T) {
	name, raw := specimen(t, ".log", 8, 700)
	whole, i := recordsOf(t, name, raw)
	if len(whole) < 10 || len(i.found)+len(i.torn) > 0 {
		t.Fatalf("%d records, found %v, %v", len(whole), i.found, i.torn)
	}
	end := len(bytes.TrimRight(raw, "\x00"))
	for at := range end {
		if at%(7*slow) > 0 && at < end-600/slow {
			continue // it takes long
		}
		broken := bytes.Clone(raw)
		broken[at] ^= 0x11
		records, i := recordsOf(t, name, broken)
		if len(records) != len(whole)-1 || len(i.found)+len(i.torn) != 1 {
			t.Fatalf("octet %d: %d of %d records, found %v, %v", at, len(records), len(whole), i.found, i.torn)
		}
		for _, r := range records {
			if !slices.ContainsFunc(whole, func(w []byte) bool { return bytes.Equal(w, r) }) {
				t.Fatalf("octet %d: a record is not what was written", at)
			}
		}
	}
}

// A log that was closed in order ends in a trailer: what is wrong before it is damage, also in the newest log.
func TestClosedLog(t *testing.T) {
	name, raw := specimen(t, ".log", 8, 700)
	end := len(bytes.TrimRight(raw, "\x00"))
	number := logNumber(name)
	closed := slices.Concat(raw[:end+3], []byte{0, 0, 0, 0, 0, 0, wholeChunk}, binary.LittleEndian.AppendUint32(nil, number+1), raw[:2000])
	whole, _ := recordsOf(t, name, raw)
	for at := end - 300; at < end; at++ {
		broken := bytes.Clone(closed)
		broken[at] ^= 0x11
		if records, i := recordsOf(t, name, broken); len(records) != len(whole)-1 || len(i.found) != 1 || i.found[0].to > int64(end+10) {
			t.Fatalf("octet %d: %d of %d records, found %v", at, len(records), len(whole), i.found)
		}
	}
}

// A log is used again under another number: what an older one has left in it is its end and not damage.
func TestOldLifeOfALog(t *testing.T) {
	name, raw := specimen(t, ".log", 8, 700)
	whole, _ := recordsOf(t, name, raw)
	cut := len(raw) / 2
	old := bytes.Clone(raw[cut:])
	number := logNumber(name)
	for i := 0; i+logHeader <= len(old); i++ {
		if headerOf(old[i+6]) > 0 && binary.LittleEndian.Uint32(old[i+plainHeader:]) == number {
			binary.LittleEndian.PutUint32(old[i+plainHeader:], number-1)
		}
	}
	records, i := recordsOf(t, name, slices.Concat(raw[:cut], old))
	if len(records) == 0 || len(records) >= len(whole) || len(i.found) > 0 {
		t.Errorf("%d of %d records, found %v", len(records), len(whole), i.found)
	}
}

func keysOf(t testing.TB, name string, raw []byte) (keys []string, i *inspection) {
	t.Helper()
	i = inspectionOf(t, name, raw)
	_, err := i.data(name, func(e entry) error {
		keys = append(keys, string(e.key))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, i
}

// Without its index a table is read by the checksums of its blocks, past one that is damaged too.
func TestTableWithoutIndex(t *testing.T) {
	name, raw := specimen(t, ".sst", 8, 700)
	whole, i := keysOf(t, name, raw)
	if len(whole) < 50 || len(i.found) > 0 {
		t.Fatalf("%d keys, found %v", len(whole), i.found)
	}
	blocks, _, err := layout(i.fs, name)
	if err != nil {
		t.Fatal(err)
	}
	broken := bytes.Clone(raw)
	clear(broken[len(broken)-60:])
	if keys, i := keysOf(t, name, broken); !slices.Equal(keys, whole) || len(i.found) != 1 {
		t.Errorf("without its footer: %d of %d keys, found %v", len(keys), len(whole), i.found)
	}
	for n, h := range blocks.data[:len(blocks.data)-1] {
		broken := bytes.Clone(broken)
		broken[h.Offset+h.Length/2] ^= 1
		inBlock := 0
		err := newBlockReader().eachIn(raw[h.Offset:h.Offset+h.Length+blockTrailer], func(entry) error {
			inBlock++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if keys, i := keysOf(t, name, broken); len(keys) != len(whole)-inBlock || len(i.found) != 2 {
			t.Errorf("without block %d: %d of %d keys, in it are %d, found %v", n, len(keys), len(whole), inBlock, i.found)
		}
	}
}

// What is not a manifest to its end is found, wherever it is not.
func TestManifest(t *testing.T) {
	fs := vfs.NewMem()
	if err := openAt(t, fs, "/spool").Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range files(fs, "/spool/store") {
		if !strings.Contains(path, "/MANIFEST-") {
			continue
		}
		raw := contentOf(t, fs, path)
		if err := soundManifest(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
		for at := range raw {
			broken := bytes.Clone(raw)
			broken[at] ^= 0x11
			if soundManifest(bytes.NewReader(broken)) == nil {
				t.Errorf("octet %d of %s", at, path)
			}
		}
	}
}

// Whatever stands in a log, reading it does not panic.
func FuzzLog(f *testing.F) {
	name, raw := specimen(f, ".log", 2, 50)
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, raw []byte) {
		i := inspectionOf(t, name, raw)
		err := i.log(name, func(record []byte, _ bool) error {
			_, err := eachEntry(record, func(e entry) error {
				_ = describe(e.key)
				return nil
			})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range slices.Concat(i.found, i.torn) {
			if d.from >= d.to || d.to > int64(len(raw))+1 {
				t.Errorf("a log of %d octets is damaged at %v", len(raw), d)
			}
		}
	})
}

// Whatever stands in a table, reading it does not panic, with its index or without.
func FuzzTable(f *testing.F) {
	name, raw := specimen(f, ".sst", 2, 50)
	f.Add(raw)
	f.Add(raw[:len(raw)/2])
	f.Add(raw[500:])
	f.Fuzz(func(t *testing.T, raw []byte) {
		keysOf(t, name, raw)
	})
}
