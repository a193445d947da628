package delivery

import (
	"bytes"
	"errors"
	"io"
)

// form is how content is written.
type form struct {
	// stuffed doubles a dot at the start of a line (RFC 5321 s4.5.2): for DATA, not for BDAT.
	stuffed bool
	// downgrade converts to seven bits; nil writes the content as it is.
	downgrade *downgradePlan
}

// writeContent writes content as the wire wants it: every CRLF, bare CR and bare LF becomes CRLF, and the last line
// is ended. What ends DATA, the line with the dot, is the caller's. It returns the octets that it handed to w, doubled dots not
// counted. Trouble with r is a *contentReadError; every other error is w's.
func writeContent(w io.Writer, r io.Reader, f form) (int64, error) {
	out := newWireWriter(w, f.stuffed)
	defer out.release()
	err := pourContent(out, r, f)
	if err == nil {
		err = out.finish()
	}
	return out.written - out.doubled, err
}

func pourContent(out *wireWriter, r io.Reader, f form) error {
	source := newLineSource(r)
	defer source.release()
	if f.downgrade != nil {
		return f.downgrade.write(out, source)
	}
	for {
		chunk, err := source.chunk()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := out.Write(chunk); err != nil {
			return err
		}
	}
}

// appender keeps what is written to it.
type appender struct{ text []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.text = append(a.text, p...)
	return len(p), nil
}

// wireBuffer holds the longest form that one contentChunk can take: twice as long, when all of it is line ends.
const wireBuffer = 2*contentChunk + 8

// wireWriter turns content into its wire form, in whatever pieces it comes.
type wireWriter struct {
	w        io.Writer
	written  int64
	doubled  int64 // dots that stuffing added to what was written or is buffered
	stuffed  bool
	midLine  bool // something of the current line was written
	heldCR   bool // the last octet was a CR, and its LF may follow
	buffered int
	buffer   *[wireBuffer]byte
}

func newWireWriter(w io.Writer, stuffed bool) *wireWriter {
	return &wireWriter{w: w, stuffed: stuffed, buffer: wireBuffers.Get().(*[wireBuffer]byte)}
}

// release gives the buffer back.
func (w *wireWriter) release() {
	wireBuffers.Put(w.buffer)
	w.buffer = nil
}

// Write implements io.Writer.
func (w *wireWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), contentChunk)
		if err := w.chunk(rest[:n]); err != nil {
			return len(p) - len(rest), err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// chunk takes at most contentChunk octets.
func (w *wireWriter) chunk(p []byte) error {
	if err := w.room(2*len(p) + 4); err != nil {
		return err
	}
	if w.heldCR {
		w.heldCR = false
		w.endLine()
		p = bytes.TrimPrefix(p, []byte("\n"))
	}
	if len(p) > 0 && p[len(p)-1] == '\r' {
		w.heldCR = true
		p = p[:len(p)-1]
	}
	if len(p) >= contentChunk/16 && w.fits(p) {
		return w.direct(p)
	}
	w.lines(p)
	return nil
}

// fits says whether p may go as it is. It looks at whole lines at a time, never at every octet.
func (w *wireWriter) fits(p []byte) bool {
	dot := w.stuffed && !w.midLine
	for len(p) > 0 {
		if dot && p[0] == '.' {
			return false
		}
		length, end := findLineEnd(p)
		if end == endLF || end == endCR {
			return false
		}
		p = p[length+end.octets():]
		dot = w.stuffed
	}
	return true
}

// direct hands p, which is as it should be, to the writer below without a copy.
func (w *wireWriter) direct(p []byte) error {
	if err := w.flush(); err != nil {
		return err
	}
	w.midLine = p[len(p)-1] != '\n'
	return w.send(p)
}

// lines buffers the wire form of p. There is room for it.
func (w *wireWriter) lines(p []byte) {
	for len(p) > 0 {
		length, end := findLineEnd(p)
		if w.stuffed && !w.midLine && p[0] == '.' {
			w.put(".")
			w.doubled++
		}
		w.buffered += copy(w.buffer[w.buffered:], p[:length])
		w.midLine = w.midLine || length > 0
		if end != endNone {
			w.endLine()
		}
		p = p[length+end.octets():]
	}
}

func (w *wireWriter) endLine() {
	w.put("\r\n")
	w.midLine = false
}

func (w *wireWriter) put(text string) { w.buffered += copy(w.buffer[w.buffered:], text) }

// finish ends the last line and writes all that is buffered.
func (w *wireWriter) finish() error {
	if err := w.room(2); err != nil {
		return err
	}
	if w.heldCR || w.midLine {
		w.heldCR = false
		w.endLine()
	}
	return w.flush()
}

func (w *wireWriter) room(octets int) error {
	if len(w.buffer)-w.buffered >= octets {
		return nil
	}
	return w.flush()
}

func (w *wireWriter) flush() error {
	if w.buffered == 0 {
		return nil
	}
	p := w.buffer[:w.buffered]
	w.buffered = 0
	return w.send(p)
}

var errShortWrite = errors.New("wrote less than it was given")

func (w *wireWriter) send(p []byte) error {
	n, err := w.w.Write(p)
	w.written += int64(n)
	if err == nil && n < len(p) {
		err = errShortWrite
	}
	return err
}
