//go:build interop

package interop

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Environment variables: the first tells the test binary that it runs inside already, the others are told in doc.go.
const (
	insideVariable = "STERNPOST_INTEROP_INSIDE"
	binaryVariable = "STERNPOST_INTEROP_BIN"
	cacheVariable  = "STERNPOST_INTEROP_CACHE"
)

// The account that owns delivered mail, and its only mailbox where a server wants a real account.
const (
	postman    = "postman"
	postmanUID = 64100
)

// accounts are what the servers expect of a machine on which they are installed.
func accounts() []string {
	return []string{postman, "postfix", "postdrop", "Debian-exim", "opensmtpd", "opensmtpq"}
}

// programs are the foreign programs, and the Debian packages that have them; the versions and the kind of machine that are in some names do not matter.
func programs() map[string]string {
	return map[string]string{
		"postfix":            "/usr/lib/postfix/sbin/master",
		"exim4-daemon-light": "/usr/sbin/exim4",
		"opensmtpd":          "/usr/sbin/smtpd",
		"python3-aiosmtpd":   "/usr/lib/python3/dist-packages/aiosmtpd/smtp.py",
		"nsd":                "/usr/sbin/nsd",
		"unbound":            "/usr/sbin/unbound",
		"iproute2":           "/usr/sbin/ip",
		"swaks":              "/usr/bin/swaks",
		"libnet-ssleay-perl": "/usr/lib/*/perl5/*/Net/SSLeay.pm",
		"msmtp":              "/usr/bin/msmtp",
		"s-nail":             "/usr/bin/s-nail",
		"php-cli":            "/usr/bin/php[0-9].[0-9]",
		"nmap":               "/usr/bin/nmap",
		"libsisimai-perl":    "/usr/share/perl5/Sisimai.pm",
		"libmail-deliverystatus-bounceparser-perl": "/usr/share/perl5/Mail/DeliveryStatus/BounceParser.pm",
		"python3-flufl.bounce":                     "/usr/lib/python3/dist-packages/flufl/bounce/__init__.py",
		"curl":                                     "/usr/bin/curl",
		"jq":                                       "/usr/bin/jq",
		"miller":                                   "/usr/bin/mlr",
		"csvtool":                                  "/usr/bin/csvtool",
		"less":                                     "/usr/bin/less",
		"bsdutils":                                 "/usr/bin/script",
		"nodejs":                                   "/usr/bin/node",
		"nodemailer":                               filepath.Join(cacheDirectory(), "npm", "node_modules", "nodemailer", "package.json"),
	}
}

// TestMain runs the tests in new namespaces, so that neither ports, paths nor processes are shared with the machine.
func TestMain(m *testing.M) {
	if text := os.Getenv(hostileVariable); text != "" {
		endPlague(plagueMain(text))
	}
	if os.Getenv(insideVariable) == "" {
		os.Exit(enter())
	}
	if err := furnish(); err != nil {
		fmt.Fprintln(os.Stderr, "interop: cannot set up the namespaces:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// enter builds the program under test, starts this test binary again inside the namespaces and returns its exit status.
// When it ends, or is killed, everything inside ends with it.
func enter() int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "interop: these tests need root, for namespaces and for mail servers with several accounts")
		return 1
	}
	dir, err := os.MkdirTemp("", "sternpost-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // other accounts run the program too
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	binary, err := build(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	args := append([]string{
		"--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", os.Args[0],
	}, os.Args[1:]...)
	again := exec.Command("unshare", args...)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.Env = append(os.Environ(), insideVariable+"=1", binaryVariable+"="+binary)
	err = again.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "interop: unshare of the Debian package util-linux:", err)
		return 1
	}
	return again.ProcessState.ExitCode()
}

// build makes the program under test, unless one was named.
func build(dir string) (string, error) {
	if binary := os.Getenv(binaryVariable); binary != "" {
		return filepath.Abs(binary)
	}
	binary := filepath.Join(dir, "sternpost")
	out, err := exec.Command("go", "build", "-o", binary, "sternpost/cmd/sternpost").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// furnish makes the inside: unpacked programs over /usr, empty directories where the servers keep their state, accounts,
// and a loopback network.
func furnish() error {
	usr := filepath.Join(cacheDirectory(), "tree", "usr")
	if _, err := os.Stat(usr); err == nil {
		if err := syscall.Mount("overlay", "/usr", "overlay", syscall.MS_RDONLY, "lowerdir="+usr+":/usr"); err != nil {
			return fmt.Errorf("laying %s over /usr: %w", usr, err)
		}
	}
	for _, dir := range []string{"/run", "/var/lib", "/var/log", "/var/spool"} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("an empty %s: %w", dir, err)
		}
	}
	// OpenSMTPD's chroot.
	if err := os.MkdirAll("/var/lib/opensmtpd/empty", 0o755); err != nil {
		return err
	}
	for _, file := range []string{"/etc/passwd", "/etc/group"} {
		if err := addAccounts(file); err != nil {
			return err
		}
	}
	if err := replace("/etc/hosts", []byte("127.0.0.1 localhost\n::1 localhost\n"+serviceHost+" mail.example.org\n")); err != nil {
		return err
	}
	if err := missing(); err != nil {
		return err
	}
	for _, args := range []string{"link set lo up", "address add 2001:db8::11/128 dev lo nodad", "address add " + outsider + "/32 dev lo"} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
}

// missing names the packages that are neither installed nor unpacked.
func missing() error {
	var packages []string
	for name, pattern := range programs() {
		if files, _ := filepath.Glob(pattern); len(files) == 0 {
			packages = append(packages, name)
		}
	}
	if len(packages) == 0 {
		return nil
	}
	slices.Sort(packages)
	return fmt.Errorf("these Debian packages are missing: %s; run test/interop/setup.sh, which unpacks them without installing (nodemailer comes from the npm registry)",
		strings.Join(packages, " "))
}

// cacheDirectory is where setup.sh unpacks.
func cacheDirectory() string {
	if dir := os.Getenv(cacheVariable); dir != "" {
		return dir
	}
	dir, _ := os.UserCacheDir()
	return filepath.Join(dir, "sternpost-interop")
}

// addAccounts puts a copy of the file, with the accounts that are missing, in place of /etc/passwd or /etc/group.
func addAccounts(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), ":")
		known[name] = true
	}
	for i, name := range accounts() {
		if known[name] {
			continue
		}
		id := strconv.Itoa(postmanUID + i)
		line := name + ":x:" + id + ":\n"
		if filepath.Base(file) == "passwd" {
			line = name + ":x:" + id + ":" + id + "::/nonexistent:/bin/sh\n"
		}
		text = append(text, line...)
	}
	return replace(file, text)
}

// replace lays a file with this text over one of the machine.
func replace(file string, text []byte) error {
	ours := filepath.Join("/run", filepath.Base(file))
	if err := os.WriteFile(ours, text, 0o644); err != nil {
		return err
	}
	return syscall.Mount(ours, file, "", syscall.MS_BIND, "")
}
