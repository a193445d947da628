//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// poison are the octets that end a line, a text or a field for somebody, or that a terminal obeys.
func poison() []string {
	return []string{"\r", "\n", "\r\n", "\x00", "\x1b[31m", "\x07", "\x7f", "\xe9", "\xc2\x85"}
}

// trace is in whatever is poisoned, so that it can be looked for.
const trace = "xTRACEx"

// poisoned is a word with the octets in the middle.
func poisoned(octets string) string { return trace + octets + "evil" }

// In no field of SMTP do such octets stand: as they are, or hidden in xtext (RFC 3461 s4).
func TestPoisonOverSMTP(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	for _, octets := range poison() {
		word, hidden := poisoned(octets), trace+xtext(octets)+"evil"
		for field, lines := range map[string][]string{
			"the name in EHLO":    {"EHLO " + word},
			"the reverse-path":    {"EHLO c.test", "MAIL FROM:<" + word + "@client.test>"},
			"its domain":          {"EHLO c.test", "MAIL FROM:<me@" + word + ".test>"},
			"its quoted text":     {"EHLO c.test", "MAIL FROM:<\"" + word + "\"@client.test>"},
			"the recipient":       {"EHLO c.test", "MAIL FROM:<me@client.test>", "RCPT TO:<" + word + "@sink.test>"},
			"its route":           {"EHLO c.test", "MAIL FROM:<me@client.test>", "RCPT TO:<@" + word + ":you@sink.test>"},
			"ENVID":               {"EHLO c.test", "MAIL FROM:<me@client.test> ENVID=" + word},
			"ENVID in xtext":      {"EHLO c.test", "MAIL FROM:<me@client.test> ENVID=" + hidden},
			"ORCPT":               {"EHLO c.test", "MAIL FROM:<me@client.test>", "RCPT TO:<you@sink.test> ORCPT=rfc822;" + word},
			"ORCPT in xtext":      {"EHLO c.test", "MAIL FROM:<me@client.test>", "RCPT TO:<you@sink.test> ORCPT=rfc822;" + hidden},
			"the type of ORCPT":   {"EHLO c.test", "MAIL FROM:<me@client.test>", "RCPT TO:<you@sink.test> ORCPT=" + word + ";you@sink.test"},
			"AUTH=":               {"EHLO c.test", "MAIL FROM:<me@client.test> AUTH=" + word},
			"AUTH= in xtext":      {"EHLO c.test", "MAIL FROM:<me@client.test> AUTH=" + hidden},
			"an unknown argument": {"EHLO c.test", "MAIL FROM:<me@client.test> X=" + word},
			"an unknown command":  {"EHLO c.test", word},
		} {
			d := dial(t, "", net.JoinHostPort(serviceHost, servicePort))
			// The rest makes it a message, should the poison be swallowed.
			d.pour(strings.Join(lines, "\r\n") + "\r\nMAIL FROM:<rest@client.test>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\n" + letter("rest") + ".\r\nQUIT\r\n")
			replies := d.rest()
			if !slices.ContainsFunc(replies, func(r string) bool { return strings.HasPrefix(r, "5") || strings.HasPrefix(r, "421") }) {
				t.Errorf("%s with %q: no refusal in %q", field, octets, replies)
			}
			for _, r := range replies {
				if dirty([]byte(strings.ReplaceAll(r, "\r\n", ""))) {
					t.Errorf("%s with %q: the reply is %q", field, octets, r)
				}
			}
		}
	}
	s.unpoisoned(t, poison()...)
}

// xtext hides octets (RFC 3461 s4).
func xtext(octets string) string {
	var text strings.Builder
	for _, octet := range []byte(octets) {
		fmt.Fprintf(&text, "+%02X", octet)
	}
	return text.String()
}

// dirty is true of text that has more than printable UTF-8.
func dirty(text []byte) bool {
	return !utf8.Valid(text) || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 })
}

// In the content a line end is CRLF, and a NUL is nothing (RFC 5321 s2.3.8, RFC 5322 s3.5). The envelope is clean whatever the content is.
func TestPoisonInContent(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	for i, octets := range []string{"\r", "\n", "\x00", "\xe9", "ü"} {
		for name, message := range map[string]string{
			"a header name":  "X-" + poisoned(octets) + ": a\r\nSubject: x\r\n\r\nbody\r\n",
			"a header value": "Subject: " + poisoned(octets) + ": b\r\n\r\nbody\r\n",
			"a file name":    "Subject: x\r\nContent-Disposition: attachment; filename=\"" + poisoned(octets) + "\"\r\n\r\nbody\r\n",
			"the body":       "Subject: x\r\n\r\n" + poisoned(octets) + "\r\n",
		} {
			d := dial(t, "", net.JoinHostPort(serviceHost, servicePort))
			d.envelope(t, fmt.Sprintf("poison%d@client.test", i))
			d.ask(t, "DATA", "354")
			d.pour(message + ".\r\nQUIT\r\n")
			replies := d.rest()
			// What is not ASCII in a value is content: applications send it, and it goes out as 8BITMIME or encoded. A name of such letters is none (RFC 6532 s3.2).
			content := octets >= "\x80" && name != "a header name"
			if accepted(replies) != content {
				t.Errorf("%s with %q: %q", name, octets, replies)
			}
		}
	}
	s.unpoisoned(t, "\r", "\n", "\x00")
}

// In no string of JSON, and in no parameter or header field of a request.
func TestPoisonOverHTTP(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	for _, octets := range []string{"\r", "\n", "\r\n", "\x00", "\x1b[31m", "\x7f"} {
		word := poisoned(octets)
		for field, change := range jsonFields(word) {
			s.refuses(t, fmt.Sprintf("%s with %q", field, octets), "/v1/messages", "application/json", posting(t, change))
		}
		for _, parameter := range []string{"from", "to", "envelope_id", "notify", "ret", "send_at"} {
			query := url.Values{"from": {"me@client.test"}, "to": {"you@sink.test"}}
			query.Set(parameter, word+"@client.test")
			s.refuses(t, fmt.Sprintf("the parameter %s with %q", parameter, octets), "/v1/messages?"+query.Encode(), "message/rfc822", letter("x"))
		}
	}
	for _, octets := range []string{"\xe9", "\xff\xfe", "\xed\xa0\x80"} { // no UTF-8
		s.refuses(t, fmt.Sprintf("JSON with %q", octets), "/v1/messages", "application/json",
			`{"from": "me@client.test", "to": ["you@sink.test"], "subject": "`+poisoned(octets)+`", "text": "x"}`)
	}
	s.unpoisoned(t, poison()...)
}

// jsonFields are changes of a message in JSON: the word stands in one field of each.
func jsonFields(word string) map[string]map[string]any {
	return map[string]map[string]any{
		"from":               {"from": word + "@client.test"},
		"the name of from":   {"from": map[string]string{"name": word, "address": "me@client.test"}},
		"to":                 {"to": []string{word + "@sink.test"}},
		"the domain of to":   {"to": []string{"you@" + word + ".test"}},
		"cc":                 {"cc": []string{word + "@sink.test"}},
		"bcc":                {"bcc": []string{word + "@sink.test"}},
		"reply_to":           {"reply_to": []string{word + "@sink.test"}},
		"sender":             {"sender": word + "@client.test"},
		"subject":            {"subject": word},
		"a header name":      {"headers": map[string]string{"X-" + word: "a"}},
		"a header value":     {"headers": map[string]string{"X-A": word}},
		"a file name":        {"attachments": []map[string]string{{"name": word, "type": "text/plain", "content": "YQ=="}}},
		"the type of a file": {"attachments": []map[string]string{{"name": "a", "type": "text/" + word, "content": "YQ=="}}},
		"an inline id":       {"html": "<p>", "attachments": []map[string]string{{"name": "a", "type": "image/png", "content": "YQ==", "inline_id": word}}},
		"the key":            {"idempotency_key": word},
		"envelope_id":        {"envelope_id": word},
		"notify":             {"notify": []string{word}},
		"send_at":            {"send_at": word},
		"an unknown field":   {word: "x"},
	}
}

// posting is a message in JSON with a change.
func posting(t *testing.T, change map[string]any) string {
	t.Helper()
	m := map[string]any{"from": "me@client.test", "to": []string{"you@sink.test"}, "subject": "x", "text": "x"}
	for key, value := range change {
		m[key] = value
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The same fields with a clean word are accepted, so it is the poison that is refused.
func TestCleanWordsOverHTTP(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	never := []string{"notify", "send_at", "an unknown field"} // where any word is wrong
	for field, change := range jsonFields("clean") {
		if slices.Contains(never, field) {
			continue
		}
		answer, err := s.ask(t.Context(), http.MethodPost, "/v1/messages", strings.NewReader(posting(t, change)))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusAccepted {
			t.Errorf("%s: %s: %s %v", field, answer.Status, text, err)
		}
	}
}

// refuses posts something and wants a clear error of it.
func (s *service) refuses(t *testing.T, what, path, kind, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	answer, err := s.console().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var problem struct{ Title, Detail string }
	if err := json.Unmarshal(text, &problem); answer.StatusCode < 400 || answer.StatusCode > 499 || err != nil || problem.Title+problem.Detail == "" || dirty(bytes.TrimSpace(text)) {
		t.Errorf("%s: %s: %s", what, answer.Status, text)
	}
}

// In no argument of the command, which are texts of the shell.
func TestPoisonOverTheCommand(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	for _, octets := range []string{"\r", "\n", "\r\n", "\x1b[31m", "\x7f", "\xe9"} { // an argument cannot have NUL
		word := poisoned(octets)
		for field, args := range map[string][]string{
			"the sender":     {"-f", word + "@client.test", "you@sink.test"},
			"the recipient":  {"-f", "me@client.test", word + "@sink.test"},
			"its domain":     {"-f", "me@client.test", "you@" + word + ".test"},
			"NOTIFY":         {"-f", "me@client.test", "-N", word, "you@sink.test"},
			"RET":            {"-f", "me@client.test", "-R", word, "you@sink.test"},
			"ENVID":          {"-f", "me@client.test", "-V", word, "you@sink.test"},
			"a recipient -t": {"-t", "-f", "me@client.test"},
		} {
			input := letter("x")
			if field == "a recipient -t" {
				input = "To: <" + word + "@sink.test>\nSubject: x\n\nbody\n"
			}
			r := w.sends(t, s, input, args...)
			if r.exit == 0 {
				t.Errorf("%s with %q: exit status 0", field, octets)
			}
			if dirty([]byte(strings.ReplaceAll(r.said, "\n", ""))) {
				t.Errorf("%s with %q: it says %q", field, octets, r.said)
			}
		}
		// The full name is for people: it is written as a comment may be, or refused.
		w.sends(t, s, "To: you@sink.test\nSubject: named\n\nbody\n", "-F", word, "-f", "me@client.test", "-t")
	}
	s.unpoisoned(t, poison()...)
}

// unpoisoned waits until nothing is owed, and then looks for poison where it must not be: on the wire, in the log, in the store.
func (s *service) unpoisoned(t *testing.T, poison ...string) {
	t.Helper()
	s.drained(t)
	s.cleanOnTheWire(t)
	for _, m := range s.sink.Messages() {
		if envelope := fmt.Sprint(m.Mail, m.Recipients); dirty([]byte(envelope)) || strings.Contains(envelope, "evil") {
			t.Errorf("on the wire: %q", envelope)
		}
	}
	for line := range bytes.Lines(s.logged(t)) {
		if line = bytes.TrimSuffix(line, []byte("\n")); dirty(line) || !json.Valid(line) {
			t.Errorf("in the log: %q", line)
		}
	}
	err := filepath.WalkDir(s.queue, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, octets := range poison {
			if at := bytes.Index(text, []byte(poisoned(octets))); at >= 0 {
				t.Errorf("in the store: %s has %q", path, text[max(0, at-40):at+40])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
