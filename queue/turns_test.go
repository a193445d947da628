package queue

import (
	"fmt"
	"testing"
)

// Work that yields takes its sender out of the line, where it was all that he had: with VERP each message has its own sender.
func TestDisplacedSendersLeaveTheLine(t *testing.T) {
	owed := func(sender string) Owed { return Owed{Message: Message{Submission: Submission{Sender: sender}}} }
	for _, each := range []int{1, 2} {
		var line turns
		for n := range 10 * each {
			line.add(owed(fmt.Sprint(n % 10)))
		}
		yielded := 0
		for {
			o, ok := line.displace("new")
			if !ok {
				break
			}
			if o.Sender == "" {
				t.Fatalf("%d each: nobody's work yielded", each)
			}
			yielded++
		}
		taken := 0
		for o, ok := line.take(); ok; o, ok = line.take() {
			if o.Sender == "" {
				t.Fatalf("%d each: nobody's work was taken", each)
			}
			taken++
		}
		if yielded == 0 || yielded+taken != 10*each || line.count != 0 || len(line.work) != 0 {
			t.Errorf("%d each: %d yielded, %d were taken, %d are left of %d senders", each, yielded, taken, line.count, len(line.work))
		}
	}
}
