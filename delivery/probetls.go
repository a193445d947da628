package delivery

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"
)

// Certificate is one certificate of a chain, as far as people want to know it.
type Certificate struct {
	Subject string    `json:"subject"`
	Issuer  string    `json:"issuer"`
	Names   []string  `json:"names"`
	Begins  time.Time `json:"begins"`
	Expires time.Time `json:"expires"`
	Key     string    `json:"key"`         // "RSA 2048"
	SHA256  string    `json:"fingerprint"` // SHA-256 of the whole
}

// Fault is one thing that is wrong with the certificate of a host.
type Fault string

// The faults. Several may be there at once; crypto/x509 tells only the first that it meets.
const (
	FaultExpired   Fault = "expired"
	FaultNotYet    Fault = "not-yet-valid"
	FaultWrongName Fault = "wrong-name"
	FaultUntrusted Fault = "untrusted" // no authority that we know vouches for it
)

// maxChain bounds what a probe keeps of a chain: a stranger chooses how long it is.
const maxChain = 10

func describeChain(chain []*x509.Certificate) []Certificate {
	var list []Certificate
	for _, c := range chain[:min(len(chain), maxChain)] {
		sum := sha256.Sum256(c.Raw)
		list = append(list, Certificate{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: append([]string{}, c.DNSNames[:min(len(c.DNSNames), maxNames)]...),
			Begins: c.NotBefore.UTC(), Expires: c.NotAfter.UTC(), Key: describeKey(c), SHA256: hex.EncodeToString(sum[:]),
		})
	}
	return list
}

func describeKey(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	default:
		return c.PublicKeyAlgorithm.String()
	}
}

// findFaults says all that is wrong with a chain at now (RFC 5280, RFC 9525). roots nil: those of the system.
func findFaults(chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) []Fault {
	faults := []Fault{}
	leaf := chain[0]
	valid := now // a certificate that has expired may have been trusted
	switch {
	case now.After(leaf.NotAfter):
		faults, valid = append(faults, FaultExpired), leaf.NotAfter
	case now.Before(leaf.NotBefore):
		faults, valid = append(faults, FaultNotYet), leaf.NotBefore
	}
	if leaf.VerifyHostname(host) != nil {
		faults = append(faults, FaultWrongName)
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: valid}); err != nil {
		faults = append(faults, FaultUntrusted)
	}
	return faults
}

// roots are the authorities that a target is proved by; nil: those of the system.
func (a *Agent) roots(t target) *x509.CertPool {
	if t.smarthost == nil || t.smarthost.CAFile == "" {
		return nil
	}
	roots, err := readRoots(t.smarthost.CAFile)
	if err != nil {
		return nil // the handshake has said so
	}
	return roots
}
