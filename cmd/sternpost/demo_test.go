package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sternpost/journal"
	"sternpost/mail"
)

// occupyPorts makes sure that somebody listens on each address until the scenario ends.
func occupyPorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: occupy ADDRESS:PORT...")
	}
	for _, address := range args {
		listener, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue // somebody does
		}
		ts.Check(err)
		ts.Defer(func() { listener.Close() })
	}
}

// demoRun is the demonstration as a program of its own.
type demoRun struct {
	*exec.Cmd
	directory string // for temporary files
	out       *bufio.Reader
	read      *os.File
	said      bytes.Buffer // standard error
}

func startDemo(t *testing.T, args ...string) *demoRun {
	t.Helper()
	directory, err := os.MkdirTemp("", "demo") // t.TempDir() is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	r := &demoRun{Cmd: exec.Command("sternpost", append([]string{"demo"}, args...)...), directory: directory, out: bufio.NewReader(read), read: read}
	r.Env = append(os.Environ(), "TMPDIR="+directory, "GORACE=atexit_sleep_ms=0")
	r.Stdout, r.Stderr = write, &r.said
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() { r.Process.Kill() })
	return r
}

// tells reads what it prints until a line has the text.
func (r *demoRun) tells(t *testing.T, text string) {
	t.Helper()
	if err := r.read.SetReadDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := r.out.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("%q is not told: %v\n%s", text, err, r.said.Bytes())
		}
	}
}

// ends waits for its end, with this exit status, and looks for what it has left behind.
func (r *demoRun) ends(t *testing.T, want int) {
	t.Helper()
	err := r.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := r.ProcessState.ExitCode(); got != want {
		t.Errorf("exit status %d, want %d\n%s", got, want, r.said.Bytes())
	}
	if left, err := os.ReadDir(r.directory); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := syscall.Kill(-r.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a process of it lives on: %v", err)
	}
}

// Who has seen enough interrupts it in the middle, and nothing is left behind.
func TestDemoInterrupted(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(s.String(), func(t *testing.T) {
			if signal.Ignored(s) {
				t.Skip("this signal is ignored where the test runs")
			}
			t.Parallel()
			r := startDemo(t)
			r.tells(t, "tries again")
			if err := r.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			r.ends(t, exitAgain)
			if !strings.Contains(r.said.String(), "interrupted") {
				t.Errorf("it says %q", r.said.String())
			}
		})
	}
}

// sternpost demo | head
func TestDemoThatNobodyReadsToItsEnd(t *testing.T) {
	t.Parallel()
	r := startDemo(t)
	r.tells(t, "SMTP: ")
	r.read.Close()
	r.ends(t, exitAgain)
}

// With --keep it takes mail until it is stopped, which is no failure.
func TestDemoKept(t *testing.T) {
	t.Parallel()
	r := startDemo(t, "--keep")
	r.tells(t, "export STERNPOST_CONFIG=")
	kept, err := os.ReadDir(r.directory)
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v %v", kept, err)
	}
	r.tells(t, "/v1/destinations")
	submit := exec.Command("sternpost", "--config", r.directory+"/"+kept[0].Name()+"/sternpost.toml", "submit", "--from", "me@shop.test", "--to", "other@no-mx.test")
	submit.Stdin = strings.NewReader("Subject: one more\n\nhello\n")
	if said, err := submit.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	r.tells(t, "SMTP: me@shop.test hands in message")
	r.tells(t, "delivered to other@no-mx.test")
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r.ends(t, exitDone)
}

// A world that is not as it should be is noticed.
func TestDemoScenesAreJudged(t *testing.T) {
	all := demoScenes()
	delivered := journal.Entry{Kind: journal.Delivered, Message: "1", Recipient: all[0].to, Host: all[0].host}
	failed := journal.Entry{Kind: journal.Failed, Message: "1", Recipient: all[2].to, Status: mail.Status{5, 1, 2}}
	deferred := journal.Entry{Kind: journal.Deferred, Message: "1", Recipient: all[0].to}
	reported := journal.Entry{Kind: journal.Delivered, Message: "2", Recipient: demoSender, Host: demoMailbox}
	elsewhere, otherStatus, otherHost := delivered, failed, reported
	elsewhere.Host, otherStatus.Status, otherHost.Host = "mx1.primary-down.test", mail.Status{5, 4, 4}, "elsewhere.test"
	for _, c := range []struct {
		name    string
		scene   scene
		entries []journal.Entry
		over    bool
		want    string // in what is otherwise; empty: all is well
	}{
		{"as it should be", all[0], []journal.Entry{delivered}, true, ""},
		{"by another host", all[0], []journal.Entry{elsewhere}, true, `the host is "mx1.primary-down.test"`},
		{"later", all[0], []journal.Entry{deferred, delivered}, true, `the number of attempts is "2"`},
		{"not at all", all[0], []journal.Entry{deferred}, false, `the end is "deferred"`},
		{"nothing", all[0], nil, false, `the end is ""`},
		{"failed instead", all[0], []journal.Entry{failed}, true, `the end is "failed"`},
		{"another message", all[0], []journal.Entry{reported}, false, `the end is ""`},
		{"host unknown, with its report", all[2], []journal.Entry{failed, reported}, true, ""},
		{"without its report", all[2], []journal.Entry{failed}, false, `the end of the report is ""`},
		{"the report went elsewhere", all[2], []journal.Entry{failed, otherHost}, true, `the host of the report is "elsewhere.test"`},
		{"another status", all[2], []journal.Entry{otherStatus, reported}, true, `the status is "5.4.4"`},
		{"greylisted", all[3], []journal.Entry{deferred, {Kind: journal.Delivered, Message: "1", Host: all[3].host}}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ends, over := demoEnd{message: "1", reports: c.scene.report}, false
			for _, e := range c.entries {
				over = ends.reached(e)
			}
			if over != c.over {
				t.Errorf("over: %v", over)
			}
			otherwise := strings.Join(c.scene.judge(ends), "\n")
			if c.want == "" && otherwise != "" || !strings.Contains(otherwise, c.want) {
				t.Errorf("otherwise: %s; want %s", otherwise, c.want)
			}
		})
	}
}
