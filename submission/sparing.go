package submission

import (
	"sync"
	"time"
)

// linesASecond is how many lines of one kind a stranger can make us log in a second.
const linesASecond = 10

// sparing keeps those who connect ten thousand times from filling the disk with the lines that tell so. Safe for concurrent use.
type sparing struct {
	mu     sync.Mutex
	begun  time.Time // the second that counts
	said   int       // in it
	unsaid int       // since the last line
}

// speak says whether a line may be written, and if so how many were not since the last one.
func (s *sparing) speak() (unsaid int, may bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.begun) >= time.Second {
		s.begun, s.said = now, 0
	}
	if s.said >= linesASecond {
		s.unsaid++
		return 0, false
	}
	s.said++
	unsaid, s.unsaid = s.unsaid, 0
	return unsaid, true
}
