package smtptest

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// text is what a script says in one step, kept unexpanded so that a line of
// many megabytes costs a few octets until it is written.
type text []piece

type piece struct {
	octets string
	times  int64
}

// parseText reads escapes as in Go strings (\x1b, \xff, \t, \u00e9) and
// repetitions {TEXT*N}.
func parseText(s string) (text, error) {
	var t text
	for s != "" {
		plain, rest, repeated := strings.Cut(s, "{")
		octets, err := unescape(plain)
		if err != nil {
			return nil, err
		}
		if octets != "" {
			t = append(t, piece{octets, 1})
		}
		if !repeated {
			return t, nil
		}
		p, after, err := parseRepetition(rest)
		if err != nil {
			return nil, err
		}
		t, s = append(t, p), after
	}
	return t, nil
}

// parseRepetition reads TEXT*N} and returns what follows it.
func parseRepetition(s string) (piece, string, error) {
	inner, after, closed := strings.Cut(s, "}")
	star := strings.LastIndexByte(inner, '*')
	if !closed || star < 0 {
		return piece{}, "", fmt.Errorf(`a brace opens a repetition {TEXT*N}; write \x7b for the brace itself`)
	}
	times, err := parseCount(inner[star+1:])
	if err != nil {
		return piece{}, "", err
	}
	octets, err := unescape(inner[:star])
	return piece{octets, times}, after, err
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b []byte
	for whole := s; s != ""; {
		r, multibyte, rest, err := strconv.UnquoteChar(s, 0)
		switch {
		case err != nil:
			return "", fmt.Errorf("bad escape in %q", whole)
		case multibyte:
			b = append(b, string(r)...)
		default:
			b = append(b, byte(r))
		}
		s = rest
	}
	return string(b), nil
}

// parseCount reads how many; the bound keeps sums of counts within an int64.
func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("%q is not a count", s)
	}
	return n, nil
}

// writeTo writes the text in blocks of at most 4 KiB or one repetition.
func (t text) writeTo(w io.Writer) error {
	for _, p := range t {
		if err := writeRepeated(w, p.octets, p.times); err != nil {
			return err
		}
	}
	return nil
}

func writeRepeated(w io.Writer, octets string, times int64) error {
	if octets == "" {
		return nil
	}
	perBlock := min(times, max(1, 4<<10/int64(len(octets))))
	block := bytes.Repeat([]byte(octets), int(perBlock))
	for times > 0 {
		n := min(times, perBlock)
		if _, err := w.Write(block[:n*int64(len(octets))]); err != nil {
			return err
		}
		times -= n
	}
	return nil
}

// head returns at most the first 512 octets.
func (t text) head() string {
	const most = 512
	var b strings.Builder
	for _, p := range t {
		for n := int64(0); n < p.times && p.octets != "" && b.Len() < most; n++ {
			b.WriteString(p.octets)
		}
	}
	return b.String()[:min(most, b.Len())]
}

// code returns the reply code the text begins with, 0 when it has none.
func (t text) code() int {
	s := t.head()
	if len(s) < 3 || len(s) > 3 && s[3] != ' ' && s[3] != '-' {
		return 0
	}
	n, err := strconv.ParseUint(s[:3], 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}
