package dsn

import (
	"mime"
	"strings"
	"testing"
)

// Our own templates stand the trial that an operator's must stand.
func TestOwnTemplates(t *testing.T) {
	for _, source := range []string{english, german} {
		if _, err := ParseText(source); err != nil {
			t.Error(err)
		}
	}
	if _, err := NewText("fr"); err == nil {
		t.Error("there is no French")
	}
}

// subjectOf is the subject as people see it.
func subjectOf(t *testing.T, text []byte) string {
	t.Helper()
	for line := range strings.Lines(string(text)) {
		if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
			plain, err := new(mime.WordDecoder).DecodeHeader(strings.TrimSpace(subject))
			if err != nil {
				t.Fatal(err)
			}
			return plain
		}
	}
	return ""
}

func TestTemplateOfAnOperator(t *testing.T) {
	text, err := ParseText("{{define `subject`}}Zurück: {{.Only}}{{end}}{{define `text`}}Liebe Leute,\nmit {{range .Recipients}}{{.Address}}{{end}} ging es nicht.\n\n\n    so\n    nicht\n\x1b[2J{{end}}")
	if err != nil {
		t.Fatal(err)
	}
	r := failure(t)
	r.Text = text
	whole := write(t, r)
	checkShape(t, whole)
	if got := subjectOf(t, whole); got != "Zurück: bob@example.org" {
		t.Error(got)
	}
	_, parts := readPlainly(t, whole)
	if want := "Liebe Leute, mit bob@example.org ging es nicht.\r\n\r\n    so\r\n    nicht\r\n\\x1b[2J\r\n"; parts[0] != want {
		t.Errorf("got %q, want %q", parts[0], want)
	}
}

func TestTemplatesThatAreRefused(t *testing.T) {
	subject := "{{define `subject`}}x{{end}}"
	for name, source := range map[string]string{
		"syntax":       "{{define `subject`}}{{",
		"no text":      subject,
		"no subject":   "{{define `text`}}x{{end}}",
		"no recipient": subject + "{{define `text`}}Hello{{end}}",
		"unknown key":  subject + "{{define `text`}}{{range .Recipients}}{{.Address}}{{.Adress}}{{end}}{{end}}",
		"too long":     subject + "{{define `text`}}{{range .Recipients}}{{.Address}}{{printf `%100000d` 1}}{{end}}{{end}}",
		"long subject": "{{define `subject`}}{{printf `%1000d` 1}}{{end}}{{define `text`}}{{range .Recipients}}{{.Address}}{{end}}{{end}}",
		"endless":      subject + "{{define `text`}}x{{template `text` .}}{{end}}",
	} {
		if _, err := ParseText(source); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// What works with samples and not with a real report goes in English.
func TestTemplateThatFails(t *testing.T) {
	text, err := ParseText("{{define `subject`}}x{{end}}{{define `text`}}{{range .Recipients}}{{.Address}}{{if eq .Host `mx1.example.org.`}}{{index .Reply 7}}{{end}}{{end}}{{end}}")
	if err != nil {
		t.Fatal(err)
	}
	r := failure(t)
	r.Text, r.Recipients[0].RemoteMTA = text, "mx1.example.org."
	if _, parts := readPlainly(t, write(t, r)); !strings.Contains(parts[0], "could not be delivered") {
		t.Error(parts[0])
	}
}

// Each cause has words of its own in each language.
func TestEveryCauseIsTold(t *testing.T) {
	for _, language := range []Language{English, German} {
		told := map[string]Cause{}
		for _, cause := range Causes() {
			l := Letter{Headline: Failed, Recipients: []LetterRecipient{{Address: "bob@example.org", Action: Failed, Cause: cause}}}
			body, _, err := builtin(language).render(l)
			if err != nil {
				t.Fatal(err)
			}
			if other, known := told[body]; known {
				t.Errorf("%s: %s is told as %s", language, cause, other)
			}
			told[body] = cause
		}
	}
}
