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
	Received time.Time     // the begin of the message's lifetime
	Expires  time.Time     // its end
	Hint     time.Duration // what the remote asked for; zero: nothing
	Random   float64       // from 0 to 1
}

// NextDue is when the next attempt begins; false: the lifetime is over. Delays count from the end of one attempt to the next (RFC 5321 s4.5.4.1). One last attempt
// is made just before the lifetime ends. It is a function of its arguments.
func NextDue(delays []time.Duration, jitter float64, p Past) (time.Time, bool) {
	last := p.Expires.Add(-min(lastMargin, p.Expires.Sub(p.Received)/10))
	if !p.Ended.Before(last) {
		return time.Time{}, false
	}
	delay := delays[min(max(p.Attempts, 1), len(delays))-1]
	delay = max(delay, p.Hint)
	delay += time.Duration(float64(delay) * jitter * (2*p.Random - 1))
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

// hintText finds "try again in 300 seconds", "retry after 5 minutes" and the like.
var hintText = regexp.MustCompile(`(?i)\b(?:again|retry|try|wait)\D{0,30}?\b(\d{1,6})\s*(s|sec|second|m|min|minute|h|hour)s?\b`)

// RetryHint is the delay that a remote asks for in the text of a 4xx reply, within bounds; zero: it asks for none.
func RetryHint(text string) time.Duration {
	found := hintText.FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil || n == 0 {
		return 0
	}
	unit := time.Second
	switch strings.ToLower(found[2])[0] {
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	}
	return min(max(time.Duration(n)*unit, leastHint), mostHint)
}

// probeDelay is the time to the n-th probe of a dead destination, from 0: 1m 2m 5m 10m, then 15m.
func probeDelay(n int) time.Duration {
	delays := [...]time.Duration{1, 2, 5, 10, 15}
	return delays[min(n, len(delays)-1)] * time.Minute
}
