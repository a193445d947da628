package resolver

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"sternpost/mail"
)

// Resolver answers DNS questions from its cache and its servers. It may be used concurrently.
type Resolver struct {
	upstream *upstream
	cache    *cache
	timeout  time.Duration

	ctx    context.Context // ends with Close, and with it all flights
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	flights map[question]*flight
	closed  bool
}

// flight is one question on its way. answer may be read once done is closed.
type flight struct {
	done   chan struct{}
	answer Answer
}

// New makes a Resolver that reaches its servers by dial. Where c names no servers, those of /etc/resolv.conf are taken, as they are now. The caller
// closes it.
func New(c Config, dial Dialer) (*Resolver, error) {
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("resolver: %w", err)
	}
	env := environment{dial: dial, random: rand.NewChaCha8(seed), conf: strings.NewReader("")}
	if len(c.Servers) == 0 {
		conf, err := openConf("/etc/resolv.conf")
		if err != nil {
			return nil, err
		}
		defer conf.Close()
		env.conf = conf
	}
	return build(c, env)
}

// openConf opens a resolv.conf. Where there is none this machine is asked, see resolv.conf(5); one that cannot be read is no reason to.
func openConf(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(strings.NewReader("")), nil
	}
	if err != nil {
		return nil, fmt.Errorf("the DNS servers are not known: %w; set resolver.servers", err)
	}
	return file, nil
}

// environment is what a Resolver takes from outside.
type environment struct {
	dial   Dialer
	random rand.Source // of query ids: off-path attackers must not guess them (RFC 5452 s9.2)
	conf   io.Reader   // a resolv.conf
}

func build(c Config, env environment) (*Resolver, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	servers, err := c.servers(env.conf)
	if err != nil {
		return nil, err
	}
	r := &Resolver{
		upstream: &upstream{transport: transport{dial: env.dial, ids: idsFrom(env.random)}, servers: servers},
		cache:    newCache(c),
		timeout:  c.Timeout,
		flights:  make(map[question]*flight),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// idsFrom makes query ids from a source that is not safe for concurrent use.
func idsFrom(random rand.Source) func() uint16 {
	var mu sync.Mutex
	return func() uint16 {
		mu.Lock()
		defer mu.Unlock()
		return uint16(random.Uint64())
	}
}

// Close ends all questions that are on their way and waits for them. After it only the cache answers.
func (r *Resolver) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	return nil
}

// Lookup answers one question; qtype is a mnemonic such as "MX". It always returns an Answer whose Lookup tells how it went. When ctx ends
// first the answer is a TIMEOUT, while the question goes on for whoever asks next.
func (r *Resolver) Lookup(ctx context.Context, name, qtype string) Answer {
	q, err := newQuestion(name, qtype)
	if err != nil {
		return Answer{Lookup: mail.Lookup{Name: name, Type: qtype, RCode: mail.RCodeInvalid, Error: mail.Escape(err.Error())}}
	}
	if a, ok := r.cache.get(q, time.Now()); ok {
		return a
	}
	if ctx.Err() != nil { // nobody waits for the answer: no flight
		return gaveUp(q, qtype, "gave up waiting: "+context.Cause(ctx).Error())
	}
	f, ok := r.join(q)
	if !ok {
		return gaveUp(q, qtype, "the resolver is closed")
	}
	select {
	case <-f.done:
		return f.answer
	case <-ctx.Done():
		return gaveUp(q, qtype, "gave up waiting: "+context.Cause(ctx).Error())
	}
}

// cached is Lookup as far as no server need be asked.
func (r *Resolver) cached(name, qtype string) (Answer, bool) {
	q, err := newQuestion(name, qtype)
	if err != nil {
		return Answer{}, false
	}
	return r.cache.get(q, time.Now())
}

func gaveUp(q question, qtype, text string) Answer {
	return Answer{Lookup: mail.Lookup{Name: q.name, Type: qtype, RCode: mail.RCodeTimeout, Error: text}, Expires: time.Now()}
}

// join returns the flight of q, a new one where there is none. It is false once the Resolver is closed.
func (r *Resolver) join(q question) (*flight, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false
	}
	if f, ok := r.flights[q]; ok {
		return f, true
	}
	f := &flight{done: make(chan struct{})}
	r.flights[q] = f
	r.wg.Go(func() { r.fly(q, f) })
	return f, true
}

// fly asks q for all who wait. It hangs on no caller's context: the answer is worth having even when the first who asked has gone.
func (r *Resolver) fly(q question, f *flight) {
	defer close(f.done)
	defer func() {
		r.mu.Lock()
		delete(r.flights, q)
		r.mu.Unlock()
	}()
	if a, ok := r.cache.get(q, time.Now()); ok { // the flight before this one has just landed
		f.answer = a
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	f.answer = r.upstream.resolve(ctx, q)
	if r.ctx.Err() == nil { // what our own end cut short says nothing about the question
		f.answer = r.cache.put(q, f.answer, time.Now())
	}
}
