//go:build interop

package interop

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// labDocument is a piece of code of docs/lab.md.
func labDocument(t *testing.T, name string) string {
	t.Helper()
	piece := piecesOf(t, "lab.md")[name]
	if piece == "" {
		t.Fatalf("docs/lab.md has no piece %s", name)
	}
	return piece
}

// shell is how a person types what a document says: in a folder, with sternpost in the path.
func (w *world) shell(ctx context.Context, folder, script string) *exec.Cmd {
	command := exec.CommandContext(ctx, "/bin/sh", "-e", "-c", script)
	command.Dir = w.folder(folder)
	bin := w.folder("bin")
	if err := os.Symlink(os.Getenv(binaryVariable), filepath.Join(bin, "sternpost")); err != nil && !os.IsExist(err) {
		w.t.Fatal(err)
	}
	modules, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	command.Env = append(os.Environ(), w.environment()...)
	command.Env = append(command.Env, "PATH="+bin+":"+os.Getenv("PATH"), "GOMODCACHE="+strings.TrimSpace(string(modules)), "GOPROXY=off")
	return command
}

// types runs the script to its end.
func (w *world) types(t *testing.T, folder, script string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a build with an empty cache takes that
	defer cancel()
	command := w.shell(ctx, folder, script)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); command.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("$ %s\n%s(exit status %d)", strings.TrimSpace(script), said.String(), command.ProcessState.ExitCode())
	return ran{command.ProcessState.ExitCode(), said.String()}
}

// An application that is a module of its own, outside of this tree, tests its mailer against a dead primary with the few lines of the document.
func TestLabInAnApplicationOfItsOwn(t *testing.T) {
	w := newWorld(t)
	tree, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	w.folder("orders")
	mailer := readFile(t, "testdata/orders/mailer.go")
	w.write("orders/mailer.go", []byte(mailer))
	w.write("orders/go.sum", []byte(readFile(t, "../../go.sum"))) // without a network nobody else vouches for the modules
	w.write("orders/mailer_test.go", []byte(labDocument(t, "gotest")))
	module := "go mod init shop.example/orders\n" + strings.ReplaceAll(labDocument(t, "gomodule"), "../sternpost", tree)
	if r := w.types(t, "orders", module); r.exit != 0 {
		t.Fatal("the module cannot be made")
	}
	if text := readFile(t, filepath.Join(w.dir, "orders/go.mod")); !strings.Contains(text, "replace sternpost => "+tree) || !strings.Contains(text, "require sternpost v0.0.0") {
		t.Errorf("go.mod:\n%s", text)
	}
	r := w.types(t, "orders", "go vet ./... && go test -count=1 -v ./...")
	if r.exit != 0 || !strings.Contains(r.said, "--- PASS: TestMailerUsesTheBackup") {
		t.Error("the application's test did not pass")
	}
	// A mailer that knows the primary only does not pass.
	broken := strings.Replace(mailer, "range exchangers {", "range exchangers[:1] {", 1)
	if broken == mailer {
		t.Fatal("nothing is broken")
	}
	w.write("orders/mailer.go", []byte(broken))
	if r := w.types(t, "orders", "go test -count=1 ./..."); r.exit == 0 || !strings.Contains(r.said, "--- FAIL: TestMailerUsesTheBackup") {
		t.Error("a mailer without backups passes the test")
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
