//go:build interop

package interop

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tried finds the pieces of code in a document that a test runs: <!-- tried: NAME --> stands before each.
var tried = regexp.MustCompile("(?s)<!-- tried: ([a-z]+) -->\n```[a-z]*\n(.*?)```\n")

// pieces are the pieces of code of docs/submission.md.
func pieces(t *testing.T) map[string]string {
	t.Helper()
	return piecesOf(t, "submission.md")
}

// piecesOf are those of a page of docs.
func piecesOf(t *testing.T, page string) map[string]string {
	t.Helper()
	document, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, match := range tried.FindAllStringSubmatch(string(document), -1) {
		all[match[1]] = match[2]
	}
	return all
}

// table is a heading of TOML for one table; those of arrays are not put together.
var table = regexp.MustCompile(`(?m)^\[([a-z.]+)\]$`)

// together puts pieces of configuration into one, as a person does who follows the document: tables of the same name become one, and of two values for a key the later stands.
func together(pieces ...string) string {
	bodies, rest := map[string]map[string]string{}, ""
	for _, piece := range pieces {
		name := ""
		for line := range strings.Lines(piece) {
			if match := table.FindStringSubmatch(strings.TrimSpace(line)); match != nil {
				name = match[1]
				if bodies[name] == nil {
					bodies[name] = map[string]string{}
				}
				continue
			}
			if strings.HasPrefix(line, "[[") {
				name = ""
			}
			key, _, isKey := strings.Cut(line, " = ")
			switch {
			case name == "":
				rest += line
			case isKey:
				bodies[name][key] = line
			}
		}
	}
	if bodies["delivery"] == nil {
		bodies["delivery"] = map[string]string{}
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		text.WriteString("[" + name + "]\n")
		for _, key := range slices.Sorted(maps.Keys(bodies[name])) {
			text.WriteString(bodies[name][key])
		}
	}
	return text.String() + rest
}

// documented starts the agent as the document says, where the document says, with the certificate and the password of the test.
func (w *world) documented(more ...string) *service {
	w.t.Helper()
	return w.serveBy(documentedQueue, together(append([]string{w.withUser()}, more...)...))
}

// withUser is the configuration of the document.
func (w *world) withUser() string {
	w.t.Helper()
	words := strings.NewReplacer("/etc/sternpost/mail.pem", w.certificate, "/etc/sternpost/mail.key", w.key, "$argon2id$...", w.hash())
	return words.Replace(pieces(w.t)["server"])
}

// documentedQueue is where the queue lies by default.
const documentedQueue = "/var/lib/sternpost"

// hash is what `sternpost config password` makes of the password of the tests.
func (w *world) hash() string {
	w.t.Helper()
	r := w.runs(w.t, strings.NewReplacer(), password+"\n", os.Getenv(binaryVariable), "config", "password")
	if r.exit != 0 {
		w.t.Fatalf("config password: exit status %d\n%s", r.exit, r.said)
	}
	return strings.TrimSpace(r.said)
}

// Every program on the page sends its mail.
func TestDocumentOfSubmission(t *testing.T) {
	w := newWorld(t)
	code := pieces(t)
	s := w.documented(code["aliases"], code["printer"], "[submission]\nlisten = [\"127.0.0.60:587\", \"192.0.2.25:25\"]\n",
		"[console]\nlisten = [\"127.0.0.1:8025\"]\ntoken = \""+token+"\"\n")
	t.Setenv("STERNPOST_CONFIG", s.config) // the document has it at the usual place
	sbin := w.folder("sbin")
	sendmail := filepath.Join(sbin, "sendmail")
	words := strings.NewReplacer("/usr/sbin/sendmail", sendmail, "/usr/local/bin/sternpost", os.Getenv(binaryVariable))
	php, _ := filepath.Glob(programs()["php-cli"])
	for _, c := range []struct {
		name, file string
		command    []string
		subject    string // empty: nothing is sent
	}{
		{"link", "link.sh", []string{"/bin/sh", "-e"}, ""},
		{"nodemailer", "send.cjs", []string{"/usr/bin/node"}, "Your order 4711"},
		{"python", "send.py", []string{"/usr/bin/python3"}, "Your order 4712"},
		{"go", "send.go", []string{"go", "run"}, "Your order 4713"},
		{"php", "send.php", append(php, "-d", "sendmail_path="+sendmail+" -t -i"), "Your order 4714"},
		{"cron", "cron.sh", []string{"/bin/sh", "-e"}, "Cron <root@web1> backup"},
		{"json", "json.sh", []string{"/bin/sh", "-e"}, "Your order 4715: Grüße!"},
		{"mime", "mime.sh", []string{"/bin/sh", "-e"}, "Your order 4716"},
		{"token", "token.sh", []string{"/bin/sh", "-e"}, "Your order 4717"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code[c.name] == "" {
				t.Fatalf("the document has no piece %s", c.name)
			}
			file := w.write(c.file, []byte(words.Replace(code[c.name])))
			r := w.runs(t, strings.NewReplacer(), "", append(c.command, file)...)
			t.Logf("exit status %d: %s", r.exit, strings.TrimSpace(r.said))
			if r.exit != 0 {
				t.Fatalf("exit status %d", r.exit)
			}
			if c.subject != "" {
				m := s.arrives(t, c.subject)
				t.Logf("from %s to %v:\n%s", m.From(), m.To(), m.Content)
				if strings.Contains(string(m.Content), "Idempotency-Key") {
					t.Error("the key was sent to the recipient")
				}
				head, _, _ := strings.Cut(string(m.Content), "\r\n\r\n")
				if strings.ContainsFunc(head, func(r rune) bool { return r > 0x7e }) {
					t.Error("the header is not ASCII")
				}
			}
		})
	}
	t.Run("printer", func(t *testing.T) {
		d := dial(t, "", outsider+":25")
		d.ask(t, "HELO printer", "250")
		d.ask(t, "MAIL FROM:<printer@shop.example>", "250")
		d.ask(t, "RCPT TO:<you@sink.test>", "250")
		d.ask(t, "DATA", "354")
		d.ask(t, letter("a scan")+".", "250")
		s.arrives(t, "a scan")
	})
	for _, m := range s.sink.Messages() {
		if strings.Contains(string(m.Content), "Cron <root") && !slices.Equal(m.To(), []string{"admin@sink.test"}) {
			t.Errorf("the mail of cron went to %v", m.To())
		}
	}
}

// token is that of the console.
const token = "0123456789abcdef0123456789abcdef"

// The staging guard of the document lets nothing out but to the tester.
func TestDocumentOfTheGuard(t *testing.T) {
	w := newWorld(t)
	s := w.documented(pieces(t)["guard"])
	d := dial(t, "", "127.0.0.1:"+servicePort)
	d.ask(t, "EHLO client.test", "250")
	d.ask(t, "MAIL FROM:<me@client.test>", "250")
	d.ask(t, "RCPT TO:<you@sink.test>", "250")
	d.ask(t, "DATA", "354")
	d.ask(t, letter("guarded")+".", "250")
	m := s.arrives(t, "guarded")
	if !slices.Equal(m.To(), []string{"tester@sink.test"}) {
		t.Errorf("it went to %v", m.To())
	}
	if !strings.Contains(string(m.Content), "\r\nX-Sternpost-Redirected: you@sink.test\r\n") {
		t.Errorf("whom it was for is not told:\n%s", m.Content)
	}
	s.drained(t)
	if n := len(s.sink.Messages()); n != 1 {
		t.Errorf("%d messages went out", n)
	}
}

// The other one refuses those whom it does not know.
func TestDocumentOfTheOtherGuard(t *testing.T) {
	w := newWorld(t)
	s := w.documented(pieces(t)["only"])
	d := dial(t, "", "127.0.0.1:"+servicePort)
	d.ask(t, "EHLO client.test", "250")
	d.ask(t, "MAIL FROM:<me@client.test>", "250")
	d.ask(t, "RCPT TO:<you@sink.test>", "550 5.7.1")
	d.ask(t, "RCPT TO:<tester@sink.test>", "250")
	d.ask(t, "DATA", "354")
	d.ask(t, letter("let out")+".", "250")
	if m := s.arrives(t, "let out"); !slices.Equal(m.To(), []string{"tester@sink.test"}) {
		t.Errorf("it went to %v", m.To())
	}
}

// Every piece of JSON that the document shows can be read.
func TestDocumentHasJSON(t *testing.T) {
	for name, piece := range pieces(t) {
		_, body, found := strings.Cut(piece, "--data '")
		if !found {
			continue
		}
		body, _, _ = strings.Cut(body, "'")
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: no JSON: %s", name, body)
		}
	}
}
