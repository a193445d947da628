package resolver

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

// TestLifetime: for how long an answer is not asked for again, and the TTL that is told.
func TestLifetime(t *testing.T) {
	const soa = "neg.test %d SOA ns.neg.test h.neg.test 1 2 3 4 %d\n"
	tests := []struct {
		name, zone, qname string
		ttl, lifetime     time.Duration
	}{
		{"plain", "a.test 300 A 192.0.2.1", "a.test", 300 * time.Second, 300 * time.Second},
		{"below the floor", "a.test 5 A 192.0.2.1", "a.test", 5 * time.Second, time.Minute},
		{"zero", "a.test 0 A 192.0.2.1", "a.test", 0, time.Minute},
		{"above the cap", "a.test 604800 A 192.0.2.1", "a.test", 604800 * time.Second, 24 * time.Hour},
		{"the least of the records", "a.test 900 A 192.0.2.1\na.test 400 A 192.0.2.2", "a.test", 400 * time.Second, 400 * time.Second},
		{"the least of the chain", "a.test 900 CNAME b.test\nb.test 200 A 192.0.2.2", "a.test", 200 * time.Second, 200 * time.Second},
		{"NXDOMAIN, by the minimum", fmt.Sprintf(soa, 900, 300), "nx.neg.test", 300 * time.Second, 300 * time.Second},
		{"NODATA, by the TTL of the SOA", fmt.Sprintf(soa, 120, 300), "neg.test", 120 * time.Second, 120 * time.Second},
		{"negative, below the floor", fmt.Sprintf(soa, 5, 5), "nx.neg.test", 5 * time.Second, time.Minute},
		{"negative, above its cap", fmt.Sprintf(soa, 86400, 86400), "nx.neg.test", 24 * time.Hour, 3 * time.Hour},
		{"negative behind an alias", "a.test 100 CNAME nx.neg.test\n" + fmt.Sprintf(soa, 900, 900), "a.test", 100 * time.Second, 100 * time.Second},
		{"failure", "; fault: * * SERVFAIL", "a.test", 0, 5 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := dnstest.Memory(t, test.zone)
				r := over(t, server)
				first := r.Lookup(t.Context(), test.qname, "A")
				if first.Lookup.TTL != test.ttl || !first.Expires.Equal(time.Now().Add(test.lifetime)) {
					t.Errorf("TTL %s, expires in %s", first.Lookup.TTL, time.Until(first.Expires))
				}
				time.Sleep(test.lifetime - time.Second)
				again := r.Lookup(t.Context(), test.qname, "A")
				if want := max(0, test.ttl-test.lifetime+time.Second); again.Lookup.TTL != want {
					t.Errorf("TTL %s remains, want %s", again.Lookup.TTL, want)
				}
				asked := len(server.Questions())
				time.Sleep(time.Second)
				r.Lookup(t.Context(), test.qname, "A")
				if asked != 1 || len(server.Questions()) != 2 {
					t.Errorf("asked %d times while it lived, %d in all", asked, len(server.Questions()))
				}
			})
		})
	}
}

// TestRecordKeepsItsTTL: the TTL of a record is the one that the server sent, however old the answer is: a check of the zone needs it.
func TestRecordKeepsItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := over(t, dnstest.Memory(t, "a.test 30 MX 10 b.test"))
		r.Lookup(t.Context(), "a.test", "MX")
		time.Sleep(40 * time.Second)
		a := r.Lookup(t.Context(), "a.test", "MX")
		if a.MX[0].TTL != 30*time.Second || a.Lookup.TTL != 0 {
			t.Errorf("got %+v", a)
		}
	})
}

// TestFailuresBackOff: RFC 9520 s3.2.
func TestFailuresBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := dnstest.Memory(t, "; fault: * * REFUSED")
		r := over(t, server)
		for _, seconds := range []int{5, 10, 20, 40, 80, 160, 300, 300} {
			a := r.Lookup(t.Context(), "a.test", "A")
			if got := time.Until(a.Expires); got != time.Duration(seconds)*time.Second {
				t.Fatalf("cached for %s, want %d s", got, seconds)
			}
			time.Sleep(time.Until(a.Expires))
		}
		server.Set("a.test 60 A 192.0.2.1")
		r.Lookup(t.Context(), "a.test", "A")
		server.Set("; fault: * * REFUSED")
		time.Sleep(time.Minute)
		if a := r.Lookup(t.Context(), "a.test", "A"); time.Until(a.Expires) != 5*time.Second {
			t.Errorf("a success does not end the row of failures: %s", time.Until(a.Expires))
		}
	})
}

// TestStale: RFC 8767: an expired answer is served while no server answers, and only then.
func TestStale(t *testing.T) {
	tests := []struct {
		name, zone string
		age        time.Duration
		rcode      mail.RCode
		stale      bool
	}{
		{"silence", "; fault: * * drop", time.Hour, mail.RCodeSuccess, true},
		{"silence for too long", "; fault: * * drop", 25 * time.Hour, mail.RCodeTimeout, false},
		{"SERVFAIL", "; fault: * * SERVFAIL", time.Hour, mail.RCodeServFail, false},
		{"bogus", "; fault: * * bogus", time.Hour, mail.RCodeBogus, false},
		{"the name is gone", "", time.Hour, mail.RCodeNXDomain, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := dnstest.Memory(t, "a.test 300 A 192.0.2.1")
				r := over(t, server)
				r.Lookup(t.Context(), "a.test", "A")
				server.Set(test.zone)
				time.Sleep(test.age)
				for range 2 { // asked, then from the cache
					a := r.Lookup(t.Context(), "a.test", "A")
					if a.Lookup.RCode != test.rcode || a.Lookup.Stale != test.stale || test.stale && a.Lookup.Error == "" {
						t.Errorf("got %+v", a.Lookup)
					}
				}
				server.Set("a.test 300 A 192.0.2.2")
				time.Sleep(3 * time.Hour)
				if a := r.Lookup(t.Context(), "a.test", "A"); a.Lookup.Stale || a.Addresses[0].IP.String() != "192.0.2.2" {
					t.Errorf("after the trouble: got %+v", a.Lookup)
				}
			})
		})
	}
}

// TestServedStale: an answer that the server itself served stale is asked for again as soon as our floor allows (RFC 8767 s5), whatever its TTL.
func TestServedStale(t *testing.T) {
	c := newCache(DefaultConfig())
	now := time.Unix(1e9, 0)
	for stale, want := range map[bool]time.Duration{true: time.Minute, false: time.Hour} {
		a := c.put(question{name: "a.test"}, Answer{Lookup: mail.Lookup{RCode: mail.RCodeSuccess, TTL: time.Hour, Stale: stale}}, now)
		if got := a.Expires.Sub(now); got != want || a.Lookup.Stale != stale {
			t.Errorf("stale %v: kept for %s, want %s", stale, got, want)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(Config{CacheRecords: 100, MinTTL: time.Minute, MaxTTL: time.Hour})
	now := time.Unix(1e9, 0)
	answer := func(n int) Answer {
		return Answer{Lookup: mail.Lookup{RCode: mail.RCodeSuccess, Answers: make([]string, n)}}
	}
	kept := question{name: "kept"}
	c.put(kept, answer(1), now)
	for i := range 1000 {
		switch q := (question{name: fmt.Sprint(i)}); i % 4 {
		case 0:
			c.put(q, answer(30), now)
			c.put(q, answer(3), now)
		case 1:
			c.put(q, Answer{Lookup: mail.Lookup{RCode: mail.RCodeServFail}}, now)
			c.put(q, answer(7), now)
		case 2:
			c.put(q, Answer{Lookup: mail.Lookup{RCode: mail.RCodeServFail}}, now)
		default:
			c.put(q, answer(0), now)
		}
		if _, ok := c.get(kept, now); !ok {
			t.Fatalf("%d: what is used was dropped", i)
		}
		if got := counted(c); got != c.records || got > 100 || len(c.entries) != c.recent.Len() {
			t.Fatalf("%d: %d records, counted as %d, in %d and %d entries", i, got, c.records, len(c.entries), c.recent.Len())
		}
	}
}

func counted(c *cache) int {
	n := 0
	for _, element := range c.entries {
		n += weight(element.Value.(*entry).answer)
	}
	return n
}

// TestLongTextsWeighMore: a record of 60,000 octets is not as light as an address.
func TestLongTextsWeighMore(t *testing.T) {
	long := Answer{Lookup: mail.Lookup{Answers: []string{strings.Repeat("x", 60_000), "192.0.2.1"}}}
	if got := weight(long); got != 302 {
		t.Errorf("weighs %d records", got)
	}
}

func TestOneHugeAnswerIsKept(t *testing.T) {
	server := dnstest.Memory(t, strings.Repeat("a.test A 192.0.2.1\n", 50))
	r := over(t, server, func(c *Config) { c.CacheRecords = 10 })
	r.Lookup(t.Context(), "a.test", "A")
	r.Lookup(t.Context(), "a.test", "A")
	if got := server.Asked("a.test", "A"); got != 1 {
		t.Errorf("asked %d times", got)
	}
}
