package mail

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// EncodeXtext writes text as xtext (RFC 3461 s4): octets outside "!" to "~", and "+" and "=", become +XX.
func EncodeXtext(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c < '!' || c > '~' || c == '+' || c == '=' {
			fmt.Fprintf(&b, "+%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// EncodeUTF8Xtext writes an address of the type utf-8 as utf-8-addr-xtext (RFC 6533 s3), which is ASCII: characters outside "!" to "~", and "+", "=" and the backslash, become
// \x{XX}. What is not UTF-8 becomes \x{FFFD}.
func EncodeUTF8Xtext(text string) string {
	var b strings.Builder
	for _, c := range text {
		if c < '!' || c > '~' || c == '+' || c == '=' || c == '\\' {
			fmt.Fprintf(&b, `\x{%02X}`, c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// DecodeXtext reads xtext (RFC 3461 s4). Hexadecimal digits in lower case are accepted too.
func DecodeXtext(xtext string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(xtext); i++ {
		c := xtext[i]
		switch {
		case c < '!' || c > '~' || c == '=':
			return "", fmt.Errorf("xtext has the octet %q", c)
		case c != '+':
			b.WriteByte(c)
			continue
		case i+2 >= len(xtext):
			return "", errors.New("xtext ends within +XX")
		}
		octet, err := strconv.ParseUint(xtext[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("xtext has +%q", xtext[i+1:i+3])
		}
		b.WriteByte(byte(octet))
		i += 2
	}
	return b.String(), nil
}
