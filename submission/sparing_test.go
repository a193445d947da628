package submission

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSparingCountsWhatItDoesNotSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sparing
		said := 0
		for range 1000 {
			if unsaid, may := s.speak(); may {
				said++
				if unsaid != 0 {
					t.Errorf("%d were not said before", unsaid)
				}
			}
		}
		if said != linesASecond {
			t.Errorf("%d lines in a second", said)
		}
		time.Sleep(time.Second)
		if unsaid, may := s.speak(); !may || unsaid != 1000-linesASecond {
			t.Errorf("a second later: %d, %t", unsaid, may)
		}
		if unsaid, may := s.speak(); !may || unsaid != 0 {
			t.Errorf("the next: %d, %t", unsaid, may)
		}
	})
}
