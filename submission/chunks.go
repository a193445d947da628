package submission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/emersion/go-smtp"
)

// errAborted is what ends content when the client gives its message up between two chunks (RFC 3030 s4.2).
var errAborted = errors.New("the client gave the message up")

// chunking is content that comes by BDAT (RFC 3030). The commands between the chunks are read here, so that the message is one stream for whoever takes it.
type chunking struct {
	wire *wire
	left int64 // octets of this chunk that have not been read
	last bool
	lost bool // where the next command begins is not known, or it is not heard any more
	idle int  // commands since the last octet
}

// maxIdle is how many commands may come in a row that bring no octet of the message: it would never end otherwise.
const maxIdle = 100

// bdat answers the first BDAT of a message. To go-smtp it is DATA: Session.Data reads the chunks, and all that holds for DATA holds for them.
func (w *wire) bdat(line []byte) error {
	size, last, ok := parseBDAT(line)
	if !ok {
		return w.hangUp("501 5.5.4 BDAT has a number of octets, and perhaps LAST") // what follows may be a chunk or a command
	}
	if s := w.session; w.greeted && s != nil && s.open && s.accepted > 0 {
		w.chunks = &chunking{wire: w, left: size, last: last}
		w.mute++ // 354 is for DATA
		w.rest = append(w.command[:0], "DATA\r\n"...)
		return nil
	}
	// RFC 3030 s2: the chunk follows whatever is answered, and must not be taken for commands.
	skipped := &chunking{wire: w, left: size}
	w.pace = &pace{silence: w.door.config.ContentTimeout, rate: w.door.config.MinRate}
	most := 2 * w.door.config.MaxSize
	if w.stranger() {
		most = inBuffer
	}
	err := skipped.skip(most)
	w.pace = nil
	if err != nil {
		return w.hangUp("503 5.5.1 MAIL and RCPT come first")
	}
	if err := w.SetReadDeadline(w.patience()); err != nil {
		return err
	}
	return w.decline("503 5.5.1 MAIL and RCPT come first")
}

// parseBDAT reads "BDAT size [LAST]" (RFC 3030 s2).
func parseBDAT(line []byte) (size int64, last, ok bool) {
	fields := bytes.Fields(line)
	if len(fields) < 2 || len(fields) > 3 || fields[1][0] == '+' {
		return 0, false, false
	}
	last = len(fields) == 3
	if last && !bytes.EqualFold(fields[2], []byte("LAST")) {
		return 0, false, false
	}
	n, err := strconv.ParseUint(string(fields[1]), 10, 62)
	return int64(n), last, err == nil
}

// next reads up to the next BDAT. The chunk before is answered first.
func (k *chunking) next(received int64) error {
	k.wire.say(fmt.Sprintf("250 2.0.0 %d octets received", received))
	for {
		line, err := k.wire.in.ReadSlice('\n')
		if err != nil {
			k.lost = true
			return ended(err)
		}
		again, err := k.between(line)
		if err != nil {
			return err
		}
		if k.idle++; k.left > 0 || k.last {
			k.idle = 0
		}
		if k.idle > maxIdle {
			k.lost = true
			return refusal(421, "4.7.0", "too many commands and no message")
		}
		if !again {
			return nil
		}
	}
}

// between answers a command between two chunks. again: it was not BDAT.
func (k *chunking) between(line []byte) (again bool, err error) {
	w := k.wire
	verb := verbOf(line)
	switch {
	case isCommand(line) && string(verb) == "BDAT":
		var ok bool
		if k.left, k.last, ok = parseBDAT(line); ok {
			return false, nil
		}
	case isCommand(line) && endsTransaction(string(verb)):
		w.left = append(w.left[:0], line...)
		return false, errAborted
	case isCommand(line) && string(verb) == "NOOP":
		w.say("250 2.0.0 ok")
		return true, nil
	case !w.tooManyErrors():
		_ = w.decline("503 5.5.1 within a message there are BDAT, RSET and QUIT")
		return true, nil
	}
	k.lost = true
	return false, refusal(501, "5.5.4", "BDAT has a number of octets, and perhaps LAST")
}

// endsTransaction lists the commands that give a message up.
func endsTransaction(verb string) bool {
	return verb == "RSET" || verb == "QUIT" || verb == "EHLO" || verb == "HELO"
}

// piece is the next line of the chunk, or as much of one as has come. It is part of wire.in's buffer.
func (k *chunking) piece() ([]byte, error) {
	in := k.wire.in
	if _, err := in.Peek(1); err != nil {
		k.lost = true
		return nil, ended(err)
	}
	come, err := in.Peek(int(min(int64(in.Buffered()), k.left)))
	if err != nil {
		return nil, err // not reached: so much is there
	}
	if end := bytes.IndexByte(come, '\n'); end >= 0 {
		come = come[:end+1]
	}
	k.left -= int64(len(come))
	_, err = in.Discard(len(come))
	return come, err
}

// skip reads the rest of the chunk for nobody; not more than most octets.
func (k *chunking) skip(most int64) error {
	if k.left > most {
		k.lost = true
		return io.ErrUnexpectedEOF
	}
	for k.left > 0 {
		if _, err := k.piece(); err != nil {
			return err
		}
	}
	return nil
}

// ended tells the end of the connection from the end of the content.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// advanceChunk is advance for content that comes in chunks: no octet is a dot or an end, and the line that no CRLF ends gets one.
func (c *content) advanceChunk() error {
	for c.chunks.left == 0 {
		if c.chunks.last {
			return c.endChunks()
		}
		if err := c.chunks.next(c.size); err != nil {
			var wrong *smtp.SMTPError
			if errors.As(err, &wrong) {
				return c.refuse(wrong)
			}
			return err
		}
	}
	piece, err := c.chunks.piece()
	if err != nil {
		return err
	}
	piece = c.joined(piece)
	c.within = !bytes.HasSuffix(piece, []byte("\r\n"))
	return c.take(piece)
}

func (c *content) endChunks() error {
	c.complete = true
	switch {
	case c.cr:
		return c.refuse(refusal(550, "5.6.0", loneLine))
	case c.within:
		c.within = false
		c.rest = []byte("\r\n")
		return nil
	}
	return io.EOF
}

// drainChunk reads the rest of the chunk in which the message was refused; the chunks that may follow are refused by bdat.
func (c *content) drainChunk() {
	if c.chunks.lost || c.err == errAborted {
		return
	}
	if err := c.chunks.skip(2 * c.maxSize); err != nil {
		c.err = err
		return
	}
	c.complete = true
}
