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

// KeptForReports is how much is kept of a content that so many octets are written of, piece by piece.
func KeptForReports(octets, piece int) int64 {
	b := &beginning{}
	for ; octets > 0; octets -= piece {
		_, _ = b.Write(make([]byte, piece))
	}
	return b.Size()
}
