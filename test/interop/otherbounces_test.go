//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"sternpost/delivery/smtptest"
)

// refusing is the exchanger that refuses whatever they send on.
const refusing = "127.0.0.80"

// TestBouncesOfOthers has other agents send on what is refused, and their reports read by `bounces parse`: as they come, and with nothing but the words for people, as a gateway leaves them.
func TestBouncesOfOthers(t *testing.T) {
	for name, start := range map[string]func(*world) (p *receiver, host string){
		"postfix":   func(w *world) (*receiver, string) { return w.postfix(), "127.0.0.28" },
		"exim":      func(w *world) (*receiver, string) { return w.eximBy("exim-bounces.conf", "127.0.0.12"), "127.0.0.12" },
		"opensmtpd": func(w *world) (*receiver, string) { return w.opensmtpdBy("opensmtpd-bounces.conf"), "127.0.0.13" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			sink := w.exchanger(sinkHost, "")
			w.exchanger(refusing, "rcpt 550 5.1.1 <gone@refused.test>: Recipient address rejected: User unknown")
			other, host := start(w)
			content := "From: Ann <ann@sink.test>\r\nTo: <gone@refused.test>\r\nMessage-ID: <lunch@client.test>\r\nSubject: Lunch\r\n\r\nToday?\r\n"
			d := dial(t, "", net.JoinHostPort(host, mailPort))
			for _, line := range []string{"EHLO client.test", "MAIL FROM:<ann@sink.test>", "RCPT TO:<gone@refused.test>"} {
				d.ask(t, line, "250")
			}
			d.ask(t, "DATA", "354")
			d.ask(t, content+".", "250")
			other.await(t, "its report", func() bool { return len(sink.Messages()) > 0 })
			report := sink.Messages()[0]
			if report.From() != "" || !slices.Equal(report.To(), []string{"ann@sink.test"}) {
				t.Errorf("it is from %q to %q", report.From(), report.To())
			}
			checkOther(t, w.write("whole.eml", report.Content), "lunch@client.test")
			checkOther(t, w.write("words.eml", onlyWords(t, report)), "")
			if t.Failed() {
				t.Logf("%s", report.Content)
			}
		})
	}
}

// checkOther compares what `bounces parse` finds. messageID is that of the returned message; empty: nothing is returned.
func checkOther(t *testing.T, file, messageID string) {
	t.Helper()
	var parsed struct {
		MessageID string    `json:"message_id"`
		Bounces   []failure `json:"bounces"`
	}
	out, err := command(t, "bounces", "parse", "--json", file)
	if err != nil {
		t.Errorf("%s: %v", file, err)
		return
	}
	if err := json.Unmarshal(out, &parsed); err != nil || len(parsed.Bounces) != 1 {
		t.Errorf("%s: %s, %v", file, out, err)
		return
	}
	got := parsed.Bounces[0]
	if got.Action != "failed" || got.Recipient != "gone@refused.test" || got.Sender != "ann@sink.test" || got.Status != "5.1.1" || got.code() != 550 || got.Category != "bad-mailbox" {
		t.Errorf("%s: %s", file, out)
	}
	if parsed.MessageID != messageID {
		t.Errorf("%s: the message %q was returned, want %q", file, parsed.MessageID, messageID)
	}
}

// onlyWords is a report with the header and the first part that it has, and nothing else.
func onlyWords(t *testing.T, report smtptest.Transaction) []byte {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(report.Content))
	if err != nil {
		t.Fatal(err)
	}
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		t.Fatalf("%s, %v", kind, err)
	}
	part, err := multipart.NewReader(m.Body, parameters["boundary"]).NextPart()
	if err != nil {
		t.Fatal(err)
	}
	words, err := io.ReadAll(part)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("From: "+m.Header.Get("From")+"\r\nTo: "+m.Header.Get("To")+"\r\nSubject: "+m.Header.Get("Subject")+"\r\n\r\n"), words...)
}

// command runs the agent's binary without an agent.
func command(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	return exec.CommandContext(t.Context(), os.Getenv(binaryVariable), args...).Output()
}
