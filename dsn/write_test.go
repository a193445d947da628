package dsn

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"strings"
	"testing"

	"sternpost/mail"
)

// readPlainly reads a report with the standard library alone. It gives the types and the octets of its parts, decoded.
func readPlainly(t testing.TB, text []byte) (kinds, parts []string) {
	t.Helper()
	message, err := netmail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || parameters["report-type"] != "delivery-status" {
		t.Fatalf("Content-Type is %q %v, %v", kind, parameters, err)
	}
	reader := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		p, err := reader.NextPart()
		if err == io.EOF {
			return kinds, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		octets, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		kinds, parts = append(kinds, kind), append(parts, string(octets))
	}
}

func TestOriginal(t *testing.T) {
	body := func(text string) string { return "Subject: x\n\n" + text }
	for name, test := range map[string]struct {
		original    string
		headersOnly bool
		kind, want  string // of the third part
		says        string // in the first part
	}{
		"whole":           {body("a\nb"), false, "message/rfc822", "Subject: x\r\n\r\na\r\nb\r\n", "Your message is attached"},
		"CRLF stays":      {"Subject: x\r\n\r\na\r\n", false, "message/rfc822", "Subject: x\r\n\r\na\r\n", "is attached"},
		"RET=HDRS":        {body("a"), true, "text/rfc822-headers", "Subject: x\r\n", "header of your message"},
		"8-bit body":      {body("é"), false, "message/rfc822", "Subject: x\r\n\r\né\r\n", "is attached"},
		"UTF-8 header":    {"Subject: é\n\n", false, "message/global", "Subject: é\r\n\r\n", "is attached"},
		"UTF-8, HDRS":     {"Subject: é\n\na", true, "message/global-headers", "Subject: é\r\n", "header"},
		"Latin-1 header":  {"Subject: \xe9\n\na", false, "text/rfc822-headers", "Subject: \xe9\r\n", "unchanged"},
		"NUL":             {body("a\x00b"), false, "text/rfc822-headers", "Subject: x\r\n", "unchanged"},
		"bare CR":         {body("a\rb"), false, "text/rfc822-headers", "Subject: x\r\n", "unchanged"},
		"CR before CRLF":  {body("a\r\r\nb"), false, "text/rfc822-headers", "Subject: x\r\n", "unchanged"},
		"long line":       {body(strings.Repeat("x", 999)), false, "text/rfc822-headers", "Subject: x\r\n", "unchanged"},
		"longest line":    {body(strings.Repeat("x", 998)), false, "message/rfc822", "Subject: x\r\n\r\n" + strings.Repeat("x", 998) + "\r\n", "is attached"},
		"long field":      {"Subject: " + strings.Repeat("x", 2000) + "\n", true, "text/rfc822-headers", "Subject: " + strings.Repeat("x", 2000) + "\r\n", "header"},
		"no empty line":   {"Subject: x", true, "text/rfc822-headers", "Subject: x\r\n", "header"},
		"nothing":         {"", false, "message/rfc822", "", "is attached"},
		"too long":        {body(strings.Repeat("x\n", MaxOriginal/2)), false, "text/rfc822-headers", "Subject: x\r\n", "too long to be returned; its header"},
		"endless header":  {"A: b\n c\nB: " + strings.Repeat("x\n ", MaxOriginal), true, "text/rfc822-headers", "A: b\r\n c\r\n", "the beginning of its header"},
		"one endless one": {strings.Repeat("x", MaxOriginal+1), false, "text/rfc822-headers", "", "the beginning of its header"},
	} {
		r := failure(t)
		r.Original, r.HeadersOnly = content(test.original), test.headersOnly
		text := write(t, r)
		checkShape(t, text)
		kinds, parts := readPlainly(t, text)
		if len(parts) != 3 {
			t.Errorf("%s: parts %v", name, kinds)
			continue
		}
		if kinds[2] != test.kind || parts[2] != test.want {
			t.Errorf("%s: %s %.100q; want %s %.100q", name, kinds[2], parts[2], test.kind, test.want)
		}
		if human := strings.Join(strings.Fields(parts[0]), " "); !strings.Contains(human, test.says) {
			t.Errorf("%s: the text does not say %q:\n%s", name, test.says, parts[0])
		}
	}
}

func TestNoOriginal(t *testing.T) {
	r := failure(t)
	r.Original = nil
	if kinds, _ := readPlainly(t, write(t, r)); len(kinds) != 2 {
		t.Errorf("parts %v", kinds)
	}
}

// The body goes back only with a failure (RFC 3461 s4.3).
func TestDelayReturnsHeaderOnly(t *testing.T) {
	r := failure(t)
	r.Recipients[0].Action = Delayed
	if kinds, _ := readPlainly(t, write(t, r)); kinds[2] != "text/rfc822-headers" {
		t.Errorf("parts %v", kinds)
	}
}

func TestBoundaryIsInNoPart(t *testing.T) {
	r := failure(t)
	fake := "Subject: x\n\n--=_b0undary\n\n--=_b0undary-0--\n\nend\n"
	r.Original = content(fake)
	_, parts := readPlainly(t, write(t, r))
	if len(parts) != 3 || parts[2] != strings.ReplaceAll(fake, "\n", "\r\n") {
		t.Errorf("%q", parts)
	}
}

func TestHostileWordsStayInTheirField(t *testing.T) {
	const evil = "x\r\nStatus: 2.0.0\r\n\r\nFinal-Recipient: rfc822; eve@example.org\r\n--=_b0undary--\x00\x1b[2J\xff\u202e"
	r := failure(t)
	r.EnvelopeID, r.ReportingMTA = evil, evil
	one := &r.Recipients[0]
	one.Original, one.RemoteMTA, one.Reason = evil, evil, evil
	one.Diagnostic = mail.Reply{Code: 550, Lines: []string{"550-" + evil, "550 " + strings.Repeat(evil, 1000)}}
	text := write(t, r)
	checkShape(t, text)
	kinds, parts := readPlainly(t, text)
	if len(kinds) != 3 || strings.Count(parts[1], "\nStatus: ") != 1 || strings.Contains(parts[1], "\r\nFinal-Recipient: rfc822; eve") {
		t.Errorf("%v\n%s", kinds, parts[1])
	}
	if len(text) > 20_000 {
		t.Errorf("the report has %d octets", len(text))
	}
	for line := range strings.Lines(parts[0]) {
		if len(line) > textWidth+len("\r\n") && !strings.Contains(line, "=_b0undary") {
			t.Errorf("the text has the line %q", line)
		}
	}
}

func TestSubject(t *testing.T) {
	r := failure(t)
	for action, want := range map[Action]string{
		Failed: "could not be delivered", Delayed: "is delayed", Relayed: "was passed on", Delivered: "was delivered", Expanded: "was sent on to several addresses",
	} {
		r.Recipients[0].Action = action
		if _, got := r.human(ReturnedNothing); got != "Your message to bob@example.org "+want {
			t.Errorf("%s: %s", action, got)
		}
	}
	r.Recipients[0].Action = Delivered
	r.Recipients = append(r.Recipients, Recipient{Action: Delayed})
	if _, got := r.human(ReturnedNothing); got != "Your message is delayed" {
		t.Error(got)
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		in             string
		width, longest int
		want           string
	}{
		{"", 10, 10, ""},
		{"  a  b ", 10, 10, "a b"},
		{"aaa bbb ccc", 7, 10, "aaa bbb|ccc"},
		{"aaa bbbbbbbb c", 4, 10, "aaa|bbbbbbbb|c"},
		{"a bbbbbbbb", 4, 3, "a|bbb|bbb|bb"},
		{"ééé", 3, 3, "é|é|é"},
		{"é", 1, 1, "é"},
	} {
		if got := strings.Join(wrap(test.in, test.width, test.longest), "|"); got != test.want {
			t.Errorf("wrap(%q, %d, %d) = %q; want %q", test.in, test.width, test.longest, got, test.want)
		}
	}
}

// The name of a machine may have capitals or letters outside ASCII.
func TestFromIsMadeCanonical(t *testing.T) {
	r := failure(t)
	r.From.Domain = "Out.Bücher.example"
	if text := write(t, r); !bytes.Contains(text, []byte("<MAILER-DAEMON@out.xn--bcher-kva.example>\r\n")) {
		t.Errorf("%s", text)
	}
}

// A person finds in the report what the remote said, as it stands in the fields for programs.
func TestBackslashesStay(t *testing.T) {
	r := failure(t)
	r.Recipients[0].Diagnostic = mail.Reply{Code: 550, Lines: []string{`550 5.1.1 EXAMPLE\bob is unknown`}}
	if text := string(write(t, r)); strings.Count(text, `550 5.1.1 EXAMPLE\bob is unknown`) != 2 {
		t.Errorf("the reply does not stand there twice:\n%s", text)
	}
}
