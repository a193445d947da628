package submission

import "time"

// pace is the patience with a client that sends content: silence is bounded, and so is what it lags behind the least rate. A client that is steady
// but slow is heard out, one that sends an octet now and then is not. Only the time that we waited for the client counts, so that it does not pay for a slow disk.
type pace struct {
	silence  time.Duration
	rate     int64 // octets a second
	received int64
	waited   time.Duration
}

// left is how long the next octets may take.
func (p pace) left() time.Duration {
	earned := time.Duration(float64(p.received) / float64(p.rate) * float64(time.Second))
	return min(p.silence, max(0, p.silence+earned-p.waited))
}
