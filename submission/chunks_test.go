package submission

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/queue"
)

// begin stands before the first BDAT.
func (c *client) begin() {
	c.t.Helper()
	c.ask("MAIL FROM:<a@example.org>", "250 ")
	c.ask("RCPT TO:<b@example.net>", "250 ")
}

// split cuts text into chunks of n octets; the last one is LAST.
func split(text string, n int) string {
	var b strings.Builder
	for len(text) > n {
		fmt.Fprintf(&b, "BDAT %d\r\n%s", n, text[:n])
		text = text[n:]
	}
	fmt.Fprintf(&b, "bdat %d last\r\n%s", len(text), text)
	return b.String()
}

func TestChunks(t *testing.T) {
	text := "Subject: x\r\n\r\n.\r\n..\r\nMAIL FROM:<c@example.org>\r\n.\r\nQUIT\r\nlast"
	for _, n := range []int{1, 2, 3, 7, 12, 13, 14, 15, 16, 17, 18, 30, len(text) - 1, len(text)} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			for range 2 { // also a second time on the same connection
				c.begin()
				c.send(split(text, n)) // all of it in one packet
				for range (len(text) - 1) / n {
					c.expect("250 2.0.0 ")
				}
				c.expect("250 2.0.0 queued as ")
			}
			c.ask("NOOP", "250 ")
			if len(w.messages()) != 2 {
				t.Fatalf("chunks of %d: %d messages", n, len(w.messages()))
			}
			for _, m := range w.messages() {
				if _, got, _ := strings.Cut(m.content, "\r\n\r\n"); got != strings.TrimPrefix(text, "Subject: x\r\n\r\n")+"\r\n" {
					t.Errorf("chunks of %d: content %q", n, got)
				}
			}
		})
	}
}

func TestChunksInTurn(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.begin()
		c.send("BDAT 14\r\nSubject: x\r\n\r\n")
		c.expect("250 2.0.0 14 octets received")
		c.ask("NOOP", "250 ")
		time.Sleep(time.Minute)
		for _, command := range []string{"MAIL FROM:<c@example.org>", "RCPT TO:<c@example.net>", "DATA", "STARTTLS", "AUTH PLAIN", "VRFY x", "NO\x00OP"} {
			c.ask(command, "503 5.5.1 ")
		}
		c.ask("BDAT 0 LAST", "250 2.0.0 queued as "+queue.ID(1).String())
		c.begin()
		c.ask("BDAT 0 LAST", "250 2.0.0 queued as ") // nothing at all is a message as well
		c.begin()
		c.send("BDAT 1\r\n\r")
		c.expect("250 ")
		c.ask("RSET", "250 2.0.0 Session reset")
		c.send("BDAT 1 LAST\r\nx")
		c.expect("503 5.5.1 ")
	})
}

func TestMessageIsGivenUp(t *testing.T) {
	for command, reply := range map[string]string{"RSET": "250 ", "EHLO again.example": "250 ", "QUIT": "221 ", "rset": "250 "} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.begin()
			c.send("BDAT 14\r\nSubject: x\r\n\r\n")
			c.expect("250 ")
			c.ask(command, reply)
			if command == "QUIT" {
				c.ended()
			} else {
				c.send("BDAT 4 LAST\r\nNOOP")
				c.expect("503 5.5.1 ")
				c.data()
				c.ask(".", "250 ")
			}
			if n := len(w.messages()); n > 1 || n == 1 && command == "QUIT" {
				t.Errorf("%s: %d messages", command, n)
			}
		})
	}
}

// Whatever is refused, a chunk is never taken for commands.
func TestNoCommandsFromChunks(t *testing.T) {
	for name, c := range map[string]struct{ begin, chunk, reply string }{
		"no transaction": {"", split(smuggled, 1000), "503 5.5.1 "},
		"no recipient":   {"MAIL FROM:<a@example.org>\r\n", split(smuggled, 1000), "503 5.5.1 "},
		"bare LF":        {"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n", split("a\n.\r\n"+smuggled, 1000), "550 5.6.0 "},
		"bare CR":        {"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n", split("a\r.\r\n"+smuggled, 1000), "550 5.6.0 "},
		"CR at the end":  {"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n", split("a\r", 1000), "550 5.6.0 "},
		"NUL":            {"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n", split("a\x00\r\n"+smuggled, 1000), "550 5.6.0 "},
		"too large":      {"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n", split(strings.Repeat(smuggled, 1000), 100_000), "552 5.3.4 "},
	} {
		inBubble(t, func(c *Config) { c.MaxSize = 64 << 10 }, func(w *world) {
			client := w.dial()
			client.send(c.begin)
			for range strings.Count(c.begin, "\r\n") {
				client.expect("250 ")
			}
			client.send(c.chunk)
			client.expect(c.reply)
			client.ask("NOOP", "250 ")
			client.ask("RSET", "250 ")
			client.data()
			client.ask(".", "250 ")
			if n := len(w.messages()); n != 1 {
				t.Errorf("%s: %d messages", name, n)
			}
		})
	}
}

// A message that is refused in its first chunk is refused in all.
func TestRefusedChunksGoOn(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.begin()
		c.send("BDAT 3\r\na\nbBDAT 4\r\nQUITBDAT 6 LAST\r\nNOOP\r\n")
		c.expect("550 5.6.0 ")
		c.expect("503 5.5.1 ")
		c.expect("503 5.5.1 ")
		c.ask("NOOP", "250 ")
		w.refuse = queue.ErrFull
		c.begin()
		c.send("BDAT 4\r\na\r\nb")
		c.expect("250 ")
		c.send("BDAT 2 LAST\r\n\r\n")
		c.expect("452 4.3.1 ")
		c.ask("NOOP", "250 ")
	})
}

func TestChunksThatEndTheConnection(t *testing.T) {
	begin := "MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"
	for text, prefix := range map[string]string{
		"BDAT\r\n":                                             "501 5.5.4 ",
		"BDAT -1 LAST\r\n":                                     "501 5.5.4 ",
		"BDAT +1 LAST\r\n":                                     "501 5.5.4 ",
		"BDAT 99999999999999999999 LAST\r\n":                   "501 5.5.4 ",
		"BDAT 6 LATER\r\nQUIT\r\n":                             "501 5.5.4 ",
		"BDAT 999999999999 LAST\r\n":                           "503 5.5.1 ",
		begin + "BDAT 1\r\nx\r\nBDAT x\r\n":                    "501 5.5.4 ",
		begin + "BDAT 1\r\nxBDAT x\r\nQUIT\r\n":                "501 5.5.4 ",
		begin + strings.Repeat("BDAT 0\r\n", 200):              "421 4.7.0 ",
		begin + "BDAT 0\r\n" + strings.Repeat("NOOP\r\n", 200): "421 4.7.0 ",
		begin + "BDAT 999999999999 LAST\r\na\nb":               "550 5.6.0 ",
	} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.send(text)
			reply := c.hear()
			for strings.HasPrefix(reply, "250 ") || strings.HasPrefix(reply, "503 5.5.1 within") {
				reply = c.hear()
			}
			if !strings.HasPrefix(reply, prefix) {
				t.Errorf("%q is answered with %q", text, reply)
			}
			c.ended()
			if len(w.messages()) > 0 {
				t.Errorf("%q: a message was accepted", text)
			}
		})
	}
}

// A chunk that stalls, and a client that stalls between two, are given up as DATA is.
func TestChunksThatStall(t *testing.T) {
	for _, text := range []string{"BDAT 100 LAST\r\nSubject: x\r\n", "BDAT 3\r\na\r\n"} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.begin()
			c.send(text)
			began := time.Now()
			if reply := c.hear(); strings.HasPrefix(reply, "250 ") {
				c.expect("421 4.4.2 ")
			}
			c.ended()
			if waited := time.Since(began); waited > 4*time.Minute || len(w.messages()) > 0 {
				t.Errorf("%d messages after %s", len(w.messages()), waited)
			}
		})
	}
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.begin()
		c.send("BDAT 100 LAST\r\nSubject: x\r\n")
		_ = c.Close()
		synctest.Wait()
		if len(w.messages()) > 0 {
			t.Error("half a message was accepted")
		}
	})
}

// An Acceptor that panics within a chunk costs its connection, not the server.
func TestPanicInChunksIsContained(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.panics = true
		c := w.dial()
		c.begin()
		c.send("BDAT 3 LAST\r\na\r\n")
		c.expect("421 ")
		c.ended()
	})
}

// FuzzChunks compares with the rule itself: what comes by BDAT is what was sent, however it is cut, and is refused where a CR or LF stands alone.
func FuzzChunks(f *testing.F) {
	f.Add("a\r\n.\r\nb\r", 2)
	f.Add("\r\n\r\n", 1)
	f.Add("a\n\r\n", 3)
	f.Fuzz(func(t *testing.T, text string, n int) {
		n = max(1, min(n, 1000))
		_, rest, _ := strings.Cut(split(text, n), "\r\n") // the first command is the session's
		w := newWire(spoken{Reader: strings.NewReader(rest + "QUIT\r\n")}, DefaultConfig())
		first := len(text)
		if first > n {
			first = n
		}
		w.chunks = &chunking{wire: w, left: int64(first), last: first == len(text)}
		all := w.content(DefaultConfig())
		octets, err := io.ReadAll(all)
		got := string(octets)
		lone := strings.ReplaceAll(text, "\r\n", "")
		if strings.ContainsAny(lone, "\r\n\x00") {
			if err == nil {
				t.Fatalf("%q was accepted as %q", text, got)
			}
			return
		}
		want := text
		if text != "" && !strings.HasSuffix(text, "\r\n") {
			want += "\r\n"
		}
		behind, _ := w.in.ReadString('\n')
		if err != nil || got != want || behind != "QUIT\r\n" {
			t.Fatalf("%q became %q, then %q, %v", text, got, behind, err)
		}
	})
}
