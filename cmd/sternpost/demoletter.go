package main

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
)

// letterText is a report as a mail program shows it: who, to whom, about what, and the part for people.
func letterText(content []byte) (string, error) {
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("the report cannot be read: %w", err)
	}
	var b strings.Builder
	for _, name := range []string{"From", "To", "Subject"} {
		value, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(name))
		if err != nil {
			return "", fmt.Errorf("the field %s of the report cannot be read: %w", name, err)
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return "", fmt.Errorf("the form of the report is not known: %w", err)
	}
	part, err := multipart.NewReader(m.Body, parameters["boundary"]).NextPart() // decodes quoted-printable
	if err != nil {
		return "", fmt.Errorf("the report has no first part: %w", err)
	}
	text, err := io.ReadAll(part)
	if err != nil {
		return "", fmt.Errorf("the report cannot be read to its end: %w", err)
	}
	return b.String() + "\n" + strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")) + "\n", nil
}
