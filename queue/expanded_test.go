package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"sternpost/dsn"
	"sternpost/mail"
	"sternpost/queue"
)

// expand submits a message from somebody, of whose recipients several took the place of all@us.test.
func (w *world) expand(from string, wishes ...string) error {
	w.t.Helper()
	s := submission(w.t, from, "a@yes.test", "b@no.test")
	s.Expanded = []mail.Recipient{{Address: mail.Address{Local: "all", Domain: "here.test"}, Notify: wishes, OriginalType: "rfc822", Original: "All@here.test"}}
	s.Envelope.EnvelopeID = "envelope"
	_, err := w.queue.Submit(context.Background(), s, strings.NewReader("Subject: to all\r\n\r\nbody\r\n"))
	return err
}

// The sender hears at once that his message went to an alias of several, where he wants to hear of success; a failure of one of them is another report.
func TestReportOfAnExpansion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer("no.test", refused)
		if err := w.expand("me@us.test", "SUCCESS"); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		reports := w.reports()
		if len(reports) != 2 {
			t.Fatalf("%q", reports)
		}
		ids := map[string]bool{}
		for _, a := range w.tries("us.test") {
			r, err := dsn.Parse(strings.NewReader(a.text))
			if err != nil {
				t.Fatal(err)
			}
			ids[r.MessageID] = true
			if r.Recipients[0].Action == dsn.Failed {
				continue
			}
			if o := r.Recipients[0]; o.Action != dsn.Expanded || o.Final.String() != "all@here.test" || o.Original != "All@here.test" || o.Status != (mail.Status{2, 0, 0}) {
				t.Errorf("%+v", o)
			}
			if r.EnvelopeID != "envelope" || !r.HeadersOnly || !strings.Contains(a.text, "Subject: to all") || strings.Contains(a.text, "body") {
				t.Errorf("%s", a.text)
			}
			if strings.Contains(a.text, "yes.test") {
				t.Errorf("it names whom the alias stands for: %s", a.text)
			}
		}
		if len(ids) != 2 {
			t.Errorf("two reports of one moment have the Message-IDs %v", ids)
		}
	})
	for _, wishes := range [][]string{nil, {"NEVER"}, {"FAILURE", "DELAY"}} {
		bubble(t, func(t *testing.T) {
			w := newWorld(t)
			if err := w.expand("me@us.test", wishes...); err != nil {
				t.Fatal(err)
			}
			pass(time.Hour)
			w.expectReports(fmt.Sprint(wishes))
		})
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		if err := w.expand("", "SUCCESS"); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		w.expectReports("to the null reverse-path")
	})
}

// A message that is not accepted is not reported about, and an alias is held to what addresses are.
func TestNoExpansionWithoutMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		s := submission(t, "me@us.test", "a@yes.test")
		s.Expanded = []mail.Recipient{{Address: mail.Address{Local: "all", Domain: "here.test"}, Notify: []string{"SUCCESS"}}}
		broken := io.MultiReader(strings.NewReader("Subject: x\r\n\r\n"), brokenOff{})
		if _, err := w.queue.Submit(context.Background(), s, broken); err == nil {
			t.Error("a message without its end is accepted")
		}
		s.Expanded[0].Address.Local = "a\r\nRCPT TO:<b"
		if _, err := w.queue.Submit(context.Background(), s, strings.NewReader("\r\n")); err == nil {
			t.Error("an alias that is no address is taken")
		}
		pass(time.Hour)
		w.expectReports("nothing was accepted")
	})
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Of a long message no more is kept for the report than it looks at.
func TestExpansionOfALongMessage(t *testing.T) {
	if kept := queue.KeptForReports(10<<20, 1000); kept != dsn.MaxOriginal+1 {
		t.Errorf("%d octets are kept", kept)
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		s := submission(t, "me@us.test", "a@yes.test")
		s.Expanded = []mail.Recipient{{Address: mail.Address{Local: "all", Domain: "here.test"}, Notify: []string{"SUCCESS"}}}
		content := "Subject: long\r\nX-Long: " + strings.Repeat("x", 900) + "\r\n\r\n" + strings.Repeat("body\r\n", 100_000)
		if _, err := w.queue.Submit(context.Background(), s, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		w.expectReports("long", "expanded all@here.test")
		if text := w.tries("us.test")[0].text; len(text) > 6000 || !strings.Contains(text, "Subject: long") {
			t.Errorf("%d octets", len(text))
		}
		if got := w.tries("yes.test")[0].text; !bytes.Equal([]byte(got), []byte(content)) {
			t.Errorf("the message has %d octets, want %d", len(got), len(content))
		}
	})
}
