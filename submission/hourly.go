package submission

import (
	"sync"
	"time"
)

// minutes is how many minutes are told apart: sixty, and the one that has begun. So no hour, wherever it begins, has more than the limit.
const minutes = 61

// hourly counts to how many recipients each user has sent in the last hour. It holds one count of a fixed size for each user who sent something. Safe for concurrent use.
type hourly struct {
	mu    sync.Mutex
	users map[string]*hour
}

// hour is the count of one user.
type hour struct {
	counts [minutes]int // by minute modulo minutes
	newest int64        // the minute that was counted last
	total  int
}

// take counts n recipients, unless there would be more than limit in an hour: then it says how long to wait.
func (h *hourly) take(user string, n, limit int, now time.Time) (wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users == nil {
		h.users = map[string]*hour{}
	}
	u := h.users[user]
	if u == nil {
		u = &hour{newest: minuteOf(now)}
		h.users[user] = u
	}
	u.advance(minuteOf(now))
	if u.total+n > limit {
		return u.wait(n, limit, now)
	}
	u.counts[u.newest%minutes] += n
	u.total += n
	return 0
}

// look says how long a user has to wait before he may send to another recipient.
func (h *hourly) look(user string, limit int, now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.users[user]
	if u == nil {
		return 0
	}
	u.advance(minuteOf(now))
	return u.wait(1, limit, now)
}

// giveBack undoes a take of that time.
func (h *hourly) giveBack(user string, n int, then time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := h.users[user]
	if u == nil {
		return
	}
	minute := min(minuteOf(then), u.newest)
	if u.newest-minute >= minutes {
		return // it does not count any more
	}
	given := min(n, u.counts[minute%minutes])
	u.counts[minute%minutes] -= given
	u.total -= given
}

// forget drops the counts of those who have sent nothing for an hour. A user who is not in the configuration any more, or never was, as those of the HTTP API, is one like others.
func (h *hourly) forget(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, u := range h.users {
		if u.advance(minuteOf(now)); u.total == 0 {
			delete(h.users, name)
		}
	}
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// advance forgets what is an hour old at that minute. A clock that is set back stands still until it is where it was.
func (u *hour) advance(minute int64) {
	for steps := 0; u.newest < minute && steps < minutes; steps++ {
		u.newest++
		u.total -= u.counts[u.newest%minutes]
		u.counts[u.newest%minutes] = 0
	}
	u.newest = max(u.newest, minute)
}

// wait is how long it takes until n more are within limit; 0: they are. When n alone are too many, it is until nothing counts any more.
func (u *hour) wait(n, limit int, now time.Time) time.Duration {
	left := u.total
	if left+n <= limit {
		return 0
	}
	free := now
	for minute := u.newest - minutes + 1; minute <= u.newest && left+n > limit; minute++ {
		if count := u.counts[minute%minutes]; count > 0 {
			left -= count
			free = time.Unix((minute+minutes)*60, 0)
		}
	}
	return max(free.Sub(now), time.Second)
}
