//go:build crash

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// withoutSync runs the agent so that everything it syncs is said to be synced, and is not.
func withoutSync() []string {
	const calls = "fsync,fdatasync,sync_file_range,syncfs"
	return []string{"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=" + calls, "-e", "inject=" + calls + ":retval=0"}
}

// powerCut is one cut and what follows from it.
type powerCut struct {
	disk     *volume
	home     *home
	world    *world
	book     *ledger
	random   *rand.Rand
	duration time.Duration // of the load before the cut; 0: a burst, then nothing
}

func newPowerCut(t *testing.T, seed uint64) *powerCut {
	t.Helper()
	disk := newDisk(t)
	return &powerCut{
		disk: disk, home: newHome(t, disk.dir+"/q"), world: newWorld(t, names(t), later), book: newLedger(), random: rand.New(rand.NewPCG(seed, 2)),
	}
}

// happen runs the agent until the power goes, and leaves the disk as it was found at the next start.
func (p *powerCut) happen(t *testing.T, wrap ...string) {
	t.Helper()
	p.home.configure(t, p.world)
	a := p.home.start(t, wrap...)
	a.serves(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := load{home: p.home, prefix: "p", connections: 8, seed: p.random.Uint64(), book: p.book}
	over := make(chan struct{})
	if p.duration == 0 {
		l.letters = 20
	}
	go func() {
		defer close(over)
		l.run(ctx)
	}()
	if p.duration == 0 {
		<-over
		pause(t, time.Duration(p.random.IntN(1000))*time.Millisecond)
	} else {
		pause(t, p.duration)
	}
	// The power is gone for the agent, too. Without this a sync that is under way would be said to have worked: ext4 does not tell that extents could not
	// be converted when it was shut down meanwhile.
	if err := a.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a.await(t, "all threads to stop", func() bool { return a.frozen(t) })
	p.disk.cut(t)
	a.kill()
	cancel()
	<-over
	p.disk.restore(t)
	p.world.script(t, polite)
}

// frozen says whether no thread of the agent runs its own code any more: all have stopped, or wait for the disk.
func (a *agent) frozen(t *testing.T) bool {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", a.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		_, state, _ := strings.Cut(string(text), ") ")
		if err == nil && !strings.ContainsAny(state[:min(1, len(state))], "TtD") {
			return false
		}
	}
	return len(files) > 0
}

// TestPowerCut cuts the power idle and loaded, while everything is still owed and while it is delivered.
func TestPowerCut(t *testing.T) {
	needs(t, "mkfs.ext4", "mount", "umount")
	seed := uint64(number(t, "SEED", 1))
	sum, twice := 0, 0
	for n := range max(1, number(t, "ROUNDS", 20)/10) {
		for i, duration := range []time.Duration{0, 100 * time.Millisecond, 700 * time.Millisecond} {
			for _, script := range []string{later, polite} {
				t.Run(fmt.Sprintf("%d-%v-%t", n, duration, script == polite), func(t *testing.T) {
					p := newPowerCut(t, seed+uint64(n*10+i))
					p.duration = duration
					p.world.script(t, script)
					p.happen(t)
					a := p.home.start(t)
					a.serves(t)
					a.drained(t)
					a.stop(t)
					duplicates := p.world.judge(t, p.book)
					if duplicates > sites*8*windowLimit {
						t.Errorf("%d copies arrived twice, more than %d", duplicates, sites*8*windowLimit)
					}
					p.home.once(t)
					sum += p.book.count(accepted)
					twice += duplicates
				})
			}
		}
	}
	t.Logf("%d messages accepted, %d copies arrived twice", sum, twice)
}

// TestPowerCutWithoutSync is the control: an agent that does not sync must lose mail, or the test above shows nothing.
func TestPowerCutWithoutSync(t *testing.T) {
	needs(t, "mkfs.ext4", "mount", "umount", "strace")
	p := newPowerCut(t, uint64(number(t, "SEED", 1)))
	p.happen(t, withoutSync()...)
	owed := len(p.book.owed())
	if owed == 0 {
		t.Fatal("nothing was accepted")
	}
	a := p.home.start(t)
	if !a.comesUp(t) {
		t.Logf("the agent does not come up: all of the %d copies are lost", owed)
		return
	}
	a.drained(t)
	a.stop(t)
	lost := len(p.world.lost(p.book))
	if lost == 0 {
		t.Fatalf("none of %d copies was lost without a sync: the cut is none", owed)
	}
	t.Logf("%d of %d copies were lost", lost, owed)
}

// comesUp says whether the agent serves; false: it has ended.
func (a *agent) comesUp(t *testing.T) bool {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		if c, err := dialAgent(t.Context(), a.home.address); err == nil {
			return c.conn.Close() == nil
		}
		select {
		case <-a.ended:
			return false
		case <-poll.C:
		}
	}
}
