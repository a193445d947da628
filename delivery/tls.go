package delivery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"sternpost/mail"
)

// errLeftover is plain text behind the 220 to STARTTLS. It was put there by somebody who wants it read as the answer to a command inside
// TLS (CVE-2011-0411), so the connection is closed.
var errLeftover = errors.New("plain text stands behind the reply to STARTTLS")

// startTLS raises TLS where it is offered (RFC 3207). secured is false where the session goes on in clear, which only an
// opportunistic level allows: there a 4xx or 5xx to STARTTLS is no reason not to deliver (RFC 7435).
func (s *session) startTLS() (secured bool, e *event) {
	required := s.target.level.required()
	until := s.deadline(mail.StageStartTLS) // of the command and the handshake together
	if !s.ext.startTLS {
		if required {
			e := s.mark(&event{stage: mail.StageStartTLS, cause: causeNoTLS, err: errors.New("the host does not offer STARTTLS")})
			return false, s.noteFailure(mail.StageStartTLS, time.Now(), e)
		}
		return false, nil
	}
	reply, e := s.command(mail.StageStartTLS, "STARTTLS")
	switch {
	case e != nil:
		return false, e
	case !required && !s.broken && (reply.Transient() || reply.Permanent()): // broken: 421
		return false, nil
	case reply.Code != 220:
		return false, s.refuse(mail.StageStartTLS, reply)
	case s.r.Buffered() > 0:
		return false, s.handshakeFailed(time.Now(), errLeftover)
	}
	return true, s.handshake(until)
}

// handshake makes the connection a TLS one and keeps what it showed. An opportunistic connection takes any certificate, and
// says whether it could have been proved.
func (s *session) handshake(until time.Time) *event {
	began := time.Now()
	config, err := s.tlsConfig()
	if err != nil {
		s.broken = true
		return s.mark(&event{stage: mail.StageStartTLS, cause: causeLocal, err: err})
	}
	conn := tls.Client(s.conn, config)
	if err := s.conn.SetDeadline(until); err != nil {
		return s.fail(mail.StageStartTLS, err)
	}
	if err := conn.HandshakeContext(s.ctx); err != nil {
		return s.handshakeFailed(began, err)
	}
	s.conn, s.r = conn, newReplyReader(conn)
	if s.rehearsal != nil {
		s.rehearsal.chain = conn.ConnectionState().PeerCertificates
	}
	s.tls = describeTLS(conn.ConnectionState(), s.target.host, config.RootCAs)
	s.record(mail.StageRecord{Stage: mail.StageStartTLS, At: began, Took: time.Since(began)})
	return nil
}

func (s *session) handshakeFailed(began time.Time, err error) *event {
	e := s.fail(mail.StageStartTLS, err)
	if e.cause != causeLocal {
		e.cause = causeHandshake
	}
	return s.noteFailure(mail.StageStartTLS, began, e)
}

func (s *session) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{
		ServerName:                  s.target.host,
		MinVersion:                  tls.VersionTLS12, // RFC 8996; an older remote gets the mail in clear, which is no worse
		InsecureSkipVerify:          true,             // opportunistic; a required proof is VerifyConnection below
		DynamicRecordSizingDisabled: true,             // whole records: mail is no page that somebody waits for
	}
	host := s.target.smarthost
	if host == nil || !s.target.level.required() {
		return config, nil
	}
	if host.CAFile != "" {
		roots, err := readRoots(host.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = roots
	}
	if host.verify() {
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyChain(state, host.Host, config.RootCAs)
		}
	}
	return config, nil
}

func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s: holds no certificate in PEM form", file)
	}
	return roots, nil
}

// verifyChain proves the chain and the name (RFC 5280, RFC 9525). roots nil: those of the system.
func verifyChain(state tls.ConnectionState, host string, roots *x509.CertPool) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the host showed no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: host, Roots: roots, Intermediates: intermediates, CurrentTime: time.Now(),
	})
	return err
}

// describeTLS is what the tree keeps of a connection.
func describeTLS(state tls.ConnectionState, host string, roots *x509.CertPool) *mail.TLS {
	t := &mail.TLS{Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite), Names: []string{}}
	err := verifyChain(state, host, roots)
	t.Verified = err == nil
	if err != nil {
		t.Error = mail.Escape(err.Error())
	}
	if len(state.PeerCertificates) > 0 {
		leaf := state.PeerCertificates[0]
		t.Names = append(t.Names, leaf.DNSNames[:min(len(leaf.DNSNames), maxNames)]...)
		t.Issuer, t.Expires = leaf.Issuer.String(), leaf.NotAfter.UTC()
	}
	return t
}

// maxNames bounds the names of a certificate that the tree keeps: a stranger chooses how many there are.
const maxNames = 100

// clearMemory is how long an address is remembered whose handshake failed: its mail goes in clear without another try.
const clearMemory = time.Hour

// remembersClear says whether a handshake with the target failed a short while ago.
func (a *Agent) remembersClear(t target, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return now.Before(a.clearUntil[t.addr])
}

// rememberClear notes that a handshake with the target failed.
func (a *Agent) rememberClear(t target, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.clearUntil) >= healthEntries {
		clear(a.clearUntil)
	}
	a.clearUntil[t.addr] = now.Add(clearMemory)
}

// mayFallBack says whether mail may go in clear after a failed handshake: never where TLS is required, never with credentials.
func mayFallBack(t target) bool { return t.level == TLSOpportunistic && !t.credentials() }
