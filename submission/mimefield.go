package submission

import (
	"encoding/base64"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// headerOf writes the fields of m, but for those about its content.
func headerOf(m *posted) (string, error) {
	var b strings.Builder
	for _, list := range []struct {
		name  string
		boxes mailboxes
	}{{"From", mailboxes{m.From}}, {"Reply-To", m.ReplyTo}, {"To", m.To}, {"Cc", m.Cc}} { // Bcc is of the envelope only (RFC 5322 s3.6.3)
		if len(list.boxes) > 0 {
			b.WriteString(list.name + ": " + addressList(list.boxes) + "\r\n")
		}
	}
	if err := checkText("subject", m.Subject); err != nil {
		return "", err
	}
	if len(m.Subject) > longestValue {
		return "", fieldError{"subject", "is longer than 8192 octets"}
	}
	if m.Subject != "" {
		b.WriteString(unstructured("Subject", m.Subject))
	}
	count := 0
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		for _, value := range m.Headers[name] {
			line, err := ownField(name, value)
			if err != nil {
				return "", err
			}
			b.WriteString(line)
			count++
		}
	}
	if count > mostFields {
		return "", fieldError{"headers", "there are more than 100"}
	}
	return b.String(), nil
}

// Bounds of what a client adds to the header.
const (
	longestValue = 8 << 10
	mostFields   = 100
	usualLine    = 76 // RFC 5322 s2.1.1, RFC 2047 s2
	longestWord  = 900
)

// madeFields are made from other keys of the message, or by whoever carries it.
func madeFields() []string {
	return []string{
		"from", "to", "cc", "bcc", "reply-to", "subject", "mime-version", "return-path", "received", "idempotency-key", "delivered-to", "dkim-signature",
	}
}

// structuredFields have a syntax in which encoded-words have no place (RFC 2047 s5).
func structuredFields() []string {
	return []string{"date", "message-id", "in-reply-to", "references", "sender", "auto-submitted", "precedence", "disposition-notification-to"}
}

// ownField is a field that the client has named.
func ownField(name, value string) (string, error) {
	field := "headers." + name
	lower := strings.ToLower(name)
	if name == "" || len(name) > 70 || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || c == ':' }) {
		return "", fieldError{"headers", fmt.Sprintf("%+q is not the name of a field", name)} // RFC 5322 s3.6.8
	}
	if strings.HasPrefix(lower, "content-") || slices.Contains(madeFields(), lower) {
		return "", fieldError{field, "is made from the other keys of the message, or on its way"}
	}
	if err := checkText(field, value); err != nil {
		return "", err
	}
	structured := strings.HasPrefix(lower, "list-") || strings.HasPrefix(lower, "resent-") || slices.Contains(structuredFields(), lower)
	switch {
	case len(value) > longestValue:
		return "", fieldError{field, "is longer than 8192 octets"}
	case strings.TrimSpace(value) == "":
		return "", fieldError{field, "is empty"}
	case isASCII([]byte(value)) && longest(value) <= longestWord:
		return fold(name+": "+strings.Join(strings.Fields(value), " ")) + "\r\n", nil
	case structured:
		return "", fieldError{field, "holds what is not ASCII, or a word longer than 900 octets"}
	}
	return unstructured(name, value), nil
}

// longest is the length of the longest word.
func longest(text string) int {
	most := 0
	for word := range strings.FieldsSeq(text) {
		most = max(most, len(word))
	}
	return most
}

// unstructured is a field whose value is text: where it cannot stand as it is, it becomes encoded-words.
func unstructured(name, text string) string {
	if asItIs(text) {
		return fold(name+": "+text) + "\r\n"
	}
	return name + ": " + encodedWords(text, len(name)+2) + "\r\n"
}

// asItIs says whether text can be folded and unfolded and is then the same, and is not taken for encoded-words.
func asItIs(text string) bool {
	return isASCII([]byte(text)) && longest(text) <= longestWord && text == strings.Join(strings.Fields(text), " ") && !strings.Contains(text, "=?")
}

// fold breaks a line at blanks, so that it is of the usual length where words allow it (RFC 5322 s2.2.3).
func fold(line string) string {
	var b strings.Builder
	length := 0
	for i, word := range strings.Split(line, " ") {
		switch {
		case i < 2: // the name stands with the first word
		case length+1+len(word) > usualLine:
			b.WriteString("\r\n")
			length = 0
		}
		if i > 0 {
			b.WriteByte(' ')
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String()
}

// encodedWords writes text in UTF-8 and base64, a word a line (RFC 2047 s2); begun is how much of the first line is used.
func encodedWords(text string, begun int) string {
	var words []string
	for text != "" {
		most := max((usualLine-begun-len("=?UTF-8?B??="))/4*3, utf8.UTFMax)
		end := 0
		for end < len(text) { // a character stands in one word (RFC 2047 s5)
			_, size := utf8.DecodeRuneInString(text[end:])
			if end+size > most {
				break
			}
			end += size
		}
		words = append(words, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString([]byte(text[:end]))+"?=")
		text, begun = text[end:], 1
	}
	return strings.Join(words, "\r\n ")
}

// addressList writes mailboxes, one a line.
func addressList(boxes mailboxes) string {
	var list []string
	for _, box := range boxes {
		list = append(list, box.String())
	}
	return strings.Join(list, ",\r\n ")
}

// String is the mailbox as it stands in a header (RFC 5322 s3.4).
func (m mailbox) String() string {
	switch {
	case m.name == "":
		return m.address.String()
	case !asItIs(m.name):
		return encodedWords(m.name, len("Reply-To: ")) + "\r\n <" + m.address.String() + ">"
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.name)
	return `"` + quoted + `" <` + m.address.String() + ">"
}

// parameterized is a value with parameters, one a line; those that are not ASCII are encoded (RFC 2231 s4).
func parameterized(value string, parameters map[string]string) string {
	var b strings.Builder
	b.WriteString(value)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if parameters[name] == "" {
			continue
		}
		_, written, _ := strings.Cut(mime.FormatMediaType("x/x", map[string]string{name: parameters[name]}), "; ")
		b.WriteString(";\r\n\t" + written)
	}
	return b.String()
}
