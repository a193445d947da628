package submission

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"sternpost/delivery/smtptest"
	"sternpost/queue"
)

const (
	address  = "127.0.0.1:2587"
	hostname = "mail.example.org"
)

// accepted is one message that a drop has taken.
type accepted struct {
	queue.Submission
	content string
}

// drop is an Acceptor that keeps everything.
type drop struct {
	mu     sync.Mutex
	taken  []accepted
	ready  error
	refuse error
	panics bool
	stall  bool // Submit reads all and then waits for the end of its context
}

func (d *drop) Ready() error { return d.ready }

func (d *drop) Submit(ctx context.Context, s queue.Submission, content io.Reader) (queue.Accepted, error) {
	var text strings.Builder
	if _, err := io.Copy(&text, content); err != nil {
		return queue.Accepted{}, err
	}
	if d.panics {
		panic("a mistake")
	}
	if d.stall {
		<-ctx.Done()
		return queue.Accepted{}, ctx.Err()
	}
	if d.refuse != nil {
		return queue.Accepted{}, d.refuse
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken = append(d.taken, accepted{s, text.String()})
	return queue.Accepted{ID: queue.ID(len(d.taken))}, nil
}

func (d *drop) messages() []accepted {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.taken
}

// world is a Server on a network in memory.
type world struct {
	*drop
	desk    *Desk
	t       *testing.T
	network *smtptest.Network
	stop    context.CancelFunc
	served  chan error
}

// inBubble runs f with a world in a bubble of synctest; it fails when a goroutine is left behind.
func inBubble(t *testing.T, change func(*Config), f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, change, nil)
		f(w)
		w.end()
	})
}

// newWorld starts a world; end ends it.
func newWorld(t *testing.T, change func(*Config), log *zap.Logger) *world {
	t.Helper()
	c := DefaultConfig()
	c.Listen = []string{address}
	c.Networks = []string{"127.0.0.0/8", "192.0.2.0/24"}
	if change != nil {
		change(&c)
	}
	w := &world{drop: &drop{}, t: t, network: &smtptest.Network{}, served: make(chan error, 1)}
	listen := func(_, at string) (net.Listener, error) { return w.network.Listen(at) }
	w.desk = newDesk(t, IntakeConfig{}, w.drop)
	s, err := New(c, Deps{Intake: w.desk, Hostname: hostname, Log: log, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	go func() { w.served <- s.Serve(ctx) }()
	synctest.Wait()
	return w
}

func (w *world) end() {
	w.stop()
	if err := <-w.served; err != nil {
		w.t.Errorf("Serve: %v", err)
	}
}

// newDesk is the intake before a queue.
func newDesk(t testing.TB, c IntakeConfig, q Acceptor) *Desk {
	t.Helper()
	d, err := NewIntake(c, IntakeDeps{Queue: q, Hostname: hostname})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// client speaks as it likes.
type client struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

func (w *world) connect() *client { return w.connectTo(address) }

func (w *world) connectTo(at string) *client {
	w.t.Helper()
	conn, err := w.network.Dial(w.t.Context(), "tcp", at)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return newClient(w.t, conn)
}

func newClient(t *testing.T, conn net.Conn) *client {
	return &client{t: t, Conn: conn, in: bufio.NewReader(conn)}
}

// dial connects and says EHLO.
func (w *world) dial() *client {
	w.t.Helper()
	c := w.connect()
	c.expect("220 ")
	c.ask("EHLO client.example", "250 ")
	return c
}

// hearAll reads a reply and returns all its lines.
func (c *client) hearAll() string {
	var all strings.Builder
	for {
		text, err := c.in.ReadString('\n')
		all.WriteString(text)
		if err != nil || len(text) < 4 || text[3] != '-' {
			return all.String()
		}
	}
}

// hear reads a reply and returns its last line; empty: the connection has ended.
func (c *client) hear() string {
	for {
		text, err := c.in.ReadString('\n')
		if err != nil {
			return ""
		}
		if len(text) < 4 || text[3] != '-' {
			return strings.TrimRight(text, "\r\n")
		}
	}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("send %.40q: %v", text, err)
	}
}

func (c *client) expect(prefix string) {
	c.t.Helper()
	if reply := c.hear(); !strings.HasPrefix(reply, prefix) || prefix == "" && reply != "" {
		c.t.Fatalf("reply %q, want %q", reply, prefix)
	}
}

func (c *client) ask(command, prefix string) {
	c.t.Helper()
	c.send(command + "\r\n")
	c.expect(prefix)
}

// data begins a message and stops behind 354.
func (c *client) data() {
	c.t.Helper()
	c.ask("MAIL FROM:<a@example.org>", "250 ")
	c.ask("RCPT TO:<b@example.net>", "250 ")
	c.ask("DATA", "354 ")
}

// ended fails unless the server has closed the connection.
func (c *client) ended() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.in); err != nil && !errors.Is(err, io.EOF) || len(rest) > 0 {
		c.t.Fatalf("the connection goes on: %q, %v", rest, err)
	}
}

const patience = 24 * time.Hour // of clients in a bubble
