package smtptest

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseScript reads the text of a dialogue, whose form the package comment
// gives. An error names the line. The empty text is the polite server.
func ParseScript(dialogue string) (*Script, error) {
	p := parser{script: &Script{settings: settings{
		name: "mx.test", lineEnd: "\r\n", credentials: map[string]string{}, delays: map[string]time.Duration{},
	}}}
	for i, line := range strings.Split(dialogue, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("smtptest: line %d: %w", i+1, err)
		}
	}
	return p.script, nil
}

// parser holds the connection section that the lines are in.
type parser struct {
	script    *Script
	section   span
	sectioned bool
}

func (p *parser) line(line string) error {
	word, rest := cutWord(line)
	switch {
	case word == "connection":
		return p.connection(rest)
	case isVerb(word):
		return p.rule(word, rest)
	case p.sectioned:
		return fmt.Errorf("%q is no verb, and settings stand before the first connection section", word)
	}
	return p.setting(word, rest)
}

func (p *parser) connection(rest string) (err error) {
	if rest == "all" {
		p.sectioned = false
		return nil
	}
	p.sectioned = true
	p.section, err = parseSpan(rest)
	return err
}

func isVerb(word string) bool {
	verbs := []string{"banner", "ehlo", "helo", "offer", "starttls", "auth", "mail", "rcpt", "data", "bdat", "dot", "rset", "noop", "quit", "other"}
	return slices.Contains(verbs, word)
}

func (p *parser) rule(verb, rest string) error {
	r := rule{verb: verb, connection: p.section, sectioned: p.sectioned, occurrence: span{first: 1}}
	rest, err := r.selectors(rest)
	if err != nil {
		return err
	}
	if verb == "offer" {
		r.steps, err = parseKeywords(rest)
	} else {
		r.steps, err = parseSteps(rest)
	}
	p.script.rules = append(p.script.rules, r)
	return err
}

// selectors reads the words that narrow a rule and returns the steps.
func (r *rule) selectors(rest string) (string, error) {
	for {
		word, after := cutWord(rest)
		var err error
		switch {
		case word == "in-clear":
			r.channel = inClear
		case word == "in-tls":
			r.channel = inTLS
		case strings.HasPrefix(word, "#"):
			r.occurrence, err = parseSpan(word)
		case strings.HasPrefix(word, "<"):
			err = r.addressPattern(word)
		case strings.HasPrefix(word, "/") && word != "/":
			after, err = r.linePattern(rest)
		default:
			return rest, nil
		}
		if err != nil {
			return "", err
		}
		rest = after
	}
}

func (r *rule) addressPattern(word string) (err error) {
	if r.verb != "mail" && r.verb != "rcpt" {
		return fmt.Errorf("%s has no address to compare with %s", r.verb, word)
	}
	if !strings.HasSuffix(word, ">") {
		return fmt.Errorf("%s does not end in >", word)
	}
	r.address = true
	r.pattern, err = regexp.Compile("^(?:" + word[1:len(word)-1] + ")$")
	return err
}

// linePattern reads /regexp/ and returns what follows it.
func (r *rule) linePattern(rest string) (string, error) {
	end := strings.Index(rest[1:]+" ", "/ ")
	if end < 0 {
		return "", fmt.Errorf("%s does not end in /", rest)
	}
	var err error
	r.address = false
	r.pattern, err = regexp.Compile(rest[1 : end+1])
	return strings.TrimSpace(rest[end+2:]), err
}

// parseSpan reads #N, #N+ or #N-M.
func parseSpan(word string) (span, error) {
	wrong := fmt.Errorf("%q is not a number such as #2, #2+ or #2-4", word)
	s, ok := strings.CutPrefix(word, "#")
	if !ok {
		return span{}, wrong
	}
	if s, ok := strings.CutSuffix(s, "+"); ok {
		first, err := strconv.Atoi(s)
		if err != nil || first < 1 {
			return span{}, wrong
		}
		return span{first: first}, nil
	}
	from, to, ranged := strings.Cut(s, "-")
	if !ranged {
		to = from
	}
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	if err1 != nil || err2 != nil || first < 1 || last < first {
		return span{}, wrong
	}
	return span{first, last}, nil
}

func parseKeywords(rest string) ([]step, error) {
	if rest == "" || rest == "nothing" {
		return nil, nil
	}
	var steps []step
	for keyword := range strings.SplitSeq(rest, " / ") {
		t, err := parseText(strings.TrimSpace(keyword))
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{action: sayLine, text: t})
	}
	return steps, nil
}

func parseSteps(rest string) ([]step, error) {
	if rest == "" {
		return nil, errors.New("nothing to do here")
	}
	var steps []step
	for part := range strings.SplitSeq(rest, " / ") {
		s, err := parseStep(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func parseStep(part string) (step, error) {
	if part != "" && part[0] >= '0' && part[0] <= '9' {
		t, err := parseText(part)
		return step{action: sayLine, text: t}, err
	}
	word, rest := cutWord(part)
	switch word {
	case "say", "raw":
		t, err := parseText(rest)
		return step{action: map[string]action{"say": sayLine, "raw": sayRaw}[word], text: t}, err
	case "endless-line":
		return countedText(sayEndlessLine, rest)
	case "endless-lines":
		return countedText(sayEndlessLines, rest)
	case "garbage":
		if rest == "" {
			rest = "64"
		}
		return counted(sayGarbage, rest)
	case "read":
		return counted(readOctets, rest)
	case "sleep":
		return timed(sleepFor, rest)
	case "drip":
		return timed(dripEvery, rest)
	}
	return parseBareStep(word, rest)
}

func parseBareStep(word, rest string) (step, error) {
	bare := map[string]action{
		"flush": flushNow, "at-once": atOnce, "stall": stallHere, "stop-reading": stopReading, "close": closeNow, "reset": resetNow,
	}
	a, known := bare[word]
	switch {
	case !known:
		return step{}, fmt.Errorf("unknown step %q (a reply line begins with a digit, any other line with say)", word)
	case rest != "":
		return step{}, fmt.Errorf("%s takes nothing, not %q", word, rest)
	}
	return step{action: a}, nil
}

func counted(a action, rest string) (step, error) {
	n, err := parseCount(rest)
	return step{action: a, count: n}, err
}

// countedText reads N TEXT or forever TEXT.
func countedText(a action, rest string) (step, error) {
	word, rest := cutWord(rest)
	t, err := parseText(rest)
	if err != nil {
		return step{}, err
	}
	if word == "forever" {
		return step{action: a, count: -1, text: t}, nil
	}
	n, err := parseCount(word)
	return step{action: a, count: n, text: t}, err
}

func timed(a action, rest string) (step, error) {
	d, err := time.ParseDuration(rest)
	if err != nil || d <= 0 {
		return step{}, fmt.Errorf("%q is not a duration such as 3s", rest)
	}
	return step{action: a, wait: d}, nil
}

func cutWord(s string) (word, rest string) {
	word, rest, _ = strings.Cut(s, " ")
	return word, strings.TrimSpace(rest)
}
