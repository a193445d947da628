package submission

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
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
