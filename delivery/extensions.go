package delivery

import (
	"strconv"
	"strings"

	"sternpost/mail"
)

// extensions is what a remote offered in its reply to EHLO (RFC 5321 s4.1.1.1). The zero value offers nothing, as after HELO.
type extensions struct {
	pipelining bool // RFC 2920
	eightBit   bool // RFC 6152
	utf8       bool // RFC 6531
	dsn        bool // RFC 3461
	chunking   bool // RFC 3030
	startTLS   bool // RFC 3207
	sized      bool // RFC 1870
	size       int64
	auth       []string // RFC 4954: the mechanisms, in upper case
	limits     limits   // RFC 9422
}

// limits are the limits that a remote tells beforehand; 0 is none (RFC 9422 s4).
type limits struct{ mail, rcpt, rcptDomain int }

// parseExtensions reads the lines behind the first. Keywords have no case (RFC 5321 s2.4); what is not understood is passed over.
func parseExtensions(reply mail.Reply) extensions {
	var e extensions
	for i, line := range reply.Lines {
		if i == 0 || len(line) < 4 {
			continue
		}
		e.add(line[4:])
	}
	return e
}

func (e *extensions) add(line string) {
	words := strings.Fields(strings.ToUpper(line))
	if len(words) == 0 {
		return
	}
	switch keyword, parameters := words[0], words[1:]; keyword {
	case "PIPELINING":
		e.pipelining = true
	case "8BITMIME":
		e.eightBit = true
	case "SMTPUTF8":
		e.utf8 = true
	case "DSN":
		e.dsn = true
	case "CHUNKING":
		e.chunking = true
	case "STARTTLS":
		e.startTLS = true
	case "SIZE":
		e.addSize(parameters)
	case "AUTH":
		e.addAuth(parameters)
	case "LIMITS":
		e.addLimits(parameters)
	default:
		if mechanism, old := strings.CutPrefix(keyword, "AUTH="); old { // servers older than RFC 2554 write it so
			e.addAuth([]string{mechanism})
			e.addAuth(parameters)
		}
	}
}

// addAuth keeps what may be the name of a mechanism: letters, digits, hyphen and underscore, without a length that matters.
func (e *extensions) addAuth(names []string) {
	odd := func(c rune) bool { return (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' }
	for _, name := range names {
		if name != "" && !strings.ContainsFunc(name, odd) {
			e.auth = append(e.auth, name)
		}
	}
}

// addSize reads SIZE. Without a number, or with 0, no limit is told (RFC 1870 s4).
func (e *extensions) addSize(parameters []string) {
	e.sized = true
	if len(parameters) == 0 {
		return
	}
	if n, err := strconv.ParseInt(parameters[0], 10, 64); err == nil && n > 0 {
		e.size = n
	}
}

func (e *extensions) addLimits(parameters []string) {
	for _, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			continue
		}
		switch name {
		case "MAILMAX":
			e.limits.mail = n
		case "RCPTMAX":
			e.limits.rcpt = n
		case "RCPTDOMAINMAX":
			e.limits.rcptDomain = n
		}
	}
}
