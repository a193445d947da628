package resolver

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/mail"
	"sternpost/resolver/dnstest"
)

func TestOneFlightForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := dnstest.Memory(t, "a.test A 192.0.2.1\n; fault: * * delay=500ms")
		r := over(t, server)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if a := r.Lookup(t.Context(), "a.test", "A"); len(a.Addresses) != 1 {
					t.Errorf("got %+v", a)
				}
			})
		}
		wg.Wait()
		if got := len(server.Questions()); got != 1 {
			t.Errorf("asked %d times", got)
		}
	})
}

// TestFlightOutlivesItsCaller: who gives up does not take the answer from the others, nor from the cache.
func TestFlightOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := dnstest.Memory(t, "a.test A 192.0.2.1\n; fault: * * delay=900ms")
		r := over(t, server)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		a := r.Lookup(ctx, "a.test", "A")
		if a.Lookup.RCode != mail.RCodeTimeout || !a.Expires.Equal(time.Now()) || time.Since(start) != 100*time.Millisecond || !strings.Contains(a.Lookup.Error, "gave up") {
			t.Errorf("got %+v after %s", a.Lookup, time.Since(start))
		}
		if a = r.Lookup(t.Context(), "a.test", "A"); a.Lookup.RCode != mail.RCodeSuccess || time.Since(start) != 900*time.Millisecond {
			t.Errorf("got %+v after %s", a.Lookup, time.Since(start))
		}
		if len(server.Questions()) != 1 {
			t.Errorf("asked %v", server.Questions())
		}
	})
}

func TestTimeoutBoundsAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := over(t, dnstest.Memory(t, "; fault: * * drop"), func(c *Config) {
			c.Servers, c.Timeout = []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}, 10*time.Second
		})
		start := time.Now()
		if a := r.Lookup(t.Context(), "a.test", "A"); a.Lookup.RCode != mail.RCodeTimeout || time.Since(start) != 10*time.Second {
			t.Errorf("got %+v after %s", a.Lookup, time.Since(start))
		}
	})
}

// TestCloseEndsFlights: Close waits for them, and they end at once. The bubble fails if a goroutine is left.
func TestCloseEndsFlights(t *testing.T) {
	for _, fault := range []string{"drop", "truncate delay=900ms", "delay=1h"} {
		synctest.Test(t, func(t *testing.T) {
			r := over(t, dnstest.Memory(t, "; fault: * * "+fault))
			done := make(chan Answer)
			go func() { done <- r.Lookup(t.Context(), "a.test", "A") }()
			time.Sleep(950 * time.Millisecond)
			start := time.Now()
			r.Close()
			if a := <-done; time.Since(start) != 0 || a.Lookup.RCode.Certain() && fault != "truncate delay=900ms" {
				t.Errorf("got %+v after %s", a.Lookup, time.Since(start))
			}
			if a := r.Lookup(t.Context(), "b.test", "A"); a.Lookup.RCode != mail.RCodeTimeout || !strings.Contains(a.Lookup.Error, "closed") {
				t.Errorf("got %+v", a.Lookup)
			}
		})
	}
}

func TestCloseEndsDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := DefaultConfig()
		c.Servers = []string{"192.0.2.53"}
		r := made(t, c, func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		go r.Lookup(t.Context(), "a.test", "A")
		synctest.Wait()
		start := time.Now()
		r.Close()
		if time.Since(start) != 0 {
			t.Errorf("took %s", time.Since(start))
		}
	})
}

// TestQuestionsAreBounded: a list of 200 silent exchangers never has more than maxQuestions on their way, and ends.
func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		open, most := 0, 0
		var zone strings.Builder
		for _, h := range many(200, 10, 0) {
			zone.WriteString("example.test MX 10 " + h.Host + ".test\n; fault: " + h.Host + ".test * drop\n")
		}
		server := dnstest.Memory(t, zone.String())
		r := over(t, server)
		r.upstream.transport.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := server.Dial(ctx, network, address)
			mu.Lock()
			defer mu.Unlock()
			open++
			most = max(most, open)
			return counting{conn, func() { mu.Lock(); defer mu.Unlock(); open-- }}, err
		}
		start := time.Now()
		x := r.Exchangers(t.Context(), "example.test")
		took := time.Since(start)
		r.Close()
		if x.Failure == nil || x.Failure.Disposition != mail.Deferred || most > maxQuestions {
			t.Errorf("got %+v, %d at once", x.Failure, most)
		}
		if took > maxGathering {
			t.Errorf("took %s", took)
		}
	})
}

type counting struct {
	net.Conn
	closed func()
}

func (c counting) Close() error {
	c.closed()
	return c.Conn.Close()
}

func TestOddNames(t *testing.T) {
	r := over(t, dnstest.Memory(t, ""))
	for _, name := range []string{"", ".", "..", "a..", "a..test", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 130) + "test"} {
		if a := r.Lookup(t.Context(), name, "A"); a.Lookup.RCode != mail.RCodeInvalid || a.Lookup.Error == "" {
			t.Errorf("%.20q: got %+v", name, a.Lookup)
		}
	}
	if a := r.Lookup(t.Context(), "a.test", "NONSENSE"); a.Lookup.RCode != mail.RCodeInvalid {
		t.Errorf("got %+v", a.Lookup)
	}
}

func BenchmarkLookupCached(b *testing.B) {
	r := over(b, dnstest.Memory(b, "a.test MX 10 b.test"))
	r.Lookup(b.Context(), "a.test", "MX")
	b.ReportAllocs()
	for b.Loop() {
		if a := r.Lookup(b.Context(), "a.test", "MX"); len(a.MX) != 1 {
			b.Fatal(a)
		}
	}
}

func BenchmarkExchangersCached(b *testing.B) {
	r := over(b, dnstest.Memory(b, "a.test MX 10 b.test\na.test MX 20 c.test\nb.test A 192.0.2.1\nc.test A 192.0.2.2"))
	b.ReportAllocs()
	for b.Loop() {
		if x := r.Exchangers(b.Context(), "a.test"); x.Failure != nil {
			b.Fatal(x.Failure)
		}
	}
}

func BenchmarkOrder(b *testing.B) {
	hosts := many(4, 10, 2)
	b.ReportAllocs()
	for b.Loop() {
		Shuffle{Seed: 1, Attempt: 1, Limit: 8}.Order(hosts)
	}
}
