//go:build crash

package crash

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/smtp"
	"sync"
	"testing"
	"time"

	"sternpost/dsn"
)

// returns is a book of letters of which two recipients are refused: one at RCPT, one later at the dot. The third takes it. Each letter has a sender of its own, to whom the reports go.
type returns struct {
	mu       sync.Mutex
	answered []string // senders who heard 250
	tried    []string // all of them
}

// send hands letters in until the agent is gone.
func (b *returns) send(address, prefix string) {
	for n := 0; ; n++ {
		sender := fmt.Sprintf("%s-%d@f.test", prefix, n)
		b.mu.Lock()
		b.tried = append(b.tried, sender)
		b.mu.Unlock()
		text := []byte("From: <" + sender + ">\r\nSubject: " + sender + "\r\n\r\ntext\r\n")
		if err := smtp.SendMail(address, nil, sender, []string{"x@a.test", "x@c.test", "x@e.test"}, text); err != nil {
			return
		}
		b.mu.Lock()
		b.answered = append(b.answered, sender)
		b.mu.Unlock()
	}
}

// told counts the reports about each failure, by sender and recipient. A report that arrives twice, since we were killed behind the 250 of its host, is one.
func (w *world) told(t *testing.T) (count map[string]int, reports int) {
	t.Helper()
	count, seen := map[string]int{}, map[string]bool{}
	for _, m := range w.arrived() {
		if m.From() != "" {
			continue
		}
		r, err := dsn.Parse(bytes.NewReader(m.Content))
		if err != nil {
			t.Fatalf("%v: %s", err, m.Content)
		}
		if seen[r.MessageID] {
			continue
		}
		seen[r.MessageID] = true
		for _, recipient := range r.Recipients {
			count[r.To.String()+" "+recipient.Final.String()]++
		}
	}
	return count, len(seen)
}

// failures are what the reports must tell of.
func failures(senders []string) []string {
	var list []string
	for _, s := range senders {
		list = append(list, s+" x@a.test", s+" x@c.test")
	}
	return list
}

// TestKillAmongBounces kills the agent while mail is refused: exactly one report tells of each failure, never none, never two.
func TestKillAmongBounces(t *testing.T) {
	// Most of the mail is refused after the last kill only: with more rounds that takes longer than anything here is waited for.
	rounds, seed := min(number(t, "ROUNDS", 20), 60), uint64(number(t, "SEED", 1))
	h := newHome(t, "")
	w := newWorld(t, names(t), "")
	for i, script := range []string{"rcpt 550 5.1.1 nobody of that name", "dot sleep 30ms / 550 5.7.1 we do not want it", ""} {
		if err := w.sinks[i].SetScript(script); err != nil {
			t.Fatal(err)
		}
	}
	h.configure(t, w)
	book := &returns{}
	random := rand.New(rand.NewPCG(seed, 7))
	for n := range rounds {
		a := h.start(t)
		a.serves(t)
		var clients sync.WaitGroup
		for c := range 4 {
			clients.Go(func() { book.send(h.address, fmt.Sprintf("r%d-%d", n, c)) })
		}
		pause(t, time.Duration(20+random.IntN(400))*time.Millisecond)
		a.kill()
		clients.Wait()
	}
	last := h.start(t)
	last.serves(t)
	last.await(t, "a report about each failure", func() bool {
		told, _ := w.told(t)
		for _, f := range failures(book.answered) {
			if told[f] == 0 {
				return false
			}
		}
		return true
	})
	last.drained(t)
	pause(t, 2*time.Second) // for those that should not come
	last.stop(t)
	told, reports := w.told(t)
	for _, f := range failures(book.tried) {
		if told[f] > 1 {
			t.Errorf("%s is told of %d times", f, told[f])
		}
		delete(told, f)
	}
	if len(told) > 0 {
		t.Errorf("reports about nothing that failed: %v", told)
	}
	t.Logf("%d kills, %d messages accepted with 2 failures each, %d reports: one for each failure", rounds, len(book.answered), reports)
}
