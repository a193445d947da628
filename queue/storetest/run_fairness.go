package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"sternpost/queue"
)

func fairnessTests() map[string]func(*trial) {
	return map[string]func(*trial){
		"one sender's thousand": testThousand,
		"senders take turns":    testTurns,
		"priorities":            testPriorities,
		"due order of a sender": testSenderOrder,
	}
}

// crowd accepts messages of one sender by several goroutines, because each commit may wait for a disk.
func (r *trial) crowd(sender string, messages int) {
	const goroutines = 20
	var accepting sync.WaitGroup
	for range goroutines {
		accepting.Go(func() {
			for range messages / goroutines {
				r.waiting(letter(sender, "x@b.example"))
			}
		})
	}
	accepting.Wait()
}

func testThousand(r *trial) {
	r.crowd("many@a.example", 1000)
	s := letter("one@a.example", "x@b.example")
	s.Received = after(1)
	id := r.waiting(s)
	work := r.want(queue.Want{Now: after(1), Most: 10, PerDestination: 10})
	expect(r, "leased", len(work), 10)
	expect(r, "the other sender's is among the first ten", slices.Contains(ids(work), id), true)
	r.store.Return(work)
	for calls := range 10 {
		if slices.Contains(ids(r.want(queue.Want{Now: after(1), Most: 1, PerDestination: 1})), id) {
			return
		}
		r.Logf("call %d was another's", calls)
	}
	r.Error("a window of one gives the other sender no turn in ten calls")
}

func testTurns(r *trial) {
	for _, sender := range []string{"c@a.example", "a@a.example", "b@a.example"} {
		for range 10 {
			r.waiting(letter(sender, "x@b.example"))
		}
	}
	taken := map[string]int{}
	for range 3 {
		for _, o := range r.want(queue.Want{Now: start(), Most: 6, PerDestination: 6}) {
			taken[o.Sender]++
		}
	}
	expect(r, "taken", fmt.Sprint(taken), "map[a@a.example:6 b@a.example:6 c@a.example:6]")
}

func testPriorities(r *trial) {
	for i, p := range []queue.Priority{queue.Report, queue.Bulk, queue.Normal, queue.Report, queue.Bulk, queue.Normal} {
		s := letter(fmt.Sprintf("%d@a.example", i%2), "x@b.example")
		s.Priority, s.Received = p, start().Add(time.Duration(i)*time.Second)
		r.waiting(s)
	}
	var order []string
	for range 3 {
		for _, o := range r.want(queue.Want{Now: after(1), Most: 2, PerDestination: 2}) {
			order = append(order, fmt.Sprint(o.Priority))
		}
	}
	expect(r, "order", strings.Join(order, ""), "001122")
	s := letter("1@a.example", "x@b.example")
	s.Received = after(5)
	r.waiting(s)
	s.Priority, s.Received = queue.Bulk, start()
	bulk := r.waiting(s)
	r.expectWork("what is not due stops nobody", r.lease(after(4)), bulk)
}

func testSenderOrder(r *trial) {
	var want []queue.ID
	for i := range 6 {
		s := letter("a@a.example", "x@b.example")
		s.Received = after(60 - 10*i)
		want = append(want, r.waiting(s))
	}
	slices.Reverse(want)
	var got []queue.ID
	for range 3 {
		got = append(got, ids(r.want(queue.Want{Now: after(60), Most: 2, PerDestination: 2}))...)
	}
	expect(r, "the earliest first", fmt.Sprint(got), fmt.Sprint(want))
}
