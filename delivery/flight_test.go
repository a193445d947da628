package delivery

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"sternpost/mail"
)

// A remote that takes minutes for each recipient has one deadline for the flight that holds the content, and not fresh minutes for each reply.
func TestFlightWithContentHasOneDeadline(t *testing.T) {
	var to []string
	for i := range 100 {
		to = append(to, fmt.Sprintf("u%d@example.test", i))
	}
	for offer, want := range map[string]struct {
		took, used time.Duration
		inDoubt    bool
	}{
		"":            {450 * time.Second, 450 * time.Second, false}, // half of the budget
		" / CHUNKING": {1050 * time.Second, 450 * time.Second, true}, // and the wait after the dot
	} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, twoHosts)
			w.serve("192.0.2.1", "offer PIPELINING"+offer+"\nflush each\nrcpt sleep 290s / 250 ok")
			backup := w.serve("192.0.2.2", "mail 451 4.3.0 later")
			began := time.Now()
			at := w.deliver(plain, to...)
			took := time.Since(began).Round(time.Second)
			doubt := at.Outcomes[99].InDoubt
			if took != want.took || at.Used.Round(time.Second) != want.used || doubt != want.inDoubt || len(backup.Connections()) != 1 {
				t.Errorf("%q: %s, used %s, in doubt %v, %s", offer, took, at.Used, doubt, story(at))
			}
		})
	}
}

// The time that the envelope of a flight with content takes is spent, and the wait for the verdict on the content is not.
func TestFlightWithContentSpendsItsEnvelope(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		w.serve("192.0.2.1", "offer PIPELINING / CHUNKING\nflush each\nmail sleep 1m / 250 ok\nrcpt sleep 2m / 250 ok\ndot sleep 5m / 250 ok")
		if at := w.deliver(plain, you); summaries(at) != "sent@mx1.test" || at.Used.Round(time.Second) != 3*time.Minute {
			t.Errorf("%s, used %s", summaries(at), at.Used)
		}
	})
}

// A reply that nobody asked for must not be taken for the answer to MAIL: behind it a refusal of the content would be read as the answer to RCPT.
func TestReplyBeforeAFlightWithContent(t *testing.T) {
	for _, script := range []string{
		"flush each\nehlo 250-mx / 250-PIPELINING / 250 CHUNKING / sleep 500us / 250 extra\ndot sleep 2s / 554 5.7.1 spam",
		"flush each\nconnection #1\nehlo 250-mx / 250-PIPELINING / 250 CHUNKING / sleep 500us / 250-more / 250 extra\ndot sleep 2s / 554 5.7.1 spam",
	} {
		inBubble(t, func(t *testing.T) {
			w := newWorld(t, oneHost)
			s := w.serve("192.0.2.1", script)
			if got := summaries(w.deliver(plain, you)); got != "deferred/4.5.0" {
				t.Error(got)
			}
			if n := len(s.Messages()); n != 0 {
				t.Errorf("the content was sent %d times", n)
			}
		})
	}
}

// scripted answers what it reads line by line; each answer is written in pieces, as a network may deliver them.
func scripted(t *testing.T, talk func(c net.Conn)) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		talk(c)
	}()
	return l
}

// The same over the kernel, where what was said and not read is seen without waiting.
func TestUnaskedIsSeenInTheKernel(t *testing.T) {
	release := make(chan struct{})
	l := scripted(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 mx\r\n")
		<-release
		_, _ = io.WriteString(c, "250 extra\r\n")
		_, _ = c.Read(make([]byte, 1)) // until the end
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := DefaultConfig()
	s := &session{raw: &line{Conn: conn, free: func() {}}, conn: conn, r: newReplyReader(conn), config: &c}
	s.take(context.Background(), time.Now().Add(time.Minute), func(mail.StageRecord) {})
	if e := s.greet(); e != nil {
		t.Fatal(e)
	}
	if e := s.unasked(mail.StageMail); e != nil {
		t.Errorf("nothing was said: %v", e)
	}
	close(release)
	for s.quiet() { // until it has come
	}
	if e := s.unasked(mail.StageMail); e == nil || e.cause != causeProtocol {
		t.Errorf("%v", e)
	}
}

// A session that ended before the content went is no doubt: nothing left us.
func TestEndBeforeAFlightWithContent(t *testing.T) {
	trouble{"gone after EHLO", twoHosts, map[string]string{"192.0.2.1": "ehlo 250-mx / 250-PIPELINING / 250 CHUNKING / sleep 500us / close", "192.0.2.2": "rcpt 451 4.3.0 later"}, you,
		"deferred/4.4.2"}.run(t)
}

// Stopped after the 354 and before the content: we were, and the remote did nothing.
func TestStoppedJustBeforeTheContent(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	client, server := net.Pipe()
	defer server.Close()
	c := DefaultConfig()
	s := &session{raw: client, conn: client, r: newReplyReader(client), config: &c}
	s.take(ctx, time.Now().Add(time.Minute), func(mail.StageRecord) {})
	s.cutoff = context.Background()
	stop()
	s.stop()
	s.beginContent()
	if e := s.fail(mail.StageContent, &net.OpError{Op: "write", Err: net.ErrClosed}); e.cause != causeLocal {
		t.Errorf("%v", e)
	}
}
