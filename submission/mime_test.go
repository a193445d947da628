package submission

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"reflect"
	"slices"
	"strings"
	"testing"

	"encoding/base64"
	"mime/quotedprintable"
	"os"
)

// composed posts an object and reads the message back.
func composed(t *testing.T, object string) (*mail.Message, []byte) {
	t.Helper()
	f := &fakeIntake{}
	if w, answer := send(newDoor(f), "application/json", "", object); w.Code != 202 {
		t.Fatalf("%d %v", w.Code, answer)
	}
	for line := range bytes.SplitSeq(f.content, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d octets: %.100q", len(line), line)
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(f.content))
	if err != nil {
		t.Fatalf("%v in\n%s", err, f.content)
	}
	return m, f.content
}

// decoded is the content of a part, as text/plain keeps it.
func decoded(t *testing.T, encoding string, body io.Reader) string {
	t.Helper()
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// outline lists the parts of a message: their types, their names, and their content in short.
func outline(t *testing.T, header interface{ Get(string) string }, body io.Reader) string {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(kind, "multipart/") {
		_, disposition, _ := mime.ParseMediaType(header.Get("Content-Disposition"))
		return kind + " " + disposition["filename"] + header.Get("Content-ID") + "=" + strings.TrimSpace(decoded(t, header.Get("Content-Transfer-Encoding"), body))
	}
	var list []string
	parts := multipart.NewReader(body, parameters["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err == io.EOF {
			return kind + "(" + strings.Join(list, ", ") + ")"
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, outline(t, p.Header, p))
	}
}

func TestStructures(t *testing.T) {
	const begin = `{"from":"me@client.test","to":"you@example.test"`
	for _, c := range []struct{ keys, want string }{
		{`,"text":"hello"`, "text/plain =hello"},
		{`,"html":"<p>ö"`, "text/html =<p>ö"},
		{`,"text":"ещё один","html":"<p>"`, "multipart/alternative(text/plain =ещё один, text/html =<p>)"},
		{`,"attachments":[{"content":"aGk="}]`, "application/octet-stream =hi"},
		{`,"text":"t","html":"<p>","attachments":[{"name":"ä b.pdf","type":"application/pdf","content":"aG\nk="},{"inline_id":"logo","name":"l.png","type":"image/png","content":""}]`,
			"multipart/mixed(multipart/related(multipart/alternative(text/plain =t, text/html =<p>), image/png l.png<logo>=), application/pdf ä b.pdf=hi)"},
		{`,"text":"` + strings.Repeat("x", 3000) + `"`, "text/plain =" + strings.Repeat("x", 3000)},
		{`,"text":".\r\n..\nb\rc"`, "text/plain =.\r\n..\r\nb\r\nc"},
		{`,"text":"t","attachments":[{"name":"` + strings.Repeat("ä", 127) + `","content":""}]`, "multipart/mixed(text/plain =t, application/octet-stream " + strings.Repeat("ä", 127) + "=)"},
	} {
		m, content := composed(t, begin+c.keys+"}")
		if got := outline(t, m.Header, m.Body); got != c.want {
			t.Errorf("got  %.300s\nwant %.300s\n%.2000s", got, c.want, content)
		}
		if m.Header.Get("Mime-Version") != "1.0" {
			t.Error("there is no MIME-Version")
		}
	}
}

func TestHeaders(t *testing.T) {
	texts := []string{
		"plain", "Ümläut " + strings.Repeat("и", 500), strings.Repeat("word ", 300) + "end", strings.Repeat("x", 3000), "two  blanks", " before", "=?utf-8?q?literal?=", "a\ttab", `"quoted" \ <b>`,
	}
	for _, text := range texts {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		m, content := composed(t, `{"from":"me@client.test","to":"you@example.test","text":"x","subject":`+string(quoted)+`}`)
		got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || got != strings.TrimSpace(text) && got != text {
			t.Errorf("%v\ngot  %q\nwant %q\n%.500s", err, got, text, content)
		}
		for line := range strings.SplitSeq(string(content), "\r\n") {
			if strings.Contains(line, "=?") && len(line) > 76 {
				t.Errorf("a line with an encoded-word has %d characters", len(line))
			}
		}
		if len(text) > longestName {
			continue
		}
		m, content = composed(t, `{"from":{"name":`+string(quoted)+`,"address":"me@client.test"},"to":["a@b.test",{"name":`+string(quoted)+`,"address":"jörg@example.test"}],"text":"x"}`)
		for _, field := range []string{"From", "To"} {
			list, err := m.Header.AddressList(field)
			if err != nil || strings.TrimSpace(list[len(list)-1].Name) != strings.TrimSpace(text) {
				t.Errorf("%s: %v %v\n%s", field, err, list, content)
			}
		}
	}
}

func TestOwnFields(t *testing.T) {
	m, content := composed(t, `{"from":"\"Doe, Jane\" <me@client.test>","reply_to":"r@client.test","to":"you@example.test","cc":["c@example.test"],
		"bcc":"hidden@example.test","text":"x","headers":{"x-b":["1","2"],"References":"<a@b>   <c@d>","X-U":"ü"}}`)
	if strings.Contains(string(content), "hidden") || m.Header.Get("References") != "<a@b> <c@d>" || !slices.Equal(m.Header["X-B"], []string{"1", "2"}) || m.Header.Get("X-U") != "=?UTF-8?B?w7w=?=" ||
		m.Header.Get("From") != `"Doe, Jane" <me@client.test>` || m.Header.Get("Reply-To") != "r@client.test" || m.Header.Get("Cc") != "c@example.test" {
		t.Errorf("got\n%s", content)
	}
}

// The same object gives the same message, whatever the order of its keys: else an idempotency key would find other content.
func TestTheSameObjectGivesTheSameMessage(t *testing.T) {
	a := `{"from":"me@client.test","to":"you@example.test","text":"x","html":"y","headers":{"A":"1","B":"2","C":"3"}}`
	b := `{"headers":{"C":"3","B":"2","A":"1"},"html":"y","text":"x","to":["you@example.test"],"from":{"address":"me@client.test"}}`
	_, first := composed(t, a)
	for range 5 {
		if _, again := composed(t, b); !bytes.Equal(first, again) {
			t.Fatalf("got\n%s\nand\n%s", first, again)
		}
	}
	if _, other := composed(t, strings.Replace(a, `"y"`, `"z"`, 1)); bytes.Contains(other, []byte(boundaryIn(t, first))) {
		t.Error("other content has the same boundary")
	}
}

func boundaryIn(t *testing.T, content []byte) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(content), `boundary="`)
	if !ok {
		t.Fatalf("no boundary in\n%s", content)
	}
	boundary, _, _ := strings.Cut(rest, `"`)
	return boundary
}

// The document of the API has the keys that are read and written here, and no others.
func TestKeysAreThoseOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../console/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for schema, v := range map[string]any{"NewMessage": posted{}, "Attachment": attachment{}, "AcceptedMessage": taken{}, "RefusedMessage": answeredProblem{}} {
		var want, got []string
		for key := range document.Components.Schemas[schema].Properties {
			want = append(want, key)
		}
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			if key := field.Tag.Get("json"); key != "" {
				got = append(got, key)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %q, the document %q", schema, got, want)
		}
	}
}
