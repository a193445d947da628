package queue

import "context"

// Remembered is how many destinations the schedule holds in memory.
func Remembered(q *Queue) int {
	n := 0
	if err := q.ask(context.Background(), func(s *schedule) { n = len(s.destinations) }); err != nil {
		return -1
	}
	return n
}
