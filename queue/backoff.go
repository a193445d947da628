package queue

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// lastMargin is how long before the end of its lifetime a message gets its last attempt: enough to try every host. Of short lifetimes it is a
// tenth.
const lastMargin = 15 * time.Minute

// Past is what the time of the next attempt depends on.
type Past struct {
	Attempts int           // that counted, the one that has just ended included
	Ended    time.Time     // of that attempt
	Begin    time.Time     // of the message's lifetime
	Expires  time.Time     // its end
	Hint     time.Duration // what the remote asked for; zero: nothing
	Random   float64       // from 0 to 1
}

// NextDue is when the next attempt begins; false: the lifetime is over. Delays count from the end of one attempt to the next (RFC 5321 s4.5.4.1). One last attempt
// is made just before the lifetime ends. It is a function of its arguments.
func NextDue(delays []time.Duration, jitter float64, p Past) (time.Time, bool) {
	last := p.Expires.Add(-min(lastMargin, p.Expires.Sub(p.Begin)/10))
	if !p.Ended.Before(last) {
		return time.Time{}, false
	}
	delay := delays[min(max(p.Attempts, 1), len(delays))-1]
	shift := 2*p.Random - 1
	if p.Hint > delay { // the remote does not want it earlier
		delay, shift = p.Hint, p.Random
	}
	delay += time.Duration(float64(delay) * jitter * shift)
	due := p.Ended.Add(delay)
	if due.After(last) {
		due = last
	}
	return due, true
}

// The bounds within which a remote's own wish is honoured.
const (
	leastHint = time.Minute
	mostHint  = 4 * time.Hour
)

// hintText finds "try again in 300 seconds", "retry-after: 5 minutes", "come back in 1 hour", "greylisted for 300 seconds" and the like; hintClock "in 00:05:00".
var (
	hintText  = regexp.MustCompile(`(?i)\b(?:again|retry|try|wait|back|after|greylist\w*|delayed|deferred)\D{0,30}?\b(\d{1,6})\s*(s|sec|second|m|min|minute|h|hour)?s?\b`)
	hintClock = regexp.MustCompile(`(?i)\b(?:again|retry|back|greylist\w*)\D{0,30}?\b(\d\d):(\d\d):(\d\d)\b`)
)

// RetryHint is the delay that a remote asks for in the text of a 4xx reply, within bounds; zero: it asks for none. A number without a unit counts where it is that of
// Retry-After, in seconds.
func RetryHint(text string) time.Duration {
	if clock := hintClock.FindStringSubmatch(text); clock != nil {
		hours, minutes, seconds := number(clock[1]), number(clock[2]), number(clock[3])
		return bounded(time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second)
	}
	found := hintText.FindStringSubmatch(text)
	if found == nil || found[2] == "" && !strings.Contains(strings.ToLower(found[0]), "retry-after") {
		return 0
	}
	unit := time.Second
	switch strings.ToLower(found[2] + "s")[0] {
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	}
	return bounded(time.Duration(number(found[1])) * unit)
}

// number reads digits that an expression has found.
func number(digits string) int {
	n, _ := strconv.Atoi(digits) // six at most
	return n
}

func bounded(hint time.Duration) time.Duration {
	if hint <= 0 {
		return 0
	}
	return min(max(hint, leastHint), mostHint)
}
