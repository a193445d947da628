package smtptest

import (
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestStartTLS(t *testing.T) {
	inBubble(t, "tls\nmail in-clear 530 5.7.0 STARTTLS first\nnoop in-tls 250 safe", func(t *testing.T, s *Server, c *client) {
		c.expect("220")
		c.say("EHLO client.test")
		if got := strings.Join(c.reply(), " "); !strings.Contains(got, "STARTTLS") {
			t.Errorf("in clear: %s", got)
		}
		c.ask("MAIL FROM:<>", "530")
		c.say("STARTTLS", "NOOP") // what follows in clear must not count
		c.expect("220")
		if err := c.secure(s, "mx.test"); err != nil {
			t.Fatal(err)
		}
		c.ask("MAIL FROM:<>", "503")
		c.say("EHLO client.test")
		if got := strings.Join(c.reply(), " "); strings.Contains(got, "STARTTLS") {
			t.Errorf("under TLS: %s", got)
		}
		c.ask("STARTTLS", "503")
		c.ask("NOOP", "250 safe")
		c.say("MAIL FROM:<>", "RCPT TO:<a@b>", "BDAT 0 LAST")
		c.hear("250", "250", "250")
		c.ask("QUIT", "221")
		c.ends(io.EOF)
		heard := s.Connections()[0]
		if heard.TLS == nil || heard.TLS.ServerName != "mx.test" || !s.Messages()[0].TLS {
			t.Errorf("heard %+v", heard)
		}
	})
}

func TestCertificates(t *testing.T) {
	for script, want := range map[string]any{
		"tls valid":                nil,
		"tls valid a.test mx.test": nil,
		"name mail.test\ntls":      &x509.HostnameError{},
		"tls expired":              &x509.CertificateInvalidError{},
		"tls wrong-name":           &x509.HostnameError{},
		"tls self-signed":          &x509.UnknownAuthorityError{},
	} {
		t.Run(script, func(t *testing.T) {
			inBubble(t, "implicit-"+script[strings.Index(script, "tls"):]+"\n"+script[:strings.Index(script, "tls")], func(t *testing.T, s *Server, c *client) {
				err := c.secure(s, "mx.test")
				if want == nil && err != nil || want != nil && !errors.As(err, want) {
					t.Fatalf("got %v, want %T", err, want)
				}
				if want == nil {
					c.greet()
					return
				}
				c.conn.Close()
				if heard, err := s.WaitConnections(t.Context(), 1); err != nil || heard[0].HandshakeErr == nil {
					t.Errorf("heard %+v, %v", heard, err)
				}
			})
		})
	}
}

func TestSharedAuthority(t *testing.T) {
	a, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	s, other := New(t, "tls", WithAuthority(a)), New(t, "name other.test\ntls", WithAuthority(a))
	for name, server := range map[string]*Server{"mx.test": s, "other.test": other} {
		if _, err := server.Certificate().Verify(x509.VerifyOptions{Roots: a.Roots(), DNSName: name}); err != nil {
			t.Error(err)
		}
	}
}

func TestBrokenStartTLS(t *testing.T) {
	for script, check := range map[string]func(t *testing.T, s *Server, c *client){
		"starttls 454 4.7.0 not now": func(t *testing.T, s *Server, c *client) {
			c.expect("454")
			c.ask("NOOP", "250")
		},
		"starttls 220 go / read 1 / garbage / close": func(t *testing.T, s *Server, c *client) {
			c.expect("220")
			if err := c.secure(s, "mx.test"); err == nil {
				t.Error("the handshake succeeded")
			}
		},
		"starttls 220 go / 250 injected": func(t *testing.T, s *Server, c *client) {
			p := make([]byte, 100)
			if n, err := c.conn.Read(p); err != nil || string(p[:n]) != "220 go\r\n250 injected\r\n" {
				t.Errorf("one segment: %q, %v", p[:n], err)
			}
			if err := c.secure(s, "mx.test"); err != nil {
				t.Error(err)
			}
		},
		"starttls 220 go / close": func(t *testing.T, s *Server, c *client) {
			c.expect("220")
			c.ends(io.EOF)
		},
	} {
		t.Run(script, func(t *testing.T) {
			inBubble(t, script, func(t *testing.T, s *Server, c *client) {
				c.greet()
				c.say("STARTTLS")
				check(t, s, c)
			})
		})
	}
}
