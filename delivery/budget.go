package delivery

import "time"

// budget is the time that an attempt may spend up to DATA. Only the shares that were taken count: the content and the wait after the dot
// spend nothing of it.
type budget struct {
	total, used time.Duration
}

// share is how long the next candidate may take: half of what is left, and all of it for the last one.
func (b budget) share(last bool) time.Duration {
	left := max(b.total-b.used, 0)
	if last {
		return left
	}
	return left / 2
}

func (b *budget) spend(d time.Duration) { b.used = min(b.used+d, b.total) }
