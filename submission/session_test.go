package submission

import (
	"fmt"
	"io"
	"net/smtp"
	"reflect"
	"strings"
	"testing"

	"sternpost/mail"
	"sternpost/queue"
)

// sendContent sends a content, which the server has to accept.
func sendContent(t *testing.T, c *smtp.Client, content string) {
	t.Helper()
	out, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(out, content); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMessageIsHandedOver(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c, err := smtp.NewClient(w.connect().Conn, hostname)
		if err != nil {
			t.Fatal(err)
		}
		header := "From: a\r\nMESSAGE-ID:\r\n <one@example.org>\r\nDate: d\r\n"
		body := "\r\n.dot\r\nlast\r\n"
		for _, err := range []error{c.Hello("client.example"), c.Mail("a@example.org"), c.Rcpt("b@example.net"), c.Rcpt("c@example.com")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		sendContent(t, c, header+"Bcc: secret\r\n"+body)
		if err := c.Quit(); err != nil {
			t.Fatal(err)
		}
		got := w.messages()[0]
		wantContent := "Received: from client.example ([192.0.2.1])\r\n\tby " + hostname + " with UTF8SMTP;\r\n\tSat, 01 Jan 2000 00:00:00 +0000\r\n" + header + body
		if got.content != wantContent {
			t.Errorf("content %q, want %q", got.content, wantContent)
		}
		if got.MessageID != "one@example.org" || got.Sender != "a@example.org" || got.Peer != "192.0.2.1" || got.Received.IsZero() {
			t.Errorf("submission %+v", got.Submission)
		}
		if len(got.Envelope.Recipients) != 2 || got.Envelope.From.String() != "a@example.org" || got.Envelope.Check() != nil {
			t.Errorf("envelope %+v", got.Envelope)
		}
	})
}

func TestReplyToDotCarriesID(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		for n := 1; n <= 3; n++ {
			c.data()
			c.ask("Subject: x\r\n\r\nbody\r\n.", "250 2.0.0 queued as "+queue.ID(n).String())
		}
		c.ask("QUIT", "221 ")
		c.ended()
	})
}

func TestParametersBecomeTheEnvelope(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.ask("MAIL FROM:<a@example.org> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B314", "250 ")
		c.ask("RCPT TO:<b@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+40example.net", "250 ")
		c.ask("RCPT TO:<bücher@bücher.example> NOTIFY=NEVER", "250 ")
		c.ask("RCPT TO:<b@example.net> NOTIFY=NEVER", "250 ") // again: the first wishes stand
		c.ask("DATA", "354 ")
		c.ask("Subject: x\r\n\r\n\xff\r\n.", "250 ")
		want := mail.Envelope{EnvelopeID: "QQ+314", Return: "HDRS", Recipients: []mail.Recipient{
			{Address: mail.Address{Local: "b", Domain: "example.net"}, Notify: []string{"SUCCESS", "DELAY"}, OriginalType: "rfc822", Original: "Bob@example.net"},
			{Address: mail.Address{Local: "bücher", Domain: "xn--bcher-kva.example"}, Notify: []string{"NEVER"}},
		}}
		want.From.Address = mail.Address{Local: "a", Domain: "example.org"}
		got := w.messages()[0]
		if !reflect.DeepEqual(got.Envelope, want) || got.Envelope.Check() != nil {
			t.Errorf("envelope %+v, want %+v", got.Envelope, want)
		}
		if !strings.Contains(got.content, "with UTF8SMTP;") {
			t.Errorf("content %q", got.content)
		}
	})
}

func TestAddressesAreKeptAsWritten(t *testing.T) {
	for text, want := range map[string]string{
		`<"a b> NOTIFY=NEVER"@example.org>`:         `"a b> NOTIFY=NEVER"@example.org`,
		`<"a@b"@example.org>`:                       `"a@b"@example.org`,
		`<"a\"\\b"@example.org> NOTIFY=NEVER`:       `"a\"\\b"@example.org`,
		`<@one.example,@two.example:a@EXAMPLE.org>`: `a@example.org`,
		` <a@[192.0.2.1]>`:                          `a@[192.0.2.1]`,
		`a@example.org NOTIFY=NEVER`:                `a@example.org`,
		`<Postmaster>`:                              `Postmaster@` + hostname,
		`<postmaster> NOTIFY=NEVER`:                 `postmaster@` + hostname,
		`<a@b@example.org>`:                         ``,
		`<a@exa mple.org>`:                          ``,
		`<a@example.org`:                            ``,
		`<a b@example.org>`:                         ``,
		`<>`:                                        ``,
		`<a>`:                                       `a@` + hostname,
		`root NOTIFY=NEVER`:                         `root@` + hostname,
		`<"a b"> ORCPT=rfc822;c@d.example`:          `"a b"@` + hostname,
		`<a`:                                        ``,
		`<"a>`:                                      ``,
		`<a@>`:                                      ``,
		`<caf` + "\u00e9" + `@example.org>`:         ``,
		`<a@b` + "\u00fc" + `cher.example>`:         ``,
		`<` + strings.Repeat("a", 300) + `@b.example>`:     ``,
		`<a@example.org> ORCPT=utf-8;a\x{1B}[31m`:          ``,
		`<a@example.org> ORCPT=utf-8;a\x{07}@b.example`:    ``,
		`<a@example.org> ORCPT=utf-8;a\x{202E}b@c.example`: ``,
		`<a@example.org> NOTIFY=NEVER,SUCCESS`:             ``,
		`<a@example.org> X=Y`:                              ``,
	} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.ask("MAIL FROM:<>", "250 ")
			if want == "" {
				c.ask("RCPT TO:"+text, "5")
				return
			}
			c.ask("RCPT TO:"+text, "250 ")
			c.ask("DATA", "354 ")
			c.ask("\r\n.", "250 ")
			got := w.messages()[0].Envelope
			if to := got.Recipients[0].Address.String(); to != want || !got.From.IsNull() || got.Check() != nil {
				t.Errorf("%s became %s, want %s", text, to, want)
			}
		})
	}
}

func TestNestedMailIsRefused(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		c.ask("MAIL FROM:<a@example.org>", "250 ")
		c.ask("RCPT TO:<b@example.net>", "250 ")
		c.ask("MAIL FROM:<other@example.org>", "503 5.5.1 ")
		c.ask("DATA", "354 ")
		c.ask("\r\n.", "250 ")
		if from := w.messages()[0].Envelope.From.String(); from != "a@example.org" {
			t.Errorf("from %s", from)
		}
		c.ask("MAIL FROM:<c@example.org>", "250 ")
		c.ask("RSET", "250 ")
		c.ask("MAIL FROM:<d@example.org>", "250 ")
		c.ask("EHLO again.example", "250 ")
		c.ask("MAIL FROM:<e@example.org>", "250 ")
	})
}

func TestQueueThatTakesNothing(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		c := w.dial()
		w.ready = queue.ErrFull
		c.ask("MAIL FROM:<a@example.org>", "452 4.3.1 ")
		w.ready = queue.ErrStopped
		c.ask("MAIL FROM:<a@example.org>", "451 4.3.0 ")
		w.ready = nil
		for err, reply := range map[error]string{queue.ErrFull: "452 4.3.1 ", queue.ErrStopped: "451 4.3.0 ", fmt.Errorf("open /secret: EMFILE"): "451 4.3.0 the queue"} {
			w.refuse = err
			c.data()
			c.ask("Subject: x\r\n\r\nbody\r\n.", reply)
		}
		w.refuse = nil
		c.data()
		c.ask(".", "250 ")
	})
}

func TestLoopIsRefused(t *testing.T) {
	hop := "Received: by x.example;\r\n\tSat, 01 Jan 2000 00:00:00 +0000\r\n"
	long := "X: " + strings.Repeat("x", 70<<10) + "\r\n" // the header is larger than the room of a usual one
	for _, begin := range []string{"", long} {
		inBubble(t, nil, func(w *world) {
			c := w.dial()
			c.data()
			c.ask(begin+strings.Repeat(hop, 100)+"\r\nbody\r\n.", "250 ")
			c.data()
			c.ask(begin+strings.Repeat(hop, 101)+"\r\nbody\r\n.", "554 5.4.6 ")
			c.data()
			c.ask("\r\n"+strings.Repeat(hop, 101)+".", "250 ") // in the body
		})
	}
}

func TestHeloAndOddNames(t *testing.T) {
	for command, want := range map[string]string{
		"HELO client.example": "from client.example ([192.0.2.1])\r\n\tby mail.example.org with SMTP;",
		"EHLO [127.0.0.1]":    "from [127.0.0.1] ([192.0.2.1])",
		"EHLO b(a\\":          "from unknown ([192.0.2.1])",
		"EHLO bücher.example": "from xn--bcher-kva.example (",
	} {
		inBubble(t, nil, func(w *world) {
			c := w.connect()
			c.expect("220 " + hostname + " ESMTP")
			c.ask(command, "250 ")
			c.data()
			c.ask(".", "250 ")
			if got := w.messages()[0].content; !strings.Contains(got, want) {
				t.Errorf("%s: %q", command, got)
			}
		})
	}
}

func TestOffers(t *testing.T) {
	inBubble(t, func(c *Config) { c.MaxSize = 70000 }, func(w *world) {
		c := w.connect()
		c.expect("220 ")
		c.send("EHLO client.example\r\n")
		var offered []string
		for {
			text, err := c.in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			offered = append(offered, strings.TrimSpace(text[4:]))
			if text[3] == ' ' {
				break
			}
		}
		want := "Hello client.example,PIPELINING,8BITMIME,ENHANCEDSTATUSCODES,CHUNKING,DELIVERBY,FUTURERELEASE 2592000 2000-01-31T00:00:00Z,SMTPUTF8,DSN,SIZE 70000,LIMITS RCPTMAX=1000"
		if got := strings.Join(offered, ","); got != want {
			t.Errorf("offered %s, want %s", got, want)
		}
		c.ask("MAIL FROM:<a@example.org> SIZE=70001", "552 5.3.4 ")
		c.ask("MAIL FROM:<a@example.org> SIZE=70000", "250 ")
	})
}
