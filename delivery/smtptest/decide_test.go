package smtptest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestDecisionComesBeforeTheScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		decide := func(o Occasion) string {
			asked = append(asked, fmt.Sprint(o.Verb, " ", o.Address, " ", o.From, " ", o.To, " ", o.Accepted, " ", string(o.Content)))
			switch {
			case o.Verb == "rcpt" && o.Address == "new@mx.test":
				return "450 4.7.1 not yet"
			case o.Verb == "mail" && o.Accepted == 1:
				return "421 4.7.0 enough / close"
			}
			return ""
		}
		n := &Network{}
		n.Serve(t, serverAddr, "rcpt <bad@.*> 550 5.1.1 no", WithDecision(decide))
		c := dial(t, n)
		c.greet()
		c.ask("MAIL FROM:<a@c.test>", "250")
		c.ask("RCPT TO:<new@mx.test>", "450 4.7.1 not yet")
		c.ask("RCPT TO:<bad@mx.test>", "550")
		c.ask("RCPT TO:<old@mx.test>", "250")
		c.ask("DATA", "354")
		c.ask("hi\r\n.", "250")
		c.ask("MAIL FROM:<a@c.test>", "421")
		c.ends(io.EOF)
		want := []string{
			"banner   [] 0 ", "ehlo   [] 0 ", "mail a@c.test  [] 0 ", "rcpt new@mx.test a@c.test [] 0 ", "rcpt bad@mx.test a@c.test [] 0 ",
			"rcpt old@mx.test a@c.test [] 0 ", "data  a@c.test [old@mx.test] 0 ", "dot  a@c.test [old@mx.test] 0 hi\r\n", "mail a@c.test  [] 1 ",
		}
		if !slices.Equal(asked, want) {
			t.Errorf("asked\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestDecisionThatIsNoStepsEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Network{}
		n.Serve(t, serverAddr, "", WithDecision(func(Occasion) string { return "dance" }))
		c := dial(t, n)
		c.expect("421 4.3.5 smtptest: the decision is no steps: unknown step \"dance\"")
		c.ends(io.EOF)
	})
}

func TestObserverHearsTheSessionInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		observe := func(e Event) {
			text := e.Line
			switch e.Kind {
			case Judged:
				text = fmt.Sprint(e.Transaction.From(), " ", e.Recipient.Address, " ", e.Recipient.Accepted)
			case Received:
				text = fmt.Sprintf("%q %v %s", e.Transaction.Content, e.Transaction.To(), e.Transaction.ContentReply)
			}
			seen = append(seen, string(e.Kind)+" "+text)
		}
		n := &Network{}
		n.Serve(t, serverAddr, "", WithObserver(observe))
		c := dial(t, n)
		c.expect("220")
		c.ask("HELO c.test", "250")
		c.ask("MAIL FROM:<a@c.test>", "250")
		c.ask("RCPT TO:<b@mx.test>", "250")
		c.ask("DATA", "354")
		c.ask("hi\r\n.", "250")
		c.ask("QUIT", "221")
		c.ends(io.EOF)
		synctest.Wait()
		want := []string{
			"connected ", "said 220 mx.test ESMTP", "heard HELO c.test", "said 250 mx.test", "heard MAIL FROM:<a@c.test>", "said 250 2.1.0 OK",
			"heard RCPT TO:<b@mx.test>", "judged a@c.test b@mx.test true", "said 250 2.1.5 OK",
			"heard DATA", "said 354 end with a dot on a line of its own", `received "hi\r\n" [b@mx.test] 250 2.0.0 queued`, "said 250 2.0.0 queued",
			"heard QUIT", "said 221 2.0.0 bye", "ended quit",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("seen\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestPaceAndDelay(t *testing.T) {
	inBubble(t, "pace 10\ndelay ehlo 1m\nmail 550 5.7.1 no", func(t *testing.T, _ *Server, c *client) {
		began := time.Now()
		c.expect("220 mx.test ESMTP") // 19 octets with the line end
		c.ask("HELO c.test", "250 mx.test")
		if took := time.Since(began); took != 1900*time.Millisecond+1300*time.Millisecond {
			t.Errorf("banner and HELO took %v", took)
		}
		began = time.Now()
		c.ask("EHLO c.test", "250 SMTPUTF8")
		if took := time.Since(began); took < time.Minute || took > 80*time.Second {
			t.Errorf("EHLO took %v", took)
		}
	})
	for _, wrong := range []string{"pace", "pace 0", "pace 1 2", "delay ehlo", "delay offer 3s", "delay dance 3s", "delay ehlo never"} {
		if _, err := ParseScript(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Network{}
		s := n.Serve(t, serverAddr, "", WithHistory(2))
		for range 5 {
			c := dial(t, n)
			c.greet()
			c.ask("MAIL FROM:<a@c.test>", "250")
			c.ask("QUIT", "221")
			c.ends(io.EOF)
		}
		synctest.Wait()
		heard := s.Connections()
		if len(heard) != 2 || heard[1].Number != 5 || heard[1].End != "quit" || len(s.Transactions()) != 2 {
			t.Errorf("remembered %+v and %d transactions", heard, len(s.Transactions()))
		}
	})
}

func TestCutResetsAndListensOn(t *testing.T) {
	inBubble(t, "", func(t *testing.T, s *Server, c *client) {
		c.greet()
		s.Cut()
		if _, err := c.in.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the connection ends with %v", err)
		}
		synctest.Wait()
		if heard := s.Connections(); heard[0].End == "" {
			t.Error("the server does not know that the connection is over")
		}
	})
}

func TestOnlyTheBeginningOfTheContentIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var size int64
		n := &Network{}
		s := n.Serve(t, serverAddr, "keep first 5", WithDecision(func(o Occasion) string { size = o.Size; return "" }))
		c := dial(t, n)
		c.greet()
		c.ask("MAIL FROM:<a@c.test>", "250")
		c.ask("RCPT TO:<b@mx.test>", "250")
		c.ask("DATA", "354")
		c.ask("one\r\ntwo\r\nthree\r\n.", "250")
		if m := s.Messages()[0]; string(m.Content) != "one\r\n" || m.Size != 17 || size != 17 {
			t.Errorf("kept %q of %d octets, told of %d", m.Content, m.Size, size)
		}
	})
	for _, wrong := range []string{"keep first", "keep first 0", "keep first x", "keep first 1 2"} {
		if _, err := ParseScript(wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}

func TestSetScriptRenewsTheCertificate(t *testing.T) {
	inBubble(t, "tls valid", func(t *testing.T, s *Server, _ *client) {
		first := s.Certificate()
		if err := s.SetScript("tls valid\nmail 550 no"); err != nil || s.Certificate() != first {
			t.Errorf("the same kind makes another certificate, %v", err)
		}
		if err := s.SetScript("tls expired"); err != nil || !s.Certificate().NotAfter.Before(time.Now()) {
			t.Errorf("no expired certificate: %v, %v", s.Certificate().NotAfter, err)
		}
	})
}
