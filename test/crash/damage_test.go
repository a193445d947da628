//go:build crash

package crash

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ward is a queue that was left with mail in it. Copies of it are damaged.
type ward struct {
	home *home
	book *ledger
	ids  map[string]string // the agent's, by the names of the letters
	n    int
}

// fill hands letters over and writes down how the agent calls them.
func (w *ward) fill(t *testing.T, letters, size int) {
	t.Helper()
	c, err := dialAgent(t.Context(), w.home.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	for range letters {
		made := letter{name: fmt.Sprintf("w-%d", w.n), domains: domains()[w.n%5 : w.n%5+1+w.n%2], size: size + w.n*10}
		if w.n%20 == 7 {
			made.size = 300_000
		}
		w.n++
		f, reply, err := c.hand(made)
		if err != nil || f != accepted {
			t.Fatalf("%s: %s, %v", made.name, reply, err)
		}
		w.book.note(made, f)
		w.ids[made.name] = reply[strings.LastIndexByte(reply, ' ')+1:]
	}
}

// noTables keeps the agent from writing tables, so that its logs stay. It returns what ends that.
func (w *ward) noTables(t *testing.T) func() {
	t.Helper()
	var made []string
	for n := range 300 {
		path := filepath.Join(w.home.queue, "store", fmt.Sprintf("%06d.sst", n))
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		made = append(made, path)
	}
	return func() {
		for _, path := range made {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// wards are queues of 50 messages each, all of them deferred and none delivered, whose agent was killed.
func wards(t *testing.T) []*ward {
	var list []*ward
	for _, style := range []string{"one log", "a table and a log", "two logs"} {
		w := &ward{home: newHome(t, ""), book: newLedger(), ids: map[string]string{}}
		world := newWorld(t, names(t), later)
		w.home.configure(t, world)
		a := w.home.start(t)
		a.serves(t)
		switch style {
		case "one log":
			w.fill(t, 50, 1000)
		case "a table and a log":
			w.fill(t, 40, 1000)
			a.stop(t)
			a = w.home.start(t)
			a.serves(t)
			w.fill(t, 10, 1000)
		case "two logs":
			end := w.noTables(t)
			w.fill(t, 50, 15_000)
			a.kill()
			end()
		}
		a.kill()
		list = append(list, w)
	}
	return list
}

// target is a file to be damaged.
type target struct {
	ward *ward
	path string // below the queue
}

// targets lists the files of the wards by their kinds.
func targets(t *testing.T, list []*ward) map[string][]target {
	kinds := map[string][]target{}
	for _, w := range list {
		var logs []string
		err := filepath.WalkDir(w.home.queue, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err != nil || info.Size() == 0 {
				return err
			}
			name, _ := filepath.Rel(w.home.queue, path)
			switch {
			case strings.HasSuffix(name, ".log"):
				logs = append(logs, name)
			case strings.HasSuffix(name, ".sst"):
				kinds["table"] = append(kinds["table"], target{w, name})
			case strings.Contains(name, "MANIFEST"):
				kinds["manifest"] = append(kinds["manifest"], target{w, name})
			case strings.HasPrefix(name, "content"):
				kinds["content"] = append(kinds["content"], target{w, name})
			default:
				kinds["other"] = append(kinds["other"], target{w, name})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(logs)
		for i, name := range logs {
			kind := "old log"
			if i == len(logs)-1 {
				kind = "newest log"
			}
			kinds[kind] = append(kinds[kind], target{w, name})
		}
	}
	return kinds
}

// copyTo copies the queue, without sockets.
func (w *ward) copyTo(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(w.home.queue, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(w.home.queue, path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// flip changes one octet where something stands, and says which.
func flip(t *testing.T, path string, random *rand.Rand) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := len(b)
	for end > 1 && b[end-1] == 0 {
		end--
	}
	at := random.IntN(end)
	b[at] ^= byte(1 + random.IntN(255))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// mostHeld is how many messages one record or block can hold, of those that the wards have.
const mostHeld = 8

// TestDamage flips one octet in each of many places of every kind of file: the agent comes up without a human, loses at most what the damaged record or
// block held, names it, and delivers all others.
func TestDamage(t *testing.T) {
	places, seed := 3*number(t, "ROUNDS", 20), uint64(number(t, "SEED", 1))
	kinds := targets(t, wards(t))
	order := []string{"newest log", "old log", "table", "manifest", "content", "other"}
	var lost, rebuilt atomic.Int64
	t.Run("places", func(t *testing.T) {
		for n := range places {
			kind := order[n%len(order)]
			if len(kinds[kind]) == 0 {
				t.Fatalf("no ward has a %s", kind)
			}
			random := rand.New(rand.NewPCG(seed, uint64(n)))
			x := kinds[kind][random.IntN(len(kinds[kind]))]
			t.Run(fmt.Sprintf("%d %s", n, kind), func(t *testing.T) {
				t.Parallel()
				h, world := newHome(t, ""), newWorld(t, names(t), polite)
				x.ward.copyTo(t, h.queue)
				at := flip(t, filepath.Join(h.queue, x.path), random)
				h.configure(t, world)
				gone := h.delivers(t, world, x.ward)
				text, err := os.ReadFile(h.log)
				if err != nil {
					t.Fatal(err)
				}
				if len(gone) > mostHeld {
					t.Errorf("%d messages are lost: %v", len(gone), gone)
				}
				for _, name := range gone {
					if !strings.Contains(string(text), x.ward.ids[name]) {
						t.Errorf("the log does not name %s, %s, which is lost", name, x.ward.ids[name])
					}
				}
				if strings.Contains(string(text), "panic") {
					t.Error("the agent panicked")
				}
				if strings.Contains(string(text), "the queue is rebuilt") {
					rebuilt.Add(1)
				}
				lost.Add(int64(len(gone)))
				t.Logf("octet %d of %s: %d lost", at, x.path, len(gone))
			})
		}
	})
	t.Logf("%d places, %d of them ended in a rebuilding; %d of %d messages were lost with what was damaged, and named", places, rebuilt.Load(), lost.Load(), 50*places)
}

// delivers lets agents run, each in the place of one that stopped because of the damage, until nothing is owed. It returns the letters that did not arrive.
func (h *home) delivers(t *testing.T, world *world, w *ward) []string {
	t.Helper()
	for start := 0; ; start++ {
		a := h.start(t)
		if a.comesUp(t) && a.emptied(t) {
			a.stop(t)
			break
		}
		if code := a.exit(t); code != 75 || start == 3 {
			t.Fatalf("start %d: exit status %d\n%s", start, code, h.tail())
		}
	}
	for _, m := range world.arrived() {
		if l, _, known := w.book.find(m.From()); !known || string(bodyOf(m.Content)) != string(l.body()) {
			t.Errorf("%s did not arrive as it was sent", m.From())
		}
	}
	for c, n := range world.copies() {
		if n > 1 {
			t.Errorf("%s arrived %d times", c, n)
		}
	}
	var gone []string
	for _, c := range world.lost(w.book) {
		name, _, _ := strings.Cut(c, " ")
		if !slices.Contains(gone, name) {
			gone = append(gone, name)
		}
	}
	return gone
}

// emptied waits until nothing waits; false: the agent has ended before.
func (a *agent) emptied(t *testing.T) bool {
	t.Helper()
	for {
		select {
		case <-a.ended:
			return false
		default:
		}
		if n, err := a.waiting(t); err == nil && n == 0 {
			return true
		}
		pause(t, 20*time.Millisecond)
	}
}
