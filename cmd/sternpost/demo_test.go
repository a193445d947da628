package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// occupyPorts makes sure that somebody listens on each address until the scenario ends.
func occupyPorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: occupy ADDRESS:PORT...")
	}
	for _, address := range args {
		listener, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue // somebody does
		}
		ts.Check(err)
		ts.Defer(func() { listener.Close() })
	}
}

// demoRun is the demonstration as a program of its own.
type demoRun struct {
	*exec.Cmd
	directory string // for temporary files
	out       *bufio.Reader
	read      *os.File
	said      bytes.Buffer // standard error
}

func startDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	directory, err := os.MkdirTemp("", "demo") // t.TempDir() is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	r := &demoRun{Cmd: exec.Command("sternpost", append([]string{"demo"}, args...)...), directory: directory, out: bufio.NewReader(read), read: read}
	r.Env = append(os.Environ(), "TMPDIR="+directory, "GORACE=atexit_sleep_ms=0")
	r.Stdout, r.Stderr = write, &r.said
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() { r.Process.Kill() })
	return r
}

// tells reads what it prints until a line has the text.
func (r *demoRun) tells(t *testing.T, text string) {
	t.Helper()
	if err := r.read.SetReadDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := r.out.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("%q is not told: %v\n%s", text, err, r.said.Bytes())
		}
	}
}

// ends waits for its end, with this exit status, and looks for what it has left behind.
func (r *demoRun) ends(t *testing.T, want int) {
	t.Helper()
	err := r.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := r.ProcessState.ExitCode(); got != want {
		t.Errorf("exit status %d, want %d\n%s", got, want, r.said.Bytes())
	}
	if left, err := os.ReadDir(r.directory); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := syscall.Kill(-r.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a process of it lives on: %v", err)
	}
}

// Who has seen enough interrupts it in the middle, and nothing is left behind.
func TestDemoInterrupted(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			if signal.Ignored(s) {
				t.Skip("this signal is ignored where the test runs")
			}
			t.Parallel()
			r := startDemo(t)
			r.tells(t, "tries again")
			if err := r.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			r.ends(t, exitAgain)
			if !strings.Contains(r.said.String(), "interrupted") {
				t.Errorf("it says %q", r.said.String())
			}
		})
	}
}

// sternpost demo | head
func TestDemoThatNobodyReadsToItsEnd(t *testing.T) {
	t.Parallel()
	r := startDemo(t)
	r.tells(t, "SMTP: ")
	r.read.Close()
	r.ends(t, exitAgain)
}

// With --keep it takes mail until it is stopped, which is no failure.
func TestDemoKept(t *testing.T) {
	t.Parallel()
	r := startDemo(t, "--keep")
	r.tells(t, "export STERNPOST_CONFIG=")
	kept, err := os.ReadDir(r.directory)
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v %v", kept, err)
	}
	r.tells(t, "/v1/destinations")
	submit := exec.Command("sternpost", "--config", r.directory+"/"+kept[0].Name()+"/sternpost.toml", "submit", "--from", "me@shop.test", "--to", "other@no-mx.test")
	submit.Stdin = strings.NewReader("Subject: one more\n\nhello\n")
	if said, err := submit.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	r.tells(t, "SMTP: me@shop.test hands in message")
	r.tells(t, "delivered to other@no-mx.test")
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.ends(t, exitDone)
}

// A world that is not as it should be is noticed, and told.
func TestDemoInAnotherWorld(t *testing.T) {
	for _, c := range []struct {
		name, from, to string // what is replaced in the scenario
		want           string // in the error
		patience       time.Duration
	}{
		{"the backup is down too", "behaviour = [\"refused\"]\n", "behaviour = [\"refused\"]\n[[host]]\nname = \"mx2.primary-down.test\"\nbehaviour = [\"refused\"]\n", "expected: you@primary-down.test delivered", 2 * time.Second},
		{"the unknown domain exists", "; the sender's", "does-not-exist.test. A 127.0.1.6\n; the sender's", "seen: the sender says delivered", demoPatience},
		{"nobody is greylisted", "greylist for 2s \"greylisted, try again later\"", "up", "attempts 1", demoPatience},
		{"it is greylisted for longer", "greylist for 2s", "greylist for 4s", "attempts 3", demoPatience},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			scenario := strings.Replace(demoScenario, c.from, c.to, 1)
			if scenario == demoScenario {
				t.Fatal("nothing was replaced")
			}
			out, err := playDemo(t, scenario, c.patience)
			if exit := new(exitError); !errors.As(err, &exit) || exit.code != exitFailed || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q", err, c.want)
			}
			if !strings.Contains(out, "not all as it should be") {
				t.Error(out)
			}
		})
	}
}

// playDemo plays the demonstration in the world of a scenario, and looks that nothing is left behind.
func playDemo(t *testing.T, scenario string, patience time.Duration) (told string, err error) {
	t.Helper()
	world, err := openDemo(scenario)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	sh := &shell{ctx: t.Context(), stdin: strings.NewReader(""), stdout: &out, stderr: &out, environ: []string{"STERNPOST_DELIVERY_PORT=1"}}
	r := &demonstration{shell: sh, world: world, story: newDemoStory(sh), patience: patience}
	err = r.show(t.Context(), false)
	if err := world.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(world.directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", world.directory, err)
	}
	return out.String(), err
}

// different is what is another at each demonstration: ids, times, ports, and where the program is. Lines may break elsewhere.
var different = regexp.MustCompile(`\b[0-9][0-9a-z]{12}\b|[0-9]+\.[0-9]+s|127\.0\.0\.1:[0-9]+|\S+ demo --keep`)

// sameWords is text without what is different.
func sameWords(text string) string {
	return different.ReplaceAllString(strings.Join(strings.Fields(text), " "), "*")
}

// What the README shows of the story is what is told; what it leaves out it says in brackets. How the commands tell it is theirs.
func TestReadmeShowsTheDemo(t *testing.T) {
	t.Parallel()
	told, err := playDemo(t, demoScenario, demoPatience)
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(readme), "## What `make demo` shows\n\n```\n")
	shown, _, _ = strings.Cut(shown, "\n```\n")
	story, rest, found := strings.Cut(shown, "$ sternpost why")
	if !found {
		t.Fatal("the README shows no demonstration")
	}
	recap := rest[strings.Index(rest, "\nWhat became of"):]
	left := sameWords(told)
	for block := range strings.SplitSeq(story+recap, "\n\n") {
		if strings.HasPrefix(strings.TrimSpace(block), "[") {
			continue
		}
		_, behind, ok := strings.Cut(left, sameWords(block))
		if !ok {
			t.Fatalf("the README shows what `make demo` does not tell, or not there:\n%s\n\nit tells:\n%s", block, told)
		}
		left = behind
	}
}
