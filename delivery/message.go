package delivery

import (
	"bytes"
	"errors"
	"io"

	"sternpost/mail"
)

// smallContent is the size up to which content is held in memory for an attempt, and goes by BDAT in the flight of the envelope.
const smallContent = 64 << 10

// message is the content of one transaction as the sessions of an attempt need it. It belongs to one goroutine.
type message struct {
	content mail.Content
	traits  traits
	// utf8: SMTPUTF8 is needed whoever the recipients are, because the reverse-path or a header field asks for it.
	utf8  bool
	plain *payload
	seven *payload // the same in seven bits; made when the first host needs it
}

// payload is content in the form in which one host gets it.
type payload struct {
	content mail.Content
	form    form
	size    int64  // on the wire, before dot-stuffing
	small   []byte // all of it, where it is small
	flat    bool   // no line of small begins with a dot
	body    string // the BODY parameter of MAIL, empty for none (RFC 6152 s2)
}

// newMessage reads the content once. An error is trouble of ours.
func newMessage(t mail.Transaction) (*message, error) {
	m := &message{content: t.Content}
	text, err := readSmall(t.Content)
	if err != nil {
		return nil, err
	}
	if text != nil {
		m.content = text
	}
	r, err := m.content.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if m.traits, err = inspect(r); err != nil {
		return nil, err
	}
	m.utf8 = m.traits.headerUTF8 || t.Envelope.From.NeedsUTF8()
	if text != nil && !m.traits.untidy {
		m.plain = &payload{content: text, size: int64(len(text)), small: text, flat: !m.traits.dotted}
		return m, nil
	}
	m.plain, err = newPayload(m.content, form{}, m.traits.wireSize)
	return m, err
}

// wholeContent is content in memory.
type wholeContent []byte

// Open implements mail.Content.
func (m wholeContent) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m)), nil }

// Size implements mail.Content.
func (m wholeContent) Size() int64 { return int64(len(m)) }

// readSmall reads content that is small; nil: it is not.
func readSmall(c mail.Content) (wholeContent, error) {
	size := c.Size()
	if size > smallContent {
		return nil, nil
	}
	if whole, ok := c.(mail.InMemory); ok && whole.Octets() != nil {
		return whole.Octets(), nil
	}
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead)) // the reading that finds the end wants room too
	if _, err := b.ReadFrom(r); err != nil {
		return nil, err
	}
	if int64(b.Len()) != size {
		return nil, errContentChanged
	}
	return b.Bytes(), nil
}

// payloadFor is the content for a host with these extensions. Signed content is never converted, 8BITMIME or not: a broken
// signature harms more than eight bits do (a departure from RFC 6152 s3, listed in docs/rfc.md).
func (m *message) payloadFor(e extensions) (*payload, error) {
	if !m.traits.eightBit {
		return m.plain, nil
	}
	if e.eightBit {
		p := *m.plain
		p.body = "8BITMIME"
		return &p, nil
	}
	if m.traits.signed {
		return m.plain, nil
	}
	if m.seven == nil {
		if err := m.convert(); err != nil {
			return nil, err
		}
	}
	return m.seven, nil
}

// convert makes the form in seven bits. Content that cannot be converted without harm goes as it is.
func (m *message) convert() error {
	plan, err := m.planConversion()
	var unread *contentReadError
	switch {
	case errors.As(err, &unread):
		return err
	case err != nil:
		m.seven = m.plain
		return nil
	}
	m.seven, err = newPayload(m.content, form{downgrade: plan}, unmeasured)
	return err
}

func (m *message) planConversion() (*downgradePlan, error) {
	r, err := m.content.Open()
	if err != nil {
		return nil, &contentReadError{err}
	}
	defer r.Close()
	return planDowngrade(r)
}

// unmeasured is the size of a form that was not written yet.
const unmeasured = -1

// newPayload measures the form when its size is not known, and keeps it when it is small.
func newPayload(content mail.Content, f form, size int64) (*payload, error) {
	p := &payload{content: content, form: f, size: size}
	if size == unmeasured {
		n, err := p.writeTo(io.Discard, false)
		if err != nil {
			return nil, err
		}
		p.size = n
	}
	if p.size > smallContent {
		return p, nil
	}
	small := appender{make([]byte, 0, p.size)}
	if _, err := p.writeTo(&small, false); err != nil {
		return nil, err
	}
	p.small = small.text
	return p, nil
}

// errContentChanged is content that is not as long as it was: to end it with a dot would deliver half a message.
var errContentChanged = errors.New("the content changed while it was sent")

// writeTo writes the payload and returns its size, doubled dots not counted. Trouble with the content is a *contentReadError.
func (p *payload) writeTo(w io.Writer, stuffed bool) (int64, error) {
	n, err := p.pour(w, stuffed)
	if err == nil && p.size != unmeasured && n != p.size {
		err = &contentReadError{errContentChanged}
	}
	return n, err
}

func (p *payload) pour(w io.Writer, stuffed bool) (int64, error) {
	if p.small != nil {
		return writeContent(w, bytes.NewReader(p.small), form{stuffed: stuffed})
	}
	r, err := p.content.Open()
	if err != nil {
		return 0, &contentReadError{err}
	}
	defer r.Close()
	f := p.form
	f.stuffed = stuffed
	return writeContent(w, r, f)
}
