//go:build crash

package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// quietRuns is how many runs without a fault end the search for more: calls are counted by thread, and which thread makes them is chance.
const quietRuns = 3

// TestKillAtCalls kills the agent as it enters the nth system call of a kind in one of its threads, from the start on. n rises until runs end before it
// comes so far; where ROUNDS allows fewer runs than there are calls, it rises in steps.
func TestKillAtCalls(t *testing.T) {
	needs(t, "strace")
	most := max(4, number(t, "ROUNDS", 20)/2)
	for _, calls := range []string{"write,pwrite64", syncs, "rename,renameat,renameat2", "unlink,unlinkat", "openat", "fallocate"} {
		t.Run(calls, func(t *testing.T) {
			all := callsOfRun(t, calls)
			step := max(1, (all+most-1)/most)
			killed, overs := 0, 0
			for n := 1; killed < most && overs < quietRuns; n += step {
				over := false
				ok := t.Run(fmt.Sprint(n), func(t *testing.T) {
					x := usedTrouble(t)
					a := x.home.start(t, straced(t, "/dev/null", calls, fmt.Sprintf("signal=SIGKILL:when=%d", n))...)
					over = x.lives(t, a)
					x.recovers(t)
				})
				if !ok {
					return
				}
				if over {
					overs++
				} else {
					killed, overs = killed+1, 0
				}
			}
			t.Logf("%d runs were killed, at every call of about %d of a thread or in steps of %d; %d behind them were not", killed, all, step, overs)
		})
	}
}

// usedTrouble has a queue that has been used: recovery writes, renames and removes too.
func usedTrouble(t *testing.T) *trouble {
	t.Helper()
	x := &trouble{home: newHome(t, ""), world: newWorld(t, names(t), polite), book: newLedger()}
	x.book.syncFails = true
	x.home.configure(t, x.world)
	x.agent = x.home.start(t)
	x.agent.serves(t)
	x.hand(t, "before", 5, 0)
	x.hand(t, "large", 1, 400_000)
	x.agent.kill()
	return x
}

// lives lets an agent start and work for a while, and kills it; false: it had ended by then.
func (x *trouble) lives(t *testing.T, a *agent) bool {
	t.Helper()
	x.agent = a
	if a.settles(t) {
		x.hand(t, "after", 10, 0)
		x.hand(t, "after-large", 1, 400_000)
		pause(t, 100*time.Millisecond)
	}
	select {
	case <-a.ended:
		return false
	default:
		a.kill()
		return true
	}
}

// settles waits until the agent serves, or has ended (false). What does neither hangs.
func (a *agent) settles(t *testing.T) bool {
	t.Helper()
	served := make(chan bool, 1)
	go func() { served <- a.comesUp(t) }()
	select {
	case s := <-served:
		return s
	case <-time.After(patience):
		t.Fatalf("the agent neither serves nor ends in %v\n%s", patience, a.home.tail())
		return false
	}
}

// straced is the command that runs the agent with a fault in some of its calls; with paths, only calls on these files count. "" is no fault.
func straced(t *testing.T, out, calls, fault string, paths ...string) []string {
	t.Helper()
	command := []string{"strace", "-D", "-f", "-qq", "-o", out, "-e", "trace=" + calls}
	if fault != "" {
		command = append(command, "-e", "inject="+calls+":"+fault)
	}
	for _, p := range paths {
		command = append(command, "-P", p)
	}
	return command
}

// callsOfRun is how many calls of a kind the busiest thread makes in a run without a fault.
func callsOfRun(t *testing.T, calls string) int {
	t.Helper()
	x := usedTrouble(t)
	out := filepath.Join(t.TempDir(), "calls")
	x.lives(t, x.home.start(t, straced(t, out, calls, "")...))
	x.recovers(t)
	return busiest(t, out)
}

// busiest counts the lines of strace for each thread, and returns the most.
func busiest(t *testing.T, out string) int {
	t.Helper()
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	most, threads := 0, map[string]int{}
	for line := range strings.Lines(string(text)) {
		thread, call, _ := strings.Cut(line, " ")
		if strings.HasPrefix(strings.TrimSpace(call), "<...") || strings.Contains(call, "+++") || strings.Contains(call, "---") {
			continue
		}
		threads[thread]++
		most = max(most, threads[thread])
	}
	return most
}
