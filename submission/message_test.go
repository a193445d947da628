package submission

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"sternpost/mail"
)

// made is a message of a head that holds text.
func made(t *testing.T, text string, rest io.Reader) *message {
	t.Helper()
	h := &head{}
	h.reset(make([]byte, 0, headRoom))
	if err := h.read(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return newMessage(h, []byte("Added: x\r\n"), rest)
}

func TestMessageIsItsHeadAndTheRest(t *testing.T) {
	rest := strings.Repeat("rest\r\n", 20_000)
	want := "Subject: x\r\nAdded: x\r\n\r\nbody\r\n" + rest
	for name, reading := range map[string]func(io.Reader) (string, error){"Read": readAll, "WriteTo": copyAll} {
		m := made(t, "Bcc: x\r\nSubject: x\r\n\r\nbody\r\n", iotest.HalfReader(strings.NewReader(rest)))
		if got, err := reading(m); err != nil || got != want {
			t.Errorf("%s: %d octets, want %d, %v", name, len(got), len(want), err)
		}
	}
}

func TestMessagePassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for name, reading := range map[string]func(io.Reader) (string, error){"Read": readAll, "WriteTo": copyAll} {
		m := made(t, "\r\n", io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)))
		if _, err := reading(m); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := made(t, "\r\nx", strings.NewReader("y")).WriteTo(brokenWriter{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("WriteTo: %v", err)
	}
}

// digestOf is the digest of a message that comes in pieces.
func digestOf(t *testing.T, text string, e mail.Envelope, reading func(io.Reader) (string, error)) [32]byte {
	t.Helper()
	content := iotest.HalfReader(strings.NewReader(text))
	h := &head{}
	h.reset(fmt.Appendf(make([]byte, 0, headRoom), "Received: %p\r\n", content))
	if err := h.read(content); err != nil {
		t.Fatal(err)
	}
	m := newMessage(h, h.missing(nil, when, newNames(uint64(len(text)), "x.example")), content)
	m.digested(h, e)
	if _, err := reading(m); err != nil {
		t.Fatal(err)
	}
	return m.Digest()
}

func TestDigest(t *testing.T) {
	to := func(names ...string) (e mail.Envelope) {
		e.From.Address = mail.Address{Local: "a", Domain: "b.example"}
		for _, name := range names {
			e.Recipients = append(e.Recipients, mail.Recipient{Address: mail.Address{Local: name, Domain: "c.example"}})
		}
		return e
	}
	body := strings.Repeat("body\r\n", 10_000)
	first := digestOf(t, "Subject: x\r\n\r\n"+body, to("x", "y"), readAll)
	same := map[string][32]byte{
		"WriteTo":    digestOf(t, "Subject: x\r\n\r\n"+body, to("x", "y"), copyAll),
		"order":      digestOf(t, "Subject: x\r\n\r\n"+body, to("y", "x"), copyAll),
		"blind copy": digestOf(t, "Bcc: a\r\nSubject: x\r\nIdempotency-Key: k\r\n\r\n"+body, to("x", "y"), copyAll),
	}
	for name, d := range same {
		if d != first {
			t.Errorf("%s makes another message of it", name)
		}
	}
	other := map[string][32]byte{
		"recipient": digestOf(t, "Subject: x\r\n\r\n"+body, to("x"), readAll),
		"header":    digestOf(t, "Subject: y\r\n\r\n"+body, to("x", "y"), readAll),
		"body":      digestOf(t, "Subject: x\r\n\r\n"+body+"x", to("x", "y"), readAll),
		"sender":    digestOf(t, "Subject: x\r\n\r\n"+body, mail.Envelope{Recipients: to("x", "y").Recipients}, readAll),
	}
	for name, d := range other {
		if d == first || d == [32]byte{} {
			t.Errorf("another %s makes no other message of it", name)
		}
	}
	if d := made(t, "\r\n", strings.NewReader("")).Digest(); d != [32]byte{} {
		t.Errorf("a digest that nobody wanted: %x", d)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func readAll(r io.Reader) (string, error) {
	text, err := io.ReadAll(r)
	return string(text), err
}

func copyAll(r io.Reader) (string, error) {
	var b strings.Builder
	_, err := io.Copy(&b, r)
	return b.String(), err
}
