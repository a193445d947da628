package bounce

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A phrase is words that stand one after the other in a reply. A mail address between them does not count. It is written as
//
//	mailbox (is full|full|over quota)   one of several; an empty one may be missing
//	user * (unknown|not found)          up to maxGap other words between
//	^ user unknown $                    the beginning or the end of the reply
//
// Parentheses are not nested. The time that a comparison may take is bounded: by the gaps, and by the alternatives that begin alike.
const (
	maxGap   = 5
	maxGaps  = 2 // in a phrase
	maxParts = 8
)

const (
	gap   = "*"
	begin = "^"
	end   = "$"
)

// part is a place in a phrase: the alternatives for it, by their first word, or a gap.
type part struct {
	gap      bool
	optional bool
	choices  map[string][][]string
}

type phrase struct {
	begin bool
	parts []part
}

// compile reads what is written in a rule.
func compile(written string) (phrase, error) {
	var p phrase
	for rest := strings.TrimSpace(written); rest != ""; rest = strings.TrimSpace(rest) {
		var err error
		switch rest[0] {
		case '(':
			inner, tail, closed := strings.Cut(rest[1:], ")")
			if !closed || strings.Contains(inner, "(") {
				return p, errors.New("has a ( without its ), or one within another")
			}
			err, rest = p.alternatives(strings.Split(inner, "|")), tail
		case ')', '|':
			return p, errors.New("has a ) or | without its (")
		default:
			word, tail := rest, ""
			if i := strings.IndexAny(rest, " ()|"); i > 0 {
				word, tail = rest[:i], rest[i:]
			}
			err, rest = p.word(word), tail
		}
		if err != nil {
			return p, err
		}
	}
	return p, p.check()
}

func (p *phrase) word(word string) error {
	switch word {
	case gap:
		p.parts = append(p.parts, part{gap: true})
		return nil
	case begin:
		if len(p.parts) > 0 || p.begin {
			return errors.New("has a ^ that is not its beginning")
		}
		p.begin = true
		return nil
	}
	return p.alternatives([]string{word})
}

func (p *phrase) alternatives(list []string) error {
	made := part{choices: map[string][][]string{}}
	for _, text := range list {
		var choice []string
		for field := range strings.FieldsSeq(text) {
			if field == gap || field == begin {
				return fmt.Errorf("has a %s between ( and )", field)
			}
			if field == end || field == address {
				choice = append(choice, field)
			} else {
				list := words(field)
				if len(list) == 0 || strings.ContainsFunc(field, unicode.IsDigit) && len(list) < len(strings.FieldsFunc(field, endsWord)) {
					return fmt.Errorf("has %q: numbers are left out of replies", field)
				}
				choice = append(choice, list...)
			}
		}
		switch {
		case len(choice) > 0:
			made.choices[choice[0]] = append(made.choices[choice[0]], choice)
		default:
			made.optional = true
		}
	}
	p.parts = append(p.parts, made)
	return nil
}

func (p *phrase) check() error {
	gaps := 0
	for _, made := range p.parts {
		if made.gap {
			gaps++
		}
	}
	_, empty := p.keys()
	switch last := len(p.parts) - 1; {
	case last < 0 || p.parts[0].gap || p.parts[last].gap || empty:
		return errors.New("must begin and end with a word")
	case gaps > maxGaps:
		return fmt.Errorf("has more than %d gaps (*)", maxGaps)
	case len(p.parts) > maxParts:
		return fmt.Errorf("has more than %d parts", maxParts)
	}
	return nil
}

// keys are the words that the phrase may begin with; empty says that it may have none.
func (p *phrase) keys() (list []string, empty bool) {
	for _, made := range p.parts {
		for word := range made.choices {
			if !slices.Contains(list, word) {
				list = append(list, word)
			}
		}
		if !made.optional {
			return list, made.gap || slices.Contains(list, end)
		}
	}
	return list, true
}

// fits says whether the phrase stands in text at position at.
func (p *phrase) fits(text []string, at int) bool {
	return (!p.begin || at == 0 && text[0] != address) && follows(p.parts, text[at:])
}

func follows(parts []part, text []string) bool {
	if len(parts) == 0 {
		return true
	}
	made, rest := parts[0], parts[1:]
	if made.gap {
		for skip := 0; skip <= maxGap && skip <= len(text); skip++ {
			if follows(rest, text[skip:]) {
				return true
			}
		}
		return false
	}
	if made.optional && follows(rest, text) {
		return true
	}
	next := beyondAddresses(text)
	if len(next) == 0 {
		return len(made.choices[end]) > 0 && follows(rest, nil)
	}
	for _, choice := range made.choices[next[0]] {
		if behind, ok := match(choice, next); ok && follows(rest, behind) {
			return true
		}
	}
	return false
}

// match takes the words of a choice from the front of text.
func match(choice, text []string) (behind []string, ok bool) {
	for _, word := range choice {
		if word != address {
			text = beyondAddresses(text)
		}
		if word == end {
			return text, len(text) == 0
		}
		if len(text) == 0 || text[0] != word {
			return nil, false
		}
		text = text[1:]
	}
	return text, true
}

func beyondAddresses(text []string) []string {
	for len(text) > 0 && text[0] == address {
		text = text[1:]
	}
	return text
}
