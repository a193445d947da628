package smtptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func isError(err, want error) bool { return errors.Is(err, want) }

func TestPoliteServerOverTCP(t *testing.T) {
	s := New(t, "")
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.expect("220 mx.test ESMTP")
	c.say("EHLO client.test")
	want := []string{"250-mx.test", "250-PIPELINING", "250-SIZE 52428800", "250-8BITMIME", "250-ENHANCEDSTATUSCODES", "250-DSN", "250 SMTPUTF8"}
	if got := c.reply(); !slices.Equal(got, want) {
		t.Errorf("EHLO: %q", got)
	}
	c.ask("MAIL FROM:<a@client.test> SIZE=20", "250 2.1.0")
	c.ask("RCPT TO:<ok@mx.test>", "250 2.1.5")
	c.ask("DATA", "354")
	c.ask("..x\r\n.\ry\n.\r\n\r\n..\r\n.", "250 2.0.0")
	c.ask("QUIT", "221")
	c.ends(io.EOF)

	heard, err := s.WaitConnections(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	commands := []string{"EHLO client.test", "MAIL FROM:<a@client.test> SIZE=20", "RCPT TO:<ok@mx.test>", "DATA", "QUIT"}
	if h := heard[0]; !slices.Equal(h.Commands, commands) || !h.Quit || h.End != "quit" || h.Number != 1 || h.TLS != nil || h.Flights != 6 {
		t.Errorf("heard %+v", h)
	}
	m := s.Messages()[0]
	if got := string(m.Content); got != ".x\r\n\ry\n.\r\n\r\n.\r\n" || m.Size != int64(len(got)) {
		t.Errorf("content %q of %d octets", got, m.Size)
	}
	if m.From() != "a@client.test" || !slices.Equal(m.To(), []string{"ok@mx.test"}) || !m.ContentAccepted || m.RoundTrips != 4 {
		t.Errorf("message %+v", m)
	}
}

func TestGoodManners(t *testing.T) {
	inBubble(t, "", func(t *testing.T, s *Server, c *client) {
		c.expect("220")
		c.ask("MAIL FROM:<>", "503")
		c.ask("HELO client.test", "250 mx.test")
		c.ask("RCPT TO:<a@b>", "503")
		c.ask("DATA", "554 5.5.1")
		c.ask("MAIL FROM:<>", "250")
		c.ask("MAIL FROM:<>", "503")
		c.ask("RSET", "250")
		c.ask("NOOP", "250")
		c.ask("VRFY x", "502")
		c.ask("BDAT x", "501")
		c.say("mail from:<>", "rcpt to:<x@y>")
		c.hear("250 2.1.0", "250 2.1.5")
		if got := s.Transactions(); len(got) != 4 || len(s.Messages()) != 0 || got[3].Mail != "mail from:<>" {
			t.Errorf("transactions %+v", got)
		}
	})
}

func TestRulesByOccurrenceAndPattern(t *testing.T) {
	inBubble(t, `
rcpt <bad@.*> 550 5.1.1 no such user
rcpt #3+ 452 4.5.3 too many
mail /SIZE=9/ 552 5.3.4 too big
dot /secret/ 554 5.7.1 not that
other /^VRFY/ 252 perhaps
noop #2 421 enough / close
`, func(t *testing.T, s *Server, c *client) {
		c.greet()
		c.ask("MAIL FROM:<a@b> SIZE=99", "552 5.3.4")
		for range 2 {
			c.say("MAIL FROM:<a@b>", "RCPT TO:<bad@x>", "RCPT TO:<notbad@x>", "RCPT TO:<c@x>", "DATA")
			c.hear("250", "550 5.1.1", "250", "452 4.5.3", "354")
			c.ask("a secret\r\n.", "554 5.7.1")
		}
		c.ask("VRFY x", "252")
		c.ask("NOOP", "250")
		c.ask("NOOP", "421")
		c.ends(io.EOF)
		transactions, messages := s.Transactions(), s.Messages()
		if len(transactions) != 3 || transactions[0].Accepted || len(messages) != 2 {
			t.Fatalf("transactions %+v", transactions)
		}
		m := messages[1]
		if !slices.Equal(m.To(), []string{"notbad@x"}) || m.ContentAccepted || m.ContentReply != "554 5.7.1 not that" {
			t.Errorf("message %+v", m)
		}
		if r := m.Recipients[0]; r != (Recipient{"RCPT TO:<bad@x>", "bad@x", false, "550 5.1.1 no such user"}) {
			t.Errorf("recipient %+v", r)
		}
	})
}

func TestConnectionSections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Network{}
		s := n.Serve(t, serverAddr, `
banner 220 general
connection #2
banner 421 second / close
connection #4+
banner 220 late
connection all
noop 250 all
`)
		for i, want := range []string{"220 general", "421 second", "220 general", "220 late", "220 late"} {
			c := dial(t, n)
			c.expect(want)
			if i != 1 {
				c.ask("NOOP", "250 all")
			}
		}
		if err := s.SetScript("banner 554 changed"); err != nil {
			t.Fatal(err)
		}
		dial(t, n).expect("554 changed")
		if err := s.SetScript("what"); err == nil {
			t.Error("a wrong script was taken")
		}
	})
}

func TestEndings(t *testing.T) {
	for script, want := range map[string]struct {
		err error
		end string
	}{
		"noop 421 bye / close":                {io.EOF, "closed by script"},
		"noop 421 bye / reset":                {syscall.ECONNRESET, "reset by script"},
		"noop 421 bye / stall":                {nil, "closed by client"},
		"noop 421 bye":                        {nil, "closed by client"},
		"noop 421 bye / sleep 1h / 250 / 250": {nil, "closed by client"},
	} {
		t.Run(script, func(t *testing.T) {
			inBubble(t, script, func(t *testing.T, s *Server, c *client) {
				c.greet()
				c.say("NOOP")
				c.hear("421")
				if want.err != nil {
					c.ends(want.err)
				}
				c.conn.Close()
				heard, err := s.WaitConnections(t.Context(), 1)
				if err != nil || heard[0].End != want.end || heard[0].Quit {
					t.Errorf("%+v, %v", heard, err)
				}
			})
		})
	}
}

func TestResetOverTCP(t *testing.T) {
	s := New(t, "noop reset")
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn)
	c.greet()
	c.say("NOOP")
	c.ends(syscall.ECONNRESET)
}

func TestStallAndDripTakeTheirTime(t *testing.T) {
	for script, want := range map[string]time.Duration{
		"noop sleep 3s / 250-a / sleep 4s / 250 b":       7 * time.Second,
		"noop drip 1s / 250 ok":                          8 * time.Second,
		"noop 250-now / drip 10s / 250 ok":               80 * time.Second,
		"noop stall":                                     time.Hour,
		"noop stop-reading":                              time.Hour,
		"noop 250-a / stall":                             time.Hour,
		"noop raw 250 no line end / stall":               time.Hour,
		"noop drip 1s / endless-line forever 250-":       time.Hour,
		"noop drip 1s / endless-lines forever 250-x":     time.Hour,
		"noop sleep 2h":                                  time.Hour,
		"noop 250-x / flush / sleep 30m / 250 y / close": 30 * time.Minute,
	} {
		t.Run(script, func(t *testing.T) {
			inBubble(t, script, func(t *testing.T, s *Server, c *client) {
				c.greet()
				began := time.Now()
				c.conn.SetReadDeadline(began.Add(time.Hour))
				c.say("NOOP")
				for {
					line, err := c.in.ReadString('\n')
					if err != nil || !strings.HasPrefix(line, "250-") {
						break
					}
				}
				if took := time.Since(began); took != want {
					t.Errorf("took %v, want %v", took, want)
				}
			})
		})
	}
}

func TestRawOctetsAndLineEnds(t *testing.T) {
	inBubble(t, `
line-end lf
ehlo say hello world / 250-\x1b[31m\x00\xff / raw 250 {B*3000}\r\n
noop garbage / say
rset endless-line 5 250\x20 / say y
`, func(t *testing.T, s *Server, c *client) {
		c.say("EHLO x", "NOOP", "RSET")
		for _, want := range []string{"220 mx.test ESMTP\n", "hello world\n", "250-\x1b[31m\x00\xff\n", "250 " + strings.Repeat("B", 3000) + "\r\n"} {
			if line, err := c.in.ReadString('\n'); line != want || err != nil {
				t.Errorf("heard %q, %v, want %q", line, err, want)
			}
		}
		if line, err := c.in.ReadString('\n'); len(line) < 64 || err != nil {
			t.Errorf("garbage %q, %v", line, err)
		}
		c.hear("250 xxxxxy\n")
	})
}

func TestStopReadingBlocksTheClient(t *testing.T) {
	inBubble(t, "data 354 go / stop-reading", func(t *testing.T, s *Server, c *client) {
		c.greet()
		c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "DATA")
		c.hear("250", "250", "354")
		c.conn.SetWriteDeadline(time.Now().Add(time.Minute))
		n, err := c.conn.Write(make([]byte, 1<<20))
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() || n >= 1<<20 {
			t.Errorf("wrote %d octets, %v", n, err)
		}
	})
}

func TestWaiting(t *testing.T) {
	inBubble(t, "", func(t *testing.T, s *Server, c *client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := s.WaitMessages(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no message came, yet %v", err)
		}
		time.AfterFunc(time.Minute, func() {
			c.greet()
			c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "BDAT 2 LAST", "")
		})
		if got, err := s.WaitMessages(t.Context(), 1); err != nil || len(got) != 1 {
			t.Errorf("messages %+v, %v", got, err)
		}
		time.AfterFunc(time.Minute, func() { s.Close() })
		if _, err := s.WaitConnections(t.Context(), 2); err == nil {
			t.Error("the wait outlived the server")
		}
		s.Close()
		if end := s.Connections()[0].End; end != "server closed" {
			t.Errorf("ended as %q", end)
		}
	})
}

func TestKeep(t *testing.T) {
	inBubble(t, "keep wire\nkeep no-content", func(t *testing.T, s *Server, c *client) {
		c.greet()
		c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "DATA", "..x", ".")
		c.hear("250", "250", "354", "250")
		io.WriteString(c.conn, "NOOP\n")
		c.expect("250")
		heard, m := s.Connections()[0], s.Messages()[0]
		if want := "EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n..x\r\n.\r\nNOOP\n"; string(heard.Wire) != want || !heard.BareLF {
			t.Errorf("wire %q, bare LF %v", heard.Wire, heard.BareLF)
		}
		if m.Content != nil || m.Size != 4 {
			t.Errorf("content %q, size %d", m.Content, m.Size)
		}
	})
}

func TestStartRefusesAWrongScript(t *testing.T) {
	n := &Network{}
	l, err := n.Listen(serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start("rcpt", l); err == nil {
		t.Error("no error")
	}
}

func ExampleStart() {
	var n Network
	l, err := n.Listen("192.0.2.25:25")
	if err != nil {
		panic(err)
	}
	s, err := Start("rcpt <bad@.*> 550 5.1.1 no such user", l)
	if err != nil {
		panic(err)
	}
	defer s.Close()
	conn, err := n.Dial(context.Background(), "tcp", "192.0.2.25:25")
	if err != nil {
		panic(err)
	}
	io.WriteString(conn, "EHLO a.test\r\nMAIL FROM:<me@a.test>\r\nRCPT TO:<bad@mx.test>\r\nQUIT\r\n")
	io.Copy(io.Discard, conn)
	for _, t := range s.Transactions() {
		fmt.Println(t.Mail, t.Accepted)
		for _, r := range t.Recipients {
			fmt.Println(r.Line, r.Reply)
		}
	}
	// Output:
	// MAIL FROM:<me@a.test> true
	// RCPT TO:<bad@mx.test> 550 5.1.1 no such user
}
