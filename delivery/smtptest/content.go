package smtptest

import (
	"bufio"
	"bytes"
	"io"
)

// content reads the octets of a message, of DATA up to the dot or of BDAT
// chunk by chunk.
type content struct {
	wire      *wire
	left      int64 // octets left of the chunk; negative: DATA
	lineStart bool  // the next octet follows CRLF
	afterCR   bool  // the last octet was CR
	ended     bool
	taken     int64 // octets of the wire
	size      int64
	most      int64 // octets that are kept, all are counted; 0: no limit
	drop      bool  // count only
	octets    []byte
}

// take reads until at least limit octets of the wire have come in all (a
// negative limit: no limit) or the content has ended. With DATA it goes by
// whole lines, or by 16 KiB of a longer one.
func (c *content) take(limit int64) error {
	for !c.ended && (limit < 0 || c.taken < limit) {
		if c.left == 0 {
			c.ended = true
			return nil
		}
		next := c.line
		if c.left > 0 {
			next = c.chunk
		}
		if err := next(); err != nil {
			return err
		}
	}
	return nil
}

// line reads one line, undoes dot-stuffing and notices the dot that ends it
// all (RFC 5321 section 4.5.2). Only CRLF ends a line: a bare CR or LF is kept.
func (c *content) line() error {
	s, err := c.wire.in.ReadSlice('\n')
	if err != nil && err != bufio.ErrBufferFull {
		c.keep(s)
		return err
	}
	c.taken += int64(len(s))
	if c.lineStart && string(s) == ".\r\n" {
		c.ended = true
		return nil
	}
	whole := s
	if c.lineStart && s[0] == '.' {
		s = s[1:]
	}
	c.keep(s)
	c.lineStart = bytes.HasSuffix(whole, []byte("\r\n")) || c.afterCR && string(whole) == "\n"
	c.afterCR = whole[len(whole)-1] == '\r'
	return nil
}

// chunk reads what is there of a BDAT chunk.
func (c *content) chunk() error {
	if _, err := c.wire.in.Peek(1); err != nil {
		return io.ErrUnexpectedEOF
	}
	s, err := c.wire.in.Peek(int(min(c.left, int64(c.wire.in.Buffered()))))
	if err != nil {
		return err
	}
	c.keep(s)
	c.taken += int64(len(s))
	c.left -= int64(len(s))
	_, err = c.wire.in.Discard(len(s))
	return err
}

func (c *content) keep(s []byte) {
	c.size += int64(len(s))
	if c.drop {
		return
	}
	if c.most > 0 {
		s = s[:min(int64(len(s)), c.most-int64(len(c.octets)))]
	}
	c.octets = append(c.octets, s...)
}

// beginning is what rules for the dot are compared with.
func (c *content) beginning() string {
	return string(c.octets[:min(len(c.octets), 64<<10)])
}
