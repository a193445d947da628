package submission

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// socketFolder is a directory whose path is short enough for a socket.
func socketFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "socket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

// A local user hands in mail without a password, and is named by his uid. It is a real socket: only the kernel knows who that is.
func TestSocket(t *testing.T) {
	folder := socketFolder(t)
	c := DefaultConfig()
	c.Listen, c.Users = nil, []User{cheap("anna", "x")}
	all := &drop{}
	bound := make(chan struct{})
	listen := func(network, address string) (net.Listener, error) {
		defer close(bound)
		return Listen(network, address)
	}
	s, err := New(c, Deps{Intake: newDesk(t, IntakeConfig{}, all), Hostname: hostname, Directory: folder, Listen: listen})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	<-bound
	path := c.SocketPath(folder)
	if about, err := os.Stat(path); err != nil || about.Mode().Perm() != 0o666 || path != filepath.Join(folder, "public", "submit.sock") {
		t.Errorf("%s: %v, %v", path, about, err)
	}
	if about, err := os.Stat(filepath.Dir(path)); err != nil || about.Mode().Perm() != 0o755 {
		t.Errorf("its directory: %v, %v", about, err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(t, conn)
	client.expect("220 ")
	client.send("EHLO x\r\n")
	if list := client.hearAll(); strings.Contains(list, "AUTH") || strings.Contains(list, "STARTTLS") {
		t.Errorf("offered: %q", list)
	}
	client.ask("STARTTLS", "502 5.5.1 ")
	client.ask("AUTH PLAIN "+plainOf("anna", "x"), "502 5.5.1 ")
	client.data()
	client.ask("Subject: x\r\n\r\nx\r\n.", "250 ")
	uid := "uid " + strconv.Itoa(os.Getuid())
	if got := all.messages()[0]; got.Peer != uid || !strings.Contains(got.content, "("+uid+")") || !strings.Contains(got.content, "with ESMTP;") {
		t.Errorf("submission %+v", got)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestSocketThatIsThere(t *testing.T) {
	folder := socketFolder(t)
	path := filepath.Join(folder, "s.sock")
	first, err := Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix", path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a socket that answers is taken away: %v", err)
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as a process that was killed leaves it
	_ = first.Close()
	second, err := Listen("unix", path)
	if err != nil {
		t.Fatalf("a dead socket is in the way: %v", err)
	}
	_ = second.Close()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix", path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file is taken away: %v", err)
	}
	if _, err := Listen("unix", filepath.Join(folder, strings.Repeat("x", 108))); err == nil {
		t.Error("a path is taken that the system cuts off")
	}
}

func TestSocketPath(t *testing.T) {
	for _, c := range []struct{ socket, directory, path string }{
		{"", "/q", "/q/public/submit.sock"}, {"", "", ""}, {"none", "/q", ""}, {"/run/s.sock", "/q", "/run/s.sock"}, {"/run/s.sock", "", "/run/s.sock"},
	} {
		if path := (Config{Socket: c.socket}).SocketPath(c.directory); path != c.path {
			t.Errorf("%+v: %s", c, path)
		}
	}
}
