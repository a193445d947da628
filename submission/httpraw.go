package submission

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	"sternpost/mail"
)

// mostHeader is how much of a message is read to find its envelope in the header. Where the envelope stands in the parameters, the header may be of any length.
const mostHeader = 1 << 20

// readMIME makes a posting of message/rfc822: the envelope is in the parameters, and what is missing there in the header, as for sendmail -t.
func (h *HTTP) readMIME(parameters url.Values, body io.Reader) (posting, error) {
	p := posting{content: newLineReader(body, h.config)}
	if err := p.readParameters(parameters, h.config.MaxHold); err != nil {
		return p, err
	}
	if parameters.Has("from") && parameters.Has("to") {
		return p, nil
	}
	head, err := headOf(p.content)
	if err != nil {
		return p, err
	}
	p.content = io.MultiReader(bytes.NewReader(head), p.content)
	message, err := netmail.ReadMessage(io.MultiReader(bytes.NewReader(head), strings.NewReader("\r\n"))) // a header may have no body
	if err != nil {
		return p, fieldError{"message", "its header cannot be read, so the parameters from and to are needed: " + mail.Escape(err.Error())}
	}
	if !parameters.Has("from") {
		if err := p.senderFrom(message.Header); err != nil {
			return p, err
		}
	}
	if !parameters.Has("to") {
		err = p.recipientsFrom(message.Header)
	}
	return p, err
}

// readParameters takes what the parameters say. A name that nobody knows is refused: a recipient must not be lost in a misspelling.
func (p *posting) readParameters(parameters url.Values, longest time.Duration) error {
	var s options
	var from string
	single := map[string]*string{
		"from": &from, "envelope_id": &s.EnvelopeID, "ret": &s.Return, "send_at": &s.SendAt, "expires": &s.Expires, "idempotency_key": &p.letter.Key,
	}
	for name, values := range parameters {
		into, known := single[name]
		switch {
		case known && len(values) > 1:
			return fieldError{name, "is given more than once"}
		case known:
			*into = values[0]
		case name == "notify": // notify=success&notify=delay as well as notify=success,delay
			s.Notify = strings.Split(strings.Join(values, ","), ",")
		case name != "to":
			return problem{status: http.StatusBadRequest, detail: "there is no parameter " + mail.Escape(name)}
		}
	}
	if err := p.choose(s, longest); err != nil {
		return err
	}
	var err error
	if p.letter.Envelope.From, err = reversePath(from); err != nil {
		return fieldError{"from", mail.Escape(err.Error())}
	}
	for _, text := range parameters["to"] {
		a, err := parseMailbox(text)
		if err != nil {
			return fieldError{"to", mail.Escape(err.Error())}
		}
		p.to = append(p.to, a)
	}
	return nil
}

// reversePath reads what SMTP has between the brackets, or with them.
func reversePath(text string) (mail.ReversePath, error) {
	if text == "" || text == "<>" {
		return mail.ReversePath{}, nil
	}
	a, err := parseMailbox(text)
	return mail.ReversePath{Address: a}, err
}

// headOf reads the content up to the end of its header.
func headOf(content io.Reader) ([]byte, error) {
	var head []byte
	piece := make([]byte, 4<<10)
	for !bytes.Contains(head, []byte("\r\n\r\n")) && !bytes.HasPrefix(head, []byte("\r\n")) {
		n, err := content.Read(piece)
		head = append(head, piece[:n]...)
		if errors.Is(err, io.EOF) {
			return head, nil
		}
		if err != nil {
			return nil, err
		}
		if len(head) > mostHeader {
			return nil, fieldError{"message", "its header is longer than 1 MiB, so the parameters from and to are needed"}
		}
	}
	return head, nil
}

// senderFrom takes the reverse-path from Sender, or from From where there is none (RFC 5322 s3.6.2).
func (p *posting) senderFrom(header netmail.Header) error {
	for _, name := range []string{"Sender", "From"} {
		list, err := mailboxesOf(header, name)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			p.letter.Envelope.From = mail.ReversePath{Address: list[0]}
			return nil
		}
	}
	return fieldError{"from", "there is no parameter from, and the header has no From field"}
}

// recipientsFrom takes the recipients from To, Cc and Bcc.
func (p *posting) recipientsFrom(header netmail.Header) error {
	for _, name := range []string{"To", "Cc", "Bcc"} {
		list, err := mailboxesOf(header, name)
		if err != nil {
			return err
		}
		p.to = append(p.to, list...)
	}
	if len(p.to) == 0 {
		return fieldError{"to", "there is no parameter to, and the header has no address in To, Cc or Bcc"}
	}
	return nil
}

// mailboxesOf reads all fields of a name; groups are their members (RFC 5322 s3.4).
func mailboxesOf(header netmail.Header, name string) ([]mail.Address, error) {
	var list []mail.Address
	for _, value := range header[name] {
		if strings.TrimSpace(value) == "" {
			continue
		}
		parsed, err := netmail.ParseAddressList(value)
		if err != nil {
			return nil, fieldError{name, "the field of the header " + mail.Escape(err.Error())}
		}
		for _, one := range parsed {
			a, err := mail.ParseAddress(quoted(one.Address))
			if err != nil {
				return nil, fieldError{name, mail.Escape(err.Error())}
			}
			list = append(list, a)
		}
	}
	return list, nil
}

// quoted writes the quotes again that net/mail takes from a local-part.
func quoted(address string) string {
	if _, err := mail.ParseAddress(address); err == nil {
		return address
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(address[:at]) + `"` + address[at:]
}
