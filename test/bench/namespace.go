//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// Environment variables: the first names the directory for a program that runs inside already, the others are those of test/interop.
const (
	insideVariable = "STERNPOST_BENCH_INSIDE"
	binaryVariable = "STERNPOST_INTEROP_BIN"
	cacheVariable  = "STERNPOST_INTEROP_CACHE"
)

// The accounts of Postfix, with numbers that nobody has.
const (
	postfixAccount  = "postfix"
	postdropAccount = "postdrop"
	postfixID       = 64200
	postdropID      = 64201
)

// enter makes a directory, builds the program to measure there, starts this program again in new namespaces and returns its exit
// status. When it ends, or a signal ends it, everything inside ends with it and the directory goes.
func enter(o options) int {
	err := reenter(o)
	// What is wrapped comes from building.
	if _, inside := err.(*exec.ExitError); inside {
		return 1 // it has said why
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

func reenter(o options) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root, for namespaces and for Postfix")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp(o.dir, "sternpost-bench-")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Println("kept:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	// Postfix runs under an account of its own.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	binary, err := build(ctx, dir)
	if err != nil {
		return err
	}
	if o.doors {
		if err := compile(ctx, filepath.Join(dir, discard), "./test/bench/testdata/discard"); err != nil {
			return err
		}
	}
	args := append([]string{
		"--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", os.Args[0],
	}, os.Args[1:]...)
	again := exec.CommandContext(ctx, "unshare", args...)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.Env = append(os.Environ(), insideVariable+"="+dir, binaryVariable+"="+binary)
	return again.Run()
}

// build makes the program to measure, unless one was named.
func build(ctx context.Context, dir string) (string, error) {
	if binary := os.Getenv(binaryVariable); binary != "" {
		return filepath.Abs(binary)
	}
	binary := filepath.Join(dir, "sternpost")
	return binary, compile(ctx, binary, "sternpost/cmd/sternpost")
}

func compile(ctx context.Context, binary, what string) error {
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, what).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// furnish makes the inside: the unpacked programs over /usr, the accounts of Postfix, one DNS server, a loopback network.
func furnish() error {
	usr := filepath.Join(cacheDirectory(), "tree", "usr")
	if _, err := os.Stat(usr); err == nil {
		if err := syscall.Mount("overlay", "/usr", "overlay", syscall.MS_RDONLY, "lowerdir="+usr+":/usr"); err != nil {
			return fmt.Errorf("laying %s over /usr: %w", usr, err)
		}
	}
	if err := syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("an empty /run: %w", err)
	}
	accounts := fmt.Sprintf("%s:x:%d:%d::/nonexistent:/bin/false\n", postfixAccount, postfixID, postfixID)
	groups := fmt.Sprintf("%s:x:%d:\n%s:x:%d:\n", postfixAccount, postfixID, postdropAccount, postdropID)
	for file, more := range map[string]string{"/etc/passwd": accounts, "/etc/group": groups, "/etc/resolv.conf": ""} {
		if err := overlay(file, more); err != nil {
			return err
		}
	}
	for _, file := range []string{smtpSource, smtpSink, nsd, postfixMaster} {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("%w; run test/interop/setup.sh, which unpacks the Debian packages without installing them", err)
		}
	}
	if out, err := exec.Command("ip", strings.Fields("link set lo up")...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip link: %w: %s", err, out)
	}
	return nil
}

// overlay puts a copy of the file with more lines in place of it; resolv.conf is written anew.
func overlay(file, more string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if filepath.Base(file) == "resolv.conf" {
		text, more = nil, "nameserver "+dnsHost+"\n"
	}
	ours := filepath.Join("/run", filepath.Base(file))
	if err := os.WriteFile(ours, append(text, more...), 0o644); err != nil {
		return err
	}
	return syscall.Mount(ours, file, "", syscall.MS_BIND, "")
}

// cacheDirectory is where setup.sh unpacks.
func cacheDirectory() string {
	if dir := os.Getenv(cacheVariable); dir != "" {
		return dir
	}
	dir, _ := os.UserCacheDir()
	return filepath.Join(dir, "sternpost-interop")
}
