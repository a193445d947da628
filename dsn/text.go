package dsn

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sternpost/mail"
)

// maxQuoted is how much of a stranger's text is quoted, in octets. A hundred recipients with replies of 64 KiB would make a report of many megabytes.
const maxQuoted = 2000

// cutMark stands where text was cut.
const cutMark = "[...]"

// printable is mail.Escape but for backslashes, which stay as they are: the text may be escaped already, and programs
// compare what stands in a report with what they know.
func printable(text string) string {
	parts := strings.Split(text, `\`)
	for i := range parts {
		parts[i] = mail.Escape(parts[i])
	}
	return strings.Join(parts, `\`)
}

// ascii writes what is not ASCII as \u and its number.
func ascii(text string) string {
	if isASCII(text) {
		return text
	}
	var b strings.Builder
	for _, c := range text {
		if c <= unicode.MaxASCII {
			b.WriteRune(c)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(c)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}

func isASCII[T string | []byte](text T) bool {
	for i := range len(text) {
		if text[i] > unicode.MaxASCII {
			return false
		}
	}
	return true
}

// cut shortens text to most octets, at a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:charactersIn(text, most)] + " " + cutMark
}

// charactersIn is the length of the whole characters in the first most octets of text, which is longer; of one at least.
func charactersIn(text string, most int) int {
	for end := most; end > 0; end-- {
		if utf8.RuneStart(text[end]) {
			return end
		}
	}
	_, size := utf8.DecodeRuneInString(text)
	return size
}

// wrap breaks text into lines of width octets at its spaces; a run of them counts as one. A word that is longer stays whole up to longest octets.
func wrap(text string, width, longest int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for len(word) > longest {
			if line != "" {
				lines = append(lines, line)
			}
			end := charactersIn(word, longest)
			line, word = word[:end], word[end:]
		}
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
