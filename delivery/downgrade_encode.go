package delivery

import (
	"bytes"
	"io"
)

const hexDigits = "0123456789ABCDEF"

// quoteWriter writes text as quoted-printable (RFC 2045 s6.7). The writer of the standard library would do, but for one thing: where
// it breaks a long line, the rest may look like the delimiter of a multipart.
type quoteWriter struct {
	out    io.Writer
	line   [80]byte
	column int
	space  byte // a space or tab that was not written, as it may be the last of its line
	broken bool // the line continues one that was too long
}

// maxQuoted is the longest encoded line without the "=" that breaks it (RFC 2045 s6.7 rule 5).
const maxQuoted = 75

// Write takes text. A line break comes as CRLF.
func (w *quoteWriter) Write(p []byte) (int, error) {
	for i, c := range p {
		if err := w.octet(c); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func (w *quoteWriter) octet(c byte) error {
	switch {
	case c == '\r':
		return nil
	case c == '\n':
		if err := w.endSpace(true); err != nil {
			return err
		}
		return w.breakLine("\r\n")
	case c == ' ' || c == '\t':
		err := w.endSpace(false)
		w.space = c
		return err
	}
	if err := w.endSpace(false); err != nil {
		return err
	}
	return w.put(c, c < '!' || c > '~' || c == '=')
}

// endSpace writes the space that was kept back: quoted where it ends a line (RFC 2045 s6.7 rule 3).
func (w *quoteWriter) endSpace(last bool) error {
	c := w.space
	if c == 0 {
		return nil
	}
	w.space = 0
	return w.put(c, last)
}

func (w *quoteWriter) put(c byte, quoted bool) error {
	if w.column+1 > maxQuoted || quoted && w.column+3 > maxQuoted {
		if err := w.breakLine("=\r\n"); err != nil {
			return err
		}
		w.broken = true
	}
	if quoted || w.broken && w.column == 0 && c == '-' {
		w.column += copy(w.line[w.column:], []byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		return nil
	}
	w.line[w.column] = c
	w.column++
	return nil
}

func (w *quoteWriter) breakLine(with string) error {
	w.column += copy(w.line[w.column:], with)
	_, err := w.out.Write(w.line[:w.column])
	w.column, w.broken = 0, false
	return err
}

// Close writes what is left. It does not end the line.
func (w *quoteWriter) Close() error {
	if err := w.endSpace(true); err != nil {
		return err
	}
	return w.breakLine("")
}

// strayMask writes "?" for octets that no encoding of the place can carry, and everything else as it is.
type strayMask struct{ out io.Writer }

func (m strayMask) Write(p []byte) (int, error) {
	if !holdsEightBit(p) {
		return m.out.Write(p)
	}
	masked := bytes.Clone(p)
	for i, c := range masked {
		if c >= 0x80 {
			masked[i] = '?'
		}
	}
	return m.out.Write(masked)
}

func (strayMask) Close() error { return nil }

// strayQuoter quotes the octets that quoted-printable text must not hold, and leaves the text alone.
type strayQuoter struct{ out io.Writer }

func (q strayQuoter) Write(p []byte) (int, error) {
	var b bytes.Buffer
	for _, c := range p {
		if c < 0x80 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
	}
	if _, err := q.out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (strayQuoter) Close() error { return nil }

// wrapWriter breaks lines at 76 octets (RFC 2045 s6.8).
type wrapWriter struct {
	out    io.Writer
	column int
}

func (w *wrapWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if w.column == 76 {
			if _, err := io.WriteString(w.out, "\r\n"); err != nil {
				return len(p) - len(rest), err
			}
			w.column = 0
		}
		n := min(len(rest), 76-w.column)
		if _, err := w.out.Write(rest[:n]); err != nil {
			return len(p) - len(rest), err
		}
		w.column += n
		rest = rest[n:]
	}
	return len(p), nil
}
