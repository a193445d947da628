package spool

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
	"go.uber.org/zap"

	"sternpost/queue"
)

// Pebble does not notice all damage when it opens: what is behind a flipped bit in its list of files, or in the newest log, is taken for never written, and is gone.
// So the files are looked through before.

// storeFolder is where the engine has its files, below the directory of the queue.
const storeFolder = "store"

// markerFile in the engine's directory says that a running agent found damage.
const markerFile = "rebuild"

// damage is one place in the files of the engine that is not as it was written.
type damage struct {
	file     string
	from, to int64 // octets; to 0: the file as a whole
	what     string
	mentions []queue.ID // messages that what stands there names
}

// String is one line.
func (f damage) String() string {
	text := f.file
	if f.to > 0 {
		text += fmt.Sprintf(", octets %d to %d", f.from, f.to-1)
	}
	text += ": " + f.what
	for i, id := range f.mentions {
		switch i {
		case 0:
			text += "; it names " + id.String()
		case mostMentions:
			return text + fmt.Sprintf(" and %d more", len(f.mentions)-i)
		default:
			text += ", " + id.String()
		}
	}
	return text
}

// mostMentions is how many messages one line names.
const mostMentions = 64

// inspection is what is found out about the engine's files without the engine.
type inspection struct {
	fs           vfs.FS
	directory    string
	tables, logs []string // the files that hold the store, logs from the oldest on
	found        []damage // damage
	torn         []damage // ends of logs that a power cut leaves too
	traces       traces   // what the damaged places say
	options      string   // a file of options that cannot be read
}

// inspect looks through the files of the engine, all but the messages themselves. Its error is that it cannot.
func inspect(fs vfs.FS, directory string) (*inspection, error) {
	i := &inspection{fs: fs, directory: directory}
	names, err := fs.List(directory)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	if slices.Contains(names, markerFile) {
		reason, _ := readAll(fs, fs.PathJoin(directory, markerFile)) // that it is there says enough
		i.add(damage{file: markerFile, what: "the agent could not read on: " + strings.TrimSpace(string(reason))})
	}
	if err := i.list(names); err != nil {
		return nil, err
	}
	i.readOptions(names)
	for _, name := range i.logs {
		if err := i.log(name, nil); err != nil {
			return nil, err
		}
	}
	for _, name := range i.tables {
		if err := i.table(name); err != nil {
			return nil, err
		}
	}
	return i, nil
}

func (i *inspection) add(f damage) { i.found = append(i.found, f) }

// forget takes back what was found in logs and tables, before they are read once more.
func (i *inspection) forget() {
	again := func(f damage) bool { return slices.Contains(i.logs, f.file) || slices.Contains(i.tables, f.file) }
	i.found, i.torn, i.traces = slices.DeleteFunc(i.found, again), nil, traces{}
}

func (i *inspection) path(name string) string { return i.fs.PathJoin(i.directory, name) }

// list finds out which files hold the store.
func (i *inspection) list(names []string) error {
	manifest, err := i.manifest()
	if err == nil {
		i.tables, i.logs, err = i.live()
	}
	if starved(err) {
		return err
	}
	if err == nil {
		i.missing(names)
		if len(i.logs) == 0 {
			// There is one from the first start on. Without it nobody knows what stood there.
			i.add(damage{file: "log", what: "the newest log is missing"})
		}
		return nil
	}
	i.tables, i.logs = nil, nil // all there are, then
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, ".sst"):
			i.tables = append(i.tables, name)
		case strings.HasSuffix(name, ".log"):
			i.logs = append(i.logs, name)
		}
	}
	slices.SortFunc(i.logs, byNumber)
	what := "the list of files cannot be read: "
	if isMissing(err) {
		what = "the list of files names one that is missing: "
	}
	i.add(damage{file: manifest, what: what + short(err)})
	return nil
}

// manifest reads Pebble's list of files, for which Pebble takes whatever stands before the first damage. It returns the name.
func (i *inspection) manifest() (string, error) {
	description, err := pebble.Peek(i.directory, lookingFS{FS: i.fs})
	if err != nil {
		return "MANIFEST", err
	}
	if !description.Exists {
		return "MANIFEST", errors.New("there is none")
	}
	if description.FormatMajorVersion == pebble.FormatDefault {
		return "marker.format-version", errors.New("their format is not known")
	}
	name := i.fs.PathBase(description.ManifestFilename)
	file, err := i.fs.Open(description.ManifestFilename, vfs.SequentialReadsOption)
	if err != nil {
		return name, err
	}
	return name, errors.Join(soundManifest(file), file.Close())
}

// live asks Pebble which files hold the store, with the logs hidden.
func (i *inspection) live() (tables, logs []string, err error) {
	fs := lookingFS{FS: i.fs, asked: &logs}
	s := &Store{fs: fs, log: zap.NewNop(), failed: make(chan struct{}), closing: make(chan struct{})}
	options := s.options()
	options.ReadOnly, options.DisableConsistencyCheck = true, true
	if err := s.openEngine(i.directory, options); err != nil {
		return nil, nil, err
	}
	var levels [][]pebble.SSTableInfo
	err = orPanic(func() (err error) {
		levels, err = s.db.SSTables()
		return err
	})
	for _, level := range levels {
		for _, t := range level {
			tables = append(tables, fmt.Sprintf("%06d.sst", uint64(t.BackingSSTNum)))
		}
	}
	slices.Sort(tables)
	slices.SortFunc(logs, byNumber)
	return slices.Compact(tables), slices.Compact(logs), errors.Join(err, s.closeEngine())
}

// missing takes tables out of the list that are not there.
func (i *inspection) missing(names []string) {
	i.tables = slices.DeleteFunc(i.tables, func(name string) bool {
		gone := !slices.Contains(names, name)
		if gone {
			i.add(damage{file: name, what: "the file is missing"})
		}
		return gone
	})
}

// readOptions looks at the newest file of options, which holds nothing that we need and which Pebble refuses to open with when it is damaged.
func (i *inspection) readOptions(names []string) {
	newest := ""
	for _, name := range names {
		if strings.HasPrefix(name, "OPTIONS-") && (len(name) > len(newest) || len(name) == len(newest) && name > newest) {
			newest = name
		}
	}
	if newest == "" {
		return
	}
	raw, err := readAll(i.fs, i.path(newest))
	if err == nil {
		s := &Store{fs: i.fs, log: zap.NewNop()}
		options := s.options()
		options.EnsureDefaults()
		err = orPanic(func() error { return options.CheckCompatibility(i.directory, string(raw)) })
	}
	if err != nil && !starved(err) {
		i.options = newest
	}
}

// soundManifest says whether all chunks of a list of files are valid to its end.
func soundManifest(file io.Reader) error {
	block := make([]byte, logBlock)
	for at := 0; ; at += logBlock {
		n, err := io.ReadFull(file, block)
		b := block[:n]
		for len(b) >= plainHeader {
			end := plainHeader + int(binary.LittleEndian.Uint16(b[4:]))
			if b[6] < 1 || b[6] > 4 || end > len(b) || binary.LittleEndian.Uint32(b) != masked(b[6:end]) {
				return fmt.Errorf("it is damaged at octet %d", at+n-len(b))
			}
			b = b[end:]
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func logNumber(name string) uint32 {
	number, _, _ := wal.ParseLogFilename(name)
	return uint32(number)
}

func byNumber(a, b string) int { return cmp.Compare(logNumber(a), logNumber(b)) }

// starved says whether an error comes from what the process may have and do, and says nothing of the files.
func starved(err error) bool {
	for _, want := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EACCES, syscall.EPERM, syscall.ENOSPC, syscall.EROFS, syscall.EDQUOT, os.ErrPermission} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

func readAll(fs vfs.FS, name string) ([]byte, error) {
	file, err := fs.Open(name, vfs.SequentialReadsOption)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(file)
	return b, errors.Join(err, file.Close())
}
