package delivery

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// Where a person is to decide, a recipient in doubt goes to no other host; one that is not goes on.
func TestHoldInDoubt(t *testing.T) {
	for _, c := range []struct {
		script, want string
		messages     int // at the backup
	}{
		{"dot close", "deferred/4.4.2? deferred/4.4.2?", 0},
		{"dot 354 what", "deferred/4.4.2? deferred/4.4.2?", 0},
		{"offer PIPELINING / CHUNKING\ndot close", "deferred/4.4.2? deferred/4.4.2?", 0},
		{"rcpt <b@.*> 450 4.2.0 later\ndot close", "deferred/4.4.2? sent@mx2.test", 1},
		{"dot 451 4.3.0 later", "sent@mx2.test sent@mx2.test", 1},
	} {
		t.Run(c.script, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, twoHosts)
				w.serve("192.0.2.1", c.script)
				backup := w.serve("192.0.2.2", "")
				tr := transactionTo(t, plain, "a@example.test", "b@example.test")
				tr.HoldInDoubt = true
				at := w.deliverTransaction(tr)
				if got := summaries(at); got != c.want || len(backup.Messages()) != c.messages {
					t.Errorf("%s, want %s; the backup has %d messages", got, c.want, len(backup.Messages()))
				}
				if o := at.Outcomes[0]; o.InDoubt && o.Host != "mx1.test" {
					t.Errorf("in doubt at %q", o.Host)
				}
			})
		})
	}
}

// A remote that ends its side in mid-content, and reads no more, is the one that closed; it is no timeout of ours.
func TestRemoteEndsInMidContent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, oneHost)
		l, err := w.net.Listen("192.0.2.1:25")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		over := make(chan struct{})
		defer close(over)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			heard := bufio.NewReader(c)
			for _, say := range []string{"220 mx", "250 mx", "250 ok", "250 ok", "354 go"} {
				_, _ = io.WriteString(c, say+"\r\n")
				_, _ = heard.ReadString('\n')
			}
			<-time.After(5 * time.Second)
			_ = c.(*smtptest.Conn).CloseWrite()
			<-over
		}()
		at := w.deliver(text(strings.Repeat("a line of a large message\r\n", 100_000)), you)
		if o := at.Outcomes[0]; o.Stage != mail.StageContent || o.InDoubt || !strings.Contains(o.Reason, "the remote closed the connection") {
			t.Errorf("%s at %s: %s", summary(o), o.Stage, o.Reason)
		}
		if c := at.Candidates[0]; c.ClosedBy != "remote" {
			t.Errorf("closed by %q", c.ClosedBy)
		}
	})
}

// cutConn hands the kernel all but the last octets of the write that ends the content, and fails.
type cutConn struct {
	net.Conn
	short int
}

func (c cutConn) Write(p []byte) (int, error) {
	if !bytes.HasSuffix(p, []byte("\r\n.\r\n")) && string(p) != ".\r\n" {
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:len(p)-c.short])
	c.Close()
	return n, &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
}

// One octet of the dot with the kernel is doubt; none is not.
func TestWriteOfTheDotFails(t *testing.T) {
	large := text(plain + text(strings.Repeat("a line of a large message\r\n", 20_000)))
	for _, content := range []text{plain, large} {
		for short, want := range map[int]string{3: "deferred/4.4.2", 2: "deferred/4.4.2?", 1: "deferred/4.4.2?"} {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t, oneHost, func(_ *Config, d *Deps) {
					dial := d.Dial
					d.Dial = func(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
						conn, err := dial(ctx, local, remote)
						return cutConn{conn, short}, err
					}
				})
				w.serve("192.0.2.1", "")
				if got := summaries(w.deliver(content, you)); got != want {
					t.Errorf("%d octets, short by %d: %s, want %s", len(content), short, got, want)
				}
			})
		}
	}
}

// A reply to the dot that is neither a success nor a refusal tells nothing.
func TestOddReplyToTheDot(t *testing.T) {
	for _, offer := range []string{"", "offer PIPELINING / CHUNKING\n"} {
		for _, reply := range []string{"354 go on", "399 what", "199 what", "what"} {
			trouble{offer + reply, oneHost, map[string]string{"192.0.2.1": offer + "dot say " + reply}, you, "deferred/4.4.2?"}.run(t)
		}
	}
}
