//go:build bench

package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"sternpost/delivery/smtptest"
)

// healthy is the destination that is well while others are not. Its server is ours, so that it can say when a message arrived.
type healthy struct {
	sink    *smtptest.Server
	end     context.CancelFunc
	watched sync.WaitGroup

	mu      sync.Mutex
	arrived map[string]time.Time // by sender
}

func newHealthy() (*healthy, error) {
	l, err := net.Listen("tcp", sinkAddress)
	if err != nil {
		return nil, err
	}
	h := &healthy{arrived: map[string]time.Time{}}
	if h.sink, err = smtptest.Start("keep no-content", l); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.end = cancel
	h.watched.Go(func() { h.watch(ctx) })
	return h, nil
}

func (h *healthy) close() error {
	h.end()
	h.watched.Wait()
	return h.sink.Close()
}

// watch notes when each message arrived.
func (h *healthy) watch(ctx context.Context) {
	for n := 1; ; n++ {
		messages, err := h.sink.WaitMessages(ctx, n)
		if err != nil {
			return
		}
		now := time.Now()
		h.mu.Lock()
		for _, m := range messages {
			if _, known := h.arrived[m.From()]; !known {
				h.arrived[m.From()] = now
			}
		}
		h.mu.Unlock()
	}
}

// await returns when a message arrived. Where it does not that is the deadline, and false.
func (h *healthy) await(sender string, deadline time.Time) (time.Time, bool) {
	for {
		h.mu.Lock()
		at, here := h.arrived[sender]
		h.mu.Unlock()
		if here {
			return at, true
		}
		if time.Now().After(deadline) {
			return deadline, false
		}
		time.Sleep(time.Millisecond)
	}
}

// letter is one message to the healthy destination.
type letter struct {
	sender   string
	begun    time.Time // before MAIL
	accepted time.Time // with 250
}

// post hands a letter in every so often, by the clock and not after the one before has arrived, until the context ends. The first is
// handed in at once. It returns when all have arrived.
func (h *healthy) post(ctx context.Context, address, name string, every time.Duration) (trips, error) {
	s, err := openSession(address)
	if err != nil {
		return trips{}, err
	}
	var letters []letter
	for clock := time.NewTicker(every); len(letters) == 0 || ctx.Err() == nil; {
		l := letter{sender: fmt.Sprintf("%s-%d@bench.test", name, len(letters)), begun: time.Now()}
		if err := s.hand(l.sender, "you@"+domain, l.content()); err != nil {
			return trips{}, fmt.Errorf("a letter to %s: %w", domain, err)
		}
		l.accepted = time.Now()
		letters = append(letters, l)
		select {
		case <-clock.C:
		case <-ctx.Done():
		}
	}
	return h.measure(letters), s.close()
}

// meanwhile posts letters until what it returns is called.
func (h *healthy) meanwhile(address, name string, every time.Duration) (stop func() (trips, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var posting sync.WaitGroup
	var t trips
	var err error
	posting.Go(func() { t, err = h.post(ctx, address, name, every) })
	return func() (trips, error) {
		cancel()
		posting.Wait()
		return t, err
	}
}

func (l letter) content() []byte {
	return []byte(strings.Join([]string{"From: <" + l.sender + ">", "To: <you@" + domain + ">", "Subject: healthy",
		"Date: Mon, 05 Jan 2026 10:00:00 +0000", "Message-ID: <" + l.sender + ">", "", "Still there?", ".", ""}, "\r\n"))
}

// trips are the times of some letters, in order of size.
type trips struct {
	first  time.Time       // when the first was answered with 250
	accept []time.Duration // from MAIL to the 250
	travel []time.Duration // from the 250 until it arrived
	never  int             // had not arrived long after the last; until then counts as their time
}

func (h *healthy) measure(letters []letter) trips {
	t := trips{first: letters[0].accepted}
	deadline := time.Now().Add(patience)
	for _, l := range letters {
		t.accept = append(t.accept, l.accepted.Sub(l.begun))
		at, arrived := h.await(l.sender, deadline)
		if !arrived {
			t.never++
		}
		// A message may arrive before we have read the 250.
		t.travel = append(t.travel, max(0, at.Sub(l.accepted)))
	}
	slices.Sort(t.accept)
	slices.Sort(t.travel)
	return t
}

func (t trips) String() string {
	text := fmt.Sprintf("%d letters, from the 250 until it arrives: p50 %s, p99 %s, max %s (from MAIL to the 250: p50 %s, max %s)", len(t.travel),
		short(percentile(t.travel, 50)), short(percentile(t.travel, 99)), short(percentile(t.travel, 100)),
		short(percentile(t.accept, 50)), short(percentile(t.accept, 100)))
	if t.never > 0 {
		text += fmt.Sprintf("; %d HAVE NOT ARRIVED %v after the last", t.never, patience)
	}
	return text
}

// percentile is the smallest value that so many percent do not exceed.
func percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func short(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
