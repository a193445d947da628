package dsn

import (
	"errors"
	"fmt"
	"mime"
	"strings"
	"text/template"
	"time"

	"sternpost/mail"
)

// Language is one in which reports can be written.
type Language string

// The languages.
const (
	English Language = "en"
	German  Language = "de"
)

// Text is how the part for people is written, and the subject. It may be used by any number of goroutines.
type Text struct{ t *template.Template }

// Names of what a template defines.
const (
	subjectName = "subject"
	textName    = "text"
)

// What a template may write, in octets.
const (
	maxSubject = 200
	maxText    = 8 << 10 // and as much for each recipient
)

// NewText is the text of a language of ours.
func NewText(l Language) (*Text, error) {
	if l != English && l != German {
		return nil, fmt.Errorf("%q is not a language of reports: en or de", string(l))
	}
	return builtin(l), nil
}

func builtin(l Language) *Text {
	source := english
	if l == German {
		source = german
	}
	return &Text{template.Must(template.New("").Parse(source))} // a test reads both
}

// ParseText reads a template of text/template that defines "subject" and "text", and tries it with samples: each action, each cause, and words of strangers. It gets a Letter. Lines
// that begin with four spaces stay lines; all other text is broken into lines anew, and an empty line ends a paragraph.
func ParseText(source string) (*Text, error) {
	t, err := template.New("").Option("missingkey=error").Parse(source)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{subjectName, textName} {
		if t.Lookup(name) == nil {
			return nil, fmt.Errorf("it does not define %q", name)
		}
	}
	text := &Text{t}
	for _, sample := range samples() {
		body, subject, err := text.render(sample)
		if err != nil {
			return nil, err
		}
		if subject == "" || !strings.Contains(body, sample.Recipients[0].Address) {
			return nil, errors.New("its subject is empty, or its text does not name the recipient")
		}
	}
	return text, nil
}

// samples is a letter for each action and each cause.
func samples() []Letter {
	var list []Letter
	for _, action := range []Action{Failed, Delayed, Delivered, Relayed, Expanded} {
		for _, cause := range Causes() {
			at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			r := LetterRecipient{
				Address: "bob@example.org", Original: "robert@example.org", Action: action, Status: mail.Status{5, 1, 1}.String(), Cause: cause, Reason: "{{refused}}",
				Host: "mx1.example.org", Reply: []string{"550-5.1.1 no", "550 5.1.1 <&>"}, Expired: action == Failed, InDoubt: action == Failed, LastAttempt: at, RetryUntil: at, More: 3,
				Tried: []LetterHost{{"mx1.example.org", "192.0.2.1", 3, at, "connection refused"}, {"mx2.example.org", "", 0, time.Time{}, "it is us"}},
			}
			list = append(list, Letter{"out.example.com", action, "bob@example.org", at, []LetterRecipient{r, {Address: "x@example.org", Action: Failed}}, ReturnedHeader},
				Letter{"out.example.com", action, "", time.Time{}, []LetterRecipient{{Address: "x@example.org", Action: action, Cause: cause}}, ReturnedNothing})
		}
	}
	return list
}

// render writes both, with limits.
func (t *Text) render(l Letter) (body, subject string, err error) {
	var s, b bounded
	s.left, b.left = maxSubject, maxText*(1+len(l.Recipients))
	if err := t.t.ExecuteTemplate(&s, subjectName, l); err != nil {
		return "", "", err
	}
	if err := t.t.ExecuteTemplate(&b, textName, l); err != nil {
		return "", "", err
	}
	var safe []string
	for line := range strings.SplitSeq(b.b.String(), "\n") {
		quoted, isQuoted := strings.CutPrefix(strings.TrimRight(line, "\r"), indent)
		line = printable(quoted)
		if isQuoted {
			line = indent + line
		}
		safe = append(safe, line)
	}
	return layOut(strings.Join(safe, "\n")), encodeSubject(s.b.String()), nil
}

// encodeSubject makes one field of a text, in words of RFC 2047 where it is not ASCII.
func encodeSubject(text string) string {
	line := strings.Join(strings.Fields(text), " ")
	line = printable(line)
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", line), "?= =?", "?=\r\n =?")
}

// bounded takes so much and no more.
type bounded struct {
	b    strings.Builder
	left int
}

var errTooLong = errors.New("the template writes too much")

func (w *bounded) Write(p []byte) (int, error) {
	if len(p) > w.left {
		return 0, errTooLong
	}
	w.left -= len(p)
	return w.b.Write(p)
}
