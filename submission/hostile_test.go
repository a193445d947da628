package submission

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/queue"
)

const smuggled = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nsmuggled\r\n.\r\n"

// What a client sends after it was too slow is the rest of its message, and never a command.
func TestSlowContentEndsTheConnection(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.data()
		c.send("Subject: x\r\n\r\nfirst\r\n")
		began := time.Now()
		time.Sleep(3*time.Minute + time.Second)
		_, _ = io.WriteString(c.Conn, smuggled) // may fail: the server is gone
		c.expect("421 4.4.2 ")
		c.ended()
		if waited := time.Since(began); waited > 4*time.Minute || len(w.messages()) > 0 {
			t.Errorf("%d messages after %s", len(w.messages()), waited)
		}
	})
}

func TestEndWithinContentAcceptsNothing(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.data()
		c.send("Subject: x\r\n\r\nhalf a message\r\n.\r")
		_ = c.Close()
		synctest.Wait()
		if len(w.messages()) > 0 {
			t.Errorf("accepted %q", w.messages()[0].content)
		}
	})
}

func TestNothingIsSmuggled(t *testing.T) {
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n\x00.\r\n", "\r\r\n.\n"} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.data()
			c.send("Subject: x\r\n\r\nbody" + end + smuggled)
			c.expect("550 5.6.0 ")
			c.ask("NOOP", "250 ") // the dialogue is in step
			if len(w.messages()) > 0 {
				t.Errorf("%q: accepted %q", end, w.messages()[0].content)
			}
		})
	}
}

// A client that knows no CRLF at all is told so, though its dot is never seen.
func TestBareLinesAreAnsweredSoon(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.data()
		began := time.Now()
		c.send("Subject: x\n\nbody\n.\n")
		c.expect("550 5.6.0 ")
		c.ended()
		if waited := time.Since(began); waited > 10*time.Second {
			t.Errorf("the reply came after %s", waited)
		}
	})
}

func TestDripIsCutAndSteadyIsNot(t *testing.T) {
	for _, c := range []struct {
		line    string
		every   time.Duration
		lines   int
		prefix  string
		atLeast time.Duration
	}{
		{"x", time.Second, 400, "421 4.4.2 ", 3 * time.Minute},                                                  // an octet a second
		{strings.Repeat("x", 998) + "\r\n", 900 * time.Millisecond, 1000, "250 2.0.0 queued", 15 * time.Minute}, // slow, for longer than any timeout
	} {
		inBubble(t, nil, func(w *world) {
			client := w.dial()
			client.data()
			began := time.Now()
			for range c.lines {
				time.Sleep(c.every)
				if _, err := io.WriteString(client.Conn, c.line); err != nil {
					break
				}
			}
			_, _ = io.WriteString(client.Conn, ".\r\n")
			client.expect(c.prefix)
			if took := time.Since(began); took < c.atLeast {
				t.Errorf("ended after %s", took)
			}
		})
	}
}

func TestIdleClientIsTold(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		began := time.Now()
		c.expect("421 4.4.2 ")
		c.ended()
		if waited := time.Since(began); waited != 5*time.Minute {
			t.Errorf("after %s", waited)
		}
	})
}

func TestDrippedCommandHasADeadline(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			time.Sleep(time.Second)
			if _, err := io.WriteString(c.Conn, "N"); err != nil {
				break
			}
		}
		if waited := time.Since(began); waited > 5*time.Minute+time.Second {
			t.Errorf("after %s", waited)
		}
	})
}

func TestClientThatDoesNotReadIsCut(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		began := time.Now()
		_ = c.SetDeadline(began.Add(patience))
		for range 100_000 {
			if _, err := io.WriteString(c.Conn, "NOOP\r\n"); err != nil {
				if waited := time.Since(began); waited > 2*time.Minute {
					t.Errorf("after %s", waited)
				}
				return
			}
		}
		t.Error("the server reads for ever")
	})
}

func TestCommandLinesAreClean(t *testing.T) {
	for text, prefix := range map[string]string{
		"NOOP\n":                              "500 5.5.2 ",
		"NOOP\r\r\n":                          "500 5.5.2 ",
		"NO\x00OP\r\n":                        "500 5.5.2 ",
		"MAIL FROM:<a\x1b@example.org>\r\n":   "500 5.5.2 ",
		"MAIL FROM:<caf\xe9@example.org>\r\n": "500 5.5.2 ",
		"RCPT TO:<a@b.example>\rDATA\r\n":     "500 5.5.2 ",
		"XYZZY\r\n":                           "50",
		"\r\n":                                "500 ",
		"HELP\r\n":                            "502 ",
		"VRFY a\r\n":                          "252 ",
		"STARTTLSxyz\r\n":                     "502 ",
		"AUTH PLAIN AGEAYg==\r\n":             "5",
		"RCPT TO:<b@example.net>\r\n":         "50",
		"DATA\r\n":                            "50",
	} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.send(text)
			c.expect(prefix)
			c.ask("NOOP", "250 ")
			c.send(strings.Repeat("\x16\x03\x01\r\n", 5)) // a TLS client
			for reply := "500"; reply != ""; reply = c.hear() {
				if !strings.HasPrefix(reply, "500") && !strings.HasPrefix(reply, "421 4.7.0 ") {
					t.Errorf("%q: reply %q", text, reply)
				}
			}
		})
	}
}

func TestConnectionsThatEndAtOnce(t *testing.T) {
	for text, prefix := range map[string]string{
		"POST / HTTP/1.1\r\n\r\nEHLO x\r\n" + smuggled: "521 ",
		strings.Repeat("x", 3000) + "\r\n":             "500 ",
		strings.Repeat("x", 300_000):                   "500 ",
	} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(c.Conn, text) // the server may hang up before it has all
			c.expect(prefix)
			c.ended()
			if len(w.messages()) > 0 {
				t.Errorf("%.20q: a message was accepted", text)
			}
		})
	}
}

func TestThousandsOfRecipients(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.ask("MAIL FROM:<a@example.org>", "250 ")
		for n := range 3000 {
			prefix := "250 "
			if n >= 1000 {
				prefix = "452 4.5.3 "
			}
			c.ask(fmt.Sprintf("RCPT TO:<user%d@example.net>", n), prefix)
		}
		c.ask("DATA", "354 ")
		c.ask(".", "250 ")
		if n := len(w.messages()[0].Envelope.Recipients); n != 1000 {
			t.Errorf("%d recipients", n)
		}
	})
}

// Also what a client must not send before 354 (RFC 2920 s3.1) is taken for what it is.
func TestEverythingAtOnce(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.connect()
		one := "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nSubject: x\r\n\r\nMAIL FROM:<c@example.org>\r\n..\r\n.\r\n"
		c.send("EHLO x\r\n" + strings.Repeat(one, 50) + "QUIT\r\n")
		c.expect("220 ")
		c.expect("250 ")
		for n := range 50 {
			for _, prefix := range []string{"250 ", "250 ", "354 ", "250 2.0.0 queued as " + queue.ID(n+1).String()} {
				c.expect(prefix)
			}
		}
		c.expect("221 ")
		c.ended()
		for _, m := range w.messages() {
			if !strings.HasSuffix(m.content, "@mail.example.org>\r\n\r\nMAIL FROM:<c@example.org>\r\n.\r\n") {
				t.Fatalf("content %q", m.content)
			}
		}
	})
}

// Whatever the hostile clients do, an honest one is served meanwhile, at once.
func TestHonestClientAmongHostileOnes(t *testing.T) {
	for name, hostile := range map[string]func(c *client){
		"says nothing":    func(*client) {},
		"drips a command": func(c *client) { drip(c, "N") },
		"endless line":    func(c *client) { pour(c, strings.Repeat("x", 1000)) },
		"endless noise":   func(c *client) { pour(c, "\x16\x03\x01\r\n") },
		"endless NOOP":    func(c *client) { pour(c, "NOOP\r\n") },
		"stalls in DATA": func(c *client) {
			c.send("EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nSubject: x\r\n")
		},
		"drips in DATA": func(c *client) {
			c.send("EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
			drip(c, "x")
		},
		"stalls in BDAT": func(c *client) {
			c.send("EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nBDAT 1000000 LAST\r\nSubject: x\r\n")
		},
		"drips BDAT": func(c *client) {
			c.send("EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n")
			drip(c, "BDAT 0\r\n")
		},
		"endless RCPT": func(c *client) {
			c.send("EHLO x\r\nMAIL FROM:<a@example.org>\r\n")
			pour(c, "RCPT TO:<user@example.net>\r\n")
		},
		"before EHLO": func(c *client) { c.send(strings.Repeat(smuggled, 20)) },
	} {
		inBubble(t, nil, func(w *world) {
			for range 5 {
				c := w.connect()
				c.expect("220 ")
				go func() { _, _ = io.Copy(io.Discard, c.Conn) }() // it reads; one that does not has a test of its own
				go hostile(&client{t: t, Conn: quiet{c.Conn}})
			}
			time.Sleep(2 * time.Minute)
			before := len(w.messages())
			began := time.Now()
			c := w.dial()
			c.data()
			c.ask("Subject: x\r\n\r\nx\r\n.", "250 2.0.0 queued as ")
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: the honest client was served after %s", name, took)
			}
			if n := len(w.messages()); n != before+1 || before > 0 {
				t.Errorf("%s: %d messages before, %d after", name, before, n)
			}
			_ = c.Close()
			time.Sleep(time.Hour) // all hostile ones are cut
			w.stop()
			if err := <-w.served; err != nil {
				t.Error(err)
			}
			w.served <- nil
		})
	}
}

// quiet is a connection whose end is no failure of the test.
type quiet struct{ net.Conn }

func (q quiet) Write(p []byte) (int, error) {
	_, _ = q.Conn.Write(p)
	return len(p), nil
}

// pour sends text again and again, until the connection ends.
func pour(c *client, text string) {
	for {
		if _, err := c.Conn.(quiet).Conn.Write([]byte(text)); err != nil {
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// drip sends text every ten seconds, until the connection ends.
func drip(c *client, text string) {
	for {
		if _, err := c.Conn.(quiet).Conn.Write([]byte(text)); err != nil {
			return
		}
		time.Sleep(10 * time.Second)
	}
}

// Recipients beyond the limit are refused one by one, cost no memory, and after very many the connection ends.
func TestHundredThousandRecipients(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.ask("MAIL FROM:<a@example.org>", "250 ")
		go func() {
			for n := range 100_000 {
				if _, err := fmt.Fprintf(c.Conn, "RCPT TO:<user%d@example.net>\r\n", n); err != nil {
					return
				}
			}
		}()
		taken, refused := 0, 0
		for {
			reply := c.hear()
			switch {
			case strings.HasPrefix(reply, "250 "):
				taken++
				continue
			case strings.HasPrefix(reply, "452 4.5.3 "):
				refused++
				continue
			case !strings.HasPrefix(reply, "421 4.7.0 "):
				t.Errorf("reply %q", reply)
			}
			break
		}
		if taken != 1000 || refused != maxRefusedRecipients+1 {
			t.Errorf("%d taken, %d refused", taken, refused)
		}
		c.ended()
	})
}
