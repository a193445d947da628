//go:build crash

package crash

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inject lets system calls of a running agent fail, and returns what ends that. With paths, only calls on these files do.
func (a *agent) inject(t *testing.T, calls, what string, paths ...string) (end func()) {
	t.Helper()
	args := []string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + what}
	for _, p := range paths {
		args = append(args, "-P", p)
	}
	tracer := exec.Command("strace", append(args, "-p", strconv.Itoa(a.command.Process.Pid))...)
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = tracer.Process.Signal(os.Interrupt) // it may have ended with the agent
			_ = tracer.Wait()
		}
	}
	t.Cleanup(end)
	a.held(t)
	return end
}

// held waits until strace holds all threads. A busy agent may meet the failure before that, and end: what it ends with is for the test to judge.
func (a *agent) held(t *testing.T) {
	t.Helper()
	deadline := time.After(patience)
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !a.traced(t) {
		select {
		case <-a.ended:
			return
		case <-deadline:
			t.Fatalf("strace does not hold all threads in %v\n%s", patience, a.home.tail())
		case <-poll.C:
		}
	}
}

// traced says whether all threads of the agent have a tracer.
func (a *agent) traced(t *testing.T) bool {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", a.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err == nil && strings.Contains(string(text), "TracerPid:\t0\n") {
			return false
		}
	}
	return len(files) > 0
}

// logs lists the write-ahead logs, spare ones included.
func (h *home) logs(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(h.queue, "store", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("there is no write-ahead log")
	}
	return list
}

// silent servers keep all attempts under way: no outcome is recorded, so that the next commit is that of a client.
const silent = "banner stall"

// trouble is an agent that owes mail, before its disk fails.
type trouble struct {
	home  *home
	world *world
	book  *ledger
	agent *agent
}

func newTrouble(t *testing.T, script string) *trouble {
	t.Helper()
	x := &trouble{home: newHome(t, ""), world: newWorld(t, names(t), script), book: newLedger()}
	x.book.syncFails = true
	x.home.configure(t, x.world)
	x.agent = x.home.start(t)
	x.agent.serves(t)
	x.hand(t, "before", 10, 0)
	return x
}

// hand hands letters over on three connections, each until it was told 451.
func (x *trouble) hand(t *testing.T, prefix string, letters, size int) {
	t.Helper()
	load{home: x.home, prefix: prefix, connections: 3, letters: letters, seed: 1, size: size, book: x.book, stopAt: "451"}.run(t.Context())
}

// recovers starts the agent again and compares the books.
func (x *trouble) recovers(t *testing.T) {
	t.Helper()
	x.world.script(t, polite)
	a := x.home.start(t)
	a.serves(t)
	a.drained(t)
	a.stop(t)
	if n := x.world.judge(t, x.book); n > sites*8*windowLimit {
		t.Errorf("%d copies arrived twice, more than %d", n, sites*8*windowLimit)
	}
	t.Logf("%d accepted, %d answered 451 to the dot, none lost", x.book.count(accepted), x.book.count(unsynced))
}

const (
	syncs  = "fsync,fdatasync,sync_file_range"
	writes = "write,pwrite64,writev,pwritev"
)

// TestCommitFails: a failed sync or write of the log ends the agent in order, and nothing that it answered with 250 is lost.
func TestCommitFails(t *testing.T) {
	needs(t, "strace")
	for _, failure := range []struct {
		name, calls, what string
		onLog             bool
		script            string
	}{
		{"sync-EIO", syncs, "error=EIO", false, silent},
		{"write-ENOSPC", writes, "error=ENOSPC", true, silent},
		{"write-EIO", writes, "error=EIO", true, silent},
		// Outcomes are recorded while clients submit, so that many commits fail together.
		{"sync-EIO-busy", syncs, "error=EIO", false, later},
		{"write-ENOSPC-busy", writes, "error=ENOSPC", true, later},
	} {
		t.Run(failure.name, func(t *testing.T) {
			x := newTrouble(t, failure.script)
			before := x.book.count(accepted)
			var paths []string
			if failure.onLog {
				paths = x.home.logs(t)
			}
			x.agent.inject(t, failure.calls, failure.what, paths...)
			x.hand(t, "after", 3, 0)
			// Whether the agent still answers depends on how fast it ends; what it says then must be no.
			if status := x.agent.readiness(t); status != 0 && status != 503 {
				t.Errorf("readiness is %d after a failed commit, want 503", status)
			}
			if n := x.book.count(accepted) - before; n != 0 {
				t.Errorf("%d messages were answered with 250 while no commit worked", n)
			}
			if failure.script == silent && x.book.refusals("451") == 0 {
				t.Error("nobody was told 451")
			}
			if code := x.agent.exit(t); code != 75 {
				t.Errorf("exit status %d, want 75", code)
			}
			x.recovers(t)
		})
	}
}

// TestNoHandles: without file handles large messages are refused, small ones are not, and the agent goes on when it has some again.
func TestNoHandles(t *testing.T) {
	needs(t, "strace")
	x := newTrouble(t, silent)
	before := x.book.count(accepted)
	end := x.agent.inject(t, "openat", "error=EMFILE")
	x.hand(t, "large", 1, 400_000)
	if x.book.refusals("451") != 3 || x.book.count(accepted) != before {
		t.Errorf("%d of 3 large messages were told 451", x.book.refusals("451"))
	}
	x.hand(t, "small", 1, 1000)
	if n := x.book.count(accepted) - before; n != 3 {
		t.Errorf("%d of 3 small messages were accepted", n)
	}
	end()
	x.hand(t, "late", 1, 400_000)
	if n := x.book.count(accepted) - before; n != 6 {
		t.Errorf("%d of 6 messages were accepted in the end", n)
	}
	x.agent.stop(t)
	x.recovers(t)
}
