package delivery

import (
	"bytes"
	"fmt"
	"io"
)

// lineEnd is how a line ends.
type lineEnd int

const (
	endNone lineEnd = iota // it goes on in the next piece
	endCRLF
	endLF     // bare LF
	endCR     // bare CR
	endOfText // the content ends without a line end
)

// octets is the length of e in the content.
func (e lineEnd) octets() int {
	switch e {
	case endCRLF:
		return 2
	case endLF, endCR:
		return 1
	}
	return 0
}

// findLineEnd returns the length of the first line of p and how it ends. A CR at the end of p counts as bare.
func findLineEnd(p []byte) (int, lineEnd) {
	lf := bytes.IndexByte(p, '\n')
	line := p
	if lf >= 0 {
		line = p[:lf]
	}
	cr := bytes.IndexByte(line, '\r')
	switch {
	case cr >= 0 && cr == lf-1:
		return cr, endCRLF
	case cr >= 0:
		return cr, endCR
	case lf >= 0:
		return lf, endLF
	}
	return len(p), endNone
}

// contentReadError says that our own content could not be read: local trouble, not the remote's.
type contentReadError struct{ err error }

func (e *contentReadError) Error() string { return fmt.Sprintf("reading the content: %v", e.err) }
func (e *contentReadError) Unwrap() error { return e.err }

// lineSource reads content in lines or in chunks, through one buffer of contentChunk octets.
type lineSource struct {
	r        io.Reader
	buffer   *[contentChunk]byte
	from, to int
	peeked   int // octets that consume takes
	err      error
}

// newLineSource takes a buffer from the pool; release gives it back.
func newLineSource(r io.Reader) *lineSource {
	return &lineSource{r: r, buffer: contentBuffers.Get().(*[contentChunk]byte)}
}

func (s *lineSource) release() {
	contentBuffers.Put(s.buffer)
	s.buffer = nil
}

// fill reads more behind what is unread. It returns false when there is no room or no more.
func (s *lineSource) fill() bool {
	if s.from > 0 {
		s.to = copy(s.buffer[:], s.buffer[s.from:s.to])
		s.from = 0
	}
	for s.err == nil && s.to < contentChunk {
		var n int
		n, s.err = s.r.Read(s.buffer[s.to:])
		s.to += n
		if n > 0 {
			return true
		}
	}
	return false
}

// failure is io.EOF at the end of the content, or the error that ended it.
func (s *lineSource) failure() error {
	if s.err == io.EOF {
		return io.EOF
	}
	return &contentReadError{s.err}
}

// ended says that nothing will come after what is in the buffer.
func (s *lineSource) ended() bool { return s.err != nil }

// peekLine returns the next line without its end, or as much of it as the buffer holds; then the end is endNone. It is
// valid until the next call.
func (s *lineSource) peekLine() ([]byte, lineEnd, error) {
	for {
		unread := s.buffer[s.from:s.to]
		length, end := findLineEnd(unread)
		undecided := end == endNone || end == endCR && length+1 == len(unread)
		if undecided && s.fill() {
			continue
		}
		if s.ended() && s.err != io.EOF || len(unread) == 0 {
			return nil, endNone, s.failure()
		}
		return s.piece(s.buffer[s.from:s.to], length, end)
	}
}

// piece decides what findLineEnd left open because the buffer is full or the content has ended.
func (s *lineSource) piece(unread []byte, length int, end lineEnd) ([]byte, lineEnd, error) {
	switch {
	case end == endNone && s.ended():
		end = endOfText
	case end == endCR && length+1 == len(unread) && !s.ended():
		end = endNone // the buffer is full: the CR stays for the next piece
	}
	s.peeked = length + end.octets()
	return unread[:length], end, nil
}

// consume goes on behind the line that peekLine returned.
func (s *lineSource) consume() {
	s.from += s.peeked
	s.peeked = 0
}

// chunk returns all that is buffered, at least one octet, and consumes it. It ends in CR only at the end of the content.
func (s *lineSource) chunk() ([]byte, error) {
	for s.from == s.to || s.buffer[s.to-1] == '\r' && s.to-s.from < contentChunk {
		if !s.fill() {
			break
		}
	}
	if s.ended() && s.err != io.EOF || s.from == s.to {
		return nil, s.failure()
	}
	piece := s.buffer[s.from:s.to]
	if piece[len(piece)-1] == '\r' && len(piece) > 1 && !s.ended() {
		piece = piece[:len(piece)-1]
	}
	s.from += len(piece)
	return piece, nil
}
