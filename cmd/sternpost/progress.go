package main

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress tells on a terminal that something is going on that may take long. Elsewhere, and while it is short, it says nothing. One goroutine draws; add may be called by another.
type progress struct {
	count atomic.Int64
	stop  chan struct{}
	over  sync.WaitGroup
}

const (
	progressAfter = 500 * time.Millisecond // what is over sooner needs no bar
	progressEvery = 100 * time.Millisecond
)

// startProgress begins to tell what is done; most is how many things there are to count, -1 where that is not known. The caller ends it by done.
func startProgress(w io.Writer, what string, most int64) *progress {
	p := &progress{stop: make(chan struct{})}
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.over.Go(func() { p.show(w, what, most) })
	}
	return p
}

// show draws the bar from time to time, so that its clock goes on while nothing is counted.
func (p *progress) show(w io.Writer, what string, most int64) {
	select {
	case <-time.After(progressAfter):
	case <-p.stop:
		return
	}
	bar := progressbar.NewOptions64(most, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(20), progressbar.OptionSpinnerType(14), progressbar.OptionSetElapsedTime(true),
		progressbar.OptionSetSpinnerChangeInterval(0)) // it would draw by itself, and never end
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		_ = bar.Set64(p.count.Load()) // a bar that cannot be drawn is no trouble
		_ = bar.RenderBlank()
		select {
		case <-tick.C:
		case <-p.stop:
			_ = bar.Clear()
			return
		}
	}
}

// add counts.
func (p *progress) add(n int64) { p.count.Add(n) }

// done takes the bar away.
func (p *progress) done() {
	close(p.stop)
	p.over.Wait()
}
