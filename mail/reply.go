package mail

import "strings"

// Reply is one SMTP reply (RFC 5321 s4.2). Lines are verbatim, code and separator included, without their line
// ends: "550-5.1.1 no such", "550 5.1.1 user". They come from a stranger: print them only through Escape. The
// zero value is no reply.
type Reply struct {
	Code  int
	Lines []string
}

// IsZero says whether r is no reply.
func (r Reply) IsZero() bool { return r.Code == 0 }

// Positive says whether r is a positive completion reply (RFC 5321 s4.2.1).
func (r Reply) Positive() bool { return r.Code/100 == 2 }

// Transient says whether r is a transient negative reply.
func (r Reply) Transient() bool { return r.Code/100 == 4 }

// Permanent says whether r is a permanent negative reply.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// Enhanced returns the enhanced status that the remote wrote, and whether there was one. A status of another class than the
// code's does not count: the three-digit code decides (RFC 2034 s4).
func (r Reply) Enhanced() (Status, bool) {
	if len(r.Lines) == 0 || len(r.Lines[0]) < 4 {
		return Status{}, false
	}
	word, _, _ := strings.Cut(r.Lines[0][4:], " ")
	s, err := ParseStatus(word)
	if err != nil || s[0] != r.Code/100 {
		return Status{}, false
	}
	return s, true
}

// Status is the enhanced status of r, or class.0.0 where the remote wrote none that fits. Codes of other classes than 2, 4 and 5 have none
// (RFC 3463 s2).
func (r Reply) Status() Status {
	s, ok := r.Enhanced()
	if !ok && (r.Positive() || r.Transient() || r.Permanent()) {
		s = Status{r.Code / 100, 0, 0}
	}
	return s
}

// Text is what the remote said without codes and statuses, lines that say something joined by spaces; verbatim octets otherwise.
func (r Reply) Text() string {
	var texts []string
	for _, line := range r.Lines {
		if len(line) < 4 {
			continue
		}
		text := line[4:]
		if word, rest, _ := strings.Cut(text, " "); isStatus(word) {
			text = rest
		}
		if text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, " ")
}

func isStatus(word string) bool {
	_, err := ParseStatus(word)
	return err == nil
}

// String is r for people: its lines joined by " / ", escaped.
func (r Reply) String() string { return Escape(strings.Join(r.Lines, " / ")) }
