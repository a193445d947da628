package bounce

import (
	"slices"
	"strings"
	"unicode"
)

// Of a longer reply only the beginning is looked at. Real ones have a few hundred octets.
const (
	maxText  = 2048
	maxWords = 256
)

// address stands for a mail address in a list of words, so that its local part says nothing.
const address = "@"

// words cuts text from a stranger into lower-case words of letters and digits, each Han, Hiragana or Katakana character for itself. Numbers are left out: codes,
// statuses, addresses of hosts and marks of servers stand between the words anywhere.
func words(text string) []string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	var list []string
	for field := range strings.FieldsFuncSeq(strings.ToLower(text), endsField) {
		if at := strings.IndexByte(field, '@'); at > 0 && at < len(field)-1 {
			list = append(list, address)
			continue
		}
		for word := range strings.FieldsFuncSeq(field, endsWord) {
			list = appendWord(list, word)
		}
		if len(list) >= maxWords {
			return list[:maxWords]
		}
	}
	return list
}

func appendWord(list []string, word string) []string {
	if strings.IndexFunc(word, func(c rune) bool { return !unicode.IsDigit(c) }) < 0 {
		return list
	}
	if ascii(word) {
		return append(list, word)
	}
	start := 0
	folded := strings.Map(plain, word)
	for i, c := range folded {
		if unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana) {
			if start < i {
				list = append(list, folded[start:i])
			}
			start = i + len(string(c))
			list = append(list, string(c))
		}
	}
	if start < len(folded) {
		list = append(list, folded[start:])
	}
	return list
}

func ascii(word string) bool {
	return strings.IndexFunc(word, func(c rune) bool { return c >= 0x80 }) < 0
}

// endsField separates what may be a mail address from what surrounds it.
func endsField(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune("<>()[]{},;:\"'`|", c) }

func endsWord(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }

// plain takes the accents off the letters of western Europe, which servers write or leave out as they like.
func plain(c rune) rune {
	const accented, bare = "àâäáãåçéèêëíìîïñóòôöõúùûü", "aaaaaaceeeeiiiinooooouuuu"
	if c < 0x80 {
		return c
	}
	if i := slices.Index([]rune(accented), c); i >= 0 {
		return rune(bare[i])
	}
	return c
}
