package delivery

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// secrets finds what was sent as credentials in what a host says: some repeat a command that they do not understand, and replies go into the tree, the log, reports and to webhooks. The
// zero value finds nothing.
type secrets struct{ said []*regexp.Regexp }

// hiddenMark stands where a secret stood.
const hiddenMark = "[hidden]"

// How many characters of a secret are looked for, so that one that was cut off is found too; shorter ones than leastSecret stand in other words by chance.
const (
	leastSecret = 4
	mostSecret  = 8
)

// add has a secret hidden from now on, with all that follows without a blank, in upper and lower case.
func (s *secrets) add(secret string) {
	if len(secret) < leastSecret {
		return
	}
	begin := secret[:min(len(secret), mostSecret)]
	s.said = append(s.said, regexp.MustCompile(`(?i)`+regexp.QuoteMeta(strings.ToValidUTF8(begin, ""))+`\S*`))
}

// hide is text without secrets.
func (s *secrets) hide(text string) string {
	for _, secret := range s.said {
		text = secret.ReplaceAllLiteralString(text, hiddenMark)
	}
	return text
}

// codeWidth is the length of the code and what stands behind it in a line of a reply.
const codeWidth = 4

// hideAll is hide for the lines of a reply: their codes stay.
func (s *secrets) hideAll(lines []string) []string {
	if len(s.said) == 0 {
		return lines
	}
	lines = slices.Clone(lines)
	for i, line := range lines {
		if len(line) > codeWidth {
			lines[i] = line[:codeWidth] + s.hide(line[codeWidth:])
		}
	}
	return lines
}

// hideIn is hide for an error that quotes the host.
func (s *secrets) hideIn(err error) error {
	if quoted := protocolError(""); len(s.said) > 0 && errors.As(err, &quoted) {
		return protocolError(s.hide(string(quoted)))
	}
	return err
}
