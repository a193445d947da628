package main

import (
	"context"
	"errors"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sternpost/delivery/smtptest"
)

// submissionAddress is where the agent of a scenario takes mail; the port is that of the scenario, which nobody else has.
const submissionAddress = "127.0.0.9"

// patient is longer than anything here takes, so that a scenario which hangs says where.
const patient = 30 * time.Second

// openNotify makes a directory whose path is short enough for sockets, and in it the socket on which the agent tells how it stands.
func openNotify(env *testscript.Env) (directory string, conn *net.UnixConn, err error) {
	directory, err = os.MkdirTemp("", "scenario")
	if err != nil {
		return "", nil, err
	}
	env.Defer(func() { os.RemoveAll(directory) })
	path := filepath.Join(directory, "notify")
	conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return "", nil, err
	}
	env.Defer(func() { conn.Close() })
	env.Setenv("NOTIFY_SOCKET", path)
	return directory, conn, nil
}

func waitReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: ready")
	}
	conn := ts.Value("scenario").(*scenario).notify
	ts.Check(conn.SetReadDeadline(time.Now().Add(patient)))
	said := make([]byte, 1000)
	for {
		n, err := conn.Read(said)
		ts.Check(err)
		if strings.Contains(string(said[:n]), "READY=1") {
			return
		}
	}
}

// signalAgent knows the signals that the word kill does not.
func signalAgent(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "INT": syscall.SIGINT}
	if neg || len(args) != 1 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal TERM|HUP|INT")
	}
	for _, program := range ts.BackgroundCmds() {
		if err := program.Process.Signal(signals[args[0]]); !errors.Is(err, os.ErrProcessDone) {
			ts.Check(err)
		}
	}
}

func submitMessage(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: submit FROM TO FILE")
	}
	content := strings.ReplaceAll(ts.ReadFile(args[2]), "\n", "\r\n")
	address := net.JoinHostPort(submissionAddress, ts.Value("scenario").(*scenario).port)
	err := smtp.SendMail(address, nil, args[0], strings.Split(args[1], ","), []byte(content))
	if neg && err == nil {
		ts.Fatalf("the agent takes the message")
	}
	if !neg {
		ts.Check(err)
	}
}

func waitArrived(ts *testscript.TestScript, neg bool, args []string) {
	waitFor(ts, args, func(ctx context.Context, server *smtptest.Server, n int) error {
		_, err := server.WaitMessages(ctx, n)
		return err
	})
}

func waitAsked(ts *testscript.TestScript, neg bool, args []string) {
	waitFor(ts, args, func(ctx context.Context, server *smtptest.Server, n int) error {
		_, err := server.WaitConnections(ctx, n)
		return err
	})
}

func waitFor(ts *testscript.TestScript, args []string, wait func(context.Context, *smtptest.Server, int) error) {
	if len(args) != 2 {
		ts.Fatalf("usage: arrived ADDRESS N, or asked ADDRESS N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	server := ts.Value("scenario").(*scenario).mx[args[0]]
	if server == nil {
		ts.Fatalf("no exchanger on %s", args[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	ts.Check(wait(ctx, server, n))
}
