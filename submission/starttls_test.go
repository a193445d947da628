package submission

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// writePair writes a fresh certificate and its key, and gives a client's configuration that trusts it alone.
func writePair(t *testing.T, c *Config) *tls.Config {
	t.Helper()
	folder := t.TempDir()
	c.CertFile, c.KeyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	return replacePair(t, c)
}

func replacePair(t *testing.T, c *Config) *tls.Config {
	t.Helper()
	text, err := makeCertificate(hostname)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("-----BEGIN PRIVATE KEY"))
	for file, part := range map[string][]byte{c.CertFile: text[:at], c.KeyFile: text[at:]} {
		if err := os.WriteFile(file, part, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots, ServerName: hostname}
}

// over puts TLS over the connection of a client.
func (c *client) over(config *tls.Config) {
	c.t.Helper()
	conn := tls.Client(c.Conn, config)
	if err := conn.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.Conn, c.in = conn, bufio.NewReader(conn)
}

// secured is a world with a certificate and users, none of whom may log in in clear.
func secured(t *testing.T, f func(w *world, trust *tls.Config)) {
	var trust *tls.Config
	inBubble(t, func(c *Config) {
		withUsers(c)
		c.AllowInsecureAuth, c.ListenTLS = false, []string{"127.0.0.1:2465"}
		trust = writePair(t, c)
	}, func(w *world) { f(w, trust) })
}

func TestStartTLS(t *testing.T) {
	secured(t, func(w *world, trust *tls.Config) {
		c := w.connect()
		c.expect("220 ")
		c.send("EHLO evil.example\r\n")
		if list := c.hearAll(); !strings.Contains(list, "250-STARTTLS\r\n") || strings.Contains(list, "AUTH") {
			t.Errorf("offered in clear: %q", list)
		}
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "538 5.7.11 ")
		c.ask("MAIL FROM:<a@example.org>", "530 5.7.0 ")
		c.ask("STARTTLS now", "501 5.5.4 ")
		c.ask("STARTTLS", "220 ")
		c.over(trust)
		c.ask("MAIL FROM:<a@example.org>", "503 5.5.1 ") // the EHLO in clear is forgotten
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "503 5.5.1 ")
		c.send("EHLO client.example\r\n")
		if list := c.hearAll(); strings.Contains(list, "STARTTLS") || !strings.Contains(list, "250-AUTH PLAIN LOGIN\r\n") {
			t.Errorf("offered under TLS: %q", list)
		}
		c.ask("STARTTLS", "503 5.5.1 ")
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "235 ")
		c.data()
		c.ask("Subject: x\r\n\r\nx\r\n.", "250 2.0.0 queued as ")
		if got := w.messages()[0]; !strings.Contains(got.content, "from client.example ") || !strings.Contains(got.content, "with ESMTPSA;") || got.Peer != "anna at 192.0.2.1" {
			t.Errorf("submission %+v", got)
		}
		c.ask("QUIT", "221 ")
	})
}

// What was said in clear is not executed under TLS: not a transaction that was begun, and not what stands behind STARTTLS.
func TestNothingInClearIsExecutedUnderTLS(t *testing.T) {
	var trust *tls.Config
	inBubble(t, func(c *Config) { trust = writePair(t, c) }, func(w *world) {
		c := w.dial()
		c.ask("MAIL FROM:<evil@example.org>", "250 ")
		c.ask("RCPT TO:<evil@example.net>", "250 ")
		c.ask("STARTTLS", "220 ")
		c.over(trust)
		c.ask("DATA", "502 ")
		c.ask("RCPT TO:<b@example.net>", "502 ")
		c.ask("BDAT 0 LAST", "503 ")
		c.ask("EHLO x", "250 ")
		c.data()
		c.ask(".", "250 ")
		if to := w.messages()[0].Envelope.Recipients; len(to) != 1 || to[0].Address.Local != "b" {
			t.Errorf("recipients %v", to)
		}

		for _, behind := range []string{"RSET\r\n", "MAIL FROM:<evil@example.org>\r\n", "\x16", "\r\n"} {
			c = w.dial()
			c.send("STARTTLS\r\n" + behind)
			c.expect("554 5.5.1 ")
			c.ended()
		}
		c = w.dial()
		c.ask("STARTTLS", "220 ")
		c.send(smuggled)
		c.in.Reset(c.Conn)
		if reply := c.hear(); strings.HasPrefix(reply, "2") || strings.HasPrefix(reply, "5") {
			t.Errorf("reply %q to commands in place of a handshake", reply)
		}
		if n := len(w.messages()); n != 1 {
			t.Errorf("%d messages", n)
		}
	})
}

func TestImplicitTLS(t *testing.T) {
	secured(t, func(w *world, trust *tls.Config) {
		c := w.connectTo("127.0.0.1:2465")
		c.over(trust)
		c.expect("220 ")
		c.ask("EHLO x", "250 ")
		c.ask("MAIL FROM:<a@example.org>", "530 ")
		c.ask("AUTH PLAIN "+plainOf("anna", "pässword"), "235 ")
		c.data()
		c.ask(".", "250 ")

		c = w.connectTo("127.0.0.1:2465") // somebody who takes it for the other port
		c.send("EHLO x\r\n")
		if reply := c.hear(); len(reply) > 3 && reply[0] >= '2' && reply[0] <= '5' {
			t.Errorf("reply %q", reply)
		}
		c = w.connectTo("127.0.0.1:2465") // and somebody who says nothing
		began := time.Now()
		c.ended()
		if took := time.Since(began); took != handshakeTimeout {
			t.Errorf("silence was heard for %s", took)
		}
	})
}

func TestOldTLSIsRefused(t *testing.T) {
	secured(t, func(w *world, trust *tls.Config) {
		c := w.connectTo("127.0.0.1:2465")
		trust.MaxVersion = tls.VersionTLS11
		if err := tls.Client(c.Conn, trust).Handshake(); err == nil {
			t.Error("TLS 1.1 is spoken")
		}
	})
}

func TestEndUnderTLS(t *testing.T) {
	secured(t, func(w *world, trust *tls.Config) {
		c := w.connectTo("127.0.0.1:2465")
		c.over(trust)
		c.expect("220 ")
		c.ask("EHLO x", "250 ")
		silent := w.connectTo("127.0.0.1:2465")
		synctest.Wait()
		began := time.Now()
		w.stop()
		c.expect("421 4.3.2 ")
		c.ended()
		silent.ended()
		if took := time.Since(began); took > 0 {
			t.Errorf("the end took %s", took)
		}
	})
}

func TestCertificateIsReloaded(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	synctest.Test(t, func(t *testing.T) {
		var c Config
		first := writePair(t, &c)
		pair, err := openCertificates(c.CertFile, c.KeyFile, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		trusted := func(trust *tls.Config) bool {
			t.Helper()
			time.Sleep(lookEvery)
			got, err := pair.latest()
			if err != nil {
				t.Fatal(err)
			}
			_, err = got.Leaf.Verify(x509.VerifyOptions{Roots: trust.RootCAs, DNSName: hostname})
			return err == nil
		}
		if !trusted(first) {
			t.Error("the first certificate is not served")
		}
		second := replacePair(t, &c)
		if !trusted(second) || trusted(first) {
			t.Error("the second certificate is not served")
		}
		if err := os.WriteFile(c.KeyFile, []byte("rubbish"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !trusted(second) {
				t.Error("the old certificate does not stay")
			}
		}
		if n := seen.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
			t.Errorf("%d complaints", n)
		}
		third := replacePair(t, &c)
		if !trusted(third) {
			t.Error("the third certificate is not served")
		}
	})
	if _, err := openCertificates("/nonexistent", "/nonexistent", zap.NewNop()); err == nil {
		t.Error("a certificate that is not there is served")
	}
}

func TestSelfMadeCertificate(t *testing.T) {
	folder := t.TempDir()
	file, err := selfMade(folder, hostname)
	if err != nil {
		t.Fatal(err)
	}
	about, err := os.Stat(file)
	if err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", about.Mode(), err)
	}
	before, _ := os.ReadFile(file)
	if again, err := selfMade(folder, hostname); err != nil || again != file {
		t.Errorf("the second time: %s, %v", again, err)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("it is made anew at each start")
	}
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil || pair.Leaf.VerifyHostname(hostname) != nil || pair.Leaf.NotAfter.Before(time.Now().AddDate(9, 11, 0)) {
		t.Errorf("certificate %+v, %v", pair.Leaf, err)
	}
	if _, err := selfMade(folder, "other.example.org"); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(file); bytes.Equal(before, after) {
		t.Error("it is not made anew for another name")
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("files %v", left)
	}
}
