//go:build interop

package interop

import (
	"bytes"
	"context"
	"net"
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
	command.Env = append(command.Env, "PATH="+bin+":"+os.Getenv("PATH"), "TMPDIR="+w.folder("tmp"), "GOMODCACHE="+strings.TrimSpace(string(modules)), "GOPROXY=off")
	return command
}

// left is a script that runs on in another terminal. Its last command takes the place of the shell.
func (w *world) left(name, folder, script string) *program {
	w.t.Helper()
	steps := strings.Split(strings.TrimSpace(script), "\n")
	steps[len(steps)-1] = "exec " + steps[len(steps)-1]
	return w.startCommand(name, w.shell(context.Background(), folder, strings.Join(steps, "\n")))
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

// What the document has a developer type: the lab and the agent in terminals of their own, and applications that nobody here wrote.
func TestDocumentOfTheLab(t *testing.T) {
	w := newWorld(t)
	ends := w.left("lab", "desk", labDocument(t, "start"))
	ends.await(t, "the lab", func() bool { return w.quietly("sternpost lab env") })
	agent := w.left("sternpost", "desk", labDocument(t, "agent"))
	agent.await(t, "the agent", func() bool { return accepts("127.0.0.1:2587") })
	if r := w.types(t, "desk", labDocument(t, "swaks")); r.exit != 0 || !strings.Contains(r.said, "queued as") {
		t.Error("swaks cannot submit")
	}
	w.write("desk/send.cjs", []byte(labDocument(t, "nodemailer")))
	if r := w.types(t, "desk", "node send.cjs"); r.exit != 0 || !strings.Contains(r.said, "250 2.0.0 queued as") {
		t.Error("nodemailer cannot submit")
	}
	if r := w.types(t, "desk", labDocument(t, "expect")); r.exit != exitDone {
		t.Error("what the document expects does not come true")
	}
	if r := w.types(t, "desk", `sternpost lab expect --within 1s "you@example.test delivered by mx1.example.test"`); r.exit != exitFailed {
		t.Errorf("an expectation that is not met has the exit status %d", r.exit)
	}
	r := w.types(t, "desk", labDocument(t, "look"))
	for _, want := range []string{"you@example.test", "me@example.test", "mx2.example.test", "Subject: by swaks"} {
		if r.exit != 0 || !strings.Contains(r.said, want) {
			t.Errorf("exit status %d, and it should tell %q", r.exit, want)
		}
	}
	if files, err := filepath.Glob(filepath.Join(w.dir, "desk/received/*.eml")); err != nil || len(files) != 2 {
		t.Errorf("saved: %v %v", files, err)
	}
	if r := w.types(t, "desk", labDocument(t, "probe")); r.exit != 1 || !strings.Contains(r.said, "host-down") {
		t.Errorf("the probe has the exit status %d", r.exit)
	}
	agent.stop()
	ends.stop()
	ends.tell()
	if code := ends.command.ProcessState.ExitCode(); code != exitDone {
		t.Errorf("the lab ends with %d, although what its scenario expects has come true", code)
	}
}

// The scenario that the document writes, run as the document runs it.
func TestDocumentOfLabRun(t *testing.T) {
	w := newWorld(t)
	w.folder("desk")
	w.write("desk/shop.toml", []byte(labDocument(t, "scenario")))
	r := w.types(t, "desk", labDocument(t, "run"))
	if r.exit != exitDone {
		t.Errorf("exit status %d", r.exit)
	}
	if _, shop, _ := strings.Cut(r.said, "customers"); strings.Index(shop, "attempt 2") > strings.Index(shop, "a report goes") {
		t.Error("the report stands before the attempt that it is about")
	}
	if r := w.types(t, "desk", labDocument(t, "own")); r.exit != exitFailed || !strings.Contains(r.said, "0 of 2 expectations met") { // nobody sends
		t.Errorf("exit status %d", r.exit)
	}
	w.write("desk/sternpost.toml", []byte("[queue]\nlifetime = \"2h\"\nbackoff = [\"30m\"]\n"))
	if r := w.types(t, "desk", labDocument(t, "configured")); r.exit != exitFailed || !strings.Contains(r.said, "in 2h") && !strings.Contains(r.said, "in 1h") {
		t.Errorf("exit status %d; with this configuration the mail expires within two hours and no delay is told", r.exit)
	}
	other := strings.Replace(labDocument(t, "scenario"), "failed 5.1.1", "failed 5.7.1", 1)
	w.write("desk/shop.toml", []byte(other))
	if r := w.types(t, "desk", "sternpost lab run ./shop.toml"); r.exit != exitFailed {
		t.Errorf("what does not come true has the exit status %d", r.exit)
	}
}

// quietly says whether a script comes to its end well.
func (w *world) quietly(script string) bool {
	return w.shell(w.t.Context(), "desk", script).Run() == nil
}

// accepts says whether somebody listens.
func accepts(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
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
