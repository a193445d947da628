package queue

import (
	"container/heap"
	"time"
)

// sleepers are destinations that wait for their restFrom, the earliest first.
type sleepers []*destination

func (s sleepers) Len() int           { return len(s) }
func (s sleepers) Less(i, j int) bool { return s[i].restFrom.Before(s[j].restFrom) }
func (s sleepers) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sleepers) Push(d any)        { *s = append(*s, d.(*destination)) }

func (s *sleepers) Pop() any {
	last := len(*s) - 1
	d := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return d
}

// put lets d sleep.
func (s *sleepers) put(d *destination) {
	d.asleep, d.queued = true, true
	heap.Push(s, d)
}

// first is when the first of them wakes; zero: nobody sleeps.
func (s sleepers) first() time.Time {
	if len(s) == 0 {
		return time.Time{}
	}
	return s[0].restFrom
}

// wake takes out one whose time has come; nil: there is none.
func (s *sleepers) wake(now time.Time) *destination {
	if len(*s) == 0 || now.Before((*s)[0].restFrom) {
		return nil
	}
	d := heap.Pop(s).(*destination)
	d.asleep, d.queued = false, false
	return d
}
