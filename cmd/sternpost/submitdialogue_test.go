package main

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/mail"
)

// letterOf reads a letter as the commands do.
func letterOf(t *testing.T, w wanted, message string) *letter {
	t.Helper()
	l, err := w.read(newText(strings.NewReader(message), false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// letterTo hands l to a scripted agent.
func letterTo(t *testing.T, script string, l *letter) (server *smtptest.Server, said string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if server, err = smtptest.Start(script, listener); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said, err = newDialogue(conn, "").submit(l, new(pointOfNoReturn))
	return server, said, err
}

func pointer(text string) *string { return &text }

func TestALetterArrivesAsItIs(t *testing.T) {
	w := wanted{sender: pointer("me@example.test"), recipients: []string{"you@example.test, root", `"a b"@example.test`}}
	long := strings.Repeat("x", 100_000)
	l := letterOf(t, w, "From: me\nX: root\nSubject: x\n\n.\n..\n"+long+"\nend")
	server, said, err := letterTo(t, "name agent.test\ndot 250 2.0.0 queued as ABC", l)
	if err != nil || said != "2.0.0 queued as ABC" {
		t.Fatalf("got %q, %v", said, err)
	}
	m := server.Messages()[0]
	if want := "From: me@agent.test\r\nX: root\r\nSubject: x\r\n\r\n.\r\n..\r\n" + long + "\r\nend\r\n"; string(m.Content) != want {
		t.Errorf("content %.200q", m.Content)
	}
	if m.Mail != "MAIL FROM:<me@example.test>" || strings.Join(m.To(), " ") != `you@example.test root "a b"@example.test` {
		t.Errorf("envelope %s %q", m.Mail, m.To())
	}
	if !server.Connections()[0].Quit {
		t.Error("no QUIT")
	}
}

func TestMailSaysWhatTheLetterNeeds(t *testing.T) {
	at := time.Date(2027, 1, 31, 8, 0, 0, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		sender, to, message string
		alter               func(*letter)
		mail, rcpt          string
	}{
		{"a@b.test", "c@d.test", "From: x\n\nx", nil, "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>"},
		{"", "c@d.test", "From: x\n\nx", nil, "MAIL FROM:<>", "RCPT TO:<c@d.test>"},
		{"a@b.test", "c@d.test", "From: x\n\n\u00fc", nil, "MAIL FROM:<a@b.test> BODY=8BITMIME", "RCPT TO:<c@d.test>"},
		{"a@b.test", "c@d.test", "From: x\nSubject: \xfc\n\nx", nil, "MAIL FROM:<a@b.test> BODY=8BITMIME", "RCPT TO:<c@d.test>"},
		{"a@b.test", "\u00fc@d.test", "From: x\n\nx", nil, "MAIL FROM:<a@b.test> SMTPUTF8", "RCPT TO:<\u00fc@d.test>"},
		{"\u00fc@b.test", "c@d.test", "From: x\n\nx", nil, "MAIL FROM:<\u00fc@b.test> SMTPUTF8", "RCPT TO:<c@d.test>"},
		{"a@b.test", "c@d.test", "From: x\n\nx", func(l *letter) { l.notify, l.ret, l.envid = "DELAY,FAILURE", "HDRS", "a=b c" },
			"MAIL FROM:<a@b.test> RET=HDRS ENVID=a+3Db+20c", "RCPT TO:<c@d.test> NOTIFY=DELAY,FAILURE"},
		{"a@b.test", "c@d.test", "From: x\n\nx", func(l *letter) { l.sendAt = at }, "MAIL FROM:<a@b.test> HOLDUNTIL=2027-01-31T07:00:00Z", "RCPT TO:<c@d.test>"},
	} {
		l := letterOf(t, wanted{sender: &c.sender, recipients: []string{c.to}}, c.message)
		if c.alter != nil {
			c.alter(l)
		}
		server, _, err := letterTo(t, "offer 8BITMIME / SMTPUTF8 / DSN / FUTURERELEASE 2592000 2027-12-31T00:00:00Z", l)
		if err != nil {
			t.Errorf("%s: %v", c.mail, err)
			continue
		}
		if m := server.Messages()[0]; m.Mail != c.mail || m.Recipients[0].Line != c.rcpt {
			t.Errorf("got %q %q, want %q %q", m.Mail, m.Recipients[0].Line, c.mail, c.rcpt)
		}
	}
}

// Each trouble has the exit status by which a program decides whether to try again, and the words by which a person does.
func TestTroubleWithTheAgent(t *testing.T) {
	for name, c := range map[string]struct {
		script, to string
		alter      func(*letter)
		code       int
		want       string
	}{
		"greeting 421":       {"banner 421 4.3.2 too busy / close", "a@b.test", nil, 75, "the greeting was refused: 421 4.3.2 too busy"},
		"greeting 554":       {"banner 554 5.7.1 not you / close", "a@b.test", nil, 69, "554 5.7.1 not you"},
		"no greeting":        {"banner close", "a@b.test", nil, 75, "nothing was submitted"},
		"no SMTP":            {"banner garbage 100 / close", "a@b.test", nil, 75, "nothing was submitted"},
		"EHLO refused":       {"ehlo 502 5.5.1 no", "a@b.test", nil, 69, "EHLO was refused"},
		"sender refused":     {"mail 550 5.7.1 not your address", "a@b.test", nil, 69, "the sender <me@example.test> was refused: 550 5.7.1 not your address"},
		"disk full":          {"mail 452 4.3.1 the disk is full", "a@b.test", nil, 75, "452 4.3.1 the disk is full"},
		"recipient refused":  {"rcpt 550 5.1.1 no such user", "a@b.test", nil, 69, "the recipient was refused: a@b.test: 550 5.1.1 no such user"},
		"recipient later":    {"rcpt 451 4.7.1 too many this hour", "a@b.test", nil, 75, "451 4.7.1"},
		"one of two":         {"rcpt <c@.*> 550-5.1.1 no / 550 5.1.1 such user", "a@b.test, c@d.test", nil, 69, "1 of 2 recipients were refused\nc@d.test: 550 5.1.1 no / 5.1.1 such user"},
		"one later, one not": {"rcpt <c@.*> 450 4.2.1 later\nrcpt <e@.*> 550 5.1.1 no", "a@b.test, c@d.test, e@f.test", nil, 69, "2 of 3"},
		"one later":          {"rcpt <c@.*> 450 4.2.1 later", "a@b.test, c@d.test", nil, 75, "nothing was submitted"},
		"too many":           {"rcpt #2 452 4.5.3 too many recipients", "a@b.test, c@d.test", nil, 69, "452 4.5.3"},
		"gone at RCPT":       {"rcpt close", "a@b.test", nil, 75, "nothing was submitted"},
		"421 at RCPT":        {"rcpt 421 4.3.2 shutting down / close", "a@b.test, c@d.test", nil, 75, "421 4.3.2"},
		"DATA refused":       {"data 554 5.5.1 no", "a@b.test", nil, 69, "the message was refused: 554"},
		"250 to DATA":        {"data 250 ok", "a@b.test", nil, 75, "the message was refused: 250 ok"},
		"dot refused":        {"dot 554 5.6.0 a loop", "a@b.test", nil, 69, "the message was refused: 554 5.6.0 a loop"},
		"dot later":          {"dot 451 4.3.0 not now", "a@b.test", nil, 75, "the message was refused: 451 4.3.0 not now"},
		"gone at the dot":    {"dot close", "a@b.test", nil, 75, "It may have been accepted"},
		"garbage at the dot": {"dot garbage 100 / close", "a@b.test", nil, 75, "It may have been accepted"},
		"gone at QUIT":       {"quit close", "a@b.test", nil, 0, ""},
		"no SMTPUTF8":        {"offer 8BITMIME", "\u00fc@b.test", nil, 69, "SMTPUTF8"},
		"no DSN":             {"offer 8BITMIME", "a@b.test", func(l *letter) { l.ret = "FULL" }, 69, "DSN"},
		"no FUTURERELEASE":   {"offer 8BITMIME", "a@b.test", func(l *letter) { l.sendAt = time.Now() }, 69, "FUTURERELEASE"},
	} {
		t.Run(name, func(t *testing.T) {
			l := letterOf(t, wanted{sender: pointer("me@example.test"), recipients: []string{c.to}}, "From: x\n\nx\n")
			if c.alter != nil {
				c.alter(l)
			}
			server, _, err := letterTo(t, c.script, l)
			code := 0
			if exit := new(exitError); errors.As(err, &exit) {
				code = exit.code
			}
			if code != c.code || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("exit status %d, %v", code, err)
			}
			if server.Close(); code != 0 && !strings.Contains(c.want, "may have") && len(server.Messages()) > 0 && !strings.HasPrefix(c.script, "dot") {
				t.Error("the message was sent")
			}
		})
	}
}

// An agent that refuses in mid-content closes; what it said is heard all the same.
func TestRefusalInMidContentIsHeard(t *testing.T) {
	l := letterOf(t, wanted{sender: pointer("me@example.test"), recipients: []string{"a@b.test"}}, "From: x\n\n"+strings.Repeat("x\n", 1<<20))
	_, _, err := letterTo(t, "data 354 go / read 200 / 552 5.3.4 too big / close", l)
	if exit := new(exitError); !errors.As(err, &exit) || exit.code != exitFailed || !strings.Contains(err.Error(), "552 5.3.4 too big") {
		t.Errorf("got %v", err)
	}
}

// An agent that says nothing is not waited for without end: a minute for a command, ten for the dot.
func TestASilentAgentIsGivenUp(t *testing.T) {
	for script, c := range map[string]struct {
		wait time.Duration
		want string
	}{
		"banner stall": {replyWait, "nothing was submitted"},
		"rcpt stall":   {replyWait, "nothing was submitted"},
		"dot stall":    {dotWait, "It may have been accepted"},
	} {
		synctest.Test(t, func(t *testing.T) {
			network := new(smtptest.Network)
			server := network.Serve(t, "192.0.2.1:25", script)
			conn, err := network.Dial(context.Background(), "tcp", server.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			l := letterOf(t, wanted{sender: pointer("me@example.test"), recipients: []string{"a@b.test"}}, "From: x\n\nx\n")
			began := time.Now()
			_, err = newDialogue(conn, "").submit(l, new(pointOfNoReturn))
			if exit := new(exitError); !errors.As(err, &exit) || exit.code != exitAgain || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v", script, err)
			}
			if waited := time.Since(began); waited != c.wait {
				t.Errorf("%s: waited %s, want %s", script, waited, c.wait)
			}
		})
	}
}

// What the greeting calls the agent is not believed where the configuration has a domain, or where it is none.
func TestTheDomainOfTheHeader(t *testing.T) {
	for _, c := range []struct {
		domain       mail.Domain
		script, want string
	}{
		{"x.test", "name agent.test", "From: root@x.test\r\n"},
		{"", "name agent.test", "From: root@agent.test\r\n"},
		{"", "banner 220 hello_[there ESMTP", "From: root\r\n"},
	} {
		server := smtptest.New(t, c.script)
		conn, err := net.Dial("tcp", server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		l := letterOf(t, wanted{sender: pointer(""), recipients: []string{"you@x.test"}}, "From: root\n\nx\n")
		_, err = newDialogue(conn, c.domain).submit(l, new(pointOfNoReturn))
		if got := headerOf(l); err != nil || strings.ReplaceAll(got, "\n", "\r\n") != c.want {
			t.Errorf("%q, %s: got %q, %v", c.domain, c.script, got, err)
		}
		conn.Close()
	}
}

// Who gives up before the dot is told so, and the dot is not sent.
func TestGivenUpBeforeTheDot(t *testing.T) {
	server := smtptest.New(t, "")
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var p pointOfNoReturn
	if !p.giveUp() {
		t.Fatal("too late at the begin")
	}
	l := letterOf(t, wanted{sender: pointer("me@example.test"), recipients: []string{"a@b.test"}}, "From: x\n\nx\n")
	if _, err := newDialogue(conn, "").submit(l, &p); !errors.Is(err, errGivenUp) {
		t.Errorf("got %v", err)
	}
	conn.Close()
	server.Close()
	if len(server.Transactions()) != 1 || len(server.Messages()) != 0 {
		t.Errorf("%d transactions, %d messages", len(server.Transactions()), len(server.Messages()))
	}
}

func TestAnInterruptIsToldByWhereItCame(t *testing.T) {
	for _, c := range []struct {
		passed bool
		want   string
	}{{false, "nothing was submitted"}, {true, "It may have been accepted"}} {
		ctx, interrupt := context.WithCancel(context.Background())
		replied := make(chan bool)
		err := interruptible(ctx, func(p *pointOfNoReturn) error {
			if c.passed {
				p.pass()
			}
			interrupt()
			<-replied
			return nil
		})
		close(replied)
		if exit := new(exitError); !errors.As(err, &exit) || exit.code != exitAgain || !strings.Contains(err.Error(), c.want) {
			t.Errorf("passed %t: got %v", c.passed, err)
		}
	}
}
