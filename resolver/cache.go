package resolver

import (
	"container/list"
	"sync"
	"time"

	"sternpost/mail"
)

// cache holds answers by name and type. Its times are arguments. It may be used concurrently.
type cache struct {
	minTTL, maxTTL, maxStale time.Duration
	max                      int // records

	mu      sync.Mutex
	entries map[question]*list.Element // of *entry
	recent  *list.List                 // the most recently used first
	records int
}

// entry is what is known about one question: the last certain answer, and the failures since.
type entry struct {
	key    question
	answer Answer // Lookup.RCode is empty until there is one
	stored time.Time
	until  time.Time

	failure      *Answer // nil while there is none, for most entries
	failures     int
	failureUntil time.Time
}

// The bounds of what is not a plain positive answer.
const (
	maxNegativeTTL = 3 * time.Hour   // RFC 2308 s5: one to three hours work well
	firstFailure   = 5 * time.Second // RFC 9520 s3.2, and so is the doubling
	maxFailure     = 5 * time.Minute // RFC 9520 s3.2: never longer
)

func newCache(c Config) *cache {
	return &cache{
		minTTL: c.MinTTL, maxTTL: c.MaxTTL, maxStale: c.MaxStale, max: c.CacheRecords,
		entries: make(map[question]*list.Element), recent: list.New(),
	}
}

// get returns what is known about q at now, and whether it need not be asked.
func (c *cache) get(q question, now time.Time) (Answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[q]
	if !ok {
		return Answer{}, false
	}
	e := element.Value.(*entry)
	c.recent.MoveToFront(element)
	switch {
	case now.Before(e.until):
		return e.fresh(now), true
	case now.Before(e.failureUntil):
		return e.failed(now, c.maxStale), true
	}
	return Answer{}, false
}

// put notes the outcome of asking q and returns it as get would.
func (c *cache) put(q question, a Answer, now time.Time) Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[q]
	if !ok {
		element = c.recent.PushFront(&entry{key: q})
		c.entries[q] = element
		c.records++
	}
	c.recent.MoveToFront(element)
	e := element.Value.(*entry)
	if !a.Lookup.RCode.Certain() {
		e.fail(a, now)
		c.shrink()
		return e.failed(now, c.maxStale)
	}
	c.records += weight(a) - weight(e.answer)
	e.succeed(a, now, c.lifetime(a))
	c.shrink()
	return e.fresh(now)
}

// lifetime is how long an answer is kept.
func (c *cache) lifetime(a Answer) time.Duration {
	ttl := a.Lookup.TTL
	if a.Lookup.RCode != mail.RCodeSuccess {
		ttl = min(ttl, maxNegativeTTL)
	}
	if a.Lookup.Stale {
		ttl = 0 // the server's own clock for it has run out: RFC 8767 s5 has it asked again soon
	}
	return min(max(ttl, c.minTTL), c.maxTTL)
}

// textWeight is how many octets of text weigh as much as a record, so that long names and texts cannot fill the memory.
const textWeight = 200

// weight is the size of an answer in records.
func weight(a Answer) int {
	n := 0
	for _, text := range a.Lookup.Answers {
		n += 1 + len(text)/textWeight
	}
	return max(1, n)
}

// shrink drops what was not used for the longest time until the rest fits.
func (c *cache) shrink() {
	for c.records > c.max && c.recent.Len() > 1 {
		oldest := c.recent.Back()
		e := c.recent.Remove(oldest).(*entry)
		delete(c.entries, e.key)
		c.records -= weight(e.answer)
	}
}

func (e *entry) succeed(a Answer, now time.Time, lifetime time.Duration) {
	e.stored, e.until = now, now.Add(lifetime)
	a.Expires = e.until
	e.answer = a
	e.failure, e.failures, e.failureUntil = nil, 0, time.Time{}
}

// fail remembers a failure for a time that doubles with each further one.
func (e *entry) fail(a Answer, now time.Time) {
	wait := maxFailure
	if e.failures < 16 { // the shift stays within its type
		wait = min(firstFailure<<e.failures, maxFailure)
	}
	e.failures++
	e.failureUntil = now.Add(wait)
	a.Expires = e.failureUntil
	e.failure = &a
}

// fresh is the answer with what is left of its TTL, in whole seconds as the DNS counts.
func (e *entry) fresh(now time.Time) Answer {
	a := e.answer
	a.Lookup.TTL = max(0, a.Lookup.TTL-now.Sub(e.stored).Truncate(time.Second))
	return a
}

// failed is the failure or, where no server answers, the expired answer (RFC 8767 s5).
func (e *entry) failed(now time.Time, maxStale time.Duration) Answer {
	known := e.answer.Lookup.RCode != ""
	dead := e.failure.Lookup.RCode == mail.RCodeTimeout
	if !known || !dead || !now.Before(e.until.Add(maxStale)) {
		return *e.failure
	}
	a := e.answer
	a.Lookup.TTL, a.Lookup.Stale, a.Lookup.Error = 0, true, e.failure.Lookup.Error
	a.Expires = e.failureUntil
	return a
}
