//go:build interop

package interop

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// sendmail makes a link of that name to the program under test.
func (w *world) sendmail() string {
	w.t.Helper()
	name := filepath.Join(w.folder("sbin"), "sendmail")
	if err := os.Symlink(os.Getenv(binaryVariable), name); err != nil && !os.IsExist(err) {
		w.t.Fatal(err)
	}
	return name
}

// sends calls sendmail as a user of the machine does, who is nobody special.
func (w *world) sends(t *testing.T, s *service, input string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, w.sendmail(), args...)
	run.Env = append(os.Environ(), append(w.environment(), "STERNPOST_CONFIG="+s.config)...)
	uid, gid := w.account(postman)
	run.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	run.Dir = "/"
	run.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	run.Stdout, run.Stderr = &said, &said
	if err := run.Run(); run.ProcessState == nil {
		t.Fatal(err)
	}
	return ran{run.ProcessState.ExitCode(), said.String()}
}

// Applications call sendmail in these ways.
func TestSendmail(t *testing.T) {
	w := newWorld(t)
	s := w.serve("domain = \"hosts.test\"", "[aliases]\nroot = [\"admin@sink.test\"]\n")
	for _, c := range []struct {
		name  string
		input string
		args  []string
		from  string
		to    []string
	}{
		{"cron", "From: root (Cron Daemon)\nTo: root\nSubject: cron\n\nbody\n", []string{"-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"}, "postman@hosts.test", []string{"admin@sink.test"}},
		{"rails", "From: me@client.test\nTo: you@sink.test\nSubject: rails\n\nbody\n", []string{"-i", "-f", "me@client.test", "you@sink.test"}, "me@client.test", []string{"you@sink.test"}},
		{"header", "From: me@client.test\nTo: you@sink.test\nBcc: b@sink.test\nSubject: header\n\nbody\n", []string{"-t", "-i"}, "postman@hosts.test", []string{"you@sink.test", "b@sink.test"}},
		{"dots", "Subject: dots\n\nbody\n.\nmore\n", []string{"-oi", "-f", "me@client.test", "--", "you@sink.test"}, "me@client.test", []string{"you@sink.test"}},
		{"glued", "Subject: glued\n\nbody\n", []string{"-oi", "-oem", "-fme@client.test", "-FMe", "you@sink.test"}, "me@client.test", []string{"you@sink.test"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.sends(t, s, c.input, c.args...)
			if r.exit != 0 || r.said != "" {
				t.Fatalf("exit status %d: %s", r.exit, r.said)
			}
			m := s.arrives(t, c.name)
			if to := m.To(); m.From() != c.from || len(to) != len(c.to) || slices.ContainsFunc(c.to, func(a string) bool { return !slices.Contains(to, a) }) {
				t.Errorf("from %s to %v, want from %s to %v", m.From(), to, c.from, c.to)
			}
			if bytes.Contains(m.Content, []byte("Bcc")) {
				t.Errorf("the blind copy is told:\n%s", m.Content)
			}
			if c.name == "dots" && !bytes.Contains(m.Content, []byte("\r\n.\r\nmore\r\n")) {
				t.Errorf("the dot ended the message:\n%s", m.Content)
			}
		})
	}
	t.Run("s-nail", func(t *testing.T) {
		r := w.runs(t, strings.NewReplacer(), "body\n", "/usr/bin/env", "STERNPOST_CONFIG="+s.config, "/usr/bin/s-nail", "-:/", "-S", "v15-compat", "-S", "sendwait", "-S", "nosave",
			"-S", "mta="+w.sendmail(), "-r", "me@client.test", "-s", "by-sendmail", "you@sink.test")
		if r.exit != 0 {
			t.Fatalf("exit status %d: %s", r.exit, r.said)
		}
		s.arrives(t, "by-sendmail")
	})
	t.Run("administers nothing", func(t *testing.T) {
		r := w.runs(t, strings.NewReplacer(), "", "/usr/bin/setpriv", "--reuid", "64100", "--regid", "64100", "--clear-groups",
			os.Getenv(binaryVariable), "--config", s.config, "queue")
		if r.exit == 0 {
			t.Errorf("any user sees the queue: %s", r.said)
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		s.stop()
		r := w.sends(t, s, letter("late"), "-i", "-f", "me@client.test", "you@sink.test")
		if r.exit != exitAgain || r.said == "" {
			t.Errorf("exit status %d, want %d: %s", r.exit, exitAgain, r.said)
		}
	})
}

// What a user of the machine may do is to submit: his uid is told, and the socket has no other use.
func TestSocketTellsWho(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	if r := w.sends(t, s, letter("who"), "-i", "-f", "me@client.test", "you@sink.test"); r.exit != 0 {
		t.Fatalf("exit status %d: %s", r.exit, r.said)
	}
	if m := s.arrives(t, "who"); !bytes.Contains(m.Content, []byte("64100")) {
		t.Errorf("the uid is not told:\n%s", m.Content)
	}
	conn, err := net.Dial("unix", filepath.Join(s.queue, "public", "submit.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /v1/queue HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, _ := conn.Read(answer)
	if strings.Contains(string(answer[:n]), "messages") {
		t.Errorf("the submission socket administers: %s", answer[:n])
	}
}
