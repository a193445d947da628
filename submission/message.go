package submission

import (
	"io"
	"slices"
)

// message is what is handed over: the head, which has been read already, and the content that follows it. The head's room serves as the buffer
// for the rest, so that a message costs no buffer of its own.
type message struct {
	head   []byte
	rest   io.Reader
	room   []byte // that of head
	header *header
}

func newMessage(head []byte, rest io.Reader, h *header) *message {
	return &message{head: head, room: head[:cap(head)], rest: rest, header: h}
}

// Read gives out the head and then the rest. It fails when there are too many Received fields in both.
func (m *message) Read(p []byte) (int, error) {
	if len(m.head) > 0 {
		n := copy(p, m.head)
		m.head = m.head[n:]
		return n, nil
	}
	n, err := m.rest.Read(p)
	m.header.scan(p[:n])
	if m.header.hops > maxHops {
		return 0, errLoop
	}
	return n, err
}

// WriteTo is how io.Copy reads.
func (m *message) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(m.head)
	total := int64(n)
	m.head = nil
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

// readHead appends the begin of the content to head: the header and what came with it, or as much of it as is scanned.
func readHead(head []byte, c io.Reader, h *header) ([]byte, error) {
	most := len(head) + scanned
	for !h.ended && len(head) < most {
		head = slices.Grow(head, 1)
		n, err := c.Read(head[len(head):min(cap(head), most)])
		h.scan(head[len(head) : len(head)+n])
		head = head[:len(head)+n]
		if err == io.EOF {
			return head, nil
		}
		if err != nil {
			return head, err
		}
	}
	return head, nil
}
