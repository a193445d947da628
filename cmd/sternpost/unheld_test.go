package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// stopping is a reader that can stop, as a terminal does.
type stopping struct {
	bytes.Buffer
	goOn chan struct{} // closed: it reads
}

func (s *stopping) Write(p []byte) (int, error) {
	<-s.goOn
	return s.Buffer.Write(p)
}

func TestAReaderThatStopsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 100
		reader := &stopping{goOn: make(chan struct{})}
		u := newUnheld(reader, most, func(lines int) string { return fmt.Sprintf("(%d)\n", lines) })
		u.write("before it begins\n")
		u.begin()
		synctest.Wait() // the reader has that, and stops
		for range 9 {
			u.write("twenty octets ......\n")
		}
		u.write("two\nlines\n") // would fit, but stands behind what is missing
		if len(u.waiting) > most {
			t.Errorf("%d octets wait", len(u.waiting))
		}
		close(reader.goOn)
		synctest.Wait()
		u.write("after\n")
		u.close()
		want := "before it begins\n" + strings.Repeat("twenty octets ......\n", 4) + "(7)\nafter\n"
		if got := reader.String(); got != want {
			t.Errorf("got:\n%swant:\n%s", got, want)
		}
	})
}

func TestWhatWasWrittenIsThereWhenItIsClosed(t *testing.T) {
	var all bytes.Buffer
	u := newUnheld(&all, 10, func(lines int) string { return fmt.Sprintf("(%d)\n", lines) })
	u.write("one\n")
	u.write("much too long\n")
	u.begin()
	u.close()
	if got := all.String(); got != "one\n(1)\n" {
		t.Errorf("%q", got)
	}
	newUnheld(&all, 10, nil).close() // that was never begun
}
