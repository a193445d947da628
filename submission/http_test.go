package submission

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sternpost/console/openapitest"
	"sternpost/mail"
	"sternpost/queue"
)

// fakeIntake keeps what it was handed.
type fakeIntake struct {
	refusal  error // of everything
	nobody   string
	letter   Letter
	content  []byte
	accepted int
	repeated bool
}

func (f *fakeIntake) Ready() error                          { return f.refusal }
func (f *fakeIntake) Sender(Client, mail.ReversePath) error { return nil }
func (f *fakeIntake) answer() Receipt                       { return Receipt{ID: 7, Repeated: f.repeated} }
func (f *fakeIntake) keep(l Letter, content []byte) {
	f.letter, f.content, f.accepted = l, content, f.accepted+1
}
func (f *fakeIntake) refuses(a mail.Address) bool { return f.nobody != "" && a.Local == f.nobody }
func (f *fakeIntake) alias(r mail.Recipient, to string) []mail.Recipient {
	list := []mail.Recipient{r, r}
	list[0].Address.Local, list[1].Address.Local = to+"1", to+"2"
	return list
}

func (f *fakeIntake) Recipient(_ Client, _ mail.ReversePath, r mail.Recipient) (Expansion, error) {
	switch {
	case f.refuses(r.Address):
		return Expansion{}, refuse(550, "5.1.1", "nobody")
	case r.Address.Local == "all":
		return Expansion{f.alias(r, "member"), []mail.Recipient{r}}, nil
	}
	return Expansion{Recipients: []mail.Recipient{r}}, nil
}

func (f *fakeIntake) Submit(_ context.Context, l Letter, content io.Reader) (Receipt, error) {
	text, err := io.ReadAll(content)
	if err != nil {
		return Receipt{}, fmt.Errorf("taking the content: %w", err)
	}
	f.keep(l, text)
	return f.answer(), nil
}

func newDoor(f *fakeIntake) *HTTP {
	c := DefaultConfig()
	c.MaxSize, c.MaxLine, c.MaxRecipients = 100_000, 5000, 3
	return NewHTTP(c, HTTPDeps{Intake: f, Client: func(*http.Request) Client {
		return Client{Door: DoorHTTP, User: "app", UID: -1, Address: netip.MustParseAddr("192.0.2.1")}
	}})
}

// send posts a body, and returns the answer as JSON.
func send(h http.Handler, mediaType, query, body string, header ...string) (*httptest.ResponseRecorder, map[string]any) {
	r := httptest.NewRequest("POST", "/v1/messages"+query, strings.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	for _, key := range header {
		r.Header.Add("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		answer = map[string]any{"detail": err.Error() + " in " + w.Body.String()}
	}
	return w, answer
}

const rfc822 = "message/rfc822"

func addressesText(l Letter) string {
	var list []string
	for _, r := range l.Envelope.Recipients {
		list = append(list, r.Address.String())
	}
	return "<" + l.Envelope.From.String() + "> " + strings.Join(list, " ")
}

func TestMIMEIsTaken(t *testing.T) {
	for name, c := range map[string]struct{ query, body, envelope, content string }{
		"parameters":       {"?from=me@client.test&to=you@example.test&to=them@example.test", "Subject: x\r\n\r\nhello\r\n", "<me@client.test> you@example.test them@example.test", "Subject: x\r\n\r\nhello\r\n"},
		"doubles":          {"?from=me@client.test&to=you@example.test&to=you@EXAMPLE.test", "A: b\r\n\r\n", "<me@client.test> you@example.test", "A: b\r\n\r\n"},
		"alias":            {"?from=me@client.test&to=all@example.test", "A: b\r\n\r\n", "<me@client.test> member1@example.test member2@example.test", "A: b\r\n\r\n"},
		"null":             {"?from=&to=you@example.test", "A: b\r\n\r\n", "<> you@example.test", "A: b\r\n\r\n"},
		"LF":               {"?from=me@client.test&to=you@example.test", "A: b\n\nhello\nyou", "<me@client.test> you@example.test", "A: b\r\n\r\nhello\r\nyou\r\n"},
		"header":           {"", "From: Me <me@client.test>\nTo: =?utf-8?q?J=C3=B6rg?= <you@example.test>,\n \"a b\"@example.test\nBcc: team: them@example.test;\n\nhi\n", `<me@client.test> you@example.test "a b"@example.test them@example.test`, ""},
		"header sender":    {"", "Sender: boss@client.test\r\nFrom: me@client.test\r\nTo: undisclosed:;\r\nCc: you@example.test", "<boss@client.test> you@example.test", "Sender: boss@client.test\r\nFrom: me@client.test\r\nTo: undisclosed:;\r\nCc: you@example.test\r\n"},
		"header and query": {"?to=you@example.test", "From: me@client.test\nTo: them@example.test\n\n", "<me@client.test> you@example.test", ""},
		"utf8":             {"?from=me@client.test&to=" + url.QueryEscape("jörg@bücher.test"), "A: b\n\n", "<me@client.test> jörg@xn--bcher-kva.test", ""},
	} {
		f := &fakeIntake{}
		w, answer := send(newDoor(f), rfc822, c.query, c.body)
		if w.Code != 202 || addressesText(f.letter) != c.envelope || c.content != "" && string(f.content) != c.content {
			t.Errorf("%s: %d %v\n%s\n%q", name, w.Code, answer, addressesText(f.letter), f.content)
			continue
		}
		if w.Header().Get("Location") != "/v1/messages/0000000000007" || answer["id"] != "0000000000007" || answer["repeated"] != false ||
			answer["recipients"] != float64(len(f.letter.Envelope.Recipients)) || f.letter.Client.User != "app" || f.letter.UTF8 != (name == "utf8") ||
			(len(f.letter.Expanded) == 1) != (name == "alias") {
			t.Errorf("%s: %v %v %+v", name, w.Header(), answer, f.letter)
		}
	}
}

func TestEnvelopeOptions(t *testing.T) {
	at := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	in := at.In(time.FixedZone("", 3600)).Format(time.RFC3339) // the same, elsewhere
	query := "?from=me@client.test&to=you@example.test&envelope_id=QQ1&ret=hdrs&notify=success,delay&send_at=" + at.Format(time.RFC3339) + "&expires=" + url.QueryEscape(in) + "&idempotency_key=k"
	object := `{"from":"me@client.test","to":"you@example.test","text":"x","envelope_id":"QQ1","ret":"hdrs","notify":["success","delay"],
		"send_at":"` + at.Format(time.RFC3339) + `","expires":"` + in + `","idempotency_key":"k"}`
	for _, c := range []struct{ kind, query, body string }{{rfc822, query, "A: b\n\n"}, {"application/json", "", object}} {
		f := &fakeIntake{repeated: true}
		w, answer := send(newDoor(f), c.kind, c.query, c.body, `"k"`)
		l := f.letter
		if w.Code != 200 || answer["repeated"] != true || l.Envelope.EnvelopeID != "QQ1" || l.Envelope.Return != "HDRS" || l.Key != "k" || !l.SendAt.Equal(at) || !l.Expires.Equal(at) ||
			!slices.Equal(l.Envelope.Recipients[0].Notify, []string{"SUCCESS", "DELAY"}) {
			t.Errorf("%s: %d %v %+v", c.kind, w.Code, answer, l)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	const envelope = "?from=me@client.test&to=you@example.test"
	message := func(keys string) string {
		return `{"from":"me@client.test","to":"you@example.test","subject":"s","text":"t"` + keys + `}`
	}
	for _, c := range []struct {
		kind, query, body string
		status            int
		field, detail     string
	}{
		{rfc822, envelope, "A: b\r\n\nmixed", 422, "", "in LF alone"},
		{rfc822, envelope, "A: b\n\r\nmixed", 422, "", "in LF alone"},
		{rfc822, envelope, "A: b\r\n\r\nx\ry\r\n", 422, "", "CR stands alone"},
		{rfc822, envelope, "A: b\n\nx\ry\n", 422, "", "CR stands alone"},
		{rfc822, envelope, "A: b\r\n\r\nx\r", 422, "", "CR stands alone"},
		{rfc822, envelope, "A: b\r\n\r\nx\x00\r\n", 422, "", "NUL"},
		{rfc822, envelope, "A: b\n\n" + strings.Repeat("x", 5001), 422, "", "line of the message is too long"},
		{rfc822, envelope, "A: b\n\n" + strings.Repeat("xxxxxxxxx\n", 10_000), 413, "", "larger"},
		{rfc822, envelope, "", 422, "", "empty"},
		{rfc822, "?form=me@client.test", "A: b\n\n", 400, "", "no parameter form"},
		{rfc822, "?from=me%0d%0a@client.test&to=you@example.test", "A: b\n\n", 422, "from", "address"},
		{rfc822, "?from=me@client.test&to=" + url.QueryEscape("you@example.test>\r\nDATA"), "A: b\n\n", 422, "to", "address"},
		{rfc822, "?from=me@client.test&from=you@client.test&to=you@example.test", "A: b\n\n", 422, "from", "more than once"},
		{rfc822, envelope + "&envelope_id=a%0db", "A: b\n\n", 422, "envelope_id", "ASCII"},
		{rfc822, envelope + "&notify=never,success", "A: b\n\n", 422, "notify", "never alone"},
		{rfc822, envelope + "&ret=all", "A: b\n\n", 422, "ret", "full or hdrs"},
		{rfc822, envelope + "&send_at=tomorrow", "A: b\n\n", 422, "send_at", "RFC 3339"},
		{rfc822, envelope + "&send_at=2999-01-01T00:00:00Z", "A: b\n\n", 422, "send_at", "max_hold"},
		{rfc822, envelope + "&expires=2001-01-01T00:00:00Z", "A: b\n\n", 422, "expires", "passed"},
		{rfc822, "?from=me@client.test", "From: me@client.test\n\n", 422, "to", "no address"},
		{rfc822, "", "To: you@example.test\n\n", 422, "from", "no From"},
		{rfc822, "", "From: me@client.test\nTo: you@@example.test\n\n", 422, "To", "field of the header"},
		{rfc822, "", "no header\n\nat all\n", 422, "message", "cannot be read"},
		{rfc822, "?from=me@client.test&to=nobody@example.test", "A: b\n\n", 422, "", "recipient nobody@example.test: nobody (550 5.1.1)"},
		{rfc822, "?from=me@client.test&to=1@a.test&to=2@a.test&to=3@a.test&to=4@a.test", "A: b\n\n", 422, "to", "more than 3"},
		{"text/plain", envelope, "A: b\n\n", 415, "", "rfc822"},
		{"application/json", "?to=you@example.test", message(""), 400, "", "parameters"},
		{"application/json", "", message(`,"bbc":"x@example.test"`), 400, "", `unknown field`},
		{"application/json", "", message("") + "{}", 400, "", "more than one"},
		{"application/json", "", `{"from":`, 400, "", "expected"},
		{"application/json", "", message(`,"subject":7`), 400, "subject", "number"},
		{"application/json", "", message(`,"cc":[{"address":"a@b.test","x":1}]`), 400, "", "unknown field"},
		{"application/json", "", message(`,"cc":["a@b.test","a@b.test, c@d.test"]`), 422, "cc[1]", "address"},
		{"application/json", "", message(`,"bcc":"x <y@example.test> <z@example.test>"`), 422, "bcc[0]", "quotes"},
		{"application/json", "", message(`,"bcc":"\"x\" <y@example.test>, <z@example.test>"`), 422, "bcc[0]", "quotes"},
		{"application/json", "", message(`,"bcc":"a\u0000@example.test"`), 422, "bcc[0]", "quotes"},
		{"application/json", "", message(`,"reply_to":{"name":"a\r\nBcc: x@y.test","address":"x@y.test"}`), 422, "reply_to[0]", "line break"},
		{"application/json", "", message(`,"subject":"a\nBcc: x@y.test"`), 422, "subject", "line break"},
		{"application/json", "", message(`,"subject":"a\u0000"`), 422, "subject", "NUL"},
		{"application/json", "", message(`,"subject":"a\u001b[2J"`), 422, "subject", "control character"},
		{"application/json", "", message(`,"text":"a\u0000"`), 422, "text", "NUL"},
		{"application/json", "", message(`,"html":"a\u0000"`), 422, "html", "NUL"},
		{"application/json", "", message(`,"headers":{"X-A":"b\r\nBcc: x@y.test"}`), 422, "headers.X-A", "line break"},
		{"application/json", "", message(`,"headers":{"X-A: b\r\nBcc":"x@y.test"}`), 422, "headers", "name of a field"},
		{"application/json", "", message(`,"headers":{"X-Ä":"b"}`), 422, "headers", "name of a field"},
		{"application/json", "", message(`,"headers":{"bcc":"x@y.test"}`), 422, "headers.bcc", "other keys"},
		{"application/json", "", message(`,"headers":{"Content-Type":"text/html"}`), 422, "headers.Content-Type", "other keys"},
		{"application/json", "", message(`,"headers":{"References":"<ä@b>"}`), 422, "headers.References", "ASCII"},
		{"application/json", "", message(`,"headers":{"X-A":" "}`), 422, "headers.X-A", "empty"},
		{"application/json", "", message(`,"attachments":[{"content":"!"}]`), 422, "attachments[0].content", "base64"},
		{"application/json", "", message(`,"attachments":[{"content":"","name":"a\r\nb"}]`), 422, "attachments[0].name", "line break"},
		{"application/json", "", message(`,"attachments":[{"content":"","name":"` + strings.Repeat("x", 256) + `"}]`), 422, "attachments[0].name", "longer"},
		{"application/json", "", message(`,"attachments":[{"content":"","type":"pdf"}]`), 422, "attachments[0].type", "media type"},
		{"application/json", "", message(`,"attachments":[{"content":"","type":"a/b\r\nX: y"}]`), 422, "attachments[0].type", "line break"},
		{"application/json", "", message(`,"attachments":[{"content":"","type":"message/rfc822"}]`), 422, "attachments[0].type", "cannot be attached"},
		{"application/json", "", message(`,"attachments":[{"content":"","inline_id":"a>b"}]`), 422, "attachments[0].inline_id", "brackets"},
		{"application/json", "", message(`,"sender":"x y@z.test"`), 422, "sender", "quotes"},
		{"application/json", "", message(`,"envelope_id":"ä"`), 422, "envelope_id", "ASCII"},
		{"application/json", "", message(`,"idempotency_key":"a\nb"`), 422, "Idempotency-Key", "ASCII"},
		{"application/json", "", message("") + strings.Repeat(" ", maxJSON), 413, "", "40 MiB"},
		{"application/json", "", message(",\"subject\":\"\xff\""), 400, "", "UTF-8"},
		{"application/json", "", message(",\"subject\":\"\xc3"), 400, "", "UTF-8"},
		{"application/json", "", message(`,"text":"` + strings.Repeat("x", 100_000) + `"`), 413, "", "larger"},
		{"application/json", "", `{"to":"you@example.test","text":"x"}`, 422, "from", "needed"},
		{"application/json", "", `{"from":"me@client.test","text":"x"}`, 422, "to", "recipient"},
		{"application/json", "", `{"from":"me@client.test","to":["root"],"text":"x"}`, 422, "to[0]", "write the whole address"},
		{"application/json", "", `{"from":{"address":"root"},"to":["you@example.test"],"text":"x"}`, 422, "from", "write the whole address"},
		{"application/json", "", message(`,"idempotency_key":"a b"`), 422, "Idempotency-Key", "without spaces"},
		{"application/json", "", `{"from":"me@client.test","to":"you@example.test"}`, 422, "text", "needs text"},
	} {
		f := &fakeIntake{nobody: "nobody"}
		w, answer := send(newDoor(f), c.kind, c.query, c.body)
		detail, _ := answer["detail"].(string)
		if w.Code != c.status || answer["field"] != c.field || !strings.Contains(detail, c.detail) || f.accepted != 0 || answer["status"] != float64(c.status) ||
			w.Header().Get("Content-Type") != "application/problem+json" || strings.ContainsAny(detail, "\r\n\x00\x1b") {
			t.Errorf("%s %s %.100s: %d %v, %d accepted", c.kind, c.query, c.body, w.Code, answer, f.accepted)
		}
	}
}

func TestRefusalsAreTranslated(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		retry  bool
	}{
		{refuse(550, "5.7.1", "no"), 422, false},
		{refuse(552, "5.3.4", "no"), 413, false},
		{refuse(450, "4.7.1", "no"), 429, true},
		{refuse(452, "4.3.1", "no"), 507, true},
		{refuse(451, "4.3.0", "no"), 503, true},
		{fmt.Errorf("the store: %w", queue.ErrFull), 507, true},
		{queue.ErrStopped, 503, true},
		{&Refusal{Code: 554, cause: queue.ErrOtherContent}, 409, false},
		{errors.New("/var/lib/secret: gone"), 503, true},
		{os.ErrDeadlineExceeded, 408, false},
	} {
		w, answer := send(newDoor(&fakeIntake{refusal: c.err}), rfc822, "?from=me@client.test&to=you@example.test", "A: b\n\n")
		if w.Code != c.status || (w.Header().Get("Retry-After") != "") != c.retry || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%v: %d %v %v", c.err, w.Code, w.Header(), answer)
		}
	}
}

func TestIdempotencyKeys(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    string
		status  int
	}{
		{nil, "", 202}, {[]string{`"a\"b"`}, `a"b`, 202}, {[]string{"8e03978e"}, "8e03978e", 202}, {[]string{"a", `"a"`}, "a", 202},
		{[]string{"a", "b"}, "", 422}, {[]string{`""`}, "", 422}, {[]string{"ä"}, "", 422}, {[]string{"a b"}, "", 422}, {[]string{strings.Repeat("x", 256)}, "", 422},
	} {
		f := &fakeIntake{}
		if w, answer := send(newDoor(f), rfc822, "?from=&to=you@example.test", "A: b\n\n", c.headers...); w.Code != c.status || f.letter.Key != c.want {
			t.Errorf("%q: %d %v, key %q", c.headers, w.Code, answer, f.letter.Key)
		}
	}
}

// Octets that come one by one make the same message.
func TestPiecesMakeTheSame(t *testing.T) {
	text := "A: b\r\n\r\n"
	for n := inBuffer - 3; n < inBuffer+3; n++ { // CR and LF in different buffers
		text += strings.Repeat("x", n) + "\r\n"
	}
	text += "\r\nend"
	for _, body := range []string{text, strings.ReplaceAll(text, "\r\n", "\n")} {
		for _, size := range []int{1, 7, inBuffer, 2 * inBuffer} {
			in := newLineReader(&pieces{[]byte(body), size}, Config{MaxSize: 1 << 20, MaxLine: 1 << 20})
			got, err := io.ReadAll(in)
			if err != nil || string(got) != text+"\r\n" {
				t.Errorf("pieces of %d: %v, %d octets", size, err, len(got))
			}
		}
	}
}

type pieces struct {
	rest []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func FuzzLineReader(f *testing.F) {
	f.Add([]byte("a\r\nb\r\n"), uint8(1))
	f.Add([]byte("a\nb\n.\n"), uint8(3))
	f.Add([]byte("a\r\n.\nb"), uint8(200))
	f.Fuzz(func(t *testing.T, body []byte, size uint8) {
		got, err := io.ReadAll(newLineReader(&pieces{body, int(size) + 1}, Config{MaxSize: 1 << 20, MaxLine: 1 << 20}))
		if err != nil {
			return
		}
		rest := bytes.ReplaceAll(got, []byte("\r\n"), nil)
		if bytes.ContainsAny(rest, "\r\n\x00") || !bytes.HasSuffix(got, []byte("\r\n")) {
			t.Errorf("%q became %q", body, got)
		}
		if whole := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")); !bytes.Equal(bytes.TrimSuffix(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), []byte("\n")), bytes.TrimSuffix(whole, []byte("\n"))) {
			t.Errorf("%q became %q", body, got)
		}
	})
}

// What is asked and answered is what the OpenAPI document says.
func TestDoorKeepsToTheDocument(t *testing.T) {
	text, err := os.ReadFile("../console/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	check, err := openapitest.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	const whole = `{"from":"Me <me@client.test>","to":["you@example.test",{"name":"x","address":"x@example.test"}],"cc":"c@example.test","reply_to":[],"subject":"s","text":"t","html":"<p>",
		"attachments":[{"name":"n","type":"a/b","content":"aGk=","inline_id":"i"}],"headers":{"X-A":"1","X-B":["2","3"]},"sender":"","envelope_id":"e","notify":["failure"],"ret":"hdrs",
		"expires":"2999-01-01T00:00:00Z","idempotency_key":"k"}`
	for _, c := range []struct {
		kind, query, body string
		repeated          bool
		refusal           error
		status            int
		loose             bool // the request itself is not one of the document
	}{
		{"application/json", "", whole, false, nil, 202, false},
		{"application/json", "", whole, true, nil, 200, false},
		{"application/json", "", `{"from":"me@client.test","nobody":1}`, false, nil, 400, true},
		{"application/json", "", `{"from":{"name":"x"}}`, false, nil, 422, true},
		{rfc822, "?from=me@client.test&to=you@example.test&notify=never&send_at=" + time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "A: b\n\n", false, nil, 202, false},
		{rfc822, "?from=me@client.test&to=you@example.test", "A: b\n\n", false, refuse(450, "4.7.1", "no"), 429, false},
		{rfc822, "?from=me@client.test&to=you@example.test", "A: b\n\n", false, queue.ErrFull, 507, false},
		{rfc822, "?from=me@client.test&to=you@example.test", "A: b\n\n", false, queue.ErrStopped, 503, false},
		{rfc822, "?from=me@client.test&to=you@example.test", "A: b\n\n", false, &Refusal{Code: 554, cause: queue.ErrOtherContent}, 409, false},
		{"text/plain", "", "x", false, nil, 415, true},
	} {
		w, answer := send(newDoor(&fakeIntake{repeated: c.repeated, refusal: c.refusal}), c.kind, c.query, c.body)
		r := httptest.NewRequest("POST", "http://localhost/v1/messages"+c.query, strings.NewReader(c.body))
		r.Header.Set("Content-Type", c.kind)
		r.Header.Set("Authorization", "Bearer x")
		if err := check.CheckRequest(r, []byte(c.body)); err != nil != c.loose {
			t.Errorf("the request %s %s: %v", c.query, c.body, err)
		}
		if err := check.CheckAnswer(r, w.Result(), w.Body.Bytes()); err != nil || w.Code != c.status {
			t.Errorf("%s %s: %d %v\n%v", c.query, c.body, w.Code, answer, err)
		}
	}
}
