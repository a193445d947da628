package delivery

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
)

// downgraded converts text, and returns it as it is where there is no conversion.
func downgraded(t *testing.T, text string) (string, error) {
	t.Helper()
	plan, err := planDowngrade(strings.NewReader(text))
	if err != nil {
		return text, err
	}
	var out appender
	if _, err := writeContent(&out, strings.NewReader(text), form{downgrade: plan}); err != nil {
		t.Fatalf("writing what was planned: %v", err)
	}
	return string(out.text), nil
}

// crlf writes the lines of a test in their wire form.
func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }

func TestDowngrade(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{
			"text", "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nJörg \n.\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nJ=C3=B6rg=20\n.\n",
		},
		{
			"no MIME", "Subject: x\n\nJ\xf6rg\n",
			"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\nJ=F6rg\n",
		},
		{
			"no header", "J\xf6rg was here\n",
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\nJ=F6rg was here\n",
		},
		{
			"not text", "Mime-Version: 1.0\nCONTENT-TYPE: image/x;\n a=b\ncontent-transfer-encoding: BINARY (as is)\nX: y\n\n\xff\n",
			"Mime-Version: 1.0\nCONTENT-TYPE: image/x;\n a=b\nContent-Transfer-Encoding: base64\nX: y\n\n/w0K\n",
		},
		{
			"parts", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npre\xe4mble\n" +
				"--b\nContent-Type: text/plain\n\nascii   \n--b \n\n\xe4\n--b\nContent-Transfer-Encoding: 8bit\n\nascii\n" +
				"--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=E4  \n--b--\nepil\xf6gue\n",
			"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\npre?mble\n" +
				"--b\nContent-Type: text/plain\n\nascii   \n--b \nContent-Type: text/plain; charset=unknown-8bit\n" +
				"Content-Transfer-Encoding: quoted-printable\n\n=E4\n--b\nContent-Transfer-Encoding: 7bit\n\nascii\n" +
				"--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n=E4  \n--b--\nepil?gue\n",
		},
		{
			"enclosed", "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: \xe4\nMIME-Version: 1.0\n" +
				"Content-Type: multipart/digest; boundary=\"b c\"\n\n--b c\n\nSubject: one\n\n\xe4\n--b c--\n",
			"MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: \xe4\nMIME-Version: 1.0\n" +
				"Content-Type: multipart/digest; boundary=\"b c\"\n\n--b c\n\nSubject: one\nMIME-Version: 1.0\n" +
				"Content-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n=E4\n--b c--\n",
		},
		{
			"boundary without its quotes", "Content-Type: multipart/mixed; boundary=----=_1\n\n------=_1\n\n\xe4\n------=_1--\n",
			"Content-Type: multipart/mixed; boundary=----=_1\n\n------=_1\nContent-Type: text/plain; charset=unknown-8bit\n" +
				"Content-Transfer-Encoding: quoted-printable\n\n=E4\n------=_1--\n",
		},
		{
			"stray octets", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\nAAAA\xe4\n" +
				"--b\nContent-Transfer-Encoding: quoted-printable\n\n=41\xe4\n--b--\n",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\nAAAA?\n" +
				"--b\nContent-Transfer-Encoding: quoted-printable\n\n=41=E4\n--b--\n",
		},
		{
			"outer delimiter ends the inner multipart, and a break makes no delimiter",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\n" +
				strings.Repeat("x", 72) + "\xe4--bb\n--b\n\nlast\n--b--\n",
			"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n" +
				"Content-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n" +
				strings.Repeat("x", 72) + "=E4=\n=2D-bb\n--b\n\nlast\n--b--\n",
		},
		{
			"eight bits only in the header", "Subject: \xe4\nContent-Type: text/plain\n\nascii\n",
			"Subject: \xe4\nContent-Type: text/plain\n\nascii\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, text := range []string{test.in, crlf(test.in)} {
				got, err := downgraded(t, text)
				if err != nil || got != crlf(test.want) {
					t.Errorf("got %v\n%q\nwant\n%q", err, got, crlf(test.want))
				}
			}
		})
	}
}

func TestDowngradeRefuses(t *testing.T) {
	deep := strings.Builder{}
	for i := range maxMIMENesting + 1 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
	}
	for _, test := range []struct {
		name, in string
		want     error
	}{
		{"signed part", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\n\xe4\n", errDowngradeSigned},
		{"unknown encoding", "Content-Transfer-Encoding: x-uuencode\n\n\xe4\n", errDowngradeEncoding},
		{"no boundary", "Content-Type: multipart/mixed\n\n\xe4\n", errDowngradeEncoding},
		{"long header", "X: " + strings.Repeat("x", maxHeader) + "\n\n\xe4\n", errMIMEHeader},
		{"deep", deep.String(), errMIMENesting},
		{"many parts", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n", maxMIMEEntities), errMIMEEntities},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := planDowngrade(strings.NewReader(test.in)); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestDowngradeOfOtherContent(t *testing.T) {
	plan, err := planDowngrade(strings.NewReader("\n\xe4"))
	if err != nil {
		t.Fatal(err)
	}
	other := "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n"
	_, err = writeContent(io.Discard, strings.NewReader(other), form{downgrade: plan})
	if !errors.Is(err, errDowngradeChanged) {
		t.Errorf("got %v", err)
	}
}

// leavesOf reads a message with the standard library alone and returns the decoded octets of its leaves.
func leavesOf(t *testing.T, text string) []string {
	t.Helper()
	message, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%q", err, text)
	}
	return leaves(t, message.Header.Get, message.Body)
}

func leaves(t *testing.T, header func(string) string, body io.Reader) []string {
	t.Helper()
	kind, parameters, _ := mime.ParseMediaType(header("Content-Type"))
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		var all []string
		for r := multipart.NewReader(body, parameters["boundary"]); ; {
			part, err := r.NextRawPart()
			if err == io.EOF {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, leaves(t, part.Header.Get, part)...)
		}
	case kind == "message/rfc822":
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return leavesOf(t, string(text))
	}
	return []string{decoded(t, header("Content-Transfer-Encoding"), body)}
}

func decoded(t *testing.T, encoding string, body io.Reader) string {
	t.Helper()
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("decoding %s: %v", encoding, err)
	}
	return string(text)
}

// messageWriter writes random messages.
type messageWriter struct {
	rand       *rand.Rand
	boundaries int
}

func (m *messageWriter) message(depth int) string {
	return "Subject: random\r\nMIME-Version: 1.0\r\n" + m.entity(depth)
}

func (m *messageWriter) entity(depth int) string {
	choice := m.rand.IntN(8)
	switch {
	case depth > 0 && choice < 4:
		return m.multipart(depth)
	case depth > 0 && choice == 4:
		return "Content-Type: message/rfc822\r\n" + m.pick("Content-Transfer-Encoding: 8bit\r\n", "") + "\r\n" + m.message(depth-1)
	}
	encoding := m.pick("", "Content-Transfer-Encoding: 8bit\r\n", "Content-Transfer-Encoding: 7bit\r\n", "Content-Transfer-Encoding: binary\r\n")
	return m.pick("", "Content-Type: text/plain; charset=utf-8\r\n", "Content-Type: application/pdf\r\n", "Content-Type: text/html\r\n") + encoding + "\r\n" + m.text()
}

func (m *messageWriter) multipart(depth int) string {
	m.boundaries++
	boundary := fmt.Sprintf("=_%d", m.boundaries)
	var b strings.Builder
	fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%q\r\n\r\n%s", boundary, m.pick("", "pre\xe4mble\r\n", "\r\n"))
	for range 1 + m.rand.IntN(3) {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n", boundary, m.entity(depth-1))
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.String()
}

func (m *messageWriter) pick(texts ...string) string { return texts[m.rand.IntN(len(texts))] }

func (m *messageWriter) text() string {
	tokens := []string{"word ", "\r\n", "\r\n", "\t", ".", "--=_x", "=", "=E4", " \r\n", "\xc3\xa4", "\xff", "\x00", strings.Repeat("long", 300), "From ", "-"}
	tokens = tokens[:2+m.rand.IntN(len(tokens)-1)]
	var b strings.Builder
	for range m.rand.IntN(60) {
		b.WriteString(m.pick(tokens...))
	}
	return b.String()
}

func TestDowngradeDecodesToTheSame(t *testing.T) {
	for seed := range uint64(500) {
		m := messageWriter{rand: rand.New(rand.NewPCG(seed, 5))}
		text := m.message(3) + "\r\n"
		got, err := downgraded(t, text)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if holdsEightBit([]byte(got)) {
			t.Fatalf("seed %d: 8-bit octets in\n%q", seed, got)
		}
		before, after := leavesOf(t, text), leavesOf(t, got)
		if fmt.Sprintf("%q", before) != fmt.Sprintf("%q", after) {
			t.Fatalf("seed %d:\n%q\n%q\n%q\n%q", seed, text, got, before, after)
		}
	}
}
