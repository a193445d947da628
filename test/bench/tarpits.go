//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"
)

// What issue 3 wants of an agent among tarpits: how much later a letter to a healthy destination may arrive.
const wantedLater = time.Second

const (
	tarpitLetters = 20                     // queued for each tarpit
	tarpitPace    = 100 * time.Millisecond // of letters to the healthy destination
	idleTime      = 10 * time.Second       // of measuring before, without tarpits
	loadedTime    = time.Minute            // of measuring after all is queued
)

// pits are servers that accept every connection and say nothing.
type pits struct {
	listeners []net.Listener
	serving   sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
	all  int
	most int // open at the same time
}

// dig makes so many, each at its own address.
func dig(n int) (*pits, error) {
	p := &pits{open: map[net.Conn]bool{}}
	for i := range n {
		l, err := net.Listen("tcp", net.JoinHostPort(loopback(2, i), "25"))
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.listeners = append(p.listeners, l)
		p.serving.Go(func() { p.serve(l) })
	}
	return p, nil
}

func (p *pits) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		p.mu.Lock()
		p.open[conn] = true
		p.all++
		p.most = max(p.most, len(p.open))
		p.mu.Unlock()
		p.serving.Go(func() { p.stall(conn) })
	}
}

// stall says nothing until the client goes.
func (p *pits) stall(conn net.Conn) {
	// How the client went does not matter.
	_, _ = io.Copy(io.Discard, conn)
	conn.Close()
	p.mu.Lock()
	delete(p.open, conn)
	p.mu.Unlock()
}

func (p *pits) close() error {
	var errs []error
	for _, l := range p.listeners {
		errs = append(errs, l.Close())
	}
	p.mu.Lock()
	for conn := range p.open {
		conn.Close() // it may be closed already
	}
	p.mu.Unlock()
	p.serving.Wait()
	return errors.Join(errs...)
}

func (p *pits) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("connections to tarpits: %d open now, %d at most at the same time, %d in all", len(p.open), p.most, p.all)
}

// measureTarpits writes to a healthy destination, first alone, then while mail is queued for many that stall.
func (b *bed) measureTarpits() (err error) {
	h, err := newHealthy()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	p, err := dig(b.tarpits)
	if err != nil {
		return err
	}
	s, err := firstStart(filepath.Join(b.dir, "tarpits"), "")
	if err != nil {
		return errors.Join(err, p.close())
	}
	defer func() { err = errors.Join(err, s.quit(), p.close()) }()
	fmt.Printf("tarpits: %d of them, with %d messages each\n", b.tarpits, tarpitLetters)
	idle, err := h.idle(s)
	if err != nil {
		return err
	}
	loaded, err := b.crowd(s, h)
	if err != nil {
		return err
	}
	fmt.Println("idle:  ", idle)
	fmt.Println("loaded:", loaded)
	fmt.Println(p)
	var l limits
	alone, among := percentile(idle.travel, 99), percentile(loaded.travel, 99)
	l.check("among tarpits, from the 250 until it arrives, p99", short(among), "<= "+short(alone+wantedLater), among <= alone+wantedLater)
	return l.verdict()
}

// idle posts letters while nothing else happens. The first one, for which all is new, does not count.
func (h *healthy) idle(s *server) (trips, error) {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.post(done, s.address, "first", tarpitPace); err != nil {
		return trips{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), idleTime)
	defer cancel()
	return h.post(ctx, s.address, "idle", tarpitPace)
}

// crowd queues the messages for the tarpits, and posts letters meanwhile and for some time after.
func (b *bed) crowd(s *server, h *healthy) (trips, error) {
	stop := h.meanwhile(s.address, "loaded", tarpitPace)
	messages := tarpitLetters * b.tarpits
	marks, err := load{
		Address: s.address, Sessions: b.sessions, Messages: messages, Domain: tarpitDomains, Domains: b.tarpits, File: b.small, Step: messages,
	}.run(func(mark) error { return nil })
	if err == nil {
		fmt.Printf("accepted: %d messages, %.0f/s\n", messages, rate(marks, 0, messages))
		time.Sleep(loadedTime)
	}
	t, failed := stop()
	return t, errors.Join(err, failed)
}

// quit stops the agent and says how long that took, since it has many attempts under way.
func (s *server) quit() error {
	began := time.Now()
	err := s.stop()
	fmt.Printf("SIGTERM: ended after %s\n", short(time.Since(began)))
	return err
}
