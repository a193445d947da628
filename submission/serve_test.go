package submission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestIdleClientsAreTold421AtTheEnd(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		fresh, greeted, within := w.connect(), w.dial(), w.dial()
		within.ask("MAIL FROM:<a@example.org>", "250 ")
		fresh.expect("220 ")
		began := time.Now()
		w.stop()
		for _, c := range []*client{fresh, greeted, within} {
			c.expect("421 4.3.2 ")
			c.ended()
		}
		if err := <-w.served; err != nil || time.Since(began) > 0 {
			t.Errorf("Serve ended after %s: %v", time.Since(began), err)
		}
		w.served <- nil
	})
}

func TestMessageUnderWayIsFinishedAtTheEnd(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.data()
		c.send("Subject: x\r\n\r\nfirst\r\n")
		w.stop()
		time.Sleep(10 * time.Second)
		c.ask("second\r\n.", "250 2.0.0 queued as ")
		c.expect("421 4.3.2 ")
		c.ended()
		if len(w.messages()) != 1 {
			t.Errorf("%d messages", len(w.messages()))
		}
	})
}

func TestEndIsBounded(t *testing.T) {
	for name, begin := range map[string]func(c *client){
		"content": func(c *client) { c.send("Subject: x\r\n") },
		"submit":  func(c *client) { c.send("Subject: x\r\n\r\n.\r\n") },
		"command": func(c *client) { c.send(".\r\n") },
	} {
		inBubble(t, nil, func(w *world) {
			w.stall = name == "submit"
			c := w.dial()
			c.data()
			begin(c)
			synctest.Wait()
			began := time.Now()
			w.stop()
			if err := <-w.served; err != nil || time.Since(began) > DefaultConfig().Drain {
				t.Errorf("%s: ended after %s: %v", name, time.Since(began), err)
			}
			w.served <- nil
			if reply := c.hear(); name == "submit" && reply != "" {
				t.Errorf("%s: reply %q", name, reply)
			}
		})
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxConnections, c.MaxConnectionsPerAddress = 3, 2 }, func(w *world) {
		first, second := w.dial(), w.dial()
		w.connect().expect("421 4.7.0 " + hostname + " has too many connections from 192.0.2.1")
		first.ask("QUIT", "221 ")
		first.ended()
		synctest.Wait()
		third := w.dial()
		second.ask("NOOP", "250 ")
		third.ask("NOOP", "250 ")
	})
	inBubble(t, func(c *Config) { c.MaxConnections = 2 }, func(w *world) {
		first := w.dial()
		w.dial()
		full := w.connect()
		full.expect("421 4.7.0 ")
		full.ended()
		_ = first.Close()
		synctest.Wait()
		w.dial()
	})
}

func TestOtherNetworksAreTurnedAway(t *testing.T) {
	inBubble(t, func(c *Config) { c.Networks = []string{"127.0.0.0/8", "192.0.2.2"} }, func(w *world) {
		c := w.connect()
		c.expect("554 5.7.1 ")
		c.ended()
	})
	inBubble(t, func(c *Config) { c.Networks = []string{"192.0.2.1"} }, func(w *world) { w.dial() })
}

func TestListenersFailTogether(t *testing.T) {
	c := DefaultConfig()
	c.Listen = []string{"127.0.0.1:0", "127.0.0.1:1"}
	var opened net.Listener
	listen := func(network, address string) (net.Listener, error) {
		if opened != nil {
			return nil, errors.New("in use")
		}
		var err error
		opened, err = net.Listen(network, address)
		return opened, err
	}
	s, err := New(c, Deps{Intake: newDesk(t, IntakeConfig{}, &drop{}), Hostname: hostname, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("error %v", err)
	}
	if _, err := opened.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the first listener is open: %v", err)
	}
}

func TestListenerThatFailsEndsServe(t *testing.T) {
	c := DefaultConfig()
	c.Listen = []string{"127.0.0.1:0", "127.0.0.1:1"}
	var opened []net.Listener
	listen := func(network, _ string) (net.Listener, error) {
		l, err := net.Listen(network, "127.0.0.1:0")
		opened = append(opened, l)
		if len(opened) == 2 {
			_ = l.Close()
		}
		return l, err
	}
	s, err := New(c, Deps{Intake: newDesk(t, IntakeConfig{}, &drop{}), Hostname: hostname, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

// tally counts the packets that a server sends.
type tally struct {
	net.Conn
	writes *atomic.Int64
}

func (c tally) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

type tallying struct {
	net.Listener
	writes *atomic.Int64
}

func (l tallying) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return tally{conn, l.writes}, err
}

// Over real sockets: one packet for each group of replies, and an end without a goroutine left.
func TestRepliesAreGathered(t *testing.T) {
	var writes atomic.Int64
	bound := make(chan net.Addr, 1)
	listen := func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		if err == nil {
			bound <- l.Addr()
		}
		return tallying{l, &writes}, err
	}
	config := DefaultConfig()
	config.Listen = []string{"127.0.0.1:0"}
	s, err := New(config, Deps{Intake: newDesk(t, IntakeConfig{}, &drop{}), Hostname: hostname, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	conn, err := net.Dial("tcp", (<-bound).String())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.expect("220 ")
	c.ask("EHLO x", "250 ")
	c.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n")
	for _, prefix := range []string{"250 ", "250 ", "250 ", "354 "} {
		c.expect(prefix)
	}
	c.ask("Subject: x\r\n\r\n.", "250 ")
	if n := writes.Load(); n != 4 {
		t.Errorf("%d packets; greeting, EHLO, the group and the dot are 4", n)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	c.expect("421 ")
	_ = conn.Close()
}

// What a stranger wrote is logged escaped.
func TestLogIsSafe(t *testing.T) {
	core, seen := observer.New(zapcore.DebugLevel)
	log := serverLog{zap.New(core), new(sparing)}
	log.Printf("error handling %v: %s", "peer", "\x1b[31m")
	log.Printf("panic serving %v", "peer")
	log.Println("a", 1)
	entries := seen.All()
	if len(entries) != 3 || entries[1].Level != zapcore.ErrorLevel {
		t.Fatalf("entries %v", entries)
	}
	if text := fmt.Sprint(entries[0].ContextMap()); strings.Contains(text, "\x1b") || !strings.Contains(text, `[31m`) {
		t.Errorf("logged %q", text)
	}
}

// An Acceptor that panics costs its connection, not the server.
func TestPanicIsContained(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.panics = true
		c := w.dial()
		c.data()
		_, _ = io.WriteString(c.Conn, ".\r\n"+smuggled)
		c.expect("421 ")
		c.ended()
		w.panics = false
		c = w.dial()
		c.data()
		c.ask(".", "250 ")
		if len(w.messages()) != 1 {
			t.Errorf("%d messages", len(w.messages()))
		}
	})
}
