package submission

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

const (
	tlsFolder    = "tls" // within queue.directory
	selfMadeFile = "self-made.pem"
	// selfMadeYears is long, because nobody renews it: a client can only trust it by having been given it, and an end of it would be the end of mail on a day
	// that nobody remembers.
	selfMadeYears = 10
)

// selfMade gives the path of a certificate for hostname, with its key in the same file. It is made at the first start, and anew when the name changes or it ends.
func selfMade(directory, hostname string) (string, error) {
	file := filepath.Join(directory, tlsFolder, selfMadeFile)
	if usable(file, hostname) {
		return file, nil
	}
	text, err := makeCertificate(hostname)
	if err != nil {
		return "", err
	}
	return file, writeWhole(file, text)
}

// usable says whether file holds a certificate for hostname that has not ended.
func usable(file, hostname string) bool {
	pair, err := tls.LoadX509KeyPair(file, file)
	return err == nil && pair.Leaf.VerifyHostname(hostname) == nil && time.Now().Before(pair.Leaf.NotAfter)
}

// makeCertificate makes a key (ECDSA P-256, which every TLS 1.2 client knows) and a certificate that it signs itself.
func makeCertificate(hostname string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	rand.Read(serial) // crypto/rand.Read never fails
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: hostname},
		DNSNames:     []string{hostname},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.AddDate(selfMadeYears, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: certificate}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&text, block); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}

// writeWhole makes file with text, whole or not at all, also when the power fails. Only its owner may read it.
func writeWhole(file string, text []byte) error {
	folder := filepath.Dir(file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	draft, err := os.CreateTemp(folder, selfMadeFile+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name()) // after the renaming there is nothing to remove
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), file); err != nil {
		return err
	}
	return errors.Join(syncFolder(folder), syncFolder(filepath.Dir(folder)))
}

func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
