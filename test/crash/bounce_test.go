//go:build crash

package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/smtp"
	"sync"
	"testing"
	"time"

	"sternpost/dsn"
)

// returns is a book of letters of which two recipients are refused: one at RCPT, one later at the dot. The third takes it, and the fourth is an alias of two, of whom one is refused. Each letter has
// a sender of its own, to whom the reports go.
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
		if err := handBack(address, sender, text); err != nil {
			return
		}
		b.mu.Lock()
		b.answered = append(b.answered, sender)
		b.mu.Unlock()
	}
}

// team is an alias; its sender wants to hear of success.
const team = "team@g.test"

// handBack hands a letter in. Package smtp knows no NOTIFY.
func handBack(address, sender string, text []byte) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := errors.Join(c.Hello("client.test"), c.Mail(sender)); err != nil {
		return err
	}
	for _, to := range []string{"<x@a.test>", "<x@c.test>", "<x@e.test>", "<" + team + "> NOTIFY=SUCCESS,FAILURE"} {
		id, err := c.Text.Cmd("RCPT TO:%s", to)
		if err != nil {
			return err
		}
		c.Text.StartResponse(id)
		_, _, err = c.Text.ReadResponse(250)
		c.Text.EndResponse(id)
		if err != nil {
			return err
		}
	}
	out, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	return out.Close() // the answer to it decides
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

// failures are what the reports must tell of, and that the alias was expanded.
func failures(senders []string) []string {
	var list []string
	for _, s := range senders {
		list = append(list, s+" x@a.test", s+" x@c.test", s+" "+team, s+" y@a.test")
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
	h.append(t, "[aliases]\n\""+team+"\" = [\"y@a.test\", \"y@e.test\"]\n")
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
	t.Logf("%d kills, %d messages accepted with 3 failures and an alias each, %d reports: each failure and each alias is told of once", rounds, len(book.answered), reports)
}
