package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"sternpost/delivery/smtptest"
)

// startSocket scripts an agent in the place of ours: for what ours does rarely, or never.
func startSocket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: socket [FILE]")
	}
	dialogue := ""
	if len(args) == 1 {
		dialogue = ts.ReadFile(args[0])
	}
	server, err := smtptest.Start(dialogue, listenSocket(ts))
	ts.Check(err)
	ts.Defer(func() { server.Close() })
	ts.Value("scenario").(*scenario).socket = server
}

// startSilentSocket has an agent that never says anything; the word connected waits for its client.
func startSilentSocket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: silent-socket")
	}
	listener := listenSocket(ts)
	ts.Defer(func() { listener.Close() })
	ts.Value("scenario").(*scenario).silent["socket"] = listener
}

func listenSocket(ts *testscript.TestScript) net.Listener {
	path := defaultSettings().Submission.SocketPath(ts.Getenv("STERNPOST_QUEUE_DIRECTORY"))
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	listener, err := net.Listen("unix", path)
	ts.Check(err)
	return listener
}

func writeTaken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: taken FILE")
	}
	var b strings.Builder
	for _, m := range ts.Value("scenario").(*scenario).socket.Messages() {
		fmt.Fprintln(&b, m.Mail)
		for _, r := range m.Recipients {
			fmt.Fprintln(&b, r.Line)
		}
		b.WriteString(strings.ReplaceAll(string(m.Content), "\r\n", "\n"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

func waitReached(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: reached N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	_, err = ts.Value("scenario").(*scenario).socket.WaitMessages(ctx, n)
	ts.Check(err)
}
