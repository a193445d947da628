package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"sternpost/mail"
)

// mailbox is an address as it stands in a command: with its domain, or a bare local-part to which the agent gives one. The zero value is the null reverse-path.
type mailbox struct {
	text string
	utf8 bool // it can be used only with SMTPUTF8 (RFC 6531 s3.2)
}

// isBare says whether m has no domain.
func (m mailbox) isBare() bool {
	return !strings.Contains(m.text[strings.LastIndexByte(m.text, '"')+1:], "@")
}

// someDomain is put behind a bare local-part while it is checked.
const someDomain = "@localhost"

// parseMailbox reads what is left of an address without names and comments.
func parseMailbox(text string) (mailbox, error) {
	if text == "" {
		return mailbox{}, nil
	}
	suffix := ""
	if (mailbox{text: text}).isBare() {
		suffix = someDomain
	}
	a, err := mail.ParseAddress(text + suffix)
	if err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			err = inner
		}
		return mailbox{}, fmt.Errorf("address %q: %w", text, err)
	}
	return mailbox{strings.TrimSuffix(a.String(), suffix), a.NeedsUTF8()}, nil
}

// parseSender reads a reverse-path; "" and "<>" are the null one.
func parseSender(text string) (mailbox, error) {
	list, err := splitAddresses(text)
	switch {
	case err != nil:
		return mailbox{}, err
	case len(list) > 1:
		return mailbox{}, fmt.Errorf("%q is more than one address", text)
	case len(list) == 0:
		return mailbox{}, nil
	}
	return parseMailbox(list[0])
}

// parseRecipients reads lists of addresses. One that is named twice is taken once. All mistakes are told at once.
func parseRecipients(texts []string) ([]mailbox, error) {
	var found []mailbox
	var errs []error
	for _, text := range texts {
		list, err := splitAddresses(text)
		errs = append(errs, err)
		for _, address := range list {
			m, err := parseMailbox(address)
			switch {
			case err != nil:
				errs = append(errs, err)
			case m == mailbox{}:
				errs = append(errs, errors.New("address <>: is the null reverse-path, which is no recipient"))
			case !slices.Contains(found, m):
				found = append(found, m)
			}
		}
	}
	return found, errors.Join(errs...)
}

// splitAddresses takes a list apart into addresses without names, comments, brackets and source routes. It reads what header fields may hold (RFC 5322 s3.4, groups
// too) and what people write behind a command: bare local-parts, semicolons in the place of commas, empty elements.
func splitAddresses(text string) ([]string, error) {
	if strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) && c != '\t' }) {
		return nil, fmt.Errorf("address list %q: has a control character", text)
	}
	elements, err := addressElements(text)
	if err != nil {
		return nil, fmt.Errorf("address list %q: %w", text, err)
	}
	var list []string
	for _, e := range elements {
		if address := e.address(); address != "" || e.bracketed {
			list = append(list, address)
		}
	}
	return list, nil
}

// completeAddresses puts a domain behind each address of a list that has none; the rest of the text stays as it is. Where it is no list of addresses, all of it does.
func completeAddresses(text, domain string) string {
	elements, err := addressElements(text)
	if err != nil {
		return text
	}
	for _, e := range slices.Backward(elements) {
		m, err := parseMailbox(e.address())
		if err == nil && m.text != "" && m.isBare() {
			text = text[:e.end] + "@" + domain + text[e.end:]
		}
	}
	return text
}

func addressElements(text string) ([]addressElement, error) {
	list := []addressElement{{}}
	for at := 0; at < len(text); {
		size, err := list[len(list)-1].take(text, at)
		if err != nil {
			return nil, err
		}
		if size == 0 { // a separator
			list = append(list, addressElement{})
			size = 1
		}
		at += size
	}
	return list, nil
}

// addressElement is one element of a list while it is read.
type addressElement struct {
	outside   []byte // what stands outside of brackets and comments
	inside    string // what stands in angle brackets
	bracketed bool
	end       int // where the address ends in the list
}

// take reads the token at an index of text and returns its length; 0: it is what separates elements.
func (e *addressElement) take(text string, at int) (size int, err error) {
	rest := text[at:]
	switch rest[0] {
	case ',', ';':
		return 0, nil
	case ':': // what stood before it is the name of a group
		e.outside = nil
		return 1, nil
	case '(':
		e.outside = append(e.outside, ' ')
		return closing(rest, '(', ')')
	case '<':
		size, err = closing(rest, 0, '>')
		if err == nil && e.bracketed {
			err = errors.New("has two addresses in angle brackets without a comma between them")
		}
		if err == nil {
			e.inside, e.bracketed = strings.TrimRight(rest[1:size-1], " \t\r\n"), true
			e.end = at + 1 + len(e.inside)
		}
		return size, err
	}
	size, err = wordSize(rest)
	e.outside = append(e.outside, rest[:size]...)
	if !e.bracketed && strings.TrimSpace(rest[:size]) != "" {
		e.end = at + size
	}
	return size, err
}

// wordSize is the length of a quoted-string, of a domain literal, or of what goes to the next character that means something.
func wordSize(text string) (int, error) {
	switch text[0] {
	case '"':
		return closing(text, 0, '"')
	case '[':
		return closing(text, 0, ']')
	}
	if end := strings.IndexAny(text[1:], ",;:(<\"[ \t\r\n"); end >= 0 {
		return end + 1, nil
	}
	return len(text), nil
}

// address is that of the element; empty: it has none, or the null reverse-path.
func (e *addressElement) address() string {
	if !e.bracketed {
		return strings.TrimSpace(string(e.outside))
	}
	address := strings.TrimSpace(e.inside)
	if strings.HasPrefix(address, "@") { // RFC 5321 s3.6.1: a source route is left out
		_, address, _ = strings.Cut(address, ":")
	}
	return address
}

// closing returns the length of what begins with the first octet of text and goes to end; open begins another one within it. Backslashes and, in angle brackets and
// comments, quoted-strings are passed over.
func closing(text string, open, end byte) (int, error) {
	depth, quoted := 0, false
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"' && end == '>':
			quoted = !quoted
		case quoted:
		case c == end && depth == 0:
			return i + 1, nil
		case c == end:
			depth--
		case c == open && open != 0:
			depth++
		}
	}
	return 0, fmt.Errorf("has no %q to its %q", end, text[0])
}
