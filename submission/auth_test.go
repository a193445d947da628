package submission

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// cheap is a user whose hash costs a millisecond or two.
func cheap(name, password string) User {
	h := passwordHash{memory: leastMemory, passes: 1, threads: 1, salt: []byte("saltsalt")}
	encode := base64.RawStdEncoding.EncodeToString
	return User{Name: name, Password: fmt.Sprintf("$argon2id$v=19$m=%d,t=1,p=1$%s$%s", h.memory, encode(h.salt), encode(h.derive(password, 32)))}
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func plainOf(name, password string) string { return b64("\x00" + name + "\x00" + password) }

// withUsers has clients of 192.0.2.0/24 authenticate, in clear.
func withUsers(c *Config) {
	c.Networks, c.AllowInsecureAuth = []string{"127.0.0.0/8"}, true
	c.Users = []User{cheap("anna", "pässword"), cheap("ben@example.org", "other")}
}

func TestAuth(t *testing.T) {
	good := plainOf("anna", "pässword")
	for name, dialogue := range map[string][]string{
		"PLAIN at once":     {"AUTH PLAIN " + good, "235 2.7.0 ", "MAIL FROM:<a@example.org>", "250 "},
		"PLAIN asked":       {"auth plain", "334 ", good, "235 2.7.0 "},
		"PLAIN as himself":  {"AUTH PLAIN " + b64("anna\x00anna\x00pässword"), "235 "},
		"PLAIN as another":  {"AUTH PLAIN " + b64("ben@example.org\x00anna\x00pässword"), "535 5.7.8 ", "MAIL FROM:<a@example.org>", "530 5.7.0 "},
		"PLAIN, empty":      {"AUTH PLAIN =", "501 5.5.2 "},
		"PLAIN, two parts":  {"AUTH PLAIN " + b64("anna\x00pässword"), "501 5.5.2 "},
		"PLAIN, four parts": {"AUTH PLAIN " + b64("\x00anna\x00pässword\x00"), "501 5.5.2 "},
		"LOGIN":             {"AUTH LOGIN", "334 VXNlcm5hbWU6", b64("ben@example.org"), "334 UGFzc3dvcmQ6", b64("other"), "235 2.7.0 "},
		"LOGIN at once":     {"AUTH LOGIN " + b64("ben@example.org"), "334 UGFzc3dvcmQ6", b64("other"), "235 2.7.0 "},
		"cancelled":         {"AUTH PLAIN", "334 ", "*", "501 5.0.0 ", "NOOP", "250 "},
		"cancelled later":   {"AUTH LOGIN", "334 ", b64("anna"), "334 ", "*", "501 5.0.0 ", "AUTH PLAIN " + good, "235 "},
		"no base64":         {"AUTH PLAIN !", "501 5.5.2 ", "AUTH LOGIN", "334 ", "anna", "334 ", "MAIL FROM:<a@example.org>", "501 5.5.2 "},
		"foreign words":     {"AUTH LOGIN", "334 ", "POST", "334 ", "GET", "501 5.5.2 "},
		"wrong password":    {"AUTH PLAIN " + plainOf("anna", "wrong"), "535 5.7.8 ", "MAIL FROM:<a@example.org>", "530 5.7.0 ", "AUTH PLAIN " + good, "235 "},
		"no such user":      {"AUTH PLAIN " + plainOf("nobody", "pässword"), "535 5.7.8 "},
		"empty password":    {"AUTH PLAIN " + plainOf("anna", ""), "535 5.7.8 "},
		"odd name":          {"AUTH PLAIN " + plainOf("an\r\nna\x1b", "x"), "535 5.7.8 "},
		"other mechanism":   {"AUTH CRAM-MD5", "504 5.5.4 "},
		"no mechanism":      {"AUTH", "501 5.5.4 "},
		"too much":          {"AUTH PLAIN a b", "501 5.5.4 "},
		"twice":             {"AUTH PLAIN " + good, "235 ", "AUTH PLAIN " + good, "503 5.5.1 "},
		"in a transaction":  {"AUTH PLAIN " + good, "235 ", "MAIL FROM:<a@example.org>", "250 ", "AUTH PLAIN " + good, "503 5.5.1 "},
	} {
		inBubble(t, withUsers, func(w *world) {
			c := w.dial()
			for i := 0; i < len(dialogue); i += 2 {
				c.send(dialogue[i] + "\r\n")
				if reply := c.hear(); !strings.HasPrefix(reply, dialogue[i+1]) {
					t.Errorf("%s: %q is answered with %q, not with %q", name, dialogue[i], reply, dialogue[i+1])
				}
			}
		})
	}
}

// Whoever has not authenticated may do nothing; and what he may do then says who he is.
func TestNoOpenRelay(t *testing.T) {
	inBubble(t, withUsers, func(w *world) {
		c := w.connect()
		c.expect("220 ")
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "503 5.5.1 ") // before EHLO
		c.ask("EHLO x", "250 ")
		for _, command := range []string{"MAIL FROM:<>", "MAIL FROM:<a@example.org> AUTH=anna", "RCPT TO:<b@example.net>", "DATA", "BDAT 0 LAST"} {
			c.ask(command, "5")
		}
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "235 ")
		c.data()
		c.ask("Subject: x\r\n\r\nx\r\n.", "250 ")
		got := w.messages()[0]
		stranger := w.dial()
		stranger.ask("BDAT 100000 LAST", "503 ") // not even read
		stranger.ended()
		if got.Peer != "anna at 192.0.2.1" || !strings.Contains(got.content, "with ESMTPA;") {
			t.Errorf("peer %q, content %q", got.Peer, got.content)
		}
	})
}

func TestAuthIsOfferedWhereItMayBeUsed(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*Config)
		offered bool
		reply   string
	}{
		"clear":    {func(c *Config) { withUsers(c); c.AllowInsecureAuth = false; c.Networks = []string{"192.0.2.0/24"} }, false, "538 5.7.11 "},
		"allowed":  {withUsers, true, "235 "},
		"no users": {func(c *Config) { c.AllowInsecureAuth = true }, false, "502 5.5.1 "},
	} {
		inBubble(t, c.change, func(w *world) {
			client := w.connect()
			client.expect("220 ")
			client.send("EHLO x\r\n")
			if list := client.hearAll(); strings.Contains(list, "AUTH PLAIN LOGIN") != c.offered {
				t.Errorf("%s: %q", name, list)
			}
			client.ask("AUTH PLAIN "+plainOf("anna", "pässword"), c.reply)
		})
	}
}

// A stranger on a connection that can never be secured is not let in at all.
func TestStrangersWithoutAWayInAreTurnedAway(t *testing.T) {
	inBubble(t, func(c *Config) { withUsers(c); c.AllowInsecureAuth = false }, func(w *world) { w.connect().expect("554 5.7.1 ") })
}

func TestGuessingIsSlowAndEnds(t *testing.T) {
	inBubble(t, withUsers, func(w *world) {
		began, tries := time.Now(), 0
		for range 10 {
			c := w.dial()
			for {
				c.send("AUTH PLAIN " + plainOf("anna", fmt.Sprint("wrong", tries)) + "\r\n")
				reply := c.hear()
				if !strings.HasPrefix(reply, "535 ") {
					if !strings.HasPrefix(reply, "421 4.7.0 ") {
						t.Fatalf("reply %q", reply)
					}
					break
				}
				tries++
			}
			c.ended()
		}
		if took := time.Since(began); tries > 20 || took < time.Minute {
			t.Errorf("%d passwords were tried in %s", tries, took)
		}
		c := w.dial()
		c.ask("AUTH PLAIN "+plainOf("ben@example.org", "other"), "421 4.7.0 ") // the address is not heard
		time.Sleep(30 * time.Minute)
		c = w.dial()
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "235 ")
	})
}

func TestStrangerHasTwoMinutes(t *testing.T) {
	inBubble(t, withUsers, func(w *world) {
		c := w.dial()
		began := time.Now()
		for {
			if _, err := io.WriteString(c.Conn, "NOOP\r\n"); err != nil || !strings.HasPrefix(c.hear(), "250 ") {
				break
			}
			time.Sleep(25 * time.Second)
		}
		if late := time.Since(began) - strangerTime; late < 0 || late > 25*time.Second {
			t.Errorf("cut %s after his time", late)
		}
		c = w.dial()
		for range maxRefusedStranger {
			c.ask("MAIL FROM:<a@example.org>", "530 ")
		}
		c.ask("MAIL FROM:<a@example.org>", "530 ")
		c.expect("421 4.7.0 ")
		c.ended()
	})
}

// Strangers do not take the places of those who are known.
func TestStrangersLeaveRoom(t *testing.T) {
	inBubble(t, func(c *Config) { withUsers(c); c.MaxConnections = 4 }, func(w *world) {
		first := w.dial()
		w.dial()
		w.connect().expect("421 4.7.0 ")
		first.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "235 ")
		third := w.dial()
		w.connect().expect("421 4.7.0 ")
		_ = third.Close()
		synctest.Wait()
		w.dial()
	})
}

// What a client sends as a name or a password is in no line of the log, nor is an AUTH line.
func TestPasswordsAreNotLogged(t *testing.T) {
	core, seen := observer.New(zapcore.DebugLevel)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withUsers, zap.New(core))
		c := w.dial()
		c.ask("AUTH PLAIN "+plainOf("secretname", "secretword"), "535 ")
		c.ask("AUTH LOGIN", "334 ")
		c.ask(b64("anna"), "334 ")
		c.ask(b64("secretword"), "535 ")
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword")+"x", "501 ")
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "235 ")
		w.end()
	})
	for _, e := range seen.All() {
		text := fmt.Sprint(e.Message, e.ContextMap())
		for _, secret := range []string{"secret", "pässword", b64("secretword"), plainOf("anna", "pässword"), "AUTH "} {
			if strings.Contains(text, secret) {
				t.Errorf("logged: %s", text)
			}
		}
	}
	if n := seen.FilterMessage("wrong password").FilterField(zap.String("user", "anna")).Len(); n != 1 {
		t.Errorf("%d wrong passwords of anna were logged", n)
	}
}

// A mistake of ours in AUTH costs the connection and not the server.
func TestPanicInAuthIsContained(t *testing.T) {
	w := newWire(spoken{Reader: strings.NewReader("")}, DefaultConfig())
	w.door = &door{Server: &Server{deps: Deps{Log: zap.NewNop()}}} // without accounts
	w.greeted = true
	if err := w.offer([]byte("AUTH PLAIN =\r\n")); err != io.EOF {
		t.Errorf("AUTH ended with %v", err)
	}
}
