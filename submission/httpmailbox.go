package submission

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode"

	"sternpost/mail"
)

// mailbox is an address with the name of whom it belongs to, as an object or as one text, "Jane Doe <jane@example.org>". What is wrong with it is kept until its place is known.
type mailbox struct {
	name    string
	address mail.Address
	wrong   error
}

// UnmarshalJSON reads both forms.
func (m *mailbox) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	var written struct {
		Name    string `json:"name"`
		Address string `json:"address"`
	}
	if text[0] == '"' {
		var whole string
		if err := json.Unmarshal(text, &whole); err != nil {
			return err
		}
		written.Name, written.Address, m.wrong = splitMailbox(whole)
	} else {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&written); err != nil {
			return err
		}
	}
	m.name = written.Name
	if m.wrong == nil && written.Address != "" && !strings.Contains(written.Address, "@") {
		m.wrong = errors.New("has no domain; write the whole address, as in name@example.org")
	}
	if m.wrong == nil {
		m.address, m.wrong = mail.ParseAddress(written.Address)
	}
	return nil
}

// splitMailbox takes a name-addr apart (RFC 5322 s3.4). The name may be quoted.
func splitMailbox(text string) (name, address string, err error) {
	rest, bracketed := strings.CutSuffix(strings.TrimSpace(text), ">")
	if !bracketed {
		return "", text, nil
	}
	open := strings.LastIndexByte(rest, '<')
	if open < 0 {
		return "", "", errors.New("has a > without a <")
	}
	name, address = strings.TrimSpace(rest[:open]), rest[open+1:]
	inner, quoted := strings.CutPrefix(name, `"`)
	if !quoted {
		if strings.ContainsAny(name, `"<>`) {
			return "", "", errors.New("has a name that needs quotes, or is more than one address")
		}
		return name, address, nil
	}
	name, closed := unquote(inner)
	if !closed {
		return "", "", errors.New("has a name whose quotes do not end before the address")
	}
	return name, address, nil
}

// unquote reads a quoted-string behind its first quote (RFC 5322 s3.2.4), and says whether it ends with the text.
func unquote(text string) (meant string, closed bool) {
	var b strings.Builder
	escaped := false
	for i, c := range text {
		switch {
		case escaped:
			b.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return b.String(), i == len(text)-1
		default:
			b.WriteRune(c)
		}
	}
	return "", false
}

// longestName is what a name may have in octets: of a person, of a file.
const longestName = 255

// check says what is wrong, with the place of the mailbox in the message.
func (m mailbox) check(field string) error {
	switch {
	case m.wrong != nil:
		return fieldError{field, mail.Escape(m.wrong.Error())}
	case m.address.IsZero():
		return fieldError{field, "an address is needed"}
	case len(m.name) > longestName:
		return fieldError{field, "the name is longer than 255 octets"}
	}
	return checkText(field, m.name)
}

// checkText refuses what would end a field of the header, or be something else on a terminal: CR, LF, NUL and the other control characters. A tab is a blank.
func checkText(field, text string) error {
	for _, c := range text {
		switch {
		case c == '\r' || c == '\n':
			return fieldError{field, "holds a line break"}
		case c == 0:
			return fieldError{field, "holds a NUL"}
		case c != '\t' && unicode.IsControl(c):
			return fieldError{field, "holds a control character"}
		}
	}
	return nil
}

// mailboxes are a list of them; one alone needs no list.
type mailboxes []mailbox

// UnmarshalJSON reads both forms.
func (m *mailboxes) UnmarshalJSON(text []byte) error { return oneOrMore((*[]mailbox)(m), text) }

// texts are a list of texts; one alone needs no list.
type texts []string

// UnmarshalJSON reads both forms.
func (t *texts) UnmarshalJSON(text []byte) error { return oneOrMore((*[]string)(t), text) }

func oneOrMore[T any](list *[]T, text []byte) error {
	if string(text) == "null" {
		return nil
	}
	if text[0] == '[' {
		return json.Unmarshal(text, list)
	}
	var one T
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	*list = []T{one}
	return nil
}

// encoded is a text in base64 and what it stands for (RFC 4648 s4); blanks and line ends in it are passed over, since many programs fold it.
type encoded struct {
	content []byte
	wrong   error
}

// UnmarshalJSON decodes the text. That it is wrong is kept until its place is known.
func (o *encoded) UnmarshalJSON(text []byte) error {
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	o.content, o.wrong = base64.StdEncoding.DecodeString(strings.ReplaceAll(written, " ", ""))
	return nil
}
