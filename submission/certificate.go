package submission

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// lookEvery is how often the files of the certificate are looked at, at most; only a handshake makes us look.
const lookEvery = 2 * time.Second

// certificates gives each handshake the certificate that is in its files at the time. Safe for concurrent use.
type certificates struct {
	certFile, keyFile string
	log               *zap.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamps  [2]stamp // of the files as they were last read, also when they could not be used
	looked  time.Time
}

// stamp tells one version of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// openCertificates reads the pair. Afterwards one that cannot be used is told in the log, and the old one stays.
func openCertificates(certFile, keyFile string, log *zap.Logger) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile, log: log}
	c.stamps, c.looked = c.stamped(), time.Now()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("submission.cert_file, submission.key_file: %w", err)
	}
	c.current = &pair
	return c, nil
}

func (c *certificates) stamped() [2]stamp {
	var stamps [2]stamp
	for i, name := range []string{c.certFile, c.keyFile} {
		if about, err := os.Stat(name); err == nil { // else the zero stamp, which is another version as well
			stamps[i] = stamp{about.ModTime(), about.Size()}
		}
	}
	return stamps
}

// config is what a handshake needs. TLS begins with 1.2 (RFC 8996, RFC 8314 s4.1).
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.latest() },
	}
}

// latest is the pair in the files; where it cannot be used, the one before.
func (c *certificates) latest() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookEvery {
		return c.current, nil
	}
	c.looked = time.Now()
	stamps := c.stamped()
	if stamps == c.stamps {
		return c.current, nil
	}
	c.stamps = stamps
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		c.log.Error("the new certificate cannot be used; the old one stays", zap.String("file", c.certFile), zap.Error(err))
		return c.current, nil
	}
	c.current = &pair
	c.log.Info("the certificate has been reloaded", zap.String("file", c.certFile), zap.Time("until", pair.Leaf.NotAfter))
	return c.current, nil
}

// openTLS reads the certificate of the configuration, or one of our own making in the directory of the queue. Without a directory there is none, and no TLS.
func (s *Server) openTLS() error {
	certFile, keyFile := s.config.CertFile, s.config.KeyFile
	if certFile == "" {
		if s.deps.Directory == "" {
			return nil
		}
		file, err := selfMade(s.deps.Directory, s.deps.Hostname)
		if err != nil {
			return fmt.Errorf("a certificate of our own: %w", err)
		}
		certFile, keyFile = file, file
	}
	pair, err := openCertificates(certFile, keyFile, s.deps.Log)
	if err != nil {
		return err
	}
	s.tls = pair.config()
	return nil
}
