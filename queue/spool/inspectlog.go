package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log is a row of blocks, a block a row of chunks, and a record is one chunk or several. Pebble's own readers stop at the first chunk that is not right, which is also how a
// log ends that a power cut has cut short. This one reads on.
const (
	logBlock = 32 << 10
	// plainHeader is CRC, length, and type; in a log the number of the log follows, and in newer ones up to where the log had been synced. Pebble counts that wrongly (it leaves
	// out whole blocks), so nothing can be told from it.
	plainHeader  = 7
	logHeader    = plainHeader + 4
	syncedHeader = logHeader + 8
)

// The types of chunks in logs, each followed by those of the first, a middle and the last chunk of a record.
const (
	wholeChunk       = 5
	wholeSyncedChunk = 9
	lastChunkType    = 12
)

// Places of a chunk in its record.
const (
	chunkWhole = iota
	chunkFirst
	chunkMiddle
	chunkLast
)

// masked is the checksum of Pebble's files.
func masked(b []byte) uint32 { return mask(checksum(0, b)) }

func mask(c uint32) uint32 { return (c>>15 | c<<17) + 0xa282ead8 }

// chunk is one that is valid.
type chunk struct {
	place   int
	payload []byte
}

// headerOf is the length of the header that a type of chunk has; 0: it is none.
func headerOf(kind byte) int {
	switch {
	case kind >= wholeSyncedChunk && kind <= lastChunkType:
		return syncedHeader
	case kind >= wholeChunk && kind < wholeSyncedChunk:
		return logHeader
	default:
		return 0
	}
}

// ours says whether b begins like a chunk of a log.
func ours(b []byte, number uint32) bool {
	if len(b) < logHeader {
		return false
	}
	header := headerOf(b[6])
	return header > 0 && header <= len(b) && binary.LittleEndian.Uint32(b[plainHeader:]) == number
}

// wasOurs says whether b begins like a chunk of ours with a mistake somewhere, and not like what an older log has left.
func wasOurs(b []byte, number uint32) bool {
	if len(b) < logHeader {
		return false
	}
	if binary.LittleEndian.Uint32(b[plainHeader:]) == number {
		return true
	}
	b = bytes.Clone(b)
	binary.LittleEndian.PutUint32(b[plainHeader:], number)
	_, length := parseChunk(b, number)
	return length > 0
}

// parseChunk reads the chunk at the beginning of b, and how long it is; 0: there is none that is valid.
func parseChunk(b []byte, number uint32) (chunk, int) {
	if !ours(b, number) {
		return chunk{}, 0
	}
	header := headerOf(b[6])
	end := header + int(binary.LittleEndian.Uint16(b[4:]))
	if end > len(b) || binary.LittleEndian.Uint32(b) != masked(b[6:end]) {
		return chunk{}, 0
	}
	return chunk{place: int(b[6]-wholeChunk) % 4, payload: b[header:end]}, end
}

// trailer says whether b begins with what closes a log.
func trailer(b []byte, number uint32) bool {
	return len(b) >= logHeader && bytes.Equal(b[:plainHeader], []byte{0, 0, 0, 0, 0, 0, wholeChunk}) && binary.LittleEndian.Uint32(b[plainHeader:]) == number+1
}

// hole is where no valid chunk stands.
type hole struct {
	from, to int64
	followed bool   // something of ours stands behind it: it is not the end of the log
	ours     bool   // a chunk of ours stood there
	raw      []byte // what stands there now, or the beginning of it
}

// longestRaw is how much of a hole is looked at, in octets.
const longestRaw = 1 << 20

// logReading is one reading of a log.
type logReading struct {
	number uint32
	each   func(record []byte, sound bool) error // may be nil
	holes  []hole
	open   bool // the last of holes may go on
	closed bool // the trailer was found

	record []byte
	begun  bool
	sound  bool // all chunks of record are valid
	header int  // of the chunks so far
}

// log reads a log and finds out what is damaged. each gets its records; of those that are not sound, what could be read.
func (i *inspection) log(name string, each func(record []byte, sound bool) error) error {
	file, err := i.fs.Open(i.path(name), vfs.SequentialReadsOption)
	if err != nil {
		if starved(err) {
			return err
		}
		i.add(damage{file: name, what: short(err)})
		return nil
	}
	r := &logReading{number: logNumber(name), each: each, header: syncedHeader}
	size, err := eachBlock(file, logBlock, func(at int64, b []byte) error {
		if r.closed {
			return nil
		}
		return r.block(at, b)
	})
	if err == nil {
		err = r.finish()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	i.judgeLog(name, r, size, name == i.logs[len(i.logs)-1])
	return nil
}

// eachBlock reads a file block by block. What the disk does not give reads as zeros. It returns the size of the file.
func eachBlock(file vfs.File, size int, each func(at int64, b []byte) error) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	block := make([]byte, size)
	for at := int64(0); at < info.Size(); at += int64(size) {
		b := block[:min(int64(size), info.Size()-at)]
		if err := readAt(file, b, at); err != nil {
			return 0, err
		}
		if err := each(at, b); err != nil {
			return 0, err
		}
	}
	return info.Size(), nil
}

// diskPage is what a disk loses at once.
const diskPage = 4 << 10

// readAt fills b; what the disk does not give reads as zeros.
func readAt(file vfs.File, b []byte, at int64) error {
	if _, err := file.ReadAt(b, at); err == nil || starved(err) {
		return err
	}
	for from := 0; from < len(b); from += diskPage {
		part := b[from:min(from+diskPage, len(b))]
		clear(part)
		if n, err := file.ReadAt(part, at+int64(from)); err != nil && !errors.Is(err, io.EOF) {
			clear(part[n:])
		}
	}
	return nil
}

func (r *logReading) block(at int64, b []byte) error {
	for i := 0; i < len(b); {
		rest := b[i:]
		if c, length := parseChunk(rest, r.number); length > 0 {
			r.header = headerOf(rest[6])
			r.fill()
			if err := r.add(c); err != nil {
				return err
			}
			i += length
			continue
		}
		next := len(rest)
		switch {
		case empty(rest):
			if len(rest) < syncedHeader {
				return nil // no chunk fits in there
			}
		case trailer(rest, r.number):
			r.fill()
			r.closed = true
			return nil
		default:
			next = r.resync(rest)
		}
		r.dig(at+int64(i), rest[:next])
		i += next
	}
	return nil
}

// resync finds the next valid chunk, or the trailer, behind the beginning of b.
func (r *logReading) resync(b []byte) int {
	for i := 1; i+logHeader <= len(b); i++ {
		if headerOf(b[i+6]) == 0 {
			continue
		}
		if _, length := parseChunk(b[i:], r.number); length > 0 || trailer(b[i:], r.number) {
			return i
		}
	}
	return len(b)
}

func empty(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// dig notes octets without a valid chunk. What stands there may be a part of a record of ours, with a mistake somewhere.
func (r *logReading) dig(at int64, b []byte) {
	if !r.open {
		r.holes = append(r.holes, hole{from: at, ours: wasOurs(b, r.number)})
		r.open = true
	}
	h := &r.holes[len(r.holes)-1]
	h.to = at + int64(len(b))
	r.sound = false
	if len(h.raw) >= longestRaw || empty(b) {
		return
	}
	h.raw = append(h.raw, b...)
	if r.each != nil {
		r.record = append(r.record, b[min(r.header, len(b)):]...)
		r.begun = true
	}
}

// fill ends the hole before a valid chunk or the trailer.
func (r *logReading) fill() {
	if r.open {
		r.open = false
		r.holes[len(r.holes)-1].followed = true
	}
}

// add puts records together.
func (r *logReading) add(c chunk) error {
	if c.place == chunkWhole || c.place == chunkFirst {
		r.sound = false // what is there has no end
		if err := r.emit(); err != nil {
			return err
		}
		r.sound = true
	} else if !r.begun {
		r.sound = false
	}
	r.begun = true
	if r.each != nil {
		r.record = append(r.record, c.payload...)
	}
	if c.place == chunkWhole || c.place == chunkLast {
		return r.emit()
	}
	return nil
}

// emit hands the record over, as far as it is there.
func (r *logReading) emit() error {
	record, begun, sound := r.record, r.begun, r.sound
	r.record, r.begun, r.sound = record[:0], false, false
	if !begun || r.each == nil {
		return nil
	}
	return r.each(record, sound)
}

// finish hands over what a torn log ends with.
func (r *logReading) finish() error {
	r.sound = false
	return r.emit()
}

// judgeLog says which holes of a log are damage. A log that a power cut has cut short ends in what cannot be read, and only the newest may. (A cut can also leave some of what was
// written last without what stood before it. That is taken for damage: it cannot be told from it, and to read on does no harm.)
func (i *inspection) judgeLog(name string, r *logReading, size int64, newest bool) {
	for _, h := range r.holes {
		f := damage{file: name, from: h.from, to: h.to, what: "a record is damaged", mentions: mentioned(h.raw)}
		switch {
		case h.followed:
			i.add(f)
			i.traces.scan(h.raw)
		case !newest && !r.closed:
			f.what = "the end of the log is damaged"
			i.add(f)
			i.traces.scan(h.raw)
		case newest && h.ours:
			f.what = "the log ends in a record that is not whole, as after a power cut"
			i.torn = append(i.torn, f)
		}
	}
	if !newest && !r.closed && !slices.ContainsFunc(r.holes, func(h hole) bool { return !h.followed }) {
		i.add(damage{file: name, from: size, to: size + 1, what: "the end of the log is missing"})
	}
}
