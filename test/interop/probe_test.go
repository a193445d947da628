//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// exitBroken is what a probe ends with where mail goes through and something is broken.
const exitBroken = 1

// probed is what `sternpost probe --json` prints, as far as the tests look at it.
type probed struct {
	exit     int
	Verdict  string `json:"verdict"`
	Text     string `json:"text"`
	Findings []struct {
		Level string `json:"level"`
		Code  string `json:"code"`
		Host  string `json:"host"`
	} `json:"findings"`
	Hosts []struct {
		Host     string   `json:"host"`
		Answer   string   `json:"answer"`
		Reply    []string `json:"reply"`
		StartTLS string   `json:"starttls"`
		Faults   []string `json:"faults"`
	} `json:"hosts"`
	Sent *struct {
		Outcomes []outcome `json:"outcomes"`
	} `json:"sent"`
}

// errors are the findings that break something, as "mx2.probe.test host-down".
func (p probed) errors() []string {
	list := []string{}
	for _, f := range p.Findings {
		if f.Level == "error" {
			list = append(list, strings.TrimSpace(f.Host+" "+f.Code))
		}
	}
	return list
}

// probe runs `sternpost probe`; authority is a file with the only authority that it trusts.
func (a agent) probe(t *testing.T, authority string, args ...string) probed {
	t.Helper()
	args = append([]string{"probe", "--config", a.config, "--json", "--pause", "0s"}, args...)
	out, said, exit := a.probes(t, authority, args)
	p := probed{exit: exit}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Errorf("sternpost %s: exit status %d, %v\n%s\n%s", strings.Join(args, " "), p.exit, err, out, said)
	}
	return p
}

func (a agent) probes(t *testing.T, authority string, args []string) (out, said []byte, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, os.Getenv(binaryVariable), args...)
	command.Dir = a.w.dir
	command.Env = append(os.Environ(), "SSL_CERT_FILE="+authority, "SSL_CERT_DIR=/nonexistent")
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Error(err)
		return nil, nil, -1
	}
	return stdout.Bytes(), stderr.Bytes(), command.ProcessState.ExitCode()
}

// authority is a certificate authority of one test.
type authority struct {
	t    *testing.T
	w    *world
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func (w *world) authority() *authority {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Interop Authority"}, NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return &authority{w.t, w, key, cert, w.write("authority.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue makes a key and a certificate for the name, in one file as Postfix likes it.
func (a *authority) issue(name string, ends time.Time) string {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().AddDate(0, -2, 0), NotAfter: ends, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	return a.w.write(name+".pem", text)
}

// pair are two Postfixes: the primary of all domains below probe.test, and the backup of well, open and expired. Of open it takes everybody.
type pair struct {
	w         *world
	authority *authority
}

func (w *world) pair() *pair { return &pair{w, w.authority()} }

// entries are those of an inline table.
func entries(format string, names ...string) string {
	var list []string
	for _, name := range names {
		list = append(list, "{ "+fmt.Sprintf(format, name)+" }")
	}
	return strings.Join(list, ", ")
}

func (p *pair) primary() *receiver {
	domains := []string{"well", "norelay", "open", "expired"}
	r := p.postfix("primary", "mx1.probe.test", "127.0.2.1", "@DOMAINS@", entries("%[1]s.probe.test = yes", domains...),
		"@MAILBOXES@", entries("you@%[1]s.probe.test = you@%[1]s.probe.test/", domains...),
		"@RELAY@", entries("%s = yes", "nothing.invalid"), "@KNOWN@", entries("%s = yes", "nobody@nothing.invalid"),
		"@LISTENERS@", "127.0.2.1:2525 inet n - n - - smtpd")
	return r
}

func (p *pair) backup() *receiver {
	expired := p.authority.issue("mx3.probe.test", time.Now().AddDate(0, 0, -3))
	return p.postfix("backup", "mx2.probe.test", "127.0.3.1", "@DOMAINS@", entries("%s = yes", "nothing.invalid"),
		"@MAILBOXES@", entries("%s = yes", "nobody@nothing.invalid"),
		"@RELAY@", entries("%s.probe.test = yes", "well", "open", "expired"),
		"@KNOWN@", entries("%s = yes", "you@well.probe.test", "you@expired.probe.test", "@open.probe.test"),
		"@LISTENERS@", "127.0.3.1:2525 inet n - n - - smtpd\n127.0.3.2:2525 inet n - n - - smtpd\n\t-o smtpd_tls_chain_files="+expired)
}

// postfix starts one of the two, with a certificate for its name.
func (p *pair) postfix(role, name, address string, values ...string) *receiver {
	w := p.w
	w.t.Helper()
	dir := w.folder(role)
	for _, folder := range []string{
		"active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "public", "saved", "trace",
	} {
		w.owned(role+"/queue/"+folder, "postfix")
	}
	w.folder(role + "/queue/pid")
	w.owned(role+"/data", "postfix")
	w.owned(role+"/mail", postman)
	uid, gid := w.account(postman)
	values = append(values, "@NAME@", name, "@UID@", strconv.Itoa(uid), "@GID@", strconv.Itoa(gid), "@CHAIN@", p.authority.issue(name, time.Now().AddDate(0, 0, 60)))
	w.render("probe-main.cf", role+"/main.cf", values...)
	w.render("probe-master.cf", role+"/master.cf", values...)
	started := w.start("postfix", programs()["postfix"], "-c", dir, "-d")
	started.logs = append(started.logs, filepath.Join(dir, "log"))
	started.greets(address)
	return &receiver{program: started, lineEnd: "\n", mailbox: func(address string) string { return filepath.Join(dir, "mail", address) }}
}

// The verdict on a real pair of Postfixes, well and in every trouble, as somebody sees it who has the probe in cron.
func TestProbePostfixPair(t *testing.T) {
	w := newWorld(t)
	a := w.agent(w.nsd(), "")
	p := w.pair()
	primary, backup := p.primary(), p.backup()
	check := func(name, domain, verdict string, exit int, broken []string, args ...string) {
		t.Run(name, func(t *testing.T) {
			got := a.probe(t, p.authority.file, append([]string{"you@" + domain}, args...)...)
			if got.Verdict != verdict || got.exit != exit || !slices.Equal(got.errors(), broken) {
				t.Errorf("%s (exit status %d): %s\n%q, want %s (%d), %q\n%+v", got.Verdict, got.exit, got.Text, got.errors(), verdict, exit, broken, got.Hosts)
			}
			a.shows(t, p.authority.file, append([]string{"you@" + domain}, args...))
		})
	}
	check("both are well", "well.probe.test", "well", exitDone, []string{}, "--unknown")
	check("the backup refuses to relay", "norelay.probe.test", "broken", exitBroken, []string{"mx2.probe.test refuses-relay"})
	check("the backup takes unknown users, and is not asked", "open.probe.test", "well", exitDone, []string{})
	check("the backup takes unknown users", "open.probe.test", "broken", exitBroken, []string{"mx2.probe.test takes-unknown-users"}, "--unknown")
	check("the certificate of the backup has expired", "expired.probe.test", "broken", exitBroken, []string{"mx3.probe.test certificate-expired"})
	check("pretended", "norelay.probe.test", "lost", exitFailed, []string{"mx1.probe.test host-down", "mx2.probe.test refuses-relay"}, "--pretend", "mx1.probe.test=down")

	p.documented(t, a, 0, 1)
	t.Run("a test message", func(t *testing.T) {
		got := a.probe(t, p.authority.file, "you@well.probe.test", "--send")
		if got.exit != exitDone || got.Sent == nil || got.Sent.Outcomes[0].Host != "mx1.probe.test" {
			t.Fatalf("exit status %d, sent %+v", got.exit, got.Sent)
		}
		primary.await(t, "the test message", func() bool {
			files, _ := filepath.Glob(filepath.Join(primary.mailbox("you@well.probe.test"), "new", "*"))
			if len(files) != 1 {
				return false
			}
			text, _ := os.ReadFile(files[0])
			return bytes.Contains(text, []byte("\nSubject: [sternpost probe] test message "))
		})
		if got = a.probe(t, p.authority.file, "you@well.probe.test", "--send", "--through", "2"); got.exit != exitDone || got.Sent.Outcomes[0].Host != "mx2.probe.test" {
			t.Errorf("through 2: exit status %d, sent %+v", got.exit, got.Sent)
		}
	})

	save := filepath.Join(w.dir, "last.json")
	a.probe(t, p.authority.file, "you@well.probe.test", "--save", save)
	primary.stop()
	check("the primary is down", "well.probe.test", "broken", exitBroken, []string{"mx1.probe.test host-down"}, "--compare", save)
	p.documented(t, a, 2)
	check("the primary is down, the backup refuses", "norelay.probe.test", "lost", exitFailed, []string{"mx1.probe.test host-down", "mx2.probe.test refuses-relay"})
	backup.stop()
	check("both are down", "well.probe.test", "delayed", exitAgain, []string{"mx1.probe.test host-down", "mx2.probe.test host-down"})
	p.primary()
	check("the backup is down", "well.probe.test", "broken", exitBroken, []string{"mx2.probe.test host-down"})
}

// documented runs the commands of docs/probe.md with these numbers and compares what they print, but for times.
func (p *pair) documented(t *testing.T, a agent, numbers ...int) {
	t.Helper()
	text, err := os.ReadFile("../../docs/probe.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```\n\\$ sternpost probe ([^\n]*)\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 3 {
		t.Fatalf("docs/probe.md has %d commands", len(blocks))
	}
	times := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ|<?\d+(\.\d)? (ms|s)\b`)
	for _, n := range numbers {
		t.Run("docs/probe.md", func(t *testing.T) {
			args := append([]string{"probe", "--config", a.config, "--pause", "0s"}, strings.Fields(blocks[n][1])...)
			out, said, _ := a.probes(t, p.authority.file, args)
			if got, want := times.ReplaceAllString(string(out), "TIME"), times.ReplaceAllString(blocks[n][2], "TIME"); got != want {
				t.Errorf("sternpost probe %s prints\n%s%s\nand the page says\n%s", blocks[n][1], out, said, blocks[n][2])
			}
		})
	}
}

// shows logs what people see, and that nothing is wider than a terminal.
func (a agent) shows(t *testing.T, authority string, args []string) {
	t.Helper()
	args = append([]string{"probe", "--config", a.config, "--pause", "0s"}, args...)
	out, said, exit := a.probes(t, authority, args)
	t.Logf("$ sternpost %s\n%s%s(%d)", strings.Join(args, " "), out, said, exit)
	for line := range strings.Lines(string(out)) {
		if len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("wider than 80 columns: %s", line)
		}
	}
}

// The probe judges as other agents delivered: 96 rows that Postfix and Exim were run against, here by the binary on the loopback network. Who refuses only
// the content accepts a probe.
func TestProbeOracle(t *testing.T) {
	text, err := os.ReadFile("../../delivery/testdata/smtp.tsv")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	zone := "sternpost.test. A 127.0.0.1\ngood.test. A 127.0.4.250\n"
	scripts := smtptest.Behaviours()
	for i, b := range scripts {
		zone += fmt.Sprintf("h%[1]d.test. A 127.0.4.%[1]d\none%[1]d.test. MX 10 h%[1]d.test.\ntwo%[1]d.test. MX 10 h%[1]d.test.\ntwo%[1]d.test. MX 20 good.test.\n", i+1)
		w.scripted(t, fmt.Sprintf("127.0.4.%d", i+1), b.Script)
	}
	w.scripted(t, "127.0.4.250", "")
	dns := dnstest.New(t, zone)
	a := w.agent(dns.Addr(), "[delivery.timeouts]\ngreeting = \"5s\"\nhello = \"5s\"\nstarttls = \"5s\"\nmail = \"5s\"\nrcpt = \"5s\"\n")
	places := make(chan struct{}, 16)
	var all sync.WaitGroup
	rows := 0
	for line := range strings.Lines(string(text)) {
		row := strings.Split(line, "\t")
		i := slices.IndexFunc(scripts, func(b smtptest.Behaviour) bool { return b.Name == row[1] })
		if i < 0 {
			continue // the heading
		}
		rows++
		domain := fmt.Sprintf("one%d.test", i+1)
		if row[3] != "one" {
			domain = fmt.Sprintf("two%d.test", i+1)
		}
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if got := a.probe(t, w.certificate, "ok@"+domain); !agrees(got, row[1], row[4]) {
				t.Errorf("%s, %s: %s (%d): %s %+v, others: %s", row[1], row[3], got.Verdict, got.exit, got.Text, got.Hosts, row[4])
			}
		})
	}
	all.Wait()
	if rows != 96 {
		t.Errorf("%d rows, want 96", rows)
	}
}

// scripted starts an exchanger on an address.
func (w *world) scripted(t *testing.T, address, script string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, mailPort))
	if err != nil {
		t.Fatal(err)
	}
	server, err := smtptest.Start(script, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, m := range server.Transactions() {
			if m.Complete || len(m.Content) > 0 {
				t.Errorf("%s was sent content", address)
			}
		}
		server.Close()
	})
}

// agrees says whether a verdict fits to what others came to. Trouble with the content is not seen before DATA.
func agrees(p probed, behaviour, others string) bool {
	late := strings.Contains(behaviour, "data") || strings.HasPrefix(behaviour, "dot")
	if _, hurried, found := strings.Cut(others, " ("); found && strings.Contains(hurried, " when the EHLO deadline is under ") { // as it is here
		others = hurried
	}
	switch {
	case late:
		return (p.Verdict == "well" || p.Verdict == "broken") && p.exit <= exitBroken
	case strings.HasPrefix(others, "sent@"):
		return (p.Verdict == "well" || p.Verdict == "broken") && p.exit <= exitBroken && (strings.HasPrefix(others, "sent@good") == strings.Contains(p.Text, "good.test"))
	case strings.HasPrefix(others, "bounced"):
		return p.Verdict == "lost" && p.exit == exitFailed
	default:
		return p.Verdict == "delayed" && p.exit == exitAgain
	}
}
