package delivery

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// chat answers line by line at 192.0.2.2; empty: nothing. It returns what was said, which is complete when the connection has ended.
func chat(t *testing.T, w *world, answer func(line string, n int) string) (heard func() []string) {
	t.Helper()
	l, err := w.net.Listen("192.0.2.2:25")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var lines []string
	over := make(chan struct{})
	go func() {
		defer close(over)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "220 relay2.test\r\n")
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			lines = append(lines, strings.TrimRight(line, "\r\n"))
			if say := answer(lines[len(lines)-1], len(lines)); say != "" {
				_, _ = io.WriteString(c, say+"\r\n")
			}
		}
	}()
	return func() []string {
		<-over
		return lines
	}
}

const offersAuth = "250-relay2.test\r\n250 AUTH PLAIN LOGIN"

// All steps of AUTH share one deadline.
func TestAuthHasOneDeadline(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		relay := clearRelay("relay2.test")
		relay.Mechanism = "XOAUTH2"
		w := newWorld(t, relays, withRelays(relay))
		heard := chat(t, w, func(line string, n int) string {
			if n == 1 {
				return "250-relay2.test\r\n250 AUTH XOAUTH2"
			}
			<-time.After(50 * time.Second)
			return "334 "
		})
		began := time.Now()
		o := w.deliver(plain, you).Outcomes[0]
		if took := time.Since(began); took != w.agent.config.Timeouts.Auth || o.Disposition != mail.Deferred {
			t.Errorf("%s after %s", summary(o), took)
		}
		if got := len(heard()); got != 4 {
			t.Errorf("%d lines", got)
		}
	})
}

// What we cannot answer is cancelled (RFC 4954 s4), and is a refusal of our credentials.
func TestAuthIsCancelled(t *testing.T) {
	for _, c := range []struct {
		name, mechanism, challenge string
		want                       []string
	}{
		{"no base64", "LOGIN", "334 !!!", []string{"EHLO us.test", "AUTH LOGIN", "*"}},
		{"a third question", "LOGIN", "334 VXNlcm5hbWU6", []string{"EHLO us.test", "AUTH LOGIN", "dQ==", "c2VjcmV0", "*"}},
		{"a question of PLAIN", "PLAIN", "334 what", []string{"EHLO us.test", "AUTH PLAIN AHUAc2VjcmV0", "*"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				relay := clearRelay("relay2.test")
				relay.Mechanism = c.mechanism
				w := newWorld(t, relays, withRelays(relay))
				heard := chat(t, w, func(line string, n int) string {
					switch {
					case n == 1:
						return offersAuth
					case line == "*":
						return "501 cancelled"
					case line == "QUIT":
						return "221 bye"
					default:
						return c.challenge
					}
				})
				if got := summaries(w.deliver(plain, you)); got != "deferred/4.7.8" {
					t.Error(got)
				}
				w.agent.Close()
				if got := slices.DeleteFunc(heard(), func(line string) bool { return line == "QUIT" }); !slices.Equal(got, c.want) {
					t.Errorf("%q\nwant %q", got, c.want)
				}
			})
		})
	}
}

// A server that asks without end is left.
func TestAuthWithoutEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		relay := clearRelay("relay2.test")
		relay.Mechanism = "XOAUTH2"
		w := newWorld(t, relays, withRelays(relay))
		heard := chat(t, w, func(line string, n int) string {
			if n == 1 {
				return "250-relay2.test\r\n250 AUTH XOAUTH2"
			}
			return "334 "
		})
		if got := summaries(w.deliver(plain, you)); got != "deferred/4.7.8" {
			t.Error(got)
		}
		w.agent.Close()
		if got := len(heard()); got != 1+maxChallenges {
			t.Errorf("%d lines", got)
		}
	})
}

// The session itself keeps credentials from going in clear, whatever the configuration was checked for.
func TestNoAuthInClear(t *testing.T) {
	client, server := smtptest.Pipe()
	defer server.Close()
	c := DefaultConfig()
	s := &session{raw: client, conn: client, r: newReplyReader(client), config: &c, ext: extensions{auth: []string{"PLAIN"}}}
	s.target.smarthost = &Smarthost{Host: "relay.test", Username: "me", Password: "secret"}
	s.take(context.Background(), time.Now().Add(time.Minute), func(mail.StageRecord) {})
	if e := s.authenticate(); e == nil || e.cause != causeAuth {
		t.Errorf("%v", e)
	}
	client.Close()
	if said, _ := io.ReadAll(net.Conn(server)); len(said) > 0 {
		t.Errorf("%q was said", said)
	}
}

// Refused credentials rest for five minutes, and not a second less.
func TestCredentialsRestForFiveMinutes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, relays, withRelays(clearRelay("relay2.test")))
		s := w.serve("192.0.2.2", "offer AUTH PLAIN\nauth 535 5.7.8 no")
		for _, c := range []struct {
			wait        time.Duration
			connections int
		}{{0, 1}, {5*time.Minute - time.Second, 1}, {2 * time.Second, 2}} {
			<-time.After(c.wait)
			if got := summaries(w.deliver(plain, you)); got != "deferred/4.7.8" {
				t.Error(got)
			}
			if n := len(s.Connections()); n != c.connections {
				t.Errorf("%d connections, want %d", n, c.connections)
			}
		}
	})
}

// A host that repeats what it was sent does not bring credentials into the tree, or into what is told of the recipient.
func TestHostRepeatsCredentials(t *testing.T) {
	for _, c := range []struct{ name, mechanism, answer string }{
		{"the command", "PLAIN", "501-5.5.4 Syntax error: {line}\r\n501 5.5.4 that was {line}"},
		{"the command in capitals", "PLAIN", "535 5.7.8 NO: {LINE}"},
		{"the password", "LOGIN", "535 5.7.8 wrong: secretword"},
		{"the answer, for now", "LOGIN", "454 4.7.0 cannot check {line}"},
		{"the answer, cut off", "PLAIN", "500 5.5.2 {line:24}"},
		{"no reply at all", "PLAIN", "what is {line}?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				relay := clearRelay("relay2.test")
				relay.Mechanism, relay.Password = c.mechanism, "secretword"
				w := newWorld(t, relays, withRelays(relay))
				chat(t, w, func(line string, n int) string {
					switch {
					case n == 1:
						return offersAuth
					case line == "AUTH LOGIN", line == "bWU=", line == "dQ==":
						return "334 "
					}
					return strings.NewReplacer("{line}", line, "{LINE}", strings.ToUpper(line), "{line:24}", line[:min(24, len(line))]).Replace(c.answer)
				})
				at := w.deliver(plain, you)
				told := fmt.Sprintf("%+v", at)
				encoded := base64.StdEncoding.EncodeToString([]byte("\x00u\x00secretword"))
				for _, secret := range []string{"secretword", encoded[:10], encoded[16:], base64.StdEncoding.EncodeToString([]byte("secretword"))} {
					if strings.Contains(strings.ToLower(told), strings.ToLower(secret)) {
						t.Errorf("%q is told: %s", secret, told)
					}
				}
				if !strings.Contains(told, hiddenMark) {
					t.Errorf("nothing was hidden: %s", told)
				}
			})
		})
	}
}
