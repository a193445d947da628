package lab

import (
	"fmt"
	"strings"
)

// word is one word of a phrase or an expectation; a text in double quotes is one word.
type word struct {
	text   string
	quoted bool
}

// words splits at blanks.
func words(text string) ([]word, error) {
	var all []word
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		if text[0] == '"' {
			inner, rest, closed := strings.Cut(text[1:], `"`)
			if !closed {
				return nil, fmt.Errorf("a quotation mark is not closed: %s", text)
			}
			all, text = append(all, word{inner, true}), rest
			continue
		}
		end := strings.IndexAny(text, " \t\r\n")
		if end < 0 {
			end = len(text)
		}
		all, text = append(all, word{text: text[:end]}), text[end:]
	}
	return all, nil
}

// reader takes words one after the other.
type reader struct{ left []word }

// next returns the next word, empty at the end.
func (r *reader) next() string {
	if len(r.left) == 0 {
		return ""
	}
	w := r.left[0]
	r.left = r.left[1:]
	return w.text
}

// peek returns the next word without taking it; a quoted one is none.
func (r *reader) peek() string {
	if len(r.left) == 0 || r.left[0].quoted {
		return ""
	}
	return r.left[0].text
}

// take takes the words if they are next.
func (r *reader) take(wanted string) bool {
	fields := strings.Fields(wanted)
	if len(r.left) < len(fields) {
		return false
	}
	for i, f := range fields {
		if r.left[i].quoted || r.left[i].text != f {
			return false
		}
	}
	r.left = r.left[len(fields):]
	return true
}

// quoted takes a text in quotation marks if one is next.
func (r *reader) quoted() (string, bool) {
	if len(r.left) == 0 || !r.left[0].quoted {
		return "", false
	}
	return r.next(), true
}

// rest takes all words that are left.
func (r *reader) rest() string {
	var all []string
	for _, w := range r.left {
		all = append(all, w.text)
	}
	r.left = nil
	return strings.Join(all, " ")
}

// end is an error unless all words were taken.
func (r *reader) end() error {
	if len(r.left) == 0 {
		return nil
	}
	return fmt.Errorf("%q is not understood here", r.rest())
}
