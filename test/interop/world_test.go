//go:build interop

package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every mail server listens on addresses of its own at this port, and the DNS servers at theirs.
const (
	mailPort = "2525"
	dnsPort  = "5300"
)

// patience is how long a foreign program may take to start, to end, or to store a mail.
const patience = 30 * time.Second

// world is what surrounds one test: a directory, a certificate, and the programs that it started. The namespaces make it
// private, so that fixed addresses do no harm.
type world struct {
	t           *testing.T
	dir         string
	certificate string // also the only authority that the program under test trusts
	key         string
	zone        string // more records for the agent, beside those of the sink
}

// newWorld is a world in which nothing runs yet. Other accounts may enter its directory.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := filepath.Join("/run/interop", t.Name())
	w := &world{t: t, dir: dir, certificate: filepath.Join(dir, "certificate.pem"), key: filepath.Join(dir, "key.pem")}
	w.folder("")
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.certify()
	return w
}

// folder makes a directory of the world and returns its path.
func (w *world) folder(name string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// owned makes a directory that belongs to the account.
func (w *world) owned(name, account string) string {
	w.t.Helper()
	path := w.folder(name)
	uid, gid := w.account(account)
	if err := os.Chown(path, uid, gid); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// write makes a file of the world and returns its path.
func (w *world) write(name string, content []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// render copies a file of testdata into the world. A name between at signs in it stands for a value; those that every server
// needs are there already.
func (w *world) render(template, name string, values ...string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", template))
	if err != nil {
		w.t.Fatal(err)
	}
	values = append(values,
		"@DIR@", filepath.Dir(filepath.Join(w.dir, name)), "@CERTIFICATE@", w.certificate, "@KEY@", w.key)
	path := w.write(name, []byte(strings.NewReplacer(values...).Replace(string(text))))
	// Postfix waits for two seconds where a file was written just now, in case somebody still writes.
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// account returns the ids of an account of the namespace.
func (w *world) account(name string) (uid, gid int) {
	w.t.Helper()
	return w.id("/etc/passwd", name), w.id("/etc/group", name)
}

func (w *world) id(file, name string) int {
	w.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); fields[0] == name && len(fields) > 2 {
			id, err := strconv.Atoi(fields[2])
			if err != nil {
				w.t.Fatal(err)
			}
			return id
		}
	}
	w.t.Fatalf("%s has no %s", file, name)
	return 0
}

// program is a foreign program that a test started.
type program struct {
	w       *world
	name    string
	command *exec.Cmd
	ended   chan struct{}
	logs    []string // files that tell what it did; the first is what it said
}

// start starts a program of a Debian package. It is stopped when the test ends. What it and its logs said is told if
// the test failed.
func (w *world) start(debian, path string, args ...string) *program {
	w.t.Helper()
	return w.startCommand(debian, exec.Command(path, args...))
}

func (w *world) startCommand(debian string, command *exec.Cmd) *program {
	w.t.Helper()
	// A file, not a pipe: what it leaves behind must not keep us waiting.
	said, err := os.Create(filepath.Join(w.dir, debian+".said"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer said.Close()
	p := &program{
		w: w, name: debian, command: command, ended: make(chan struct{}), logs: []string{said.Name()},
	}
	p.command.Stdout, p.command.Stderr = said, said
	// Postfix ends its children by their process group.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.command.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		// How it ended does not matter: what the tests expect of it does.
		_ = p.command.Wait()
	}()
	w.t.Cleanup(func() {
		p.stop()
		if w.t.Failed() {
			p.tell()
		}
	})
	return p
}

// stop ends the program, and waits until it has ended.
func (p *program) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.w.t.Errorf("%s did not end on SIGTERM in %v", p.name, patience)
		_ = p.command.Process.Kill()
		<-p.ended
	}
}

func (p *program) tell() {
	for _, file := range p.logs {
		if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
			p.w.t.Logf("%s of %s:\n%s", filepath.Base(file), p.name, text)
		}
	}
}

// greets waits until a mail server greets at each of the addresses.
func (p *program) greets(hosts ...string) {
	p.w.t.Helper()
	for _, host := range hosts {
		p.await(p.w.t, "a greeting at "+host, func() bool {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, mailPort), time.Second)
			if err != nil {
				return false
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(time.Second))
			greeting := make([]byte, 3)
			if _, err = conn.Read(greeting); err != nil || string(greeting) != "220" {
				return false
			}
			_, err = conn.Write([]byte("QUIT\r\n"))
			return err == nil
		})
	}
}

// await waits until it is so, or the program has ended, or patience has.
func (p *program) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !so() {
		select {
		case <-p.ended:
			t.Fatalf("waiting for %s: %s has ended: %v", what, p.name, p.command.ProcessState)
		case <-poll.C:
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s of %s: not in %v", what, p.name, patience)
		}
	}
}

// certify makes a certificate for every name in the test domain that a mail server here has, signed by itself.
func (w *world) certify() {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "interop.test"},
		DNSNames:              []string{"smart.exim.test", "mx.aiosmtpd.test", "mail.example.org"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("certificate.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	der, err = x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
