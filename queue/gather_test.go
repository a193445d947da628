package queue_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/mail"
	"sternpost/queue"
	"sternpost/queue/storetest"
)

// batches is a store that notes how much each commit settled.
type batches struct {
	queue.Store
	mu    sync.Mutex
	sizes []int
}

func (b *batches) Settle(ctx context.Context, work []queue.Settlement) error {
	b.mu.Lock()
	b.sizes = append(b.sizes, len(work))
	b.mu.Unlock()
	return b.Store.Settle(ctx, work)
}

// In a bubble a commit takes no time. Outcomes of one instant share one all the same, where they gather for a moment.
func TestOutcomesOfOneInstantGather(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &batches{Store: storetest.NewMemory()}
		w := &world{t: t, answers: map[mail.Domain]func(mail.Transaction) mail.Outcome{}, running: map[mail.Domain]int{}, most: map[mail.Domain]int{}}
		var err error
		if w.queue, err = queue.New(queue.DefaultConfig(), queue.Deps{Store: store, Deliverer: w, Hostname: "us.test", Gather: time.Microsecond}); err != nil {
			t.Fatal(err)
		}
		const messages = 20
		for i := range messages {
			domain := mail.Domain(fmt.Sprintf("d%d.test", i))
			w.answer(domain, func(t mail.Transaction) mail.Outcome {
				time.Sleep(time.Minute)
				return delivered(t)
			})
			w.submit("a@client.test", "you@"+string(domain))
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.queue.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		w.answering.Wait()
		if !slices.Equal(store.sizes, []int{messages}) {
			t.Errorf("commits of %v outcomes", store.sizes)
		}
	})
}
