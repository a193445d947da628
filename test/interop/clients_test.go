//go:build interop

package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// encryption is how a client comes to TLS.
type encryption string

const (
	inClear     encryption = "clear"
	byStartTLS  encryption = "starttls" // RFC 3207
	implicitTLS encryption = "tls"      // RFC 8314 s3.3
)

// visit is one mail that a foreign client hands over.
type visit struct {
	client     string
	encryption encryption
	mechanism  string // of AUTH; empty: none
}

// name is also the subject.
func (v visit) name() string {
	return strings.Trim(v.client+"-"+string(v.encryption)+"-"+strings.ToLower(v.mechanism), "-")
}

// protocol is the word of the Received field that tells how the client came (RFC 3848; RFC 6531 s4.3 for those that ask for SMTPUTF8).
func (v visit) protocol() (plain, utf8 string) {
	if v.client == "s-nail" && v.mechanism == "" {
		return " with SMTP", " with SMTP" // it says HELO where it needs no extension
	}
	word := ""
	if v.encryption != inClear {
		word += "S"
	}
	if v.mechanism != "" {
		word += "A"
	}
	return " with ESMTP" + word, " with UTF8SMTP" + word
}

// sender is who the mail is from: the user of the document may send from one domain only.
func (v visit) sender() string {
	if v.mechanism != "" {
		return "sender@shop.example"
	}
	return "sender@client.test"
}

// text is what every client sends, in the charset of mail: it must come out again behind whatever encoding the client has chosen.
const text = "Grüße aus Köln.\n.\n..\nVon hier an.\n"

// commands are the clients that nobody here wrote, and how each is told to send. @WORDS@ are replaced.
func commands() map[string]func(visit) []string {
	return map[string]func(visit) []string{
		"swaks":      swaks,
		"msmtp":      msmtp,
		"s-nail":     snail,
		"smtplib":    func(v visit) []string { return script(v, "/usr/bin/python3", "testdata/clients/send.py") },
		"nodemailer": func(v visit) []string { return script(v, "/usr/bin/node", "testdata/clients/send.cjs") },
		"net-smtp":   func(v visit) []string { return script(v, "@SENDGO@") },
	}
}

// script is a few lines around a library. They take what they need from their arguments.
func script(v visit, program ...string) []string {
	return append(program, "mail.example.org", "@PORT@", string(v.encryption), v.mechanism, "@USER@", "@PASSWORD@", v.sender(), "you@sink.test", v.name())
}

func swaks(v visit) []string {
	args := []string{
		"/usr/bin/swaks", "--server", "mail.example.org", "--port", "@PORT@", "--ehlo", "client.test", "--from", v.sender(), "--to", "you@sink.test",
		"--header", "Subject: " + v.name(), "--add-header", "Content-Type: text/plain; charset=utf-8", "--body", strings.TrimSuffix(text, "\n"),
	}
	switch v.encryption {
	case byStartTLS:
		args = append(args, "--tls", "--tls-verify", "--tls-ca-path", "@CA@")
	case implicitTLS:
		args = append(args, "--tls-on-connect", "--tls-verify", "--tls-ca-path", "@CA@")
	}
	if v.mechanism != "" {
		args = append(args, "--auth", v.mechanism, "--auth-user", "@USER@", "--auth-password", "@PASSWORD@")
	}
	return args
}

func msmtp(v visit) []string {
	args := []string{"/usr/bin/msmtp", "--host=mail.example.org", "--port=@PORT@", "--domain=client.test", "--from=" + v.sender()}
	switch v.encryption {
	case byStartTLS:
		args = append(args, "--tls=on", "--tls-trust-file=@CA@")
	case implicitTLS:
		args = append(args, "--tls=on", "--tls-starttls=off", "--tls-trust-file=@CA@")
	}
	if v.mechanism != "" {
		args = append(args, "--auth="+strings.ToLower(v.mechanism), "--user=@USER@", "--passwordeval=printf '%s\\n' '@PASSWORD@'")
	}
	return append(args, "you@sink.test")
}

func snail(v visit) []string {
	scheme, login := "smtp", ""
	if v.encryption == implicitTLS {
		scheme = "smtps"
	}
	args := []string{
		"/usr/bin/s-nail", "-:/", "-S", "v15-compat", "-S", "sendwait", "-S", "nosave", "-S", "ttycharset=utf-8", "-S", "hostname=client.test", "-S", "from=" + v.sender(), "-r", v.sender(),
		"-s", v.name(), "-S", "tls-ca-file=@CA@", "-S", "tls-ca-no-defaults", "-S", "tls-verify=strict",
	}
	if v.encryption == byStartTLS {
		args = append(args, "-S", "smtp-use-starttls")
	}
	auth := "none"
	if v.mechanism != "" {
		login, auth = "@USER@:@PASSWORDURL@@", strings.ToLower(v.mechanism)
	}
	return append(args, "-S", "smtp-auth="+auth, "-S", "mta="+scheme+"://"+login+"mail.example.org:@PORT@", "you@sink.test")
}

// input is what a client reads from its standard input.
func (v visit) input() string {
	switch v.client {
	case "msmtp":
		return "From: " + v.sender() + "\nTo: you@sink.test\nSubject: " + v.name() + "\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + text
	case "s-nail":
		return text
	}
	return ""
}

// The user of the tests, and a password with what shells, URLs and base64 trip over.
const (
	login    = "shop"
	password = `correct horse: 100% "+="\`
)

// visits are all ways in which each client comes. Go's net/smtp knows no LOGIN, and begins TLS wherever it is offered.
func visits() []visit {
	var list []visit
	for _, client := range slices.Sorted(maps.Keys(commands())) {
		for _, e := range []encryption{inClear, byStartTLS, implicitTLS} {
			for _, mechanism := range []string{"", "PLAIN", "LOGIN"} {
				v := visit{client, e, mechanism}
				if e == inClear && mechanism != "" || client == "net-smtp" && (e == inClear || mechanism == "LOGIN") {
					continue
				}
				list = append(list, v)
			}
		}
	}
	return list
}

// Each client hands a mail over in each way, and it arrives as it was meant.
func TestClients(t *testing.T) {
	w := newWorld(t)
	s := w.documented()
	sendGo := filepath.Join(w.dir, "send")
	if r := w.runs(t, strings.NewReplacer(), "", "go", "build", "-o", sendGo, "./testdata/clients/send"); r.exit != 0 {
		t.Fatal(r.said)
	}
	words := func(v visit, password string) *strings.Replacer {
		port := "587"
		if v.encryption == implicitTLS {
			port = "465"
		}
		return strings.NewReplacer("@PORT@", port, "@USER@", login, "@PASSWORD@", password, "@PASSWORDURL@", percent(password), "@CA@", w.certificate, "@SENDGO@", sendGo)
	}
	for _, v := range visits() {
		t.Run(v.name(), func(t *testing.T) {
			r := w.runs(t, words(v, password), v.input(), commands()[v.client](v)...)
			if r.exit != 0 {
				t.Fatalf("exit status %d\n%s", r.exit, r.said)
			}
			m := s.arrives(t, v.name())
			says(t, m.Content)
			if m.From() != v.sender() || !slices.Equal(m.To(), []string{"you@sink.test"}) {
				t.Errorf("from %s to %v", m.From(), m.To())
			}
			plain, utf8 := v.protocol()
			if received := strings.Join(strings.Fields(string(m.Content)), " "); !strings.Contains(received, plain+" ") && !strings.Contains(received, utf8+" ") &&
				!strings.Contains(received, plain+";") && !strings.Contains(received, utf8+";") {
				t.Errorf("it did not come%s:\n%s", plain, m.Content)
			}
		})
	}
	for _, v := range visits() {
		if v.encryption != implicitTLS || v.mechanism != "PLAIN" { // each is slower than the one before
			continue
		}
		t.Run("wrong-"+v.name(), func(t *testing.T) {
			r := w.runs(t, words(v, "battery staple"), v.input(), commands()[v.client](v)...)
			if r.exit == 0 {
				t.Errorf("exit status 0 with a wrong password\n%s", r.said)
			}
		})
	}
	s.drained(t)
	if n := len(s.sink.Messages()); n != len(visits()) {
		t.Errorf("%d messages arrived of %d", n, len(visits()))
	}
}

// ran is what became of a command.
type ran struct {
	exit int
	said string
}

// runs a command to its end, with the words replaced, and returns its exit status and what it said.
func (w *world) runs(t *testing.T, words *strings.Replacer, input string, command ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := make([]string, len(command))
	for i, arg := range command {
		args[i] = words.Replace(arg)
	}
	run := exec.CommandContext(ctx, args[0], args[1:]...)
	run.Env = append(os.Environ(), w.environment()...)
	run.Dir, _ = os.Getwd()
	run.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	run.Stdout, run.Stderr = &said, &said
	if err := run.Run(); run.ProcessState == nil {
		t.Fatal(err)
	}
	return ran{run.ProcessState.ExitCode(), said.String()}
}

// environment tells foreign programs whom they may trust, and where nodemailer is. None of them reads the configuration of the machine's user.
func (w *world) environment() []string {
	return []string{
		"SSL_CERT_FILE=" + w.certificate, "NODE_EXTRA_CA_CERTS=" + w.certificate, "NODE_PATH=" + filepath.Join(cacheDirectory(), "npm", "node_modules"),
		"HOME=" + w.dir, "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "SMTP_PASSWORD=" + password, "STERNPOST_CONSOLE_TOKEN=" + token,
		"GOCACHE=" + filepath.Join(filepath.Dir(cacheDirectory()), "go-build"), "GOFLAGS=-buildvcs=false",
	}
}

// says checks that the body is the text, behind its transfer encoding, and that there is one header and not two.
func says(t *testing.T, content []byte) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	body := decode(t, m.Header.Get("Content-Transfer-Encoding"), m.Body)
	if got := strings.TrimRight(strings.ReplaceAll(body, "\r\n", "\n"), "\n") + "\n"; got != text {
		t.Errorf("the text is %q, want %q", got, text)
	}
	for _, field := range []string{"Date", "Message-Id", "From", "Subject"} {
		if n := len(m.Header[field]); n != 1 {
			t.Errorf("%d fields %s in\n%s", n, field, content)
		}
	}
}

// percent writes text for a URL as s-nail wants it: nothing is encoded that need not be (RFC 3986 s2.3), and all else is.
func percent(text string) string {
	var url strings.Builder
	for _, octet := range []byte(text) {
		if octet >= '0' && octet <= '9' || octet >= 'A' && octet <= 'Z' || octet >= 'a' && octet <= 'z' || strings.IndexByte("-._~", octet) >= 0 {
			url.WriteByte(octet)
		} else {
			fmt.Fprintf(&url, "%%%02X", octet)
		}
	}
	return url.String()
}

// decode reads a body behind its transfer encoding.
func decode(t *testing.T, encoding string, body io.Reader) string {
	t.Helper()
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	octets, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(octets)
}
