package queue_test

import (
	"sync/atomic"
	"testing"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

// What the configuration says about recipients in doubt is told to who delivers: the next host of the same attempt would get the content too.
func TestHoldInDoubtIsToldToTheDeliverer(t *testing.T) {
	for _, setting := range []string{"hold", "retry"} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t, func(c *queue.Config) { c.InDoubt = setting })
			var told atomic.Bool
			w.answer("a.test", func(tr mail.Transaction) mail.Outcome {
				told.Store(tr.HoldInDoubt)
				return delivered(tr)
			})
			w.submit("me@us.test", "you@a.test")
			pass(time.Minute)
			if told.Load() != (setting == "hold") {
				t.Errorf("%s: HoldInDoubt is %v", setting, told.Load())
			}
		})
	}
}
