//go:build bench

package main

import "fmt"

// limits compares what was measured with what is wanted, and says each as soon as it is known.
type limits struct {
	checked int
	missed  int
}

func (l *limits) check(what, measured, wanted string, ok bool) {
	verdict := "ok"
	l.checked++
	if !ok {
		verdict = "MISSED"
		l.missed++
	}
	fmt.Printf("%-70s %12s   wanted %-12s %s\n", what, measured, wanted, verdict)
}

// verdict is an error when one was missed.
func (l *limits) verdict() error {
	if l.missed > 0 {
		return fmt.Errorf("%d of %d limits were missed", l.missed, l.checked)
	}
	return nil
}
