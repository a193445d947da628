package submission

import (
	"errors"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"sternpost/mail"
	"sternpost/queue"
)

const (
	dateField = "Date: Sat, 01 Jan 2000 00:00:00 +0000\r\n"
	idField   = "Message-ID: <"
	newID     = "Message-ID: ID\r\n"
)

var testAddress = netip.MustParseAddr("192.0.2.1")

var when = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// rewrite is what becomes of a message, without the trace fields and with the random part of the Message-ID left out.
func rewrite(content io.Reader) (string, *head, error) {
	h := &head{large: new(atomic.Int64)}
	h.reset(make([]byte, 0, 64))
	if err := h.read(content); err != nil {
		return "", h, err
	}
	var b strings.Builder
	_, err := newMessage(h, h.missing(nil, when, newNames(1, "x.example")), content).WriteTo(&b)
	text := b.String()
	if i := strings.Index(text, idField+"c2wfoqo0."); i >= 0 {
		end := i + strings.Index(text[i:], "\n")
		text = text[:i] + "Message-ID: ID\r" + text[end:]
	}
	return text, h, err
}

// readings are ways in which the same content may come.
func readings(text string) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":    strings.NewReader(text),
		"by one":   iotest.OneByteReader(strings.NewReader(text)),
		"by half":  iotest.HalfReader(strings.NewReader(text)),
		"with EOF": iotest.DataErrReader(strings.NewReader(text)),
		"by three": chunks{strings.NewReader(text), 3},
	}
}

type chunks struct {
	io.Reader
	size int
}

func (c chunks) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(c.size, len(p))]) }

func TestHeaderIsRewritten(t *testing.T) {
	const whole = "Date: d\r\nMessage-ID: <a@b>\r\n"
	long := "X: " + strings.Repeat("x", 100_000) + "\r\n"
	for _, c := range []struct{ text, want string }{
		{whole + "\r\nbody\r\n", whole + "\r\nbody\r\n"},
		{whole + "Bcc: a\r\n\tb,\r\n c\r\nTo: d\r\n\te\r\n\r\nBcc: body\r\n", whole + "To: d\r\n\te\r\n\r\nBcc: body\r\n"},
		{"bcc : a\r\n" + whole + "RESENT-BCC:\r\n a\r\nreturn-path: <x>\r\nIdempotency-Key: k\r\n\r\n", whole + "\r\n"},
		{whole + "Bccx: a\r\nX-Bcc: b\r\n\r\n", whole + "Bccx: a\r\nX-Bcc: b\r\n\r\n"},
		{"Subject: x\r\n\r\nbody", "Subject: x\r\n" + dateField + newID + "\r\nbody"},
		{"DATE: d\r\nSubject: x\r\n\r\n", "DATE: d\r\nSubject: x\r\n" + newID + "\r\n"},
		{"message-id: <a@b>\r\n\r\n", "message-id: <a@b>\r\n" + dateField + "\r\n"},
		{"Subject: x\r\n", "Subject: x\r\n" + dateField + newID}, // header only
		{"Subject: x", "Subject: x\r\n" + dateField + newID},     // its last line open
		{"Bcc: x", dateField + newID},                                        // nothing is left
		{"", dateField + newID},                                              // nothing came
		{"\r\nbody\r\n", dateField + newID + "\r\nbody\r\n"},                 // no header
		{"body\r\nBcc: x\r\n", dateField + newID + "\r\nbody\r\nBcc: x\r\n"}, // not even an empty line
		{"body", dateField + newID + "\r\nbody"},
		{" body\r\n", dateField + newID + "\r\n body\r\n"},
		{"dear a: b\r\n", dateField + newID + "\r\ndear a: b\r\n"},
		{whole + "body\r\n", whole + "\r\nbody\r\n"}, // the empty line is missing
		{whole + " \r\n\r\nbody", whole + " \r\n\r\nbody"},
		{long + "Bcc: a\r\n" + long + whole + "\r\nbody\r\n", long + long + whole + "\r\nbody\r\n"},
		{whole + "\r\n" + long + long + long, whole + "\r\n" + long + long + long},
		{strings.Repeat("x", 300_000), dateField + newID + "\r\n" + strings.Repeat("x", 300_000)}, // a long line, and no header
	} {
		for name, content := range readings(c.text) {
			got, _, err := rewrite(content)
			if err != nil || got != c.want {
				t.Errorf("%.60q %s: %.200q, %v, want %.200q", c.text, name, got, err, c.want)
			}
		}
	}
}

func TestHeaderThatIsRefused(t *testing.T) {
	field := "X: " + strings.Repeat("x", 95) + "\r\n"
	hop := "received : x\r\n\ty\r\n"
	for _, c := range []struct{ text, want string }{
		{strings.Repeat(field, maxHeader/100) + strings.Repeat("y", maxHeader%100-4) + ":\r\n\r\n", ""},
		{strings.Repeat(field, maxHeader/100) + strings.Repeat("y", maxHeader%100-2) + ":\r\n\r\n", "550 5.6.0 the header is larger than 262144"},
		{"X: " + strings.Repeat("x", maxHeader), "550 5.6.0 the header is larger"},
		{strings.Repeat(hop, 100) + "\r\n" + hop, ""},
		{strings.Repeat(hop, 101) + "\r\n", "554 5.4.6 the message has more than 100"},
		{"Gr\xc3\xbc\xc3\x9fe: x\r\n\r\n", "550 5.6.0 the name of a header field is not ASCII"},
		{"Idempotency-Key: a\r\nIdempotency-Key: a\r\n\r\n", "554 5.6.0 the header has more than one"},
	} {
		for name, content := range readings(c.text) {
			_, _, err := rewrite(content)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("%.60q %s: %v, want %s", c.text, name, err, c.want)
			}
		}
	}
}

func TestLargeHeadersShareTheirMemory(t *testing.T) {
	h := &head{large: new(atomic.Int64)}
	h.reset(make([]byte, 0, headRoom))
	h.large.Store(maxLarge - headRoom)
	err := h.read(strings.NewReader("X: " + strings.Repeat("x", 3*headRoom)))
	if err == nil || !strings.HasPrefix(err.Error(), "452 4.3.1") || h.reserved != headRoom || h.large.Load() != maxLarge {
		t.Errorf("%v, %d reserved of %d", err, h.reserved, h.large.Load())
	}
	if small := strings.NewReader("X: x\r\n\r\n"); (&head{large: h.large, buf: make([]byte, 0, headRoom)}).read(small) != nil {
		t.Error("a small header is refused beside the large ones")
	}
}

// What never comes to an end is not kept in memory until it does.
func TestEndlessHeaderIsGivenUp(t *testing.T) {
	for _, begin := range []string{"X: ", "Subject: x\r\n "} {
		h := &head{large: new(atomic.Int64)}
		h.reset(make([]byte, 0, headRoom))
		endless := &endless{}
		err := h.read(io.MultiReader(strings.NewReader(begin), endless))
		if err == nil || !strings.HasPrefix(err.Error(), "550 5.6.0 the header is larger") || endless.given > 2*maxHeader {
			t.Errorf("%q: %v after %d octets", begin, err, endless.given)
		}
	}
}

type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	e.given += len(p)
	return copy(p, strings.Repeat("x", len(p))), nil
}

func TestMessageIDIsRead(t *testing.T) {
	for text, want := range map[string]string{
		"Message-ID: <a@b>\r\nMessage-Id: <c@d>\r\n":                        "a@b",
		"Message-ID:\r\n\t<a@b>\r\nSubject: <x>\r\n\r\n":                    "a@b",
		"Message-ID: a@b\r\n\r\n":                                           "",
		"Message-ID: <a\x1b@b>\r\n\r\n":                                     "",
		"Message-ID: <a @b>\r\n\r\n":                                        "",
		"Message-ID: <" + strings.Repeat("x", 5000) + ">\r\n\r\n":           "",
		"X: " + strings.Repeat("x", 5000) + "\r\nMessage-ID: <a@b>\r\n\r\n": "a@b",
	} {
		for name, content := range readings(text) {
			if _, h, err := rewrite(content); err != nil || h.messageID() != want {
				t.Errorf("%.60q %s: %q, %v, want %q", text, name, h.messageID(), err, want)
			}
		}
	}
	_, first, _ := rewrite(strings.NewReader(""))
	if id := first.messageID(); !strings.HasSuffix(id, "@x.example") {
		t.Errorf("a new Message-ID is %q", id)
	}
	ids := newNames(1, "x.example")
	if a, b := ids.next(when), ids.next(when); a == b {
		t.Errorf("twice %s", a)
	}
}

func TestBulkMail(t *testing.T) {
	for text, want := range map[string]queue.Priority{
		"Precedence: bulk\r\n\r\n":               queue.Bulk,
		"precedence:  LIST \r\n\r\n":             queue.Bulk,
		"Precedence: first-class\r\n\r\n":        queue.Normal,
		"Subject: Precedence: bulk\r\n\r\n":      queue.Normal,
		"Subject: x\r\n\r\nPrecedence: bulk\r\n": queue.Normal,
	} {
		if _, h, err := rewrite(strings.NewReader(text)); err != nil || h.priority() != want {
			t.Errorf("%q: %d, %v, want %d", text, h.priority(), err, want)
		}
	}
}

// Whatever comes, the header has no blind copies, the body is the one that came, and it makes no difference in which pieces it came.
func FuzzHeader(f *testing.F) {
	for _, text := range []string{
		"Subject: x\r\nBcc: a\r\n\tb\r\n\r\nBcc: body\r\n", "body", " \r\nBcc: x", "Bcc : x\r\nDate:\r\n \r\n\r\n", "Idempotency-Key: k\r\n\r\n", "A:\r\nb\r\n: c\r\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(strings.NewReplacer("\r", "", "\x00", "").Replace(text), "\n", "\r\n")
		got, _, err := rewrite(strings.NewReader(text))
		again, _, errAgain := rewrite(iotest.OneByteReader(strings.NewReader(text)))
		if got != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("%q comes to %q, %v; octet by octet to %q, %v", text, got, err, again, errAgain)
		}
		if err != nil {
			if r := new(Refusal); !errors.As(err, &r) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		header, body, found := strings.Cut("\r\n"+got, "\r\n\r\n")
		for line := range strings.SplitSeq(header, "\r\n") {
			name, _, _ := strings.Cut(line, ":")
			if name = strings.ToLower(strings.TrimRight(name, " \t")); name == "bcc" || name == "resent-bcc" || name == "return-path" || name == "idempotency-key" {
				t.Errorf("%q keeps %q", text, line)
			}
		}
		if found && !strings.HasSuffix(text, body) {
			t.Errorf("%q: body %q", text, body)
		}
		if twice, _, err := rewrite(strings.NewReader(got)); err != nil || strings.TrimSuffix(twice, "\r\n") != strings.TrimSuffix(got, "\r\n") {
			t.Errorf("%q comes to %q, and that to %q, %v", text, got, twice, err)
		}
	})
}

func TestReceivedField(t *testing.T) {
	for _, c := range []struct {
		client Client
		want   string
	}{
		{Client{Door: DoorSMTP, UID: -1, Address: testAddress, Helo: "Client.Example", Protocol: "ESMTP"}, "from client.example ([192.0.2.1])\r\n\tby mail.example.org with ESMTP;"},
		{Client{Door: DoorSMTP, UID: -1, Address: testAddress, Helo: "a\r\nb"}, "from unknown ([192.0.2.1])\r\n\tby mail.example.org;"},
		{Client{Door: DoorSocket, UID: 1000, Protocol: "ESMTP"}, "from localhost (uid 1000)\r\n\tby mail.example.org with ESMTP;"},
		{Client{Door: DoorHTTP, UID: -1, User: "shop", Address: testAddress, Protocol: "HTTP"}, "from unknown ([192.0.2.1])\r\n\tby mail.example.org with HTTP;"},
		{Client{Door: DoorHTTP, UID: -1}, "from localhost (http)\r\n\tby mail.example.org;"},
	} {
		want := "Received: " + c.want + "\r\n\tSat, 01 Jan 2000 00:00:00 +0000\r\n"
		if got := string(received(nil, c.client, hostname, when)); got != want {
			t.Errorf("%+v: %q, want %q", c.client, got, want)
		}
	}
}

func TestRedirectedField(t *testing.T) {
	var list []mail.Recipient
	for _, a := range []mail.Address{{Local: "a", Domain: "b.example"}, {Local: `q" x`, Domain: "b.example"}, {Local: "b\u00fc", Domain: "b.example"}} {
		list = append(list, mail.Recipient{Address: a})
	}
	got := string(redirectedField(nil, list))
	if want := "X-Sternpost-Redirected: a@b.example,\r\n\t\"q\\\\\" x\"@b.example,\r\n\tb\\u00fc@b.example\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for len(list) < 1000 {
		list = append(list, list[0])
	}
	if got := string(redirectedField(nil, list)); !strings.HasSuffix(got, ",\r\n\tand 950 more\r\n") || strings.Count(got, "\r\n") != 51 {
		t.Errorf("%q", got)
	}
}
