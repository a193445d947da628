package queue

import (
	"context"
	"time"
)

// drain ends the attempts: those that have not begun to send their content end at once, the others get some time, then they are called off. What waits in
// memory goes back to the store.
func (s *schedule) drain(cancel context.CancelCauseFunc) {
	s.stopping.Store(true)
	close(s.quit)
	over := make(chan struct{})
	go func() {
		s.attempts.Wait()
		close(over)
	}()
	limit := time.NewTimer(s.current().Drain)
	defer limit.Stop()
	for {
		select {
		case <-over:
			s.endWaiting()
			return
		case <-limit.C:
			cancel(errDrained)
		case e := <-s.ended:
			s.end(e)
		case done := <-s.finished:
			s.finish(done)
		case found := <-s.resolved:
			s.learn(found)
		case f := <-s.asks:
			f(s)
		}
	}
}

// endWaiting returns all work that no attempt was begun for.
func (s *schedule) endWaiting() {
	for {
		select {
		case e := <-s.ended:
			s.end(e)
		case o := <-s.accepted:
			s.back = append(s.back, o)
		default:
			for _, d := range s.destinations {
				s.back = append(s.back, d.empty()...)
			}
			s.giveBack()
			return
		}
	}
}
