package spool

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// sample is the default of STERNPOST_CUTS: the power is cut at one of so many moments. 1 is each of about 10,000. Under the race detector Pebble checks itself too, and
// is some thirty times slower.
func sample() int {
	if raceDetector {
		return 400
	}
	return 25
}

// firstToken is that of a message that is handed in when everything is new.
const firstToken = "0-0-0"

// rounds is how many lives the store has.
const rounds = 3

// power cuts the power of a disk at sampled moments, and examines what is left.
type power struct {
	t      *testing.T
	book   *book
	disk   *crashDisk
	random *rand.Rand // belongs to look
	every  int        // one of so many moments is examined
	lies   bool

	torn bool // the disk is what a cut left that kept some of what was not synced

	moments, cuts int
	wrecks        chan wreck
	rebuilt       atomic.Int64 // of torn disks
	needless      atomic.Int64 // rebuilt, of others
	wrong         chan []string
}

func newPower(t *testing.T, seed uint64, every int) *power {
	p := &power{
		t: t, book: &book{pages: map[string]bookPage{}}, random: rand.New(rand.NewPCG(seed, 0)), every: every,
		wrecks: make(chan wreck), wrong: make(chan []string, 1),
	}
	go func() {
		var examining sync.WaitGroup
		var mu sync.Mutex
		var wrong []string
		for range 2 {
			examining.Go(func() {
				for w := range p.wrecks {
					found, rebuilt := w.examine(t.Context())
					switch {
					case rebuilt && w.torn:
						p.rebuilt.Add(1)
					case rebuilt:
						p.needless.Add(1)
					}
					mu.Lock()
					wrong = append(wrong, found...)
					mu.Unlock()
				}
			})
		}
		examining.Wait()
		p.wrong <- wrong
	}()
	return p
}

// plug gives the power a disk.
func (p *power) plug(mem *vfs.MemFS) {
	p.disk = newCrashDisk(mem, func() { p.look() })
	p.disk.lies = p.lies
}

// look is called before and after each change, with the disk held still.
func (p *power) look() {
	p.moments++
	if p.random.IntN(p.every) > 0 {
		return
	}
	p.cuts++
	percent := []int{0, 50, 100}[p.random.IntN(3)]
	w := take(p.disk, p.book, percent, p.random, fmt.Sprintf("moment %d, %d percent", p.moments, percent))
	w.torn = w.torn || p.torn
	p.wrecks <- w
}

// verdict is all that was wrong.
func (p *power) verdict() []string {
	close(p.wrecks)
	return <-p.wrong
}

func (p *power) open() *Store {
	p.t.Helper()
	c := DefaultConfig()
	c.Directory, c.JournalBytes = "/spool", 1 // as little as can be, so that volumes expire
	s, err := Open(c, p.disk, zap.NewNop())
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

// lives runs the store through its lives: some end in order, others with a power cut, and then it recovers under the same eyes.
func (p *power) lives(n int) {
	mem := vfs.NewCrashableMem()
	for round := range n {
		p.plug(mem)
		s := p.open()
		life{power: p, s: s, round: round}.run()
		if round%2 == 1 {
			mem = p.cut() // the old store ends on a disk that nobody needs any more
		}
		if err := s.Close(); err != nil {
			p.t.Error(err)
		}
	}
}

// cut is the disk of the next life, when nothing is under way.
func (p *power) cut() *vfs.MemFS {
	p.disk.mu.Lock()
	defer p.disk.mu.Unlock()
	p.torn = true
	return p.disk.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: p.random})
}

// A power cut at any moment: recovery is legal, what was accepted is there, what was settled is not, and the store is sound.
func TestPowerCuts(t *testing.T) {
	every, seed := sample(), rand.Uint64()
	if text := os.Getenv("STERNPOST_CUTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			t.Fatalf("STERNPOST_CUTS=%q is not a number of moments", text)
		}
		every = n
	}
	t.Logf("seed %d", seed)
	p := newPower(t, seed, every)
	p.lives(rounds)
	for _, complaint := range p.verdict() {
		t.Error(complaint)
	}
	// A cut between a new list of files and the name of the new log looks like damage, though the list and the log are of one moment.
	if n := p.needless.Load(); n > 1+int64(p.cuts)/100 {
		t.Errorf("%d of %d stores were rebuilt that a cut left whole", n, p.cuts)
	}
	t.Logf("%d power cuts at %d moments; %d torn stores were rebuilt", p.cuts, p.moments, p.rebuilt.Load())
}

// The control: on a disk that does not sync, the same examination finds that mail is lost.
func TestPowerCutsWithoutSyncs(t *testing.T) {
	p := newPower(t, 1, 500)
	p.lies = true
	p.lives(1)
	if wrong := p.verdict(); len(wrong) == 0 {
		t.Errorf("nothing is lost in %d power cuts without syncs", p.cuts)
	}
}
