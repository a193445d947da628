package submission

import (
	"errors"
	"fmt"
	"net/smtp"
	"reflect"
	"strings"
	"testing"

	"sternpost/mail"
)

func TestRecipientsAreCompleted(t *testing.T) {
	config := IntakeConfig{Domain: "Example.ORG", Aliases: Aliases{
		"root": {"admin"}, "ADMIN": {"one@example.net", "two@example.net", "root-log"}, "Sales@Shop.example": {"admin", "x@shop.example"},
		"self": {"self", "copy@example.net"},
	}}
	for to, want := range map[string]string{
		"a@b.example":            "a@b.example",
		"bob":                    "bob@example.org",
		"Root":                   "one@example.net two@example.net root-log@example.org",
		"root@example.org":       "one@example.net two@example.net root-log@example.org",
		"root@" + hostname:       "one@example.net two@example.net root-log@example.org",
		"root@elsewhere.example": "root@elsewhere.example",
		"SALES@shop.example":     "one@example.net two@example.net root-log@example.org x@shop.example",
		"self":                   "self@example.org copy@example.net",
		"Postmaster":             "Postmaster@example.org",
		"POSTMASTER@" + hostname: "postmaster@example.org",
		"postmaster@example.org": "postmaster@example.org",
		`"a b"`:                  `"a b"@example.org`,
	} {
		list, err := newCounter(t, config).Recipient(Client{}, mail.ReversePath{}, mail.Recipient{Address: addressOfText(t, to)})
		if got := addressesOf(list.Recipients); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", to, got, err, want)
		}
	}
	long := mail.Address{Local: strings.Repeat("x", 250)}
	_, err := newCounter(t, config).Recipient(Client{}, mail.ReversePath{}, mail.Recipient{Address: long})
	wantRefusal(t, "a long local-part", err, "553 5.1.3 the address is too long")
}

func TestPostmasterMayHaveAnAlias(t *testing.T) {
	for name, aliases := range map[string]Aliases{
		"short": {"postmaster": {"a@example.net"}}, "long": {"Postmaster@example.org": {"a@example.net"}}, "ours": {"postmaster@" + hostname: {"a@example.net"}, "postmaster": {"a@example.net"}},
	} {
		for _, to := range []string{"postmaster", "Postmaster@" + hostname, "postMASTER@example.org"} {
			list, err := newCounter(t, IntakeConfig{Domain: "example.org", Aliases: aliases}).Recipient(Client{}, mail.ReversePath{}, mail.Recipient{Address: addressOfText(t, to)})
			if got := addressesOf(list.Recipients); err != nil || got != "a@example.net" {
				t.Errorf("%s, %s: %s, %v", name, to, got, err)
			}
		}
	}
	ours := newCounter(t, IntakeConfig{})
	if list, err := ours.Recipient(Client{}, mail.ReversePath{}, mail.Recipient{Address: mail.Address{Local: "postmaster"}}); err != nil || addressesOf(list.Recipients) != "postmaster@"+hostname {
		t.Errorf("without a domain of the configuration: %v, %v", list, err)
	}
}

func TestWishesPassThroughAliases(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Aliases: Aliases{"root": {"a@b.example", "c@d.example"}}})
	wishes := []string{"FAILURE", "DELAY"}
	given := mail.Recipient{Address: mail.Address{Local: "root"}, Notify: wishes, OriginalType: "rfc822", Original: "first@x.example"}
	list, err := desk.Recipient(Client{}, mail.ReversePath{}, given)
	if err != nil || len(list.Recipients) != 2 || !reflect.DeepEqual(list.Expanded, []mail.Recipient{atHome(given)}) {
		t.Fatal(list, err)
	}
	for _, r := range list.Recipients {
		if !reflect.DeepEqual(r.Notify, wishes) || r.OriginalType != "rfc822" || r.Original != "first@x.example" {
			t.Errorf("%+v", r)
		}
	}
	list, _ = desk.Recipient(Client{}, mail.ReversePath{}, mail.Recipient{Address: mail.Address{Local: "root"}})
	if r := list.Recipients[1]; r.OriginalType != "rfc822" || r.Original != "root@"+hostname {
		t.Errorf("without ORCPT: %+v", r)
	}
}

// atHome is a recipient at our own name.
func atHome(r mail.Recipient) mail.Recipient {
	r.Address.Domain = hostname
	return r
}

// Of an alias of several the word about success is given by us, and asked for from nobody else; in the place of an alias of one it is asked for there (RFC 3461 s5.2.7.2, s5.2.7.3).
func TestSuccessOfAliases(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Aliases: Aliases{"many": {"a@b.example", "c@d.example"}, "one": {"a@b.example"}, "same": {"a@b.example", "a@b.example"}, "chain": {"many"}}})
	for _, c := range []struct {
		to, notify, want string
		expanded         bool
	}{
		{"many", "SUCCESS", "NEVER", true},
		{"many", "SUCCESS FAILURE", "FAILURE", true},
		{"many", "NEVER", "NEVER", true},
		{"many", "", "", true},
		{"chain", "DELAY SUCCESS", "DELAY", true},
		{"one", "SUCCESS FAILURE", "SUCCESS FAILURE", false},
		{"same", "SUCCESS", "SUCCESS", false},
		{"x@y.example", "SUCCESS", "SUCCESS", false},
	} {
		given := mail.Recipient{Address: addressOfText(t, c.to), Notify: strings.Fields(c.notify)}
		e, err := desk.Recipient(Client{}, mail.ReversePath{}, given)
		if err != nil || (len(e.Expanded) == 1) != c.expanded {
			t.Errorf("%s %s: %+v, %v", c.to, c.notify, e, err)
		}
		for _, r := range e.Recipients {
			if got := strings.Join(r.Notify, " "); got != c.want {
				t.Errorf("%s %s: NOTIFY=%s for %s, want %s", c.to, c.notify, got, r.Address, c.want)
			}
		}
		if c.expanded && !reflect.DeepEqual(e.Expanded[0], atHome(given)) {
			t.Errorf("%s: expanded %+v", c.to, e.Expanded)
		}
	}
}

// The queue hears of each alias once, whatever else is named.
func TestExpandedReachesTheQueue(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Aliases: Aliases{"many": {"a@b.example", "c@d.example"}}})
	l := letter(t, "", "x@y.example", "a@b.example", "c@d.example")
	many := mail.Recipient{Address: mail.Address{Local: "many"}, Notify: []string{"SUCCESS"}}
	for range 2 {
		e, err := desk.Recipient(l.Client, l.Envelope.From, many)
		if err != nil {
			t.Fatal(err)
		}
		l.Envelope.Recipients, l.Expanded = append(l.Envelope.Recipients, e.Recipients...), append(l.Expanded, e.Expanded...)
	}
	if _, err := desk.Submit(l, "\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := desk.messages()[0]; !reflect.DeepEqual(got.Expanded, []mail.Recipient{atHome(many)}) || len(got.Envelope.Recipients) != 2 {
		t.Errorf("%+v", got.Submission)
	}
}

// Over SMTP the queue hears what was expanded for this message, and for no other on the same connection.
func TestExpandedOverSMTP(t *testing.T) {
	inBubble(t, nil, func(w *world) {
		if err := w.desk.Reload(IntakeConfig{Aliases: Aliases{"many": {"a@b.example", "c@d.example"}}}); err != nil {
			t.Fatal(err)
		}
		c, err := smtp.NewClient(w.connect().Conn, hostname)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"many@" + hostname, "x@y.example"} {
			if err := errors.Join(c.Mail("a@b.example"), c.Rcpt(to)); err != nil {
				t.Fatal(err)
			}
			sendContent(t, c, "Subject: x\r\n\r\n")
		}
		if err := c.Quit(); err != nil {
			t.Fatal(err)
		}
		got := w.messages()
		if addressesOf(got[0].Expanded) != "many@"+hostname || len(got[1].Expanded) != 0 {
			t.Errorf("%+v, %+v", got[0].Expanded, got[1].Expanded)
		}
	})
}

func TestAliasesThatAreRefused(t *testing.T) {
	deep, wide := Aliases{}, Aliases{}
	for i := range 11 {
		deep[fmt.Sprintf("a%02d", i)] = Addresses{fmt.Sprintf("a%02d", i+1)}
	}
	for i := range 9 {
		for range 3 {
			wide[fmt.Sprintf("w%d", i)] = append(wide[fmt.Sprintf("w%d", i)], fmt.Sprintf("w%d", i+1))
		}
	}
	for want, a := range map[string]Aliases{
		"aliases.a: leads back to itself":             {"a": {"b"}, "b": {"c"}, "c": {"a"}},
		"aliases.a00: leads through more than 10":     deep,
		"aliases.w0: stands for more than 1000":       wide,
		"aliases.a: stands for nobody":                {"a": {}},
		"aliases.a: address \"b@\"":                   {"a": {"b@"}},
		"aliases.a b: local-part":                     {"a b": {"c"}},
		"aliases.root: is the same as Root":           {"root": {"b"}, "Root": {"c"}},
		"aliases.root@example.org: is the same":       {"root": {"b"}, "root@example.org": {"c"}},
		"aliases.x: stands for \"|/bin/x\"":           {"x": {"|/bin/x"}},
		"aliases.y: stands for \"/var/mail\"":         {"y": {"/var/mail"}},
		"aliases.x: local-part \"\"":                  {"x": {""}},
		"aliases.a@b.example: leads back to itself b": {"a@b.example": {"b@b.example"}, "b@b.example": {"A@b.example"}},
	} {
		err := a.Check("example.org")
		if err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(want, " b")) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := (Aliases{"a": {"a", "b"}, "b": {"c@d.example"}}).Check(""); err != nil {
		t.Error(err)
	}
}
