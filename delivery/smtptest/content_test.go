package smtptest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestRoundTrips(t *testing.T) {
	for name, c := range map[string]struct {
		flights [][]string
		want    int
	}{
		"lockstep":   {[][]string{{"MAIL FROM:<>"}, {"RCPT TO:<a@b>"}, {"DATA"}, {"x", "."}}, 4},
		"pipelining": {[][]string{{"MAIL FROM:<>", "RCPT TO:<a@b>", "DATA"}, {"x", "."}}, 2},
		"chunking":   {[][]string{{"MAIL FROM:<>", "RCPT TO:<a@b>", "BDAT 3 LAST", "x"}}, 1},
		"two chunks": {[][]string{{"MAIL FROM:<>", "RCPT TO:<a@b>", "BDAT 3", "x", "BDAT 0 LAST"}}, 1},
	} {
		for _, script := range []string{"", "flush each"} {
			t.Run(name+" "+script, func(t *testing.T) {
				inBubble(t, script, func(t *testing.T, s *Server, client *client) {
					client.greet()
					for range 3 { // a reused session counts the same
						sendFlights(client, c.flights)
					}
					client.ask("QUIT", "221")
					for _, m := range s.Messages() {
						if m.RoundTrips != c.want || string(m.Content) != "x\r\n" || !m.ContentAccepted {
							t.Errorf("message %+v, want %d round trips", m, c.want)
						}
					}
					// The banner, EHLO and three messages; nothing is read after QUIT.
					if got := s.Connections()[0].Flights; got != 2+3*c.want {
						t.Errorf("%d flights, want %d", got, 2+3*c.want)
					}
				})
			})
		}
	}
}

// sendFlights writes each group at once and reads the replies it is owed; a
// line of content is owed none.
func sendFlights(c *client, flights [][]string) {
	c.t.Helper()
	for _, group := range flights {
		c.say(group...)
		for _, line := range group {
			if line != "x" {
				c.reply()
			}
		}
	}
}

func TestRepliesAreHeldBackUnlessEachIsFlushed(t *testing.T) {
	for each, want := range map[bool]string{false: "", true: "250 2.0.0 OK\r\n"} {
		far, near := Pipe()
		w := &wire{}
		w.attach(near)
		c := &conversation{server: &Server{}, wire: w, script: &Script{settings: settings{lineEnd: "\r\n", flushEach: each}}}
		if err := c.play(polite("250 2.0.0 OK")); err != nil {
			t.Fatal(err)
		}
		near.CloseWrite()
		if got, err := io.ReadAll(far); string(got) != want || err != nil {
			t.Errorf("flush each %v: sent %q, %v", each, got, err)
		}
	}
}

func TestContentIsKeptOctetForOctet(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	for name, c := range map[string]struct{ wire, content string }{
		"empty":                  {".\r\n", ""},
		"dots":                   {"..\r\n...\r\n.a\r\n.\r\n", ".\r\n..\r\na\r\n"},
		"bare LF dot":            {"a\n.\n.\r\nb\r\n.\r\n", "a\n.\n.\r\nb\r\n"},
		"bare CR":                {"a\r.\r\r\n.\r\n", "a\r.\r\r\n"},
		"CR LF dot LF":           {"a\r\n.\n\r\n.\r\n", "a\r\n\n\r\n"},
		"NUL and 8-bit":          {"\x00\xff\r\n.\r\n", "\x00\xff\r\n"},
		"long line":              {long + "\r\n.\r\n", long + "\r\n"},
		"CR at the buffer's end": {long[:wireBuffer-1] + "\r\n.\r\n", long[:wireBuffer-1] + "\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "", func(t *testing.T, s *Server, client *client) {
				client.greet()
				client.say("MAIL FROM:<>", "RCPT TO:<a@b>", "DATA")
				client.hear("250", "250", "354")
				io.WriteString(client.conn, c.wire)
				client.expect("250")
				if m := s.Messages()[0]; string(m.Content) != c.content || m.Size != int64(len(c.content)) {
					t.Errorf("content %.200q", m.Content)
				}
			})
		})
	}
}

func TestChunks(t *testing.T) {
	inBubble(t, "", func(t *testing.T, s *Server, c *client) {
		c.greet()
		body := bytes.Repeat([]byte("\x00.\r\n.\r\n"), 30_000)
		c.say("MAIL FROM:<>", "RCPT TO:<a@b>", fmt.Sprintf("BDAT %d", len(body)))
		c.conn.Write(body)
		c.say("BDAT 2", "", "bdat 1 last", "x")
		c.hear("250 2.1.0", "250 2.1.5", "250 2.0.0 chunk", "250 2.0.0 chunk", "250 2.0.0 queued")
		m := s.Messages()[0]
		if !bytes.Equal(m.Content, append(body, "\r\nx"...)) || !slices.Equal(m.Chunks, []int64{int64(len(body)), 2, 1}) {
			t.Errorf("%d octets in chunks %v", m.Size, m.Chunks)
		}
	})
}

func TestChunksWithoutRecipients(t *testing.T) {
	inBubble(t, "rcpt <bad@.*> 550 5.1.1 no", func(t *testing.T, s *Server, c *client) {
		c.greet()
		c.say("MAIL FROM:<>", "RCPT TO:<bad@b>", "BDAT 2", "", "BDAT 2 LAST", "")
		c.hear("250", "550", "503", "503")
		c.say("BDAT 2", "", "MAIL FROM:<>", "RCPT TO:<ok@b>", "BDAT 2 LAST", "")
		c.hear("503", "250", "250", "250 2.0.0 queued")
	})
}

func TestScriptedChunks(t *testing.T) {
	for script, want := range map[string][]string{
		"bdat #2 552 5.3.4 too much":     {"250", "552 5.3.4", "250 2.0.0 queued"},
		"bdat /LAST/ 451 4.3.0 later":    {"250", "250", "451 4.3.0"},
		"dot 554 5.7.1 no":               {"250", "250", "554 5.7.1"},
		"bdat #2 read 1 / 552 too much":  {"250", "552", "250"},
		"bdat read 1 / 421 stop / close": {"421"},
	} {
		t.Run(script, func(t *testing.T) {
			inBubble(t, script, func(t *testing.T, s *Server, c *client) {
				c.greet()
				c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "BDAT 4", "aa", "BDAT 4", "bb", "BDAT 0 LAST")
				c.hear("250", "250")
				c.hear(want...)
			})
		})
	}
}

func TestDataWithoutRecipients(t *testing.T) {
	inBubble(t, "data 354 go", func(t *testing.T, s *Server, c *client) {
		c.greet()
		c.say("DATA", ".")
		c.hear("354", "554 5.5.1")
		c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "DATA", ".", "NOOP")
		c.hear("250", "250", "354", "250 2.0.0 queued", "250")
	})
}

func TestEarlyReply(t *testing.T) {
	inBubble(t, `
data #1 354 go / read 100 / 552 5.3.4 too big
data #2 354 go / read 100 / 421 4.3.2 bye / reset
`, func(t *testing.T, s *Server, c *client) {
		c.greet()
		lines := strings.Repeat("0123456789\r\n", 20)
		c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "DATA")
		c.hear("250", "250", "354")
		io.WriteString(c.conn, lines[:96])
		synctest.Wait()
		if got := c.in.Buffered(); got != 0 {
			t.Errorf("%d octets came before their time", got)
		}
		io.WriteString(c.conn, lines[96:120])
		c.expect("552 5.3.4")
		io.WriteString(c.conn, lines[120:]+".\r\n")
		c.ask("NOOP", "250")
		c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "DATA", strings.TrimSuffix(lines, "\r\n"))
		c.hear("250", "250", "354", "421")
		synctest.Wait()
		got := s.Transactions()
		if m := got[0]; string(m.Content) != lines || !m.Complete || m.ContentAccepted || m.ContentReply != "552 5.3.4 too big" {
			t.Errorf("first %+v", m)
		}
		if m := got[1]; m.Complete || string(m.Content) != lines[:108] {
			t.Errorf("second %+v", m)
		}
	})
}
