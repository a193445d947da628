package submission

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMessageIsItsHeadAndTheRest(t *testing.T) {
	for _, text := range []string{
		"",
		"\r\nbody\r\n",
		"Subject: x\r\n\r\n" + strings.Repeat("body\r\n", 20_000),
		"X: " + strings.Repeat("x", 2*scanned) + "\r\n\r\nbody\r\n",
	} {
		for name, reading := range map[string]func(io.Reader) (string, error){"Read": readAll, "WriteTo": copyAll} {
			var h header
			rest := iotest.HalfReader(strings.NewReader(text))
			head, err := readHead([]byte("Received: by us\r\n"), rest, &h)
			if err != nil {
				t.Fatal(err)
			}
			got, err := reading(newMessage(head, rest, &h))
			if err != nil || got != "Received: by us\r\n"+text {
				t.Errorf("%s of %.20q: %d octets, want %d, %v", name, text, len(got), len(text)+17, err)
			}
		}
	}
}

func TestMessagePassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for name, reading := range map[string]func(io.Reader) (string, error){"Read": readAll, "WriteTo": copyAll} {
		m := newMessage([]byte("\r\n"), io.MultiReader(strings.NewReader("x"), iotest.ErrReader(broken)), &header{ended: true})
		if _, err := reading(m); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := newMessage([]byte("x"), strings.NewReader("y"), &header{ended: true})
	if _, err := full.WriteTo(brokenWriter{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("WriteTo: %v", err)
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
