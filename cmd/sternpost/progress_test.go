package main

import (
	"bytes"
	"testing"
)

// Where nobody looks nothing is drawn.
func TestProgressIsForTerminals(t *testing.T) {
	var text bytes.Buffer
	p := startProgress(&text, "counting", -1)
	p.add(3)
	p.done()
	if text.Len() > 0 || p.count.Load() != 3 {
		t.Errorf("%d counted, %q", p.count.Load(), text.String())
	}
}
