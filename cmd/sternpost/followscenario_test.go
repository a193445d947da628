package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sternpost/console"
)

// followed is what a program writes that runs beside the scenario, or what a stream of the API has, as it comes.
type followed struct {
	lines   chan string
	seen    []string
	command *exec.Cmd // nil: it is a stream
	output  io.Closer
}

// startFollow runs sternpost; its output is read as it comes.
func startFollow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: follow NAME ARGS...")
	}
	program, err := exec.LookPath("sternpost")
	ts.Check(err)
	read, write, err := os.Pipe()
	ts.Check(err)
	command := exec.Command(program, args[1:]...)
	command.Dir = ts.MkAbs(".")
	command.Env = append(os.Environ(), "STERNPOST_QUEUE_DIRECTORY="+ts.Getenv("STERNPOST_QUEUE_DIRECTORY"), "GORACE=atexit_sleep_ms=0")
	command.Stdout = write
	ts.Check(command.Start())
	ts.Check(write.Close())
	ts.Value("scenario").(*scenario).followed[args[0]] = newFollowed(ts, read, command)
}

// startEvents asks for the stream of events, with a cursor to begin behind, or none. Its lines are id, kind and recipient of each event, as `data` has them.
func startEvents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: events NAME PATH [LAST-EVENT-ID]")
	}
	socket := filepath.Join(ts.Getenv("STERNPOST_QUEUE_DIRECTORY"), console.SocketName)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	request, err := http.NewRequest(http.MethodGet, "http://sternpost"+args[1], nil)
	ts.Check(err)
	if len(args) > 2 {
		request.Header.Set("Last-Event-ID", args[2])
	}
	response, err := transport.RoundTrip(request)
	ts.Check(err)
	if kind := response.Header.Get("Content-Type"); kind != "text/event-stream" {
		ts.Fatalf("%s: %s", response.Status, kind)
	}
	ts.Value("scenario").(*scenario).followed[args[0]] = newFollowed(ts, response.Body, nil)
}

func newFollowed(ts *testscript.TestScript, output io.ReadCloser, command *exec.Cmd) *followed {
	f := &followed{lines: make(chan string, 1000), command: command, output: output}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(f.lines)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			f.lines <- lines.Text()
		}
	}()
	ts.Defer(func() {
		if command != nil {
			_ = command.Process.Kill() // it has ended, most often
		}
		output.Close()
		<-ended
	})
	return f
}

// waitFollowed waits until there are N lines that have the text, all in all, and writes these to FILE.
func waitFollowed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: followed NAME TEXT N FILE")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	f := ts.Value("scenario").(*scenario).followed[args[0]]
	deadline := time.After(patient)
	for {
		var fit []string
		for _, line := range f.seen {
			if strings.Contains(line, args[1]) {
				fit = append(fit, line)
			}
		}
		if len(fit) >= n {
			ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(strings.Join(fit, "\n")+"\n"), 0o600))
			return
		}
		select {
		case line, more := <-f.lines:
			if !more {
				ts.Fatalf("it has ended with %q", f.seen)
			}
			f.seen = append(f.seen, line)
		case <-deadline:
			ts.Fatalf("no more than %q", f.seen)
		}
	}
}

// takeCursor sets the variable CURSOR to what the line N of a file has behind "id: ".
func takeCursor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cursor FILE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	lines := strings.Split(ts.ReadFile(args[0]), "\n")
	if n < 1 || n > len(lines) {
		ts.Fatalf("there is no line %d", n)
	}
	ts.Setenv("CURSOR", strings.TrimPrefix(lines[n-1], "id: "))
}

// endFollowed interrupts the program, or goes away from its output as head does, and compares the exit status, which is that of a shell.
func endFollowed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: unfollow NAME INT|TERM|leave STATUS")
	}
	f := ts.Value("scenario").(*scenario).followed[args[0]]
	switch args[1] {
	case "INT":
		ts.Check(f.command.Process.Signal(syscall.SIGINT))
	case "TERM":
		ts.Check(f.command.Process.Signal(syscall.SIGTERM))
	default:
		ts.Check(f.output.Close())
	}
	late := time.AfterFunc(patient, func() { _ = f.command.Process.Kill() })
	defer late.Stop()
	if err := f.command.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		ts.Fatalf("%v", err)
	}
	state := f.command.ProcessState.Sys().(syscall.WaitStatus)
	got := state.ExitStatus()
	if state.Signaled() {
		got = 128 + int(state.Signal())
	}
	if text := fmt.Sprint(got); text != args[2] {
		ts.Fatalf("exit status %s, want %s", text, args[2])
	}
}
