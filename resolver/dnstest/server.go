package dnstest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Server answers from zone text.
type Server struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	zone      *zone
	questions []Question
	observe   func(Answer)
	address   string
	listeners []io.Closer
}

// Question is one query that came in.
type Question struct {
	Name    string // in lower case, without the last dot
	Type    string
	Network string // "udp" or "tcp"
}

// Answer is a question with what was answered.
type Answer struct {
	Question
	RCode   string // "NOERROR", "NXDOMAIN", ...; "" when there was no reply
	Records int    // in the answer section
}

// Observe tells a function each answer before it is sent, several at a time. It is set before the server listens. The answer waits for the function.
func (s *Server) Observe(observe func(Answer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe = observe
}

// maxQuestions is how many questions a server remembers, so that one that runs for days does not grow.
const maxQuestions = 1 << 16

// MemoryAddress is what Addr says of a server that does not listen: an address for documentation (RFC 5737).
const MemoryAddress = "192.0.2.53:53"

// Make returns a server that is reached by Dial only. The caller closes it.
func Make(text string) (*Server, error) {
	z, err := parseZone(text)
	if err != nil {
		return nil, err
	}
	s := &Server{zone: z, address: MemoryAddress}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Start returns a server that listens on a free loopback port too. The caller closes it.
func Start(text string) (*Server, error) {
	s, err := Make(text)
	if err != nil {
		return nil, err
	}
	if err := s.Listen("127.0.0.1:0"); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// New is Start for a test, which closes the server.
func New(t testing.TB, text string) *Server {
	t.Helper()
	s, err := Start(text)
	return forTest(t, s, err)
}

// Memory is Make for a test, which closes the server. It may be called in a testing/synctest bubble.
func Memory(t testing.TB, text string) *Server {
	t.Helper()
	s, err := Make(text)
	return forTest(t, s, err)
}

func forTest(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Listen serves UDP and TCP on address. A port of 0 takes a free one, the same for both.
func (s *Server) Listen(address string) error {
	const tries = 10 // the port that UDP was given may be taken for TCP
	var err error
	for range tries {
		if err = s.listenBoth(address); err == nil || !strings.HasSuffix(address, ":0") {
			break
		}
	}
	return err
}

func (s *Server) listenBoth(address string) error {
	datagrams, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	streams, err := net.Listen("tcp", datagrams.LocalAddr().String())
	if err != nil {
		return errors.Join(err, datagrams.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return errors.Join(net.ErrClosed, datagrams.Close(), streams.Close())
	}
	s.address = datagrams.LocalAddr().String()
	s.listeners = append(s.listeners, datagrams, streams)
	s.wg.Go(func() { s.serveDatagrams(datagrams) })
	s.wg.Go(func() { s.serveStreams(streams) })
	return nil
}

// Addr is where the server listens, or MemoryAddress.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Close stops the server and waits until all that it does has ended.
func (s *Server) Close() error {
	s.mu.Lock()
	s.cancel()
	var errs []error
	for _, l := range s.listeners {
		errs = append(errs, l.Close())
	}
	s.listeners = nil
	s.mu.Unlock()
	s.wg.Wait()
	return errors.Join(errs...)
}

// Set replaces the zone text, and with it all faults, also those set by Fault.
func (s *Server) Set(text string) error {
	z, err := parseZone(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone = z
	return nil
}

// Fault sets the fault of a question; "*" stands for every name or type. The zero Fault takes it away.
func (s *Server) Fault(name, qtype string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := *s.zone
	changed.faults = make(map[key]Fault)
	for k, old := range s.zone.faults {
		changed.faults[k] = old
	}
	changed.faults[faultKey(name, qtype)] = f
	s.zone = &changed
}

// Questions lists the queries that came in, oldest first; of a great many only the later half.
func (s *Server) Questions() []Question {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.questions)
}

// Asked is how many queries for name and type came in.
func (s *Server) Asked(name, qtype string) int {
	n := 0
	for _, q := range s.Questions() {
		if q.Type == qtype && q.Name == strings.ToLower(strings.TrimSuffix(name, ".")) {
			n++
		}
	}
	return n
}

// Dial connects to the server within memory, whatever the address is; network is "udp" or "tcp".
func (s *Server) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	s.mu.Lock() // Close must not be between the question and the start of the goroutine
	defer s.mu.Unlock()
	if err := errors.Join(ctx.Err(), s.ctx.Err()); err != nil {
		return nil, err
	}
	client, server := net.Pipe()
	s.wg.Go(func() {
		if strings.HasPrefix(network, "udp") {
			s.servePipe(server)
		} else {
			s.serveStream(server)
		}
	})
	return client, nil
}
