package submission

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/emersion/go-smtp"
)

// refusedSilence is how long a client may be silent whose content is refused already: one that ends its lines in bare LF also ends its content so, and
// would wait for a reply that never comes.
const refusedSilence = 5 * time.Second

const loneLine = "a CR or LF stands alone in the message; lines end in CRLF"

// content reads what stands between 354 and the dot (RFC 5321 s4.5.2): dots are unstuffed, lines end in CRLF. It ends at CRLF.CRLF and at nothing else, and refuses
// content in which a CR or LF stands alone (RFC 5321 s2.3.8), because others might find an end there and take the rest for commands. It also refuses NUL
// (RFC 5321 s4.5.2 leaves it to extensions, and none is offered), lines and messages that are too long. The same is refused in what comes by BDAT.
type content struct {
	wire     *wire
	chunks   *chunking // nil: the content came by DATA
	maxSize  int64
	maxLine  int
	size     int64
	line     int    // octets of the current line so far
	rest     []byte // read and not given out; part of wire.in's buffer
	within   bool   // not at the begin of a line
	cr       bool   // the last octet was a CR, not given out yet
	complete bool   // the dot was seen, or all of the chunk was read: what follows are commands
	refused  *smtp.SMTPError
	err      error // what Read ends with
}

func (w *wire) content(c Config) *content {
	w.pace = &pace{silence: c.ContentTimeout, rate: c.MinRate}
	all := &content{wire: w, chunks: w.chunks, maxSize: c.MaxSize, maxLine: c.MaxLine}
	w.chunks = nil
	return all
}

// proven says that take looks for what no message may hold.
func (c *content) proven() {}

// Read gives out content. Its errors are io.EOF behind the dot, the refusal, and those of the connection; they stay.
func (c *content) Read(p []byte) (int, error) {
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	for n < len(p) && c.err == nil && (n == 0 || c.wire.in.Buffered() > 0) {
		c.err = c.advance()
		m := copy(p[n:], c.rest)
		c.rest = c.rest[m:]
		n += m
	}
	if n > 0 {
		return n, nil
	}
	return 0, c.err
}

// advance reads a line, or as much of one as the buffer holds, into rest.
func (c *content) advance() error {
	if c.chunks != nil {
		return c.advanceChunk()
	}
	chunk, err := c.wire.in.ReadSlice('\n')
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	if !c.within && string(chunk) == ".\r\n" {
		c.complete = true
		return io.EOF
	}
	chunk = c.joined(chunk)
	begin := !c.within
	c.within = !bytes.HasSuffix(chunk, []byte("\r\n"))
	if begin && chunk[0] == '.' {
		chunk = chunk[1:]
	}
	return c.take(chunk)
}

// joined puts a CR that was held back before chunk, and holds one back at its end: what it is shows in the next octet.
func (c *content) joined(chunk []byte) []byte {
	if c.cr {
		chunk = append([]byte{'\r'}, chunk...)
	}
	c.cr = chunk[len(chunk)-1] == '\r'
	if c.cr {
		chunk = chunk[:len(chunk)-1]
	}
	return chunk
}

// take makes chunk what is given out next, if nothing is wrong with it.
func (c *content) take(chunk []byte) error {
	c.size += int64(len(chunk))
	c.line += len(chunk)
	body := bytes.TrimSuffix(chunk, []byte("\r\n"))
	switch {
	case bytes.IndexByte(body, '\r') >= 0 || bytes.IndexByte(body, '\n') >= 0:
		return c.refuse(refusal(550, "5.6.0", loneLine))
	case bytes.IndexByte(body, 0) >= 0:
		return c.refuse(refusal(550, "5.6.0", "the message holds a NUL"))
	case c.line-(len(chunk)-len(body)) > c.maxLine:
		return c.refuse(refusal(550, "5.6.0", "a line of the message is too long"))
	case c.size > c.maxSize:
		return c.refuse(refusal(552, "5.3.4", "the message is larger than the size that was offered")) // RFC 1870 s6.3
	}
	if !c.within {
		c.line = 0
	}
	c.rest = chunk
	return nil
}

func (c *content) refuse(reason *smtp.SMTPError) error {
	c.refused = reason
	return reason
}

// drain reads to the dot, or to the end of the chunk, so that the client hears what becomes of its message. One that was refused is given less patience, and an end.
func (c *content) drain() {
	if c.complete || (c.err != nil && c.refused == nil) {
		return
	}
	c.wire.pace.silence = min(c.wire.pace.silence, refusedSilence)
	c.wire.pace.waited = 0
	c.rest = nil
	if c.chunks != nil {
		c.drainChunk()
		return
	}
	var refused *smtp.SMTPError
	for c.size <= 2*c.maxSize && !c.complete {
		err := c.advance()
		c.rest = nil
		if err != nil && !errors.As(err, &refused) {
			c.err = err
			return
		}
	}
}
