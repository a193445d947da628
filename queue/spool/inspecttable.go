package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// largestBlock is far above what a block can have, in octets: a message that is kept inline has one of its own.
const largestBlock = 64 << 20

// blockTrailer is the kind of compression and the checksum.
const blockTrailer = 1 + 4

// tableBlocks are the places of a table's blocks.
type tableBlocks struct {
	data  []block.Handle
	other []block.Handle // filters and deleted ranges; all else was read and checked to get here
}

// table looks at a table without its data.
func (i *inspection) table(name string) error {
	file, err := i.fs.Open(i.path(name))
	if err != nil {
		return i.unreadable(name, err)
	}
	blocks, _, err := layout(i.fs, i.path(name))
	if err != nil {
		err = i.unreadable(name, err)
	}
	for _, h := range blocks.other {
		if _, bad := readBlock(file, h); bad != nil {
			err = errors.Join(err, i.unreadable(name, bad))
		}
	}
	return errors.Join(err, file.Close())
}

// unreadable adds a file as a whole to what is damaged, unless the error says nothing of it.
func (i *inspection) unreadable(name string, err error) error {
	if starved(err) {
		return err
	}
	i.add(damage{file: name, what: short(err)})
	return nil
}

// deletedRange is a range of keys that was deleted at once.
type deletedRange struct {
	start, end []byte
	seq        uint64
}

// layout finds the blocks of a table by its index, and the ranges that it deletes.
func layout(fs vfs.FS, path string) (blocks tableBlocks, ranges []deletedRange, err error) {
	err = orPanic(func() error {
		file, err := fs.Open(path)
		if err != nil {
			return err
		}
		readable, err := sstable.NewSimpleReadable(file)
		if err != nil {
			return errors.Join(err, file.Close())
		}
		r, err := sstable.NewReader(context.Background(), readable, sstable.ReaderOptions{})
		if err != nil {
			return errors.Join(err, readable.Close())
		}
		blocks, ranges, err = blocksOf(r)
		return errors.Join(err, r.Close())
	})
	return blocks, ranges, err
}

func blocksOf(r *sstable.Reader) (blocks tableBlocks, ranges []deletedRange, err error) {
	l, err := r.Layout()
	if err != nil {
		return blocks, nil, err
	}
	for _, h := range l.Data {
		blocks.data = append(blocks.data, h.Handle)
	}
	for _, h := range l.Filter {
		blocks.other = append(blocks.other, h.Handle)
	}
	if l.RangeDel.Length == 0 {
		return blocks, nil, nil
	}
	blocks.other = append(blocks.other, l.RangeDel)
	it, err := r.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil {
		return blocks, nil, err
	}
	defer it.Close()
	for span, err := it.First(); span != nil || err != nil; span, err = it.Next() {
		if err != nil {
			return blocks, nil, err
		}
		ranges = append(ranges, deletedRange{start: slices.Clone(span.Start), end: slices.Clone(span.End), seq: uint64(span.LargestSeqNum())})
	}
	return blocks, ranges, nil
}

// readBlock reads a block with its trailer and checks it. Of a block that is damaged it returns what is there.
func readBlock(file vfs.File, h block.Handle) ([]byte, error) {
	if h.Length > largestBlock {
		return nil, fmt.Errorf("a block has %d octets", h.Length)
	}
	b := make([]byte, h.Length+blockTrailer)
	if err := readAt(file, b, int64(h.Offset)); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(b[h.Length+1:]) != masked(b[:h.Length+1]) {
		return b, fmt.Errorf("a block of %d octets at %d is damaged", h.Length, h.Offset)
	}
	return b, nil
}

// plainBlock is the content of a block, at an address that is a multiple of 8, as Pebble reads numbers from it in place.
func plainBlock(b []byte) ([]byte, error) {
	packed, kind := b[:len(b)-blockTrailer], block.CompressionIndicator(b[len(b)-blockTrailer])
	n := len(packed)
	if kind != block.NoCompressionIndicator {
		var err error
		if n, err = block.DecompressedLen(kind, packed); err != nil {
			return nil, err
		}
	}
	if n <= 0 || n > largestBlock {
		return nil, fmt.Errorf("a block is said to have %d octets", n)
	}
	words := make([]uint64, (n+7)/8)
	plain := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
	if kind == block.NoCompressionIndicator {
		copy(plain, packed)
		return plain, nil
	}
	return plain, block.DecompressInto(kind, packed, plain)
}

// blockReader takes data blocks of tables apart.
type blockReader struct{ schema colblk.KeySchema }

func newBlockReader() *blockReader {
	return &blockReader{schema: colblk.DefaultKeySchema(pebble.DefaultComparer, 16)}
}

// eachIn yields the entries of a data block that is not damaged.
func (r *blockReader) eachIn(b []byte, each func(entry) error) error {
	return orPanic(func() error {
		plain, err := plainBlock(b)
		if err != nil {
			return err
		}
		if !hasDataColumns(plain) {
			return errNotData
		}
		var d colblk.DataBlockDecoder
		d.Init(&r.schema, plain)
		var it colblk.DataBlockIter
		it.InitOnce(&r.schema, pebble.DefaultComparer, nil)
		if err := it.Init(&d, block.NoTransforms); err != nil {
			return err
		}
		for kv := it.First(); kv != nil; kv = it.Next() {
			value, _, err := kv.Value(nil)
			if err != nil {
				return err
			}
			if err := each(entry{key: kv.K.UserKey, value: value, seq: uint64(kv.SeqNum()), kind: kv.Kind()}); err != nil {
				return err
			}
		}
		return nil
	})
}

// tableReading is one reading of all data of a table.
type tableReading struct {
	i      *inspection
	name   string
	file   vfs.File
	blocks *blockReader
	each   func(entry) error
	last   []byte   // the last key that could be read
	bad    []damage // damaged blocks behind it
}

// data reads all entries of a table, damaged blocks left out. Without an index it finds the blocks by their checksums.
func (i *inspection) data(name string, each func(entry) error) ([]deletedRange, error) {
	file, err := i.fs.Open(i.path(name), vfs.SequentialReadsOption)
	if err != nil {
		return nil, i.unreadable(name, err)
	}
	r := &tableReading{i: i, name: name, file: file, blocks: newBlockReader(), each: each}
	found, ranges, err := layout(i.fs, i.path(name))
	if err == nil {
		for _, h := range found.data {
			if err = r.block(h); err != nil {
				break
			}
		}
	} else if err = i.unreadable(name, err); err == nil {
		err = r.search()
	}
	r.close(nil)
	return ranges, errors.Join(err, file.Close())
}

// block reads one block whose place is known.
func (r *tableReading) block(h block.Handle) error {
	b, err := readBlock(r.file, h)
	if starved(err) {
		return err
	}
	if err != nil {
		r.damaged(h, b)
		return nil
	}
	return r.entries(h, b)
}

// errTake is an error of whoever takes the entries: it is not one of the block.
type errTake struct{ error }

// Unwrap is the error.
func (e errTake) Unwrap() error { return e.error }

func (r *tableReading) entries(h block.Handle, b []byte) error {
	first := true
	err := r.blocks.eachIn(b, func(e entry) error {
		if first {
			r.close(e.key)
			first = false
		}
		r.last = append(r.last[:0], e.key...)
		if err := r.each(e); err != nil {
			return errTake{err}
		}
		return nil
	})
	var taken errTake
	if errors.As(err, &taken) {
		return taken.error
	}
	if err != nil {
		r.damaged(h, b)
	}
	return nil
}

// damaged notes a block that cannot be read.
func (r *tableReading) damaged(h block.Handle, b []byte) {
	raw := bytes.Clone(b)
	if len(b) > blockTrailer {
		// Of a block with one mistake most comes out of its compression.
		_ = orPanic(func() error {
			plain, err := plainBlock(b)
			raw = append(raw, plain...)
			return err
		})
	}
	r.bad = append(r.bad, damage{file: r.name, from: int64(h.Offset), to: int64(h.Offset + h.Length + blockTrailer), mentions: mentioned(raw)})
	r.i.traces.scan(raw)
}

// close says of damaged blocks between which keys they stood.
func (r *tableReading) close(next []byte) {
	for _, f := range r.bad {
		f.what = "a block is damaged"
		switch {
		case r.last != nil && next != nil:
			f.what += fmt.Sprintf(", with what stands between %s and %s", describe(r.last), describe(next))
		case r.last != nil:
			f.what += ", with what stands behind " + describe(r.last)
		case next != nil:
			f.what += ", with what stands before " + describe(next)
		}
		r.i.add(f)
	}
	r.bad = nil
}
