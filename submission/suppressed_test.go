package submission

import (
	"context"
	"errors"
	"net/smtp"
	"strings"
	"testing"

	"sternpost/mail"
	"sternpost/queue"
)

// blocklist suppresses some addresses for one sender; or cannot be read.
type blocklist struct {
	sender string
	boxes  map[string]queue.Suppression
	err    error
}

func (b blocklist) Suppressed(_ context.Context, sender string, to mail.Address) (queue.Suppression, bool, error) {
	s, known := b.boxes[to.String()]
	return s, known && sender == b.sender, b.err
}

func TestSuppressedRecipient(t *testing.T) {
	boxes := map[string]queue.Suppression{
		"dead@d.example": {Needed: 1, Failures: 1, Last: when, Reason: "550 5.1.1 no \x1b[31m such ü"},
		"gone@d.example": {Last: when, Reason: strings.Repeat("x", 600)},
	}
	aliases := Aliases{"some": {"dead@d.example", "live@d.example"}, "none": {"dead@d.example", "gone@d.example"}}
	for _, c := range []struct{ user, from, to, want, refusal string }{
		{"shop", "a@b.example", "live@d.example", "live@d.example", ""},
		{"shop", "a@b.example", "dead@d.example", "", `550 5.1.1 the address is suppressed: it failed for good on ` + when.UTC().Format("2006-01-02") + `: 550 5.1.1 no \x1b[31m such ?`},
		{"shop", "a@b.example", "gone@d.example", "", "550 5.1.1 the address is suppressed: it was put on the list on "},
		{"other", "a@b.example", "dead@d.example", "dead@d.example", ""},
		{"", "shop", "dead@d.example", "dead@d.example", ""}, // that is shop@ and our domain
		{"shop", "a@b.example", "some", "live@d.example", ""},
		{"shop", "a@b.example", "none", "", "550 5.1.1 "},
	} {
		desk := newCounter(t, IntakeConfig{Aliases: aliases})
		desk.deps.Suppression = blocklist{sender: "shop", boxes: boxes}
		l := letter(t, c.user, c.from, c.to)
		list, err := desk.Recipient(l.Client, l.Envelope.From, l.Envelope.Recipients[0])
		wantRefusal(t, c.user+" to "+c.to, err, c.refusal)
		if got := addressesOf(list.Recipients); got != c.want {
			t.Errorf("%s to %s: %s, want %s", c.user, c.to, got, c.want)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("the reply has %d octets", len(err.Error()))
		}
	}
}

// Who does not authenticate is his reverse-path, with the domain that it gets.
func TestSuppressionByReversePath(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Domain: "b.example"})
	boxes := map[string]queue.Suppression{"dead@d.example": {Reason: "no"}}
	for from, refused := range map[string]bool{"a@b.example": true, "a": true, "b@b.example": false, "": false} {
		desk.deps.Suppression = blocklist{sender: "a@b.example", boxes: boxes}
		l := letter(t, "", from, "dead@d.example")
		_, err := desk.Recipient(l.Client, l.Envelope.From, l.Envelope.Recipients[0])
		if (err != nil) != refused {
			t.Errorf("from %q: %v", from, err)
		}
	}
	desk.deps.Suppression = blocklist{sender: "a@b.example", boxes: boxes, err: errors.New("broken")}
	l := letter(t, "", "a@b.example", "dead@d.example")
	if list, err := desk.Recipient(l.Client, l.Envelope.From, l.Envelope.Recipients[0]); err != nil || len(list.Recipients) != 1 {
		t.Errorf("a list that cannot be read keeps mail from going: %v", err)
	}
}

// Of a message to several only the suppressed recipient is refused.
func TestSuppressedBesideAnother(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		w.desk.deps.Suppression = blocklist{sender: "a@b.example", boxes: map[string]queue.Suppression{"dead@d.example": {Reason: "no"}}}
		c, err := smtp.NewClient(w.connect().Conn, hostname)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{c.Hello("client.example"), c.Mail("a@b.example"), c.Rcpt("live@d.example")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Rcpt("dead@d.example"); err == nil || !strings.Contains(err.Error(), "5.1.1 the address is suppressed") {
			t.Error(err)
		}
		sendContent(t, c, "Subject: x\r\n\r\n")
		if err := c.Quit(); err != nil {
			t.Fatal(err)
		}
		if got := addressesOf(w.messages()[0].Envelope.Recipients); got != "live@d.example" {
			t.Error(got)
		}
	})
}
