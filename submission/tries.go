package submission

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// forgivenEvery is how long it takes until one failure to log in is forgotten.
	forgivenEvery = time.Minute
	// mostFailures of an address, and it is not heard any more until some are forgiven.
	mostFailures = 20
	// wearyOf is how many failures a user may have, wherever they come from, before each attempt on him waits.
	wearyOf = 20
	// firstDelay doubles with each failure, up to lastDelay.
	firstDelay = 500 * time.Millisecond
	lastDelay  = 8 * time.Second
	// mostCounted bounds the memory of tries, together for addresses and users.
	mostCounted = 20_000
)

// tries counts failures to log in, by address and by user. It forgets. Safe for concurrent use.
type tries struct {
	mu      sync.Mutex
	counted map[any]failures // by netip.Prefix and by name (string)
}

// failures are a number that sinks by one every minute.
type failures struct {
	number float64
	at     time.Time
}

func (f failures) now(now time.Time) float64 {
	return max(0, f.number-now.Sub(f.at).Minutes()*float64(time.Minute/forgivenEvery))
}

// networkOf is the unit in which addresses are counted: whoever has an IPv6 address has all of its /64.
func networkOf(address netip.Addr) netip.Prefix {
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	network, _ := address.Prefix(bits) // the bits fit
	return network
}

// exhausted says whether the address has failed too often.
func (t *tries) exhausted(address netip.Addr) bool {
	return t.number(networkOf(address)) >= mostFailures
}

// before is how long an attempt on this user waits before it is looked at.
func (t *tries) before(name string) time.Duration {
	if n := t.number(name); n >= wearyOf {
		return delayOf(n - wearyOf + 1)
	}
	return 0
}

func (t *tries) number(key any) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counted[key].now(time.Now())
}

// failed counts a failure and says how long its reply is to wait. name is empty where there is no such user: names that anybody can invent would fill the memory.
func (t *tries) failed(address netip.Addr, name string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	n := t.add(networkOf(address), now)
	if name != "" {
		n = max(n, t.add(name, now))
	}
	return delayOf(n)
}

func (t *tries) add(key any, now time.Time) float64 {
	if t.counted == nil {
		t.counted = map[any]failures{}
	}
	if _, there := t.counted[key]; !there && len(t.counted) >= mostCounted {
		t.makeRoom(now)
	}
	n := t.counted[key].now(now) + 1
	t.counted[key] = failures{min(n, 2*mostFailures), now}
	return n
}

// makeRoom drops all that is forgiven, and where that is not enough any tenth.
func (t *tries) makeRoom(now time.Time) {
	for key, f := range t.counted {
		if f.now(now) == 0 {
			delete(t.counted, key)
		}
	}
	for key := range t.counted {
		if len(t.counted) <= mostCounted*9/10 {
			return
		}
		delete(t.counted, key)
	}
}

// delayOf is how long the nth failure waits for its reply.
func delayOf(n float64) time.Duration {
	delay := firstDelay
	for ; n >= 2 && delay < lastDelay; n-- {
		delay *= 2
	}
	return min(delay, lastDelay)
}
