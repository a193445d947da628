//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// What issue 3 wants of a deep queue.
const (
	wantedAcceptRatio = 0.70
	wantedMemory      = 300_000_000 // octets
	wantedGrowth      = 1.2         // of memory, while the depth doubles: what a collected heap swings by
	wantedTravel      = time.Second // of a letter to a healthy destination
	wantedRestart     = 5 * time.Second
)

// acceptStretch is over how many messages the rates at both ends are taken.
const acceptStretch = 50_000

// deep says what the agent was like at some depth.
type deep struct {
	messages int
	resident int64 // VmRSS
	peak     int64 // VmHWM
}

// measureDepth queues messages for a dead destination, writes to a healthy one all the while, and starts the agent again.
func (b *bed) measureDepth() (err error) {
	h, err := newHealthy()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	home := filepath.Join(b.dir, "depth")
	// A notice for each would be mail to another destination.
	s, err := firstStart(home, `delay_notice = "0s"`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	fmt.Printf("depth: %d messages of %d octets for a dead destination, in %d sessions\n", b.depth, sizeOf(b.small), b.sessions)
	var l limits
	if err := b.fill(s, h, &l); err != nil {
		return err
	}
	if err := restart(s, h, home, &l); err != nil {
		return err
	}
	return l.verdict()
}

// fill hands the messages in.
func (b *bed) fill(s *server, h *healthy, l *limits) error {
	stop := h.meanwhile(s.address, "meanwhile", 2*time.Second)
	var samples []deep
	marks, err := load{
		Address: s.address, Sessions: b.sessions, Messages: b.depth, Domain: deadDomain, Domains: 1, File: b.small, Step: max(1, b.depth/1000),
	}.run(func(m mark) error {
		sample, err := s.at(m.accepted)
		samples = append(samples, sample)
		return err
	})
	meanwhile, failed := stop()
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	b.judgeRate(marks, l)
	b.judgeMemory(samples, l)
	fmt.Println("meanwhile, another destination:", meanwhile)
	slowest := percentile(meanwhile.travel, 100)
	l.check("meanwhile, from the 250 until it arrives, max", short(slowest), "<= "+wantedTravel.String(), slowest <= wantedTravel)
	return nil
}

// at looks at the agent.
func (s *server) at(messages int) (deep, error) {
	status, err := sizes(s.command.Process.Pid, "status")
	return deep{messages, status["VmRSS"], status["VmHWM"]}, err
}

// judgeRate compares the rate at the end with that at the beginning.
func (b *bed) judgeRate(marks []mark, l *limits) {
	stretch := min(acceptStretch, b.depth/4)
	first, last := rate(marks, 0, stretch), rate(marks, b.depth-stretch, b.depth)
	fmt.Printf("accepted: %.0f/s over all, %.0f/s the first %d, %.0f/s the last %d\n",
		rate(marks, 0, b.depth), first, stretch, last, stretch)
	l.check("accept rate, the end / the beginning", fmt.Sprintf("%.2f", last/first), fmt.Sprintf(">= %.2f", wantedAcceptRatio),
		last/first >= wantedAcceptRatio)
}

// judgeMemory compares the resident memory in the second half with that before.
func (b *bed) judgeMemory(samples []deep, l *limits) {
	var shallow, high int64
	for _, percent := range []int{10, 50, 100} {
		for _, s := range samples {
			if s.messages >= b.depth*percent/100 {
				fmt.Printf("memory at %d messages: %.1f MB resident, %.1f MB at most so far\n", s.messages, megabytes(s.resident), megabytes(s.peak))
				break
			}
		}
	}
	for _, s := range samples {
		if s.messages <= b.depth/2 {
			shallow = max(shallow, s.resident)
		} else {
			high = max(high, s.resident)
		}
	}
	most := samples[len(samples)-1].peak
	l.check("resident memory, most", fmt.Sprintf("%.1f MB", megabytes(most)), fmt.Sprintf("< %.0f MB", megabytes(wantedMemory)), most < wantedMemory)
	if b.depth < 4*acceptStretch {
		return // what the store keeps in memory has not been full once
	}
	growth := float64(high) / float64(shallow)
	l.check("resident memory, most in the second half / most in the first", fmt.Sprintf("%.2f", growth),
		fmt.Sprintf("<= %.1f", wantedGrowth), growth <= wantedGrowth)
}

// restart stops the agent and starts it over the same queue.
func restart(s *server, h *healthy, home string, l *limits) error {
	began := time.Now()
	if err := s.stop(); err != nil {
		return err
	}
	fmt.Printf("SIGTERM: ended after %s\n", short(time.Since(began)))
	began = time.Now()
	next, err := startAgain(home)
	if err != nil {
		return err
	}
	greeted := time.Since(began)
	*s = *next // the new one is the one to stop
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	t, err := h.post(ctx, s.address, "afterwards", time.Second/2)
	if err != nil {
		return err
	}
	answered := t.first.Sub(began)
	l.check("restart, until it greets", short(greeted), "<= "+wantedRestart.String(), greeted <= wantedRestart)
	l.check("restart, until it answers 250 to a message", short(answered), "<= "+wantedRestart.String(), answered <= wantedRestart)
	fmt.Println("in the 5 s after it, another destination:", t)
	slowest := percentile(t.travel, 100)
	l.check("restart, from the 250 until it arrives, max", short(slowest), "<= "+wantedTravel.String(), slowest <= wantedTravel)
	return nil
}

func sizeOf(file string) int64 {
	stat, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return stat.Size()
}
