package main

import (
	"bytes"
	"io"
	"sync"
)

// unheld passes texts on to a reader that may stop reading, as a terminal does at Ctrl-S, and never waits for it. What the reader is too slow for waits in
// memory, up to a bound; beyond it lines are dropped and counted, and where they are missing the reader is told so. It is safe for concurrent use.
type unheld struct {
	w       io.Writer
	most    int                    // octets that wait
	missing func(lines int) string // what stands in the place of lines that were dropped

	mu      sync.Mutex
	changed *sync.Cond
	waiting []byte
	dropped int // lines, behind those that wait
	closed  bool
	ended   chan struct{} // nil until it is begun
}

func newUnheld(w io.Writer, most int, missing func(lines int) string) *unheld {
	u := &unheld{w: w, most: most, missing: missing}
	u.changed = sync.NewCond(&u.mu)
	return u
}

// write takes whole lines.
func (u *unheld) write(text string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dropped > 0 || len(u.waiting)+len(text) > u.most {
		u.dropped += bytes.Count([]byte(text), []byte("\n"))
		return
	}
	u.waiting = append(u.waiting, text...)
	u.changed.Signal()
}

// begin starts to pass on what was written, and what will be.
func (u *unheld) begin() {
	u.ended = make(chan struct{})
	go func() {
		defer close(u.ended)
		for u.pass() {
		}
	}()
}

// pass passes on what waits; false: nothing more will come.
func (u *unheld) pass() bool {
	u.mu.Lock()
	for len(u.waiting) == 0 && u.dropped == 0 && !u.closed {
		u.changed.Wait()
	}
	text, dropped := u.waiting, u.dropped
	u.waiting, u.dropped = nil, 0
	u.mu.Unlock()
	if dropped > 0 {
		text = append(text, u.missing(dropped)...)
	}
	if len(text) == 0 {
		return false
	}
	_, _ = u.w.Write(text) // a reader that has gone away does not end what it is told of
	return true
}

// close waits until all is passed on.
func (u *unheld) close() {
	u.mu.Lock()
	u.closed = true
	u.changed.Signal()
	u.mu.Unlock()
	if u.ended != nil {
		<-u.ended
	}
}
