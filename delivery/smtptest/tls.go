package smtptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Certificate is a kind of server certificate.
type Certificate string

// The kinds of certificate. Valid, Expired and WrongName are signed by the
// Authority; WrongName is for wrong.invalid whatever names are asked for.
const (
	Valid      Certificate = "valid"
	Expired    Certificate = "expired"
	WrongName  Certificate = "wrong-name"
	SelfSigned Certificate = "self-signed"
)

// Authority is a certificate authority with a fresh key. Its certificates are
// valid from 1990 to 2099, so that they hold in a testing/synctest bubble,
// whose clock begins in 2000, as well as outside; expired ones ended in 1995.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes a key and a root certificate.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("smtptest: authority: %w", err)
	}
	template := template(2099)
	template.Subject = pkix.Name{CommonName: "smtptest authority"}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("smtptest: authority: %w", err)
	}
	root, err := x509.ParseCertificate(der)
	return &Authority{certificate: root, key: key}, err
}

// Roots returns a pool with the authority as its only root.
func (a *Authority) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Issue makes a key and a certificate of the kind for the names, which are
// host names or IP addresses.
func (a *Authority) Issue(kind Certificate, names ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("smtptest: certificate: %w", err)
	}
	leaf := template(map[Certificate]int{Expired: 1995}[kind])
	if kind == WrongName {
		names = []string{"wrong.invalid"}
	}
	addNames(leaf, names)
	parent, signer := a.certificate, a.key
	if kind == SelfSigned {
		parent, signer = leaf, key
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("smtptest: certificate: %w", err)
	}
	parsed, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, err
}

// template is valid from 1990 to the last year; 0 means 2099.
func template(last int) *x509.Certificate {
	if last == 0 {
		last = 2099
	}
	serial := make([]byte, 16)
	rand.Read(serial) // crypto/rand.Read never fails
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		NotBefore:    time.Date(1990, time.January, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(last, time.December, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func addNames(c *x509.Certificate, names []string) {
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, name)
		}
	}
	if len(names) > 0 {
		c.Subject = pkix.Name{CommonName: names[0]}
	}
}
