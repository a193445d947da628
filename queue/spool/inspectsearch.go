package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2/sstable/block"
)

// A table whose index is damaged is read without it. Its data blocks stand one behind the other from its beginning, each with a checksum at its end, so the end of one is where the checksum of
// all before it is right. Behind a block that is damaged too, any beginning could be the next one's: the search is for a beginning and an end that fit.

const (
	// firstWindow is where the end of a block is looked for at first, in octets.
	firstWindow = 32 << 10
	// searchWindow is how far behind a damaged block the next one is looked for.
	searchWindow = 1 << 20
)

// search reads a table without its index.
func (r *tableReading) search() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	for at, size := int64(0), info.Size(); at < size; {
		b, err := r.nextIn(at, size)
		if err != nil {
			return err
		}
		h := block.Handle{Offset: uint64(at), Length: uint64(max(len(b), blockTrailer) - blockTrailer)}
		switch {
		case blockLength(b) != len(b):
			r.damaged(h, b)
		case !dataBlock(b):
			return nil // the data is over
		default:
			if err := r.entries(h, b); err != nil {
				return err
			}
		}
		at += int64(len(b))
	}
	return nil
}

// nextIn reads the block at an offset, whose length is not known; if it is damaged, up to where the next data block begins.
func (r *tableReading) nextIn(at, size int64) ([]byte, error) {
	var window []byte
	for length := int64(firstWindow); ; length *= 8 {
		window = make([]byte, min(length, largestBlock, size-at))
		if err := readAt(r.file, window, at); err != nil {
			return nil, err
		}
		if n := blockLength(window); n > 0 {
			return window[:n], nil
		}
		if int64(len(window)) < length {
			break
		}
	}
	if next := nextBlock(window[:min(len(window), searchWindow)]); next > 0 {
		return window[:next], nil
	}
	return window[:min(len(window), searchWindow/2)], nil
}

// known says whether data is compressed that way.
func known(kind byte) bool {
	switch block.CompressionIndicator(kind) {
	case block.NoCompressionIndicator, block.SnappyCompressionIndicator, block.ZstdCompressionIndicator, block.MinLZCompressionIndicator:
		return true
	default:
		return false
	}
}

// blockLength is the length of the block at the beginning of b, its trailer included; 0: there is none.
func blockLength(b []byte) int {
	table := crc32.MakeTable(crc32.Castagnoli)
	register := ^uint32(0)
	for end := 0; end+blockTrailer <= len(b); end++ {
		register = table[byte(register)^b[end]] ^ register>>8
		if end > 0 && known(b[end]) && mask(^register) == binary.LittleEndian.Uint32(b[end+1:]) {
			return end + blockTrailer
		}
	}
	return 0
}

// dataBlock says whether a valid block holds data, by the kinds of its columns. Pebble takes the rest of a block on trust.
func dataBlock(b []byte) bool {
	is := false
	_ = orPanic(func() error { // what cannot be read is none
		plain, err := plainBlock(b)
		is = err == nil && hasDataColumns(plain)
		return nil
	})
	return is
}

// hasDataColumns says whether the header of a block is that of data: keys in two columns, then trailers, flags and values.
func hasDataColumns(plain []byte) bool {
	const version, header, column = 1, 4 + 1 + 2 + 4, 1 + 4
	kinds := []byte{4, 3, 2, 1, 3, 1, 1}
	if len(plain) < header+len(kinds)*column || plain[4] != version || int(binary.LittleEndian.Uint16(plain[5:])) != len(kinds) {
		return false
	}
	last := uint32(0)
	for i, kind := range kinds {
		c := plain[header+i*column:]
		at := binary.LittleEndian.Uint32(c[1:])
		if c[0] != kind || at < last || int(at) > len(plain) {
			return false
		}
		last = at
	}
	return true
}

// nextBlock finds the first data block in b that does not stand at its beginning; 0: there is none.
//
// The register of a CRC is linear in what it has read. Let R be the register over all of b: a block from s to e is valid where R[e] less its checksum is what remains of R[s] after as many zeros
// as there are octets between. Both sides, moved on by zeros to the end of b, are numbers that can be looked up, so that no pair is tried in vain.
func nextBlock(b []byte) int {
	registers := make([]uint32, len(b)+1)
	table := crc32.MakeTable(crc32.Castagnoli)
	for i, c := range b {
		registers[i+1] = table[byte(registers[i])^c] ^ registers[i]>>8
	}
	zeros := zeroSteps()
	ends := map[uint32][]int{}
	for end := 1; end+blockTrailer <= len(b); end++ {
		if known(b[end]) {
			sum := ^unmask(binary.LittleEndian.Uint32(b[end+1:]))
			key := zeros.move(registers[end+1]^sum, len(b)-end-1)
			ends[key] = append(ends[key], end)
		}
	}
	for start := 1; start < len(b); start++ {
		for _, end := range ends[zeros.move(^registers[start], len(b)-start)] {
			if end > start && dataBlock(b[start:end+blockTrailer]) {
				return start
			}
		}
	}
	return 0
}

func unmask(c uint32) uint32 {
	c -= 0xa282ead8
	return c>>17 | c<<15
}

// zeroTables are what 2^n zeros do to each octet of a register.
type zeroTables [][4][256]uint32

// zeroSteps are enough for searchWindow.
func zeroSteps() zeroTables {
	table := crc32.MakeTable(crc32.Castagnoli)
	var z zeroTables
	var one [4][256]uint32
	for octet := range one {
		for value := range one[octet] {
			c := uint32(value) << (8 * octet)
			one[octet][value] = table[byte(c)] ^ c>>8
		}
	}
	for z = append(z, one); 1<<len(z) <= searchWindow; {
		var next [4][256]uint32
		for octet := range next {
			for value := range next[octet] {
				next[octet][value] = z.step(z.step(uint32(value)<<(8*octet), len(z)-1), len(z)-1)
			}
		}
		z = append(z, next)
	}
	return z
}

func (z zeroTables) step(c uint32, n int) uint32 {
	t := &z[n]
	return t[0][byte(c)] ^ t[1][byte(c>>8)] ^ t[2][byte(c>>16)] ^ t[3][byte(c>>24)]
}

// move is the register after so many zeros.
func (z zeroTables) move(c uint32, zeros int) uint32 {
	for n := 0; zeros > 0; n, zeros = n+1, zeros>>1 {
		if zeros&1 != 0 {
			c = z.step(c, n)
		}
	}
	return c
}

var errNotData = errors.New("the block holds no data")
