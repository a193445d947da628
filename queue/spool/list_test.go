package spool

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"sternpost/queue"
)

// The messages of a destination come in the order of their ids, whatever the order of its rows and however few are picked at once.
func TestWaitingForADestination(t *testing.T) {
	s := openAt(t, vfs.NewMem(), "/spool")
	defer func() { _ = s.Close() }()
	random := rand.New(rand.NewPCG(1, 1))
	var want []queue.ID
	for i := range 50 {
		m := submission("a@b.example")
		m.Sender, m.Priority = fmt.Sprint(random.IntN(5)), queue.Priority(random.IntN(3))
		m.SendAt = m.Received.Add(time.Duration(random.IntN(1000)) * time.Minute)
		if i%3 == 0 {
			m = submission("a@c.example")
		}
		work, err := begin(t, s, []byte("text")).Commit(t.Context(), m, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i%3 != 0 {
			want = append(want, work[0].ID)
		}
	}
	for _, each := range []int{1, 2, 7, len(want) - 1, len(want), len(want) + 1, 1000} {
		var got []queue.ID
		for id, err := range s.waitingFor("b.example", each) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d at once: %v, want %v", each, got, want)
		}
	}
}
