package submission

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// lineReader makes of a body what the door for SMTP makes of DATA: lines end in CRLF, and no CR or LF stands alone (RFC 5321 s2.3.8). Programs send files whose lines end
// in LF: where all of them do, they are converted. A body with both is refused, since nobody knows what was meant, as is one with a NUL or with a line or a size
// beyond the limits. A last line without an end gets one.
type lineReader struct {
	in      *bufio.Reader
	maxSize int64
	maxLine int
	size    int64
	line    int    // octets of the current line so far
	ending  string // of the lines: "\r\n" or "\n", as the first one has it; empty: there was none yet
	rest    []byte // read and not given out: of in's buffer
	tail    string // given out behind rest
	err     error  // what Read ends with
}

func newLineReader(body io.Reader, c Config) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(body, inBuffer), maxSize: c.MaxSize, maxLine: c.MaxLine}
}

// proven tells the intake that there is nothing more to be looked for.
func (l *lineReader) proven() {}

// Read gives out content. Its errors are io.EOF, a *Refusal, and those of the body; they stay.
func (l *lineReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m := copy(p[n:], l.rest)
		l.rest = l.rest[m:]
		n += m
		m = copy(p[n:], l.tail)
		l.tail = l.tail[m:]
		n += m
		if n == len(p) || l.err != nil || n > 0 && l.in.Buffered() == 0 {
			break
		}
		l.err = l.advance()
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// advance reads a line, or as much of one as the buffer holds.
func (l *lineReader) advance() error {
	chunk, err := l.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		if chunk[len(chunk)-1] == '\r' { // what it is shows in the next octet
			chunk = chunk[:len(chunk)-1]
			if err := l.in.UnreadByte(); err != nil {
				return err
			}
		}
		return l.take(chunk, "")
	case errors.Is(err, io.EOF):
		return l.finish(chunk)
	case err != nil:
		return err
	}
	ending := "\n"
	if bytes.HasSuffix(chunk, []byte("\r\n")) {
		ending = "\r\n"
	}
	if l.ending == "" {
		l.ending = ending
	}
	if ending != l.ending {
		return content550("some lines of the message end in CRLF and some in LF alone")
	}
	return l.take(chunk[:len(chunk)-len(ending)], "\r\n")
}

// finish takes the last octets.
func (l *lineReader) finish(chunk []byte) error {
	ending := ""
	if l.line+len(chunk) > 0 {
		ending = "\r\n"
	}
	if err := l.take(chunk, ending); err != nil {
		return err
	}
	if l.size == 0 {
		return content550("the message is empty")
	}
	return io.EOF
}

// take makes text, a line or a part of one, what is given out next, if nothing is wrong with it.
func (l *lineReader) take(text []byte, ending string) error {
	l.line += len(text)
	l.size += int64(len(text) + len(ending))
	switch {
	case bytes.IndexByte(text, '\r') >= 0:
		return content550("a CR stands alone in the message")
	case bytes.IndexByte(text, 0) >= 0:
		return content550("the message holds a NUL")
	case l.line > l.maxLine:
		return content550("a line of the message is too long")
	case l.size > l.maxSize:
		return tooLarge()
	}
	if ending != "" {
		l.line = 0
	}
	l.rest, l.tail = text, ending
	return nil
}

func content550(text string) *Refusal {
	return refuse(550, "5.6.0", text)
}
