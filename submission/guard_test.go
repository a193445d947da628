package submission

import (
	"reflect"
	"strings"
	"testing"

	"sternpost/mail"
)

func TestOnlyTo(t *testing.T) {
	only, err := mail.ParseAddressPattern("staging.example")
	if err != nil {
		t.Fatal(err)
	}
	desk := newCounter(t, IntakeConfig{Aliases: Aliases{"root": {"a@staging.example", "b@world.example"}}})
	l := letter(t, "", "x@y.example", "a@world.example")
	if _, err := desk.Submit(l, "\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := desk.Reload(IntakeConfig{Aliases: Aliases{"root": {"a@staging.example", "b@world.example"}}, Guard: mail.Guard{OnlyTo: []mail.AddressPattern{only}}}); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]string{"a@staging.example": "", "a@world.example": "550 5.7.1 delivery.only_to", "root": "550 5.7.1 delivery.only_to"} {
		_, err := desk.Recipient(Client{}, mail.ReversePath{}, mail.Recipient{Address: addressOfText(t, to)})
		wantRefusal(t, to, err, want)
	}
	_, err = desk.Submit(l, "\r\n") // its recipients were asked about before
	wantRefusal(t, "submit", err, "550 5.7.1 delivery.only_to")
	if desk.log.FilterMessage("recipient refused").Len() != 2 || desk.log.FilterMessageSnippet("delivery.only_to is set").Len() != 1 {
		t.Errorf("log %v", desk.log.All())
	}
}

func TestRedirectAll(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Guard: mail.Guard{RedirectAll: mail.Address{Local: "all", Domain: "staging.example"}}})
	l := letter(t, "", "x@y.example", "one@world.example", "two@world.example", "one@world.example")
	l.Envelope.Recipients[0].Notify = []string{"FAILURE"}
	if list, err := desk.Recipient(l.Client, l.Envelope.From, l.Envelope.Recipients[0]); err != nil || addressesOf(list.Recipients) != "one@world.example" {
		t.Errorf("recipient %v, %v", list, err)
	}
	if _, err := desk.Submit(l, "Subject: x\r\n\r\nbody\r\n"); err != nil {
		t.Fatal(err)
	}
	got := desk.messages()[0]
	want := []mail.Recipient{{Address: mail.Address{Local: "all", Domain: "staging.example"}, Notify: []string{"FAILURE"}, OriginalType: "rfc822", Original: "one@world.example"}}
	if !reflect.DeepEqual(got.Envelope.Recipients, want) || got.Envelope.Check() != nil {
		t.Errorf("recipients %+v", got.Envelope.Recipients)
	}
	if !strings.Contains(got.content, "\r\nX-Sternpost-Redirected: one@world.example,\r\n\ttwo@world.example\r\nSubject: x\r\n") {
		t.Errorf("content %q", got.content)
	}
	if desk.log.FilterMessage("recipients replaced").Len() != 1 || desk.log.FilterMessageSnippet("delivery.redirect_all is set").Len() != 1 {
		t.Errorf("log %v", desk.log.All())
	}
}
