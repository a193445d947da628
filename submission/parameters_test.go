package submission

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wanted is what becomes of parameters.
type wanted struct {
	left   string
	within time.Duration
	sendAt time.Time
	wrong  string
}

func (w wanted) expires(now time.Time) time.Time {
	if w.within == 0 {
		return time.Time{}
	}
	return now.Add(w.within)
}

func TestWishes(t *testing.T) {
	now := time.Date(2030, time.January, 1, 12, 0, 0, 0, time.UTC)
	for parameters, want := range map[string]wanted{
		"":                                {},
		" SIZE=1 BY=60;R RET=HDRS":        {left: " SIZE=1 RET=HDRS", within: time.Minute},
		" by=+60;rt":                      {within: time.Minute},
		" BY=60;N":                        {},
		" BY=-60;NT":                      {},
		" BY=0;R":                         {wrong: "501 5.5.4 "},
		" BY=-1;R":                        {wrong: "501 5.5.4 "},
		" BY=60":                          {wrong: "501 5.5.4 "},
		" BY=1234567890;R":                {wrong: "501 5.5.4 "},
		" BY=60;R BY=60;R":                {wrong: "501 5.5.4 "},
		" BY=x;R":                         {wrong: "501 5.5.4 "},
		" HOLDFOR=3600":                   {sendAt: now.Add(time.Hour)},
		" HOLDFOR=0":                      {},
		" HOLDFOR=-1":                     {wrong: "501 5.5.4 "},
		" HOLDFOR=86401":                  {wrong: "501 5.5.4 "},
		" HOLDUNTIL=2030-01-01T13:00:00Z": {sendAt: now.Add(time.Hour)},
		" holduntil=2030-01-01t13:00:00z": {sendAt: now.Add(time.Hour)},
		" HOLDUNTIL=2029-01-01T13:00:00Z": {},
		" HOLDUNTIL=2031-01-01T13:00:00Z": {wrong: "501 5.5.4 "},
		" HOLDUNTIL=tomorrow":             {wrong: "501 5.5.4 "},
		" HOLDFOR=60 HOLDUNTIL=2030-01-01T13:00:00Z": {wrong: "501 5.5.4 "},
		" HOLDFOR=3600 BY=60;R":                      {wrong: "501 5.5.4 "},
		" HOLDFOR=60 BY=3600;R":                      {within: time.Hour, sendAt: now.Add(time.Minute)},
	} {
		for _, path := range []string{"<a@example.org>", `<"BY=1;R> "@example.org>`, "<>", " <a@example.org>", "a@example.org"} {
			left, w, refused := takeWishes([]byte("MAIL FROM:"+path+parameters+"\r\n"), now, 24*time.Hour)
			if refused != nil {
				if want.wrong == "" || !strings.HasPrefix(line(refused), want.wrong) {
					t.Errorf("%s%s is refused with %s", path, parameters, line(refused))
				}
				continue
			}
			if want.wrong != "" || string(left) != "MAIL FROM:"+path+want.left+"\r\n" || !w.expires.Equal(want.expires(now)) || !w.sendAt.Equal(want.sendAt) {
				t.Errorf("%s%s became %q, %+v", path, parameters, left, w)
			}
		}
	}
	if _, _, refused := takeWishes([]byte("MAIL FROM:<> HOLDFOR=1\r\n"), now, 0); refused == nil {
		t.Error("a release is taken that is not offered")
	}
}

func TestWishesReachTheLetter(t *testing.T) {
	inBubble(t, func(c *Config) { c.EnvIDIsKey = true }, func(w *world) {
		c := w.dial()
		c.ask("MAIL FROM:<a@example.org> BY=7200;R HOLDFOR=3600 ENVID=abc AUTH=<>", "250 ")
		c.ask("RCPT TO:<b@example.net>", "250 ")
		c.ask("DATA", "354 ")
		time.Sleep(time.Minute)
		c.ask(".", "250 ")
		got := w.messages()[0]
		if began := got.Received; !got.SendAt.Equal(began.Add(time.Hour)) || !got.Expires.Equal(began.Add(2*time.Hour)) {
			t.Errorf("submission %+v", got.Submission)
		}
		c.data() // the wishes are those of one message
		c.ask(".", "250 ")
		if got := w.messages()[1]; !got.SendAt.IsZero() || !got.Expires.IsZero() {
			t.Errorf("submission %+v", got.Submission)
		}
	})
}

// What cannot be written into a line is refused in every parameter.
func TestFieldsAreClean(t *testing.T) {
	for command, prefix := range map[string]string{
		"MAIL FROM:<a@example.org> AUTH=a+0D+0Ab@c.example":           "50",
		"MAIL FROM:<a@example.org> AUTH=a+1Bb@c.example":              "50",
		"MAIL FROM:<a@example.org> AUTH=é@c.example":                  "250 ", // printable, and believed by nobody
		"MAIL FROM:<a@example.org> AUTH=":                             "50",
		"MAIL FROM:<a@example.org> ENVID=a+0D+0Ab":                    "501 5.5.4 ",
		"MAIL FROM:<a@example.org> ENVID=a+00b":                       "501 5.5.4 ",
		"MAIL FROM:<a@example.org> ENVID=é":                           "501 5.5.4 ",
		"MAIL FROM:<a@example.org> ENVID=" + strings.Repeat("a", 101): "501 5.5.4 ",
		"MAIL FROM:<a@example.org> ENVID=" + strings.Repeat("a", 100): "250 ",
		"MAIL FROM:<a\x00@example.org>":                               "500 5.5.2 ",
		"MAIL FROM:<a@example.org>\rRCPT TO:<b@example.net>":          "500 5.5.2 ",
		"MAIL FROM:<a@example.org>\nRCPT TO:<b@example.net>":          "500 5.5.2 ",
		"MAIL FROM:<é@example.org>":                                   "553 5.6.7 ",
		"MAIL FROM:<\"a\\\u0085b\"@example.org> SMTPUTF8":             "50",
	} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.send(command + "\r\n")
			if reply := c.hear(); !strings.HasPrefix(reply, prefix) {
				t.Errorf("%q is answered with %q", command, reply)
			}
		})
	}
}

func TestUselessConnectionEnds(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		var last time.Time
		for n := 0; ; n++ {
			if n == 10 {
				c.data()
				c.ask(".", "250 ")
				last = time.Now()
			}
			if _, err := io.WriteString(c.Conn, "NOOP\r\n"); err != nil || !strings.HasPrefix(c.hear(), "250 ") {
				break
			}
			time.Sleep(time.Minute)
		}
		if idle := time.Since(last) - DefaultConfig().IdleTimeout; idle < 0 || idle > time.Minute || last.IsZero() {
			t.Errorf("ended %s after its time", idle)
		}
		synctest.Wait()
	})
}

// FuzzWishes: what go-smtp gets has the same path, and no wish.
func FuzzWishes(f *testing.F) {
	f.Add("MAIL FROM:<a@example.org> BY=60;R HOLDFOR=1 SIZE=1")
	f.Add("MAIL FROM:<\"a> BY=1;R\"@example.org> ENVID=x")
	f.Add("MAIL FROM: a@example.org HOLDUNTIL=2030-01-01T00:00:00Z")
	f.Fuzz(func(t *testing.T, text string) {
		command := []byte(text + "\r\n")
		if !isCommand(command) || string(verbOf(command)) != "MAIL" {
			return
		}
		left, _, refused := takeWishes(command, time.Now(), time.Hour)
		if refused != nil {
			return
		}
		if path(string(left)) != path(string(command)) || !isCommand(left) {
			t.Fatalf("%q became %q", command, left)
		}
		if again, w, refused := takeWishes(left, time.Now(), time.Hour); refused != nil || w.by || w.hold || string(again) != string(left) {
			t.Fatalf("%q became %q, and that %q", command, left, again)
		}
	})
}
