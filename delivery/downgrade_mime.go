package delivery

import (
	"bytes"
	"errors"
	"io"
)

// Limits of the walk, so that its memory is bounded whatever the content is. Real mail stays far below.
const (
	maxMIMENesting  = 100
	maxMIMEEntities = 10_000
)

var (
	errMIMEHeader   = errors.New("a header of the content is too long")
	errMIMENesting  = errors.New("the parts of the content are nested too deeply")
	errMIMEEntities = errors.New("the content has too many parts")
)

// mimeSink takes what a walk finds, in the order of the content. All line ends come as a CRLF of their own.
type mimeSink interface {
	// begin takes an entity when its header is complete.
	begin(e *mimeEntity) error
	// body takes octets of an entity that has no entities inside; end comes after the last of them.
	body(e *mimeEntity, octets []byte) error
	end(e *mimeEntity) error
	// aside takes what stands outside every entity: delimiters, preambles and epilogues.
	aside(octets []byte) error
}

// mimeLevel is a multipart that is not closed yet.
type mimeLevel struct {
	boundary       []byte
	signed, digest bool
}

// mimeWalk reads a message line by line and finds its entities (RFC 2046 s5.1). Its memory is bounded.
type mimeWalk struct {
	source   *lineSource
	sink     mimeSink
	open     []mimeLevel
	entity   *mimeEntity // that is being read; nil in a preamble or epilogue
	inHeader bool
	midLine  bool
	held     bool // a line has ended; its CRLF belongs to the delimiter if one follows (RFC 2046 s5.1.1)
	entities int
	crlf     [2]byte // so that giving a line end allocates nothing
}

func newMIMEWalk(source *lineSource, sink mimeSink) *mimeWalk {
	return &mimeWalk{source: source, sink: sink, crlf: [2]byte{'\r', '\n'}}
}

func (w *mimeWalk) run() error {
	if err := w.enter(true); err != nil {
		return err
	}
	for {
		piece, end, err := w.source.peekLine()
		if err == io.EOF {
			return w.close()
		}
		if err != nil {
			return err
		}
		if err := w.piece(piece, end); err != nil {
			return err
		}
		w.midLine = end == endNone
		w.source.consume()
	}
}

// enter begins the header of an entity.
func (w *mimeWalk) enter(message bool) error {
	if w.entities == maxMIMEEntities {
		return errMIMEEntities
	}
	w.entity = &mimeEntity{number: w.entities, message: message}
	if n := len(w.open); n > 0 {
		w.entity.signed, w.entity.digest = w.open[n-1].signed, w.open[n-1].digest && !message
	}
	w.entities++
	w.inHeader = true
	return nil
}

func (w *mimeWalk) piece(piece []byte, end lineEnd) error {
	if !w.midLine {
		if level, last, found := w.delimiter(piece); found {
			return w.cross(level, last, piece)
		}
	}
	for w.inHeader {
		if w.midLine || w.headerGoesOn(piece) {
			return w.headerPiece(piece, end)
		}
		if err := w.endHeader(); err != nil || len(piece) == 0 {
			return err
		}
	}
	return w.text(piece, end)
}

func (w *mimeWalk) headerGoesOn(piece []byte) bool {
	first := len(w.entity.header) == 0 && w.entity.message
	return isHeaderLine(piece, first)
}

func (w *mimeWalk) headerPiece(piece []byte, end lineEnd) error {
	if len(w.entity.header)+len(piece) > maxHeader {
		return errMIMEHeader
	}
	w.entity.header = append(w.entity.header, piece...)
	if end != endNone {
		w.entity.header = append(w.entity.header, "\r\n"...)
	}
	return nil
}

// endHeader goes from the header of an entity to what is inside.
func (w *mimeWalk) endHeader() error {
	e := w.entity
	e.read()
	w.inHeader = false
	if err := w.sink.begin(e); err != nil {
		return err
	}
	e.header = nil
	switch {
	case e.isEnclosed():
		return w.enter(true)
	case e.isMultipart():
		w.entity = nil
		return w.openLevel(e)
	}
	return nil
}

func (w *mimeWalk) openLevel(e *mimeEntity) error {
	if len(w.open) == maxMIMENesting {
		return errMIMENesting
	}
	w.open = append(w.open, mimeLevel{
		boundary: []byte(e.boundary),
		signed:   e.signed || e.mediaType == "multipart/signed",
		digest:   e.mediaType == "multipart/digest",
	})
	return nil
}

// text takes a piece that is neither header nor delimiter.
func (w *mimeWalk) text(piece []byte, end lineEnd) error {
	if err := w.release(); err != nil {
		return err
	}
	w.held = end != endNone
	return w.give(piece)
}

// release gives the line end that no delimiter claimed.
func (w *mimeWalk) release() error {
	if !w.held {
		return nil
	}
	w.held = false
	return w.give(w.crlf[:])
}

func (w *mimeWalk) give(octets []byte) error {
	if w.entity != nil {
		return w.sink.body(w.entity, octets)
	}
	return w.sink.aside(octets)
}

// delimiter says whether line is a delimiter of an open multipart, of which, and whether it is the last one. The delimiter of an
// outer multipart ends all those inside (RFC 2046 s5.1.2).
func (w *mimeWalk) delimiter(line []byte) (level int, last, found bool) {
	rest, dashes := bytes.CutPrefix(line, []byte("--"))
	if !dashes {
		return 0, false, false
	}
	rest = bytes.TrimRight(rest, " \t")
	for level = len(w.open) - 1; level >= 0; level-- {
		tail, found := bytes.CutPrefix(rest, w.open[level].boundary)
		if found && (len(tail) == 0 || string(tail) == "--") {
			return level, len(tail) > 0, true
		}
	}
	return 0, false, false
}

// cross goes over a delimiter.
func (w *mimeWalk) cross(level int, last bool, line []byte) error {
	if err := w.leave(); err != nil {
		return err
	}
	w.entity = nil
	if err := w.release(); err != nil {
		return err
	}
	if err := w.sink.aside(line); err != nil {
		return err
	}
	if err := w.sink.aside(w.crlf[:]); err != nil {
		return err
	}
	if last {
		w.open = w.open[:level]
		return nil
	}
	w.open = w.open[:level+1]
	return w.enter(false)
}

// leave ends the entity that is being read.
func (w *mimeWalk) leave() error {
	for w.inHeader {
		if err := w.endHeader(); err != nil {
			return err
		}
	}
	if w.entity == nil {
		return nil
	}
	return w.sink.end(w.entity)
}

// close ends the walk at the end of the content. A multipart may be left open: the content was cut off.
func (w *mimeWalk) close() error {
	if w.midLine {
		if err := w.piece(nil, endOfText); err != nil {
			return err
		}
	}
	if w.inHeader {
		return w.leave()
	}
	if err := w.release(); err != nil {
		return err
	}
	return w.leave()
}
