package smtptest

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Script is a parsed dialogue; the package comment describes its text. It does
// not change once parsed.
type Script struct {
	rules    []rule
	settings settings
}

// settings hold for the whole server.
type settings struct {
	name        string
	lineEnd     string
	flushEach   bool
	certificate Certificate
	names       []string // of the certificate, when it is not for name
	offersTLS   bool
	implicitTLS bool
	credentials map[string]string // secret by user
	keepWire    bool
	pace        time.Duration            // before each octet of each reply; 0: none
	delays      map[string]time.Duration // before the replies to a verb
	dropContent bool
	mostContent int64 // octets that are kept; 0: no limit
}

// sameCertificate tells whether both ask for the same certificate.
func (s settings) sameCertificate(other settings) bool {
	return s.certificate == other.certificate && s.name == other.name && slices.Equal(s.names, other.names)
}

// rule says what happens at a verb.
type rule struct {
	verb       string
	connection span
	sectioned  bool // it stands in a connection section
	occurrence span
	pattern    *regexp.Regexp
	address    bool // pattern is for the address only
	channel    channel
	steps      []step
}

// span is a range of ordinals from 1; last 0 means without end.
type span struct{ first, last int }

func (s span) holds(n int) bool { return n >= s.first && (s.last == 0 || n <= s.last) }

// channel restricts a rule to connections in clear or under TLS.
type channel int

const (
	anyChannel channel = iota
	inClear
	inTLS
)

// step is one thing that the server does.
type step struct {
	action action
	text   text
	count  int64 // octets or lines; negative: for ever
	wait   time.Duration
}

type action int

const (
	sayLine action = iota
	sayRaw
	sayEndlessLine
	sayEndlessLines
	sayGarbage
	flushNow
	readOctets
	sleepFor
	dripEvery
	atOnce
	stallHere
	stopReading
	closeNow
	resetNow
)

// occasion is what a rule is matched against.
type occasion struct {
	verb    string
	subject string // the command line, or the content for dot
	nth     int
	tls     bool
}

func (r *rule) matches(o occasion) bool {
	if r.verb != o.verb || !r.occurrence.holds(o.nth) {
		return false
	}
	if r.channel == inClear && o.tls || r.channel == inTLS && !o.tls {
		return false
	}
	if r.pattern == nil {
		return true
	}
	subject := o.subject
	if r.address {
		subject = path(subject)
	}
	return r.pattern.MatchString(subject)
}

// path returns what stands between the angle brackets of MAIL or RCPT.
func path(line string) string {
	from, to := strings.IndexByte(line, '<'), strings.LastIndexByte(line, '>')
	if from < 0 || to < from {
		return ""
	}
	return line[from+1 : to]
}

// rulesFor returns the rules of the nth connection, those of its own sections
// first.
func (s *Script) rulesFor(nth int) []rule {
	var own, general []rule
	for _, r := range s.rules {
		switch {
		case !r.sectioned:
			general = append(general, r)
		case r.connection.holds(nth):
			own = append(own, r)
		}
	}
	return append(own, general...)
}

// reply returns the last line that the rule says, as far as the first 512
// octets, and its code (0: none).
func (r *rule) reply() (string, int) {
	for i := len(r.steps) - 1; i >= 0; i-- {
		if s := r.steps[i]; s.action == sayLine {
			return s.text.head(), s.text.code()
		}
	}
	return "", 0
}

// says tells whether any line of the rule has the code.
func (r *rule) says(code int) bool {
	for _, s := range r.steps {
		if s.action == sayLine && s.text.code() == code {
			return true
		}
	}
	return false
}

func (r *rule) has(a action) bool {
	for _, s := range r.steps {
		if s.action == a {
			return true
		}
	}
	return false
}

// polite makes a rule of plain reply lines.
func polite(lines ...string) *rule {
	r := &rule{}
	for _, l := range lines {
		r.steps = append(r.steps, step{action: sayLine, text: text{{l, 1}}})
	}
	return r
}
