package main

import (
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// paint colours words of a story; false leaves them as they are.
type paint bool

// paintFor allows colours on a terminal only, and not where NO_COLOR is set or the terminal has none.
func paintFor(w io.Writer, environ []string) paint {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return false
	}
	return paint(!slices.ContainsFunc(environ, func(entry string) bool {
		name, value, _ := strings.Cut(entry, "=")
		return name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb"
	}))
}

// in colours text, each of its lines for itself: a pager shows lines, and would forget a colour at their end.
func (p paint) in(code, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + strings.ReplaceAll(text, "\n", "\x1b[0m\n\x1b["+code+"m") + "\x1b[0m"
}

func (p paint) good(text string) string  { return p.in("32", text) }
func (p paint) bad(text string) string   { return p.in("31", text) }
func (p paint) wait(text string) string  { return p.in("33", text) }
func (p paint) faint(text string) string { return p.in("2", text) }
func (p paint) bold(text string) string  { return p.in("1", text) }

// isTerminal says whether a stream is a terminal: somebody types what is read from it, or reads what is written.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// columns is how wide a story is made; only what a remote said is never broken.
const columns = 80

// wrapAfter breaks text behind separators, so that no line is longer than width; each line but the first is put behind indent.
func wrapAfter(text, separator string, width int, indent string) string {
	var broken []string
	line, length := "", 0
	for word := range strings.SplitAfterSeq(text, separator) {
		visible := utf8.RuneCountInString(strings.TrimRight(word, " "))
		if length > 0 && length+visible > width {
			broken = append(broken, strings.TrimRight(line, " "))
			line, length = indent, len(indent)
			width = columns
		}
		line += word
		length += utf8.RuneCountInString(word)
	}
	return strings.Join(append(broken, line), "\n")
}
