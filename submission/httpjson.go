package submission

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"

	"sternpost/mail"
)

// posted is a message as JSON. Nothing is checked yet.
type posted struct {
	From           mailbox          `json:"from"`
	To             mailboxes        `json:"to"`
	Cc             mailboxes        `json:"cc"`
	Bcc            mailboxes        `json:"bcc"`
	ReplyTo        mailboxes        `json:"reply_to"`
	Subject        string           `json:"subject"`
	Text           string           `json:"text"`
	HTML           string           `json:"html"`
	Attachments    []attachment     `json:"attachments"`
	Headers        map[string]texts `json:"headers"`
	Sender         *string          `json:"sender"` // the reverse-path, where it is not From
	IdempotencyKey string           `json:"idempotency_key"`
	options
}

// attachment is a file that goes with the message.
type attachment struct {
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Content encoded `json:"content"`
	// InlineID is what the HTML calls it by, as in <img src="cid:logo">; then it is shown there and not listed.
	InlineID string `json:"inline_id"`
}

// readJSON makes a posting of application/json.
func (h *HTTP) readJSON(body io.Reader) (posting, error) {
	counted := &countedBody{body: body, memory: h.memory}
	defer counted.free()
	var m posted
	if err := decode(counted, &m); err != nil {
		return posting{}, err
	}
	p := posting{letter: Letter{Key: m.IdempotencyKey}}
	if err := p.choose(m.options, h.config.MaxHold); err != nil {
		return p, err
	}
	if err := p.address(&m); err != nil {
		return p, err
	}
	content, err := compose(&m)
	if err == nil && int64(len(content)) > h.config.MaxSize {
		err = tooLarge()
	}
	p.content = bytes.NewReader(content)
	return p, err
}

// address takes the envelope from m.
func (p *posting) address(m *posted) error {
	for _, list := range []struct {
		field string
		boxes mailboxes
	}{{"from", mailboxes{m.From}}, {"to", m.To}, {"cc", m.Cc}, {"bcc", m.Bcc}, {"reply_to", m.ReplyTo}} {
		for i, box := range list.boxes {
			field := list.field
			if field != "from" {
				field = fmt.Sprintf("%s[%d]", field, i)
			}
			if err := box.check(field); err != nil {
				return err
			}
		}
	}
	for _, list := range []mailboxes{m.To, m.Cc, m.Bcc} {
		for _, box := range list {
			p.to = append(p.to, box.address)
		}
	}
	p.letter.Envelope.From = mail.ReversePath{Address: m.From.address}
	if m.Sender == nil {
		return nil
	}
	from, err := reversePath(*m.Sender)
	if err != nil {
		return fieldError{"sender", mail.Escape(err.Error())}
	}
	p.letter.Envelope.From = from
	return nil
}

// decode reads one object and nothing behind it. Keys that nobody knows are refused: what is misspelt must not be left out of a message.
func decode(body io.Reader, into *posted) error {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("there is more than one value")
		}
	}
	return wrongJSON(err)
}

// wrongJSON is err for the client, where it is about what he sent.
func wrongJSON(err error) error {
	var known problem
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &known), isTimeout(err):
		return err
	case errors.As(err, &kind) && kind.Field != "":
		return problem{status: http.StatusBadRequest, detail: kind.Field + ": a JSON " + kind.Value + " cannot stand here", field: kind.Field}
	}
	return problem{status: http.StatusBadRequest, detail: "the body is not what was expected: " + mail.Escape(err.Error())}
}

// countedBody is a body that is kept in memory: what all of them hold is bounded, and so is each. It must be UTF-8: a decoder would put U+FFFD for what is not, and the
// message would be another one.
type countedBody struct {
	body   io.Reader
	memory *semaphore.Weighted
	held   int64
	begun  []byte // of a character that is not complete
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.body.Read(p)
	if !c.memory.TryAcquire(int64(n)) {
		return 0, problem{status: http.StatusServiceUnavailable, detail: "too many large messages come in as JSON at the moment", code: mail.Status{4, 3, 2}, retry: retrySoon}
	}
	c.held += int64(n)
	if c.held > maxJSON {
		return 0, problem{status: http.StatusRequestEntityTooLarge, detail: "the message is larger than 40 MiB as JSON; send it as message/rfc822", code: mail.Status{5, 3, 4}}
	}
	if !c.isUTF8(p[:n], err != nil) {
		return 0, problem{status: http.StatusBadRequest, detail: "the body is not UTF-8"}
	}
	return n, err
}

// isUTF8 looks at the next octets; the last character of p may be cut, unless nothing follows.
func (c *countedBody) isUTF8(p []byte, last bool) bool {
	if len(c.begun) > 0 {
		p = append(c.begun, p...)
	}
	whole := len(p)
	for back := 1; back <= min(utf8.UTFMax-1, len(p)); back++ {
		if start := len(p) - back; utf8.RuneStart(p[start]) {
			if !utf8.FullRune(p[start:]) {
				whole = start
			}
			break
		}
	}
	c.begun = slices.Clone(p[whole:])
	return utf8.Valid(p[:whole]) && !(last && whole < len(p))
}

func (c *countedBody) free() {
	c.memory.Release(c.held)
	c.held = 0
}
