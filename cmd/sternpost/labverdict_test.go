package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sternpost/lab"
)

func TestVerdictsFitAScreen(t *testing.T) {
	var verdicts []lab.Verdict
	for n := range 40 {
		e, err := lab.ParseExpectation(fmt.Sprintf("u%d@example.test delivered at attempt 1", n))
		if err != nil {
			t.Fatal(err)
		}
		v := lab.Verdict{Expectation: e, Met: n < 12, Seen: "no host was asked to take it, whatever the\x1b sender may say of that elsewhere"}
		if n < 2 {
			v.Unseen = lab.List{"how many attempts there were"}
		}
		verdicts = append(verdicts, v)
	}
	var b strings.Builder
	verdictsText(&b, false, verdicts)
	text := b.String()
	if strings.Count(text, "  met ") != mostVerdicts || strings.Count(text, "  missed ") != mostVerdicts || !strings.Contains(text, "  and 20 more\n") {
		t.Errorf("told:\n%s", text)
	}
	if !strings.Contains(text, "12 of 40 expectations met, 2 of them as far as") || strings.Contains(text, "\x1b") {
		t.Errorf("told:\n%s", text)
	}
	for line := range lines(text) {
		if len(line) > columns {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

func TestUsualDirectoryOfALabIsOurs(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"":               func(string) error { return nil },
		"open to others": func(path string) error { return os.Mkdir(path, 0o755) },
		"a link":         func(path string) error { return os.Symlink(t.TempDir(), path) },
		"a file":         func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		runtime := t.TempDir()
		t.Setenv("XDG_RUNTIME_DIR", runtime)
		if err := prepare(filepath.Join(runtime, "sternpost-lab")); err != nil {
			t.Fatal(err)
		}
		path, err := labPlace{}.own()
		if (err == nil) != (name == "") || err == nil && path != filepath.Join(runtime, "sternpost-lab") {
			t.Errorf("%s: %q, %v", name, path, err)
		}
	}
	if path, err := (labPlace{Directory: "mine"}).own(); path != "mine" || err != nil {
		t.Errorf("a directory that was named: %q, %v", path, err)
	}
}
