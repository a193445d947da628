package mail

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text from a stranger safe to print: what is not printable (control characters, terminal escapes, bidirectional
// overrides, octets that are not UTF-8) becomes a backslash escape, and a backslash is doubled, so that
// different texts stay different. Line breaks do not survive.
func Escape(text string) string {
	if strings.IndexFunc(text, needsEscape) < 0 {
		return text
	}
	var b strings.Builder
	for i, c := range text {
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			b.WriteString(`\x` + strconv.FormatUint(uint64(text[i])|0x100, 16)[1:])
		case needsEscape(c):
			quoted := strconv.QuoteRuneToASCII(c)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// needsEscape is also true of U+FFFD, which stands for an octet that is not UTF-8 when a string is ranged over.
func needsEscape(c rune) bool { return c == '\\' || c == utf8.RuneError || !unicode.IsPrint(c) }
