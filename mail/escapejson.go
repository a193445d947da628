package mail

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf16"
)

// EscapeJSON makes JSON safe to show on a terminal: characters that are not printable become \uXXXX (RFC 8259 s7). In JSON they stand
// only within strings, but for line ends, which stay.
func EscapeJSON(text []byte) []byte {
	var b bytes.Buffer
	for _, c := range string(text) {
		switch {
		case c == '\n' || unicode.IsPrint(c):
			b.WriteRune(c)
		case c > 0xFFFF:
			high, low := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.Bytes()
}
