package console

import "sync"

// maxOfUser is how many requests of one user of console.tokens are answered at the same time: half of the places, so that an application whose requests stall keeps no other out, nor
// whoever administers.
const maxOfUser = maxCallers / 2

// shares counts the requests under way by user. Safe for concurrent use; the zero value is ready.
type shares struct {
	mu   sync.Mutex
	used map[string]int
}

// take says whether user may have another request answered. The caller gives it back.
func (s *shares) take(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if user != "" && s.used[user] >= maxOfUser {
		return false
	}
	if s.used == nil {
		s.used = map[string]int{}
	}
	s.used[user]++
	return true
}

func (s *shares) giveBack(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used[user]--; s.used[user] == 0 {
		delete(s.used, user)
	}
}
