package submission

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"sternpost/mail"
	"sternpost/queue"
)

// counter is a Desk with a clock that stands still until it is moved.
type counter struct {
	*Desk
	*drop
	t   *testing.T
	now time.Time
	log *observer.ObservedLogs
}

func newCounter(t *testing.T, c IntakeConfig) *counter {
	t.Helper()
	core, log := observer.New(zapcore.InfoLevel)
	desk := &counter{t: t, drop: &drop{}, now: when, log: log}
	var err error
	desk.Desk, err = NewIntake(c, IntakeDeps{Queue: desk.drop, Hostname: hostname, Log: zap.New(core), Now: func() time.Time { return desk.now }})
	if err != nil {
		t.Fatal(err)
	}
	return desk
}

// Ready is that of the Desk.
func (c *counter) Ready() error { return c.Desk.Ready() }

// Submit is that of the Desk.
func (c *counter) Submit(l Letter, content string) (Receipt, error) {
	return c.Desk.Submit(c.t.Context(), l, strings.NewReader(content))
}

func addressOfText(t testing.TB, text string) mail.Address {
	t.Helper()
	a, err := parseMailbox(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// letter is one from a user to some recipients, which need not have a domain.
func letter(t testing.TB, user, from string, to ...string) Letter {
	t.Helper()
	l := Letter{Client: Client{Door: DoorSMTP, User: user, UID: -1, Address: netip.MustParseAddr("192.0.2.1")}}
	if from != "" {
		l.Envelope.From.Address = addressOfText(t, from)
	}
	for _, text := range to {
		l.Envelope.Recipients = append(l.Envelope.Recipients, mail.Recipient{Address: addressOfText(t, text)})
	}
	return l
}

func addressesOf(list []mail.Recipient) string {
	var texts []string
	for _, r := range list {
		texts = append(texts, r.Address.String())
	}
	return strings.Join(texts, " ")
}

func wantRefusal(t *testing.T, what string, err error, want string) {
	t.Helper()
	r := new(Refusal)
	if want == "" && err != nil || want != "" && (!errors.As(err, &r) || !strings.HasPrefix(r.Error(), want)) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

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
		list, err := newCounter(t, config).Recipient(Client{}, mail.Recipient{Address: addressOfText(t, to)})
		if got := addressesOf(list); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", to, got, err, want)
		}
	}
	long := mail.Address{Local: strings.Repeat("x", 250)}
	_, err := newCounter(t, config).Recipient(Client{}, mail.Recipient{Address: long})
	wantRefusal(t, "a long local-part", err, "553 5.1.3 the address is too long")
}

func TestPostmasterMayHaveAnAlias(t *testing.T) {
	for name, aliases := range map[string]Aliases{
		"short": {"postmaster": {"a@example.net"}}, "long": {"Postmaster@example.org": {"a@example.net"}}, "ours": {"postmaster@" + hostname: {"a@example.net"}, "postmaster": {"a@example.net"}},
	} {
		for _, to := range []string{"postmaster", "Postmaster@" + hostname, "postMASTER@example.org"} {
			list, err := newCounter(t, IntakeConfig{Domain: "example.org", Aliases: aliases}).Recipient(Client{}, mail.Recipient{Address: addressOfText(t, to)})
			if got := addressesOf(list); err != nil || got != "a@example.net" {
				t.Errorf("%s, %s: %s, %v", name, to, got, err)
			}
		}
	}
	ours := newCounter(t, IntakeConfig{})
	if list, err := ours.Recipient(Client{}, mail.Recipient{Address: mail.Address{Local: "postmaster"}}); err != nil || addressesOf(list) != "postmaster@"+hostname {
		t.Errorf("without a domain of the configuration: %v, %v", list, err)
	}
}

func TestWishesPassThroughAliases(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Aliases: Aliases{"root": {"a@b.example", "c@d.example"}}})
	wishes := []string{"FAILURE", "DELAY"}
	given := mail.Recipient{Address: mail.Address{Local: "root"}, Notify: wishes, OriginalType: "rfc822", Original: "first@x.example"}
	list, err := desk.Recipient(Client{}, given)
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	for _, r := range list {
		if !reflect.DeepEqual(r.Notify, wishes) || r.OriginalType != "rfc822" || r.Original != "first@x.example" {
			t.Errorf("%+v", r)
		}
	}
	list, _ = desk.Recipient(Client{}, mail.Recipient{Address: mail.Address{Local: "root"}})
	if r := list[1]; r.OriginalType != "rfc822" || r.Original != "root@"+hostname {
		t.Errorf("without ORCPT: %+v", r)
	}
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

func TestSendersOfUsers(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Domain: "example.org", Users: []User{
		{Name: "any"}, {Name: "shop", Senders: []string{"Shop@example.com", ".example.net"}}, {Name: "robot", Senders: []string{"<>", "*"}}, {Name: "all", Senders: []string{"*"}},
		{Name: "local", Senders: []string{"root@example.org"}},
	}})
	for _, c := range []struct{ user, from, want string }{
		{"", "a@b.example", ""},
		{"", "", ""},
		{"any", "a@b.example", ""},
		{"any", "", ""},
		{"unknown", "a@b.example", ""},
		{"shop", "shop@EXAMPLE.com", ""},
		{"shop", "other@example.com", "553 5.7.1 "},
		{"shop", "a@b.example.net", ""},
		{"shop", "a@example.net", "553 5.7.1 "},
		{"shop", "a@badexample.net", "553 5.7.1 "},
		{"shop", "", "550 5.7.1 "},
		{"shop", "shop", "553 5.7.1 "},
		{"robot", "", ""},
		{"robot", "a@b.example", ""},
		{"all", "", "550 5.7.1 "},
		{"local", "root", ""},
	} {
		l := letter(t, c.user, c.from, "to@x.example")
		wantRefusal(t, c.user+" from "+c.from, desk.Sender(l.Client, l.Envelope.From), c.want)
		_, err := desk.Submit(l, "Subject: x\r\n\r\n")
		wantRefusal(t, "submit: "+c.user+" from "+c.from, err, c.want)
	}
	taken := desk.messages()
	if last := taken[len(taken)-1]; last.Envelope.From.String() != "root@example.org" || last.Sender != "local" {
		t.Errorf("the sender was not completed: %+v", last.Submission)
	}
}

func TestRecipientsPerHour(t *testing.T) {
	desk := newCounter(t, IntakeConfig{RecipientsPerHour: 3, Users: []User{{Name: "shop"}, {Name: "bulk", RecipientsPerHour: 100}}})
	send := func(user string, n int, want string) {
		t.Helper()
		l := letter(t, user, "a@b.example")
		for i := range n {
			l.Envelope.Recipients = append(l.Envelope.Recipients, mail.Recipient{Address: mail.Address{Local: fmt.Sprint(i), Domain: "x.example"}})
		}
		_, err := desk.Submit(l, "Subject: x\r\n\r\n")
		wantRefusal(t, fmt.Sprintf("%s to %d at %s", user, n, desk.now), err, want)
	}
	ask := func(user, want string) {
		t.Helper()
		_, err := desk.Recipient(Client{User: user}, mail.Recipient{Address: mail.Address{Local: "a", Domain: "x.example"}})
		wantRefusal(t, "RCPT of "+user, err, want)
	}
	send("shop", 4, "550 5.7.1 the message has 4 recipients, and you may send to 3 an hour")
	send("shop", 2, "")
	desk.now = desk.now.Add(20 * time.Minute)
	send("shop", 2, "450 4.7.1 you may send to 3 recipients an hour; try again in 41 minutes")
	ask("shop", "")
	desk.refuse = queue.ErrFull // what is not accepted does not count
	if _, err := desk.Submit(letter(t, "shop", "a@b.example", "c@d.example"), "\r\n"); !errors.Is(err, queue.ErrFull) {
		t.Error(err)
	}
	desk.refuse = nil
	send("shop", 1, "")
	ask("shop", "450 4.7.1 you may send to 3 recipients an hour; try again in 41 minutes")
	send("", 50, "")
	send("bulk", 50, "")
	send("other", 3, "")
	send("other", 1, "450 4.7.1 ")
	desk.now = desk.now.Add(40 * time.Minute) // an hour after the first two, and not a minute more
	send("shop", 1, "450 4.7.1 you may send to 3 recipients an hour; try again in 1 minute")
	desk.now = desk.now.Add(time.Minute)
	send("shop", 2, "")
	send("shop", 1, "450 4.7.1 ")
	desk.now = desk.now.Add(48 * time.Hour)
	send("shop", 3, "")
	desk.now = desk.now.Add(-time.Hour) // the clock is set back
	send("shop", 1, "450 4.7.1 ")
	desk.now = desk.now.Add(time.Hour) // and is where it was
	send("shop", 1, "450 4.7.1 ")
	if err := desk.Reload(IntakeConfig{RecipientsPerHour: 4, Users: []User{{Name: "shop"}}}); err != nil {
		t.Fatal(err)
	}
	send("shop", 1, "")
	desk.now = desk.now.Add(61 * time.Minute)
	send("other", 3, "")
	if err := desk.Reload(IntakeConfig{RecipientsPerHour: 4}); err != nil {
		t.Fatal(err)
	}
	if n := len(desk.sent.users); n != 1 {
		t.Errorf("%d users are counted, one of which has sent something", n)
	}
	send("other", 2, "450 4.7.1 ") // a reload is no gift
}

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
		_, err := desk.Recipient(Client{}, mail.Recipient{Address: addressOfText(t, to)})
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
	if list, err := desk.Recipient(l.Client, l.Envelope.Recipients[0]); err != nil || addressesOf(list) != "one@world.example" {
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

func TestKeys(t *testing.T) {
	for _, c := range []struct{ door, header, want string }{
		{"", "", ""},
		{"k", "", ""},
		{"", "Idempotency-Key: k-1/2~\r\n", ""},
		{"k", "idempotency-key:\r\n\tk \r\n", ""},
		{"k", "Idempotency-Key: other\r\n", "554 5.6.0 the Idempotency-Key in the header is not"},
		{"", "Idempotency-Key: \r\n", "554 5.6.0 the Idempotency-Key in the header is empty"},
		{"", "Idempotency-Key: a b\r\n", "554 5.6.0 an Idempotency-Key consists of"},
		{"", "Idempotency-Key: caf\xc3\xa9\r\n", "554 5.6.0 an Idempotency-Key consists of"},
		{"a\r\nb", "", "554 5.6.0 an Idempotency-Key consists of"},
		{strings.Repeat("k", 255), "", ""},
		{strings.Repeat("k", 256), "", "554 5.6.0 an Idempotency-Key has at most 255"},
		{"", "Idempotency-Key: " + strings.Repeat("k", 5000) + "\r\n", "554 5.6.0 an Idempotency-Key has at most 255"},
	} {
		desk := newCounter(t, IntakeConfig{})
		l := letter(t, "", "a@b.example", "c@d.example")
		l.Key = c.door
		_, err := desk.Submit(l, c.header+"Subject: x\r\n\r\nbody\r\n")
		wantRefusal(t, fmt.Sprintf("%.20q and %.40q", c.door, c.header), err, c.want)
		if err == nil && strings.Contains(strings.ToLower(desk.messages()[0].content), "idempotency") {
			t.Errorf("the key stays in %q", desk.messages()[0].content)
		}
	}
}

func TestContentOfEveryDoorIsLookedThrough(t *testing.T) {
	const alone, null = "550 5.6.0 a CR or LF stands alone", "550 5.6.0 the message holds a NUL"
	filler := strings.Repeat("text\r\n", 10_000) // so that it stands behind the head
	for text, want := range map[string]string{
		"":          "",
		"\r\n":      "",
		"a":         "",
		"a\r\n":     "",
		"a\nb\r\n":  alone,
		"\n":        alone,
		"a\rb\r\n":  alone,
		"a\r\r\n":   alone,
		"a\r":       alone,
		"a\n\r":     alone,
		"\r":        alone,
		"\n\ra\r\n": alone,
		"\x00":      null,
		"a\r\n\x00": null,
	} {
		for _, begin := range []string{"Subject: x\r\n\r\n", "Subject: x\r\n\r\n" + filler, "Subject: x\r\n"} {
			for name, content := range readings(begin + text) {
				desk := newCounter(t, IntakeConfig{})
				_, err := desk.Desk.Submit(t.Context(), letter(t, "", "a@b.example", "c@d.example"), content)
				wantRefusal(t, fmt.Sprintf("%q behind %d octets, %s", text, len(begin), name), err, want)
				if (err == nil) != (len(desk.messages()) == 1) {
					t.Errorf("%q: %v, and %d messages", text, err, len(desk.messages()))
				}
			}
		}
	}
}

func TestLetterWithoutSense(t *testing.T) {
	desk := newCounter(t, IntakeConfig{})
	_, err := desk.Submit(letter(t, "", "a@b.example"), "\r\n")
	wantRefusal(t, "nobody", err, "554 5.5.1 ")
	l := letter(t, "", "a@b.example")
	for i := range maxLetter + 1 {
		l.Envelope.Recipients = append(l.Envelope.Recipients, mail.Recipient{Address: mail.Address{Local: fmt.Sprint(i), Domain: "x.example"}})
	}
	_, err = desk.Submit(l, "\r\n")
	wantRefusal(t, "everybody", err, "452 4.5.3 ")
	l.Envelope.Recipients[1] = l.Envelope.Recipients[0]
	if _, err = desk.Submit(l, "\r\n"); err != nil || len(desk.messages()[0].Envelope.Recipients) != maxLetter {
		t.Errorf("whom it names twice counts twice: %v", err)
	}
	broken := errors.New("broken")
	if _, err := desk.Desk.Submit(t.Context(), letter(t, "", "a@b.example", "c@d.example"), iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
	if _, err := desk.Desk.Submit(t.Context(), letter(t, "", "a@b.example", "c@d.example"), io.MultiReader(strings.NewReader("\r\nx"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestSubmissionOfALetter(t *testing.T) {
	desk := newCounter(t, IntakeConfig{Users: []User{{Name: "shop"}}})
	l := letter(t, "shop", "a@b.example", "c@d.example")
	l.SendAt, l.Expires = when.Add(time.Hour), when.Add(2*time.Hour)
	if _, err := desk.Submit(l, "Precedence: bulk\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got := desk.messages()[0].Submission
	if got.Sender != "shop" || got.Peer != "shop at 192.0.2.1" || !got.Received.Equal(when) || !got.SendAt.Equal(l.SendAt) || !got.Expires.Equal(l.Expires) || got.Priority != queue.Bulk {
		t.Errorf("%+v", got)
	}
	if !strings.HasSuffix(got.MessageID, "@"+hostname) || !strings.Contains(desk.messages()[0].content, "\r\nMessage-ID: <"+got.MessageID+">\r\n") {
		t.Errorf("message id %q in %q", got.MessageID, desk.messages()[0].content)
	}
}

func TestIntakeConfigIsChecked(t *testing.T) {
	for want, c := range map[string]IntakeConfig{
		"submission.domain: ":                            {Domain: "a b"},
		"submission.users[1]: senders: ":                 {Users: []User{{Name: "a"}, {Name: "b", Senders: []string{"a@"}}}},
		"submission.users[0]: recipients_per_hour: -1":   {Users: []User{{Name: "a", RecipientsPerHour: -1}}},
		"submission.users[1]: name: there is another":    {Users: []User{{Name: "a"}, {Name: "a"}}},
		"aliases.root: leads back":                       {Aliases: Aliases{"root": {"b"}, "b": {"root"}}},
		"aliases.root@" + hostname + ": is the same as ": {Aliases: Aliases{"root": {"b"}, "root@" + hostname: {"c"}}},
	} {
		if _, err := NewIntake(c, IntakeDeps{Queue: &drop{}, Hostname: hostname}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	desk := newCounter(t, IntakeConfig{Domain: "example.org"})
	if err := desk.Reload(IntakeConfig{Domain: "a b"}); err == nil || desk.rules.Load().domain != "example.org" {
		t.Errorf("a wrong configuration is in force: %v", err)
	}
	for _, d := range []IntakeDeps{{Queue: &drop{}}, {Hostname: hostname}, {Queue: &drop{}, Hostname: "a b"}} {
		if _, err := NewIntake(IntakeConfig{}, d); err == nil {
			t.Errorf("NewIntake accepts %+v", d)
		}
	}
}

// ledger is an Acceptor that knows keys, as the queue does.
type ledger struct {
	drop
	digests map[string][32]byte
}

func (k *ledger) Submit(ctx context.Context, s queue.Submission, content io.Reader) (queue.Accepted, error) {
	accepted, err := k.drop.Submit(ctx, s, content)
	known, again := k.digests[s.Sender+s.Key]
	digest := content.(queue.Digester).Digest()
	switch {
	case err != nil || s.Key == "":
		return accepted, err
	case again && known != digest:
		return queue.Accepted{}, queue.ErrOtherContent
	case again:
		return queue.Accepted{ID: 77, Repeated: true}, nil
	}
	k.digests[s.Sender+s.Key] = digest
	return accepted, nil
}

func TestKeysGoToTheQueue(t *testing.T) {
	desk, err := NewIntake(IntakeConfig{RecipientsPerHour: 2}, IntakeDeps{Queue: &ledger{digests: map[string][32]byte{}}, Hostname: hostname})
	if err != nil {
		t.Fatal(err)
	}
	send := func(user, key, content string) (Receipt, error) {
		l := letter(t, user, "a@b.example", "c@d.example")
		l.Key = key
		return desk.Submit(t.Context(), l, strings.NewReader(content))
	}
	for n := range 5 { // what was accepted before does not count
		header := []string{"Subject: x\r\n\r\nbody\r\n", "Idempotency-Key: k\r\nSubject: x\r\nBcc: y\r\n\r\nbody\r\n"}[n%2]
		if receipt, err := send("shop", "k", header); err != nil || receipt.Repeated != (n > 0) {
			t.Errorf("time %d: %+v, %v", n, receipt, err)
		}
	}
	_, err = send("shop", "k", "Subject: x\r\n\r\nother\r\n")
	wantRefusal(t, "other content", err, "554 5.6.0 another message was accepted with the same Idempotency-Key")
	if !errors.Is(err, queue.ErrOtherContent) {
		t.Errorf("%v is not ErrOtherContent", err)
	}
	if receipt, err := send("shop", "", "Subject: x\r\n\r\nother\r\n"); err != nil || receipt.Repeated {
		t.Errorf("without a key: %+v, %v", receipt, err)
	}
	desk.deps.Queue.(*ledger).refuse = queue.ErrOver
	_, err = send("", "", "\r\n")
	wantRefusal(t, "too late", err, "550 5.4.7 ")
}

// Whoever comes at the same time, the limit holds to the recipient, under the rules of the moment.
func TestLimitHoldsInACrowd(t *testing.T) {
	const limit = 20
	config := IntakeConfig{RecipientsPerHour: limit, Users: []User{{Name: "shop"}}}
	desk := newCounter(t, config)
	var taken atomic.Int64
	var crowd sync.WaitGroup
	for n := range 100 {
		crowd.Go(func() {
			if n%10 == 0 {
				if err := desk.Reload(config); err != nil {
					t.Error(err)
				}
			}
			if _, err := desk.Submit(letter(t, "shop", "a@b.example", "c@d.example"), fmt.Sprintf("X-Number: %d\r\n\r\n%s", n, strings.Repeat("body\r\n", 10*n))); err == nil {
				taken.Add(1)
			}
		})
	}
	crowd.Wait()
	if taken.Load() != limit || len(desk.messages()) != limit {
		t.Errorf("%d were taken, want %d", taken.Load(), limit)
	}
	for _, m := range desk.messages() {
		var number int
		_, after, _ := strings.Cut(m.content, "X-Number: ")
		if _, err := fmt.Sscan(after, &number); err != nil || strings.Count(m.content, "body\r\n") != 10*number {
			t.Errorf("message %d has the body of another: %q", number, m.content)
		}
	}
}
