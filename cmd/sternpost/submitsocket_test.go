package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheDoorIsFoundWithoutTheConfiguration(t *testing.T) {
	defaults, err := findDoor(&shell{})
	if err != nil {
		t.Fatal(err)
	}
	if defaultFileThere() {
		t.Skip(defaultFile + " is there")
	}
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		file    string
		environ []string
		want    localDoor
	}{
		"nothing":          {"", nil, defaults},
		"file":             {write("a.toml", "[submission]\nsocket = \"/run/x\"\ndomain = \"x.test\""), nil, localDoor{"/run/x", "x.test", ""}},
		"environment":      {write("b.toml", "[submission]\nsocket = \"/run/x\""), []string{"STERNPOST_SUBMISSION_SOCKET=/run/y"}, localDoor{"/run/y", "", ""}},
		"queue":            {write("c.toml", "[queue]\ndirectory = \"/srv/q\""), nil, localDoor{"/srv/q/public/submit.sock", "", ""}},
		"mistakes":         {write("d.toml", "[submission]\nsocket = \"/run/x\"\nsoket = 1\n[queue]\nbackoff = 7"), []string{"STERNPOST_QUEUE_X=1"}, localDoor{"/run/x", "", ""}},
		"domain of no use": {write("e.toml", "[submission]\nsocket = \"/run/x\"\ndomain = \"-\""), nil, localDoor{"/run/x", "", ""}},
	} {
		if got, err := findDoor(&shell{configFile: c.file, environ: c.environ}); got != c.want || err != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for name, c := range map[string]struct{ file, want string }{
		"absent":     {filepath.Join(folder, "absent"), "no such file"},
		"no TOML":    {write("f.toml", "[submission"), "f.toml:"},
		"no socket":  {write("g.toml", "[submission]\nsocket = \"none\""), "submission.listen"},
		"wrong kind": {write("h.toml", "[submission]\nsocket = 7"), "submission.socket"},
	} {
		_, err := findDoor(&shell{configFile: c.file})
		if exit := new(exitError); !errors.As(err, &exit) || exit.code != exitConfig || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func defaultFileThere() bool {
	_, err := os.Stat(defaultFile)
	return err == nil
}

// A configuration that holds secrets is read by its owner only.
func TestAConfigurationThatMayNotBeReadIsPassedOver(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	path := filepath.Join(t.TempDir(), "sternpost.toml")
	if err := os.WriteFile(path, []byte("[submission]\nsocket = \"/run/x\""), 0); err != nil {
		t.Fatal(err)
	}
	got, err := findDoor(&shell{configFile: path, environ: []string{"STERNPOST_SUBMISSION_SOCKET=/run/y"}})
	if got.socket != "/run/y" || got.unread != path || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAgentWithTooManyClientsIsAskedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	handle, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(handle)
	if err := errors.Join(unix.Bind(handle, &unix.SockaddrUnix{Name: path}), unix.Listen(handle, 0)); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until no more fit into the queue of those that wait
		var conn net.Conn
		if conn, err = net.Dial("unix", path); err == nil {
			defer conn.Close()
		}
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		conn, err := localDoor{socket: path}.dial(t.Context())
		if err == nil {
			conn.Close()
		}
		ended <- err
	}()
	accepted, _, err := unix.Accept(handle)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(accepted)
	if err := <-ended; err != nil {
		t.Error(err)
	}

	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := (localDoor{socket: path}).dial(given); err == nil {
		t.Error("connected without a context")
	}
}

func TestAnAgentThatCannotBeReachedIsToldWithAnAdvice(t *testing.T) {
	absent := filepath.Join(t.TempDir(), "absent")
	for want, d := range map[string]localDoor{
		"is `sternpost serve` running": {socket: absent},
		"STERNPOST_SUBMISSION_SOCKET":  {socket: absent, unread: "/etc/x"},
	} {
		_, err := d.dial(t.Context())
		if exit := new(exitError); !errors.As(err, &exit) || exit.code != exitAgain || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	denied := &net.OpError{Op: "dial", Err: os.ErrPermission}
	if err := (localDoor{socket: absent, unread: "/etc/x"}).unreachable(denied); !strings.Contains(err.Error(), "0666") {
		t.Errorf("got %v", err)
	}
}
