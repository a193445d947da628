package lab

import (
	"net/smtp"
	"testing"
	"testing/synctest"

	"sternpost/delivery/smtptest"
)

func TestPrimaryDownOnLoopback(t *testing.T) {
	s, err := Load("primary-down")
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(s, Loopback(0, "127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	primary, _ := w.Addr("mx1.example.test")
	if err := smtp.SendMail(primary, nil, "app@client.test", []string{"you@example.test"}, s.Messages[0].Content()); err == nil {
		t.Error("the primary takes mail")
	}
	if got := w.Check()[0]; got.Met {
		t.Errorf("met before anything was sent: %+v", got)
	}
	c := dialHost(t, w, "mx2.example.test")
	send(t, c, "app@client.test", "you@example.test", s.Messages[0].Content())
	if got := w.Check()[0]; !got.Met || len(got.Unseen) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestPrimaryDownInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Load("primary-down")
		if err != nil {
			t.Fatal(err)
		}
		w, err := Open(s, Memory(&smtptest.Network{}, 25))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		send(t, dialHost(t, w, "mx2.example.test"), "app@client.test", "you@example.test", s.Messages[0].Content())
		if got := w.Check()[0]; !got.Met {
			t.Errorf("%+v", got)
		}
	})
}

// dialHost connects to a host and says EHLO.
func dialHost(t *testing.T, w *World, name string) *smtp.Client {
	t.Helper()
	addr, err := w.Addr(name)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := w.Dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := smtp.NewClient(conn, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c *smtp.Client, from, to string, content []byte) {
	t.Helper()
	if err := trySend(c, from, to, content); err != nil {
		t.Fatal(err)
	}
}

func trySend(c *smtp.Client, from, to string, content []byte) error {
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	body, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(content); err != nil {
		return err
	}
	return body.Close()
}
