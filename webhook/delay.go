package webhook

import (
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// longestDelay is the longest time between two tries, whatever an endpoint asks for.
const longestDelay = time.Hour

// jitter is the share by which a delay is longer or shorter.
const jitter = 0.1

// delay is the time to the next try after so many that failed, from 1, with random from 0 to 1; err is why the last one did.
func delay(failures int, random float64, err error) time.Duration {
	steps := [...]time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, longestDelay}
	d := steps[min(failures, len(steps))-1]
	d += time.Duration((2*random - 1) * jitter * float64(d))
	var asked refusal
	if errors.As(err, &asked) {
		d = max(d, asked.wait)
	}
	return min(d, longestDelay)
}

// random is the randomness of one try of an endpoint: derived, so that a run can be repeated.
func random(seed uint64, name string, try int) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return rand.New(rand.NewPCG(seed^h.Sum64(), uint64(try))).Float64()
}
