//go:build crash

package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"sternpost/resolver/dnstest"
)

const (
	// windowLimit is how many attempts the agent makes at a site at the same time. With those that are over and not yet recorded they are eight times as many at most (queue.mostUnsettled); that bounds
	// what may come twice after a kill.
	windowLimit = 10
	// patience is how long the agent may take to start, to end, or to send all that it owes.
	patience = 120 * time.Second
)

// binaryVariable names the program under test. Where it is not set TestMain builds one.
const binaryVariable = "STERNPOST_CRASH_BIN"

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	if os.Getenv(binaryVariable) != "" {
		return m.Run(), nil
	}
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "sternpost")
	build := exec.Command("go", "build", "-o", path, "sternpost/cmd/sternpost")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return 0, fmt.Errorf("building the agent: %w", err)
	}
	if err := os.Setenv(binaryVariable, path); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// number is a whole number of the environment.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// home is where an agent lives: a directory for its configuration and log, one for the queue, and an address to hand mail to.
type home struct {
	dir     string
	queue   string
	address string
	log     string
	backoff time.Duration
}

// newHome makes the directories. A queue that is empty lies within.
func newHome(t *testing.T, queue string) *home {
	t.Helper()
	dir, err := os.MkdirTemp("", "crash") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the queue, the configuration and the log of the last round are kept in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	h := &home{dir: dir, queue: queue, address: l.Addr().String(), log: filepath.Join(dir, "log"), backoff: 2 * time.Second}
	if queue == "" {
		h.queue = filepath.Join(dir, "q")
	}
	return h
}

// configure writes the configuration for a world, and begins a new log. Retries are soon, so that a round does not wait for minutes.
func (h *home) configure(t *testing.T, w *world) {
	t.Helper()
	if err := os.Remove(h.log); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
[queue]
directory = %q
backoff = [%q]
drain = "2s"
window_start = 5
window_limit = %d
[submission]
listen = [%q]
[resolver]
servers = [%q]
[delivery]
hostname = "agent.test"
port = %s
allow_addresses = ["127.0.0.0/8"]
`, h.queue, h.backoff, windowLimit, h.address, w.dns.Addr(), w.port)
	if err := os.WriteFile(h.file(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// append adds to the configuration.
func (h *home) append(t *testing.T, text string) {
	t.Helper()
	file, err := os.OpenFile(h.file(), os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = file.WriteString(text)
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (h *home) file() string { return filepath.Join(h.dir, "sternpost.toml") }

// agent is one run of the program.
type agent struct {
	home    *home
	command *exec.Cmd
	ended   chan struct{}
}

// start runs the program, under another one where wrap names it. It is killed when the test ends, if it still runs.
func (h *home) start(t *testing.T, wrap ...string) *agent {
	t.Helper()
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	args := append(wrap, os.Getenv(binaryVariable), "--config", h.file(), "serve")
	a := &agent{home: h, command: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	a.command.Stdout, a.command.Stderr = log, log
	if err := a.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(a.ended)
		_ = a.command.Wait() // how it ended is asked of ProcessState
	}()
	t.Cleanup(a.kill)
	return a
}

// kill is kill -9.
func (a *agent) kill() {
	_ = a.command.Process.Kill() // it may have ended
	<-a.ended
}

// stop is SIGTERM, which ends the agent in order.
func (a *agent) stop(t *testing.T) {
	t.Helper()
	if err := a.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := a.exit(t); code != 0 {
		t.Fatalf("SIGTERM: exit status %d\n%s", code, a.home.tail())
	}
}

// exit waits for the end and returns the exit status.
func (a *agent) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-a.ended:
	case <-time.After(patience):
		t.Fatalf("the agent has not ended in %v\n%s", patience, a.home.tail())
	}
	return a.command.ProcessState.ExitCode()
}

// await waits until it is so.
func (a *agent) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(patience)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !so() {
		select {
		case <-a.ended:
			t.Fatalf("waiting for %s: the agent has ended with exit status %d\n%s", what, a.command.ProcessState.ExitCode(), a.home.tail())
		case <-deadline:
			t.Fatalf("waiting for %s: not in %v\n%s", what, patience, a.home.tail())
		case <-poll.C:
		}
	}
}

// serves waits until the agent greets clients, and returns how long that took.
func (a *agent) serves(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	a.await(t, "a greeting", func() bool {
		c, err := dialAgent(t.Context(), a.home.address)
		if err != nil {
			return false
		}
		return c.conn.Close() == nil
	})
	return time.Since(began)
}

// pause waits, on the real clock: what is tested is a program that runs there.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// names is the DNS of a test.
func names(t *testing.T) *dnstest.Server {
	t.Helper()
	return dnstest.New(t, zone)
}
