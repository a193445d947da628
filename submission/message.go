package submission

import (
	"crypto/sha256"
	"hash"
	"io"

	"sternpost/mail"
)

// message is what is handed to the queue: the header as it was made, what came behind it, and the rest of the content as it comes in. The room of the head serves as the
// buffer for the rest, so that a message costs none of its own.
type message struct {
	parts [3][]byte // in memory: with the header, behind it what was added, the begin of the body
	rest  io.Reader
	room  []byte
	sum   hash.Hash // nil: no digest is wanted
}

// newMessage makes the message of a head that was read. added are fields that the header lacked, with their line ends.
func newMessage(h *head, added []byte, rest io.Reader) *message {
	if h.gap {
		added = append(added, "\r\n"...)
	}
	m := &message{rest: rest, room: h.buf[:cap(h.buf)]}
	if len(added) == 0 && h.kept == h.line {
		m.parts[0] = h.buf
		return m
	}
	m.parts = [3][]byte{h.buf[:h.kept], added, h.buf[h.line:]}
	return m
}

// digested has m make a digest of what makes two messages the same, whatever way they came: the envelope, and the content without the fields that are taken out and those that we
// add.
func (m *message) digested(h *head, e mail.Envelope) {
	m.sum = sha256.New()
	writeEnvelope(m.sum, e)
	_, _ = m.sum.Write(h.buf[h.top:h.kept]) // a hash takes everything
	_, _ = m.sum.Write(h.buf[h.line:])
}

// Digest is that of the whole message, once it was read to its end. It is zero when none was wanted.
func (m *message) Digest() (d [sha256.Size]byte) {
	if m.sum != nil {
		m.sum.Sum(d[:0])
	}
	return d
}

// Read gives out the parts and then the rest.
func (m *message) Read(p []byte) (int, error) {
	for i, part := range m.parts {
		if len(part) > 0 {
			n := copy(p, part)
			m.parts[i] = part[n:]
			return n, nil
		}
	}
	n, err := m.rest.Read(p)
	if m.sum != nil {
		_, _ = m.sum.Write(p[:n])
	}
	return n, err
}

// WriteTo is how io.Copy reads.
func (m *message) WriteTo(w io.Writer) (total int64, err error) {
	for i, part := range m.parts {
		if len(part) > 0 && err == nil {
			var n int
			n, err = w.Write(part)
			total += int64(n)
			m.parts[i] = nil
		}
	}
	for err == nil {
		var read int
		read, err = m.Read(m.room)
		if read > 0 {
			written, wrong := w.Write(m.room[:read])
			total += int64(written)
			if wrong != nil {
				return total, wrong
			}
		}
	}
	if err == io.EOF {
		err = nil
	}
	return total, err
}
