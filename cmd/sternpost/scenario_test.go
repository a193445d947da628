package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sternpost": main, "sendmail": main, "mailq": main, "newaliases": main})
}

// TestScenarios drives the real binary. Each file in testdata is one scenario, named by its trouble. Besides the usual words a scenario knows:
//
//	dns FILE              a DNS server answers from the zone in FILE
//	mx ADDRESS [FILE]     a mail exchanger listens on the address; FILE is its dialogue, without it it is polite
//	heard ADDRESS FILE    writes the messages that it took to FILE: addresses, then content
//	silent ADDRESS        an exchanger listens on the address and never says anything
//	connected ADDRESS     waits until somebody has connected to the silent one
//	exit STATUS ARGS...   runs sternpost and compares the exit status; standard input is that of the word stdin
//	ready                 waits until the agent in the background says that it is ready, or has read its configuration again
//	submit FROM TO FILE   hands the message in FILE to the agent by SMTP; with ! before it, the agent refuses it
//	arrived ADDRESS N     waits until the exchanger has heard N messages to their end
//	asked ADDRESS N       waits until N connections to the exchanger have ended
//	signal TERM|HUP|INT   sends a signal to the programs in the background
//	socket [FILE]         an agent that is scripted by the dialogue in FILE listens on the submission socket
//	silent-socket         an agent on the submission socket never says anything; connected socket waits until somebody has connected to it
//	taken FILE            writes the messages that it took to FILE: commands, then content
//	reached N             waits until N messages have come to it to their end
//	until PATTERN ARGS... runs sternpost again and again until its output has a line that the pattern fits
//	exit-sendmail STATUS ARGS...  runs sendmail and compares the exit status, as exit does
//	webhook ADDRESS SECRET [STATUS [RECIPIENT]]  a receiver listens on the address, verifies signatures, and answers with the status, 200 without it; only events about the recipient, if there is one
//	told ADDRESS N FILE   waits until it has been told N events, and writes them to FILE: their types and recipients
//	occupy ADDRESS:PORT...  makes sure that somebody listens on each
//	http FILE METHOD PATH [BODY FIELD: VALUE...]  asks the API; FILE gets the status and the answer
//	follow NAME ARGS...   runs sternpost beside the scenario, and reads what it prints as it comes
//	events NAME PATH [LAST-EVENT-ID]  asks the API for a stream of events, and reads its lines as they come
//	followed NAME TEXT N FILE  waits until N of these lines have the text, and writes those to FILE
//	cursor FILE N         the variable CURSOR is the id of an event in the line N of such a file
//	unfollow NAME INT|TERM|leave STATUS  sends a signal, or leaves the pipe as head does, and compares the exit status with what a shell would tell
//	http-until PATTERN FILE PATH  asks with GET until the answer has what the pattern fits
func TestScenarios(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata",
		Setup: setUpScenario,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"dns": startDNS, "mx": startMX, "heard": writeHeard, "exit": expectStatus, "silent": startSilent, "connected": waitConnected,
			"ready": waitReady, "submit": submitMessage, "arrived": waitArrived, "asked": waitAsked, "signal": signalAgent, "http": askHTTP, "http-until": askHTTPUntil,
			"socket": startSocket, "silent-socket": startSilentSocket, "taken": writeTaken, "until": waitUntil, "reached": waitReached, "exit-sendmail": expectSendmail,
			"webhook": startWebhook, "told": waitTold, "follow": startFollow, "events": startEvents, "followed": waitFollowed, "unfollow": endFollowed, "cursor": takeCursor, "occupy": occupyPorts,
		},
		Condition:           scenarioCondition,
		RequireExplicitExec: true,
	})
}

// scenarioCondition answers what a script asks about the place where it runs.
func scenarioCondition(name string) (bool, error) {
	if name == "interrupts" { // not in the background of a shell without job control
		return !signal.Ignored(os.Interrupt), nil
	}
	return false, fmt.Errorf("no such condition: %s", name)
}

// scenario is the small world of one script.
type scenario struct {
	port   string
	mx     map[string]*smtptest.Server
	silent map[string]net.Listener
	hooks  map[string]*hook
	notify *net.UnixConn // what the agent says to its service manager
	socket *smtptest.Server

	followed map[string]*followed
}

// setUpScenario reserves a port: every exchanger of the script listens on it, each on an address of its own.
func setUpScenario(env *testscript.Env) error {
	reserved, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	env.Defer(func() { reserved.Close() })
	_, port, err := net.SplitHostPort(reserved.Addr().String())
	if err != nil {
		return err
	}
	directory, notify, err := openNotify(env)
	if err != nil {
		return err
	}
	env.Values["scenario"] = &scenario{port: port, mx: map[string]*smtptest.Server{}, silent: map[string]net.Listener{}, notify: notify, followed: map[string]*followed{}}
	env.Setenv("PORT", port)
	env.Setenv("GORACE", "atexit_sleep_ms=0") // a race-checked binary waits a second before it ends
	env.Setenv("STERNPOST_DELIVERY_PORT", port)
	env.Setenv("STERNPOST_DELIVERY_HOSTNAME", "client.sternpost.test")
	env.Setenv("STERNPOST_DELIVERY_ALLOW_ADDRESSES", "127.0.0.0/8")
	env.Setenv("QUEUE", filepath.Join(directory, "queue"))
	env.Setenv("STERNPOST_QUEUE_DIRECTORY", filepath.Join(directory, "queue"))
	env.Setenv("STERNPOST_SUBMISSION_LISTEN", net.JoinHostPort(submissionAddress, port))
	return nil
}

func startDNS(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: dns FILE")
	}
	// Our own name resolves in every world, else each scenario would be warned of it.
	server, err := dnstest.Start(ts.ReadFile(args[0]) + "\nclient.sternpost.test. A 127.0.0.1\n")
	ts.Check(err)
	ts.Defer(func() { server.Close() })
	ts.Setenv("STERNPOST_RESOLVER_SERVERS", server.Addr())
}

func startMX(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: mx ADDRESS [FILE]")
	}
	dialogue := ""
	if len(args) == 2 {
		dialogue = ts.ReadFile(args[1])
	}
	s := ts.Value("scenario").(*scenario)
	listener, err := net.Listen("tcp", net.JoinHostPort(args[0], s.port))
	ts.Check(err)
	server, err := smtptest.Start(dialogue, listener)
	ts.Check(err)
	ts.Defer(func() { server.Close() })
	s.mx[args[0]] = server
}

func startSilent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: silent ADDRESS")
	}
	s := ts.Value("scenario").(*scenario)
	listener, err := net.Listen("tcp", net.JoinHostPort(args[0], s.port))
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	s.silent[args[0]] = listener
}

func waitConnected(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: connected ADDRESS")
	}
	listener := ts.Value("scenario").(*scenario).silent[args[0]]
	if listener == nil {
		ts.Fatalf("no silent exchanger on %s", args[0])
	}
	conn, err := listener.Accept()
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
}

func writeHeard(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: heard ADDRESS FILE")
	}
	server := ts.Value("scenario").(*scenario).mx[args[0]]
	if server == nil {
		ts.Fatalf("no exchanger on %s", args[0])
	}
	var b strings.Builder
	for _, m := range server.Messages() {
		fmt.Fprintf(&b, "from <%s>\nto %v\n%s", m.From(), m.To(), strings.ReplaceAll(string(m.Content), "\r\n", "\n"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// expectStatus compares exact statuses, which the word exec cannot.
func expectStatus(ts *testscript.TestScript, neg bool, args []string) {
	expectProgram(ts, neg, "sternpost", args)
}

func waitUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN ARGS...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for began := time.Now(); time.Since(began) < patient; <-again.C {
		if ts.Exec("sternpost", args[1:]...) == nil && pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("no %s in the output of %q", args[0], args[1:])
}

func expectSendmail(ts *testscript.TestScript, neg bool, args []string) {
	expectProgram(ts, neg, "sendmail", args)
}

func expectProgram(ts *testscript.TestScript, neg bool, program string, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exit STATUS ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(program, args[1:]...); err != nil {
		exit := new(exec.ExitError)
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
