package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sternpost/console"
	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// agent is a service that runs in this process.
type agent struct {
	t       *testing.T
	config  string // the file
	socket  string
	hangups chan os.Signal
	stop    context.CancelFunc
	ended   chan error
	log     chan string // its lines; closed when it has ended
}

// shortDirectory is one for sockets: t.TempDir may be longer than the path of one can be.
func shortDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return directory
}

// startAgent runs an agent with a configuration file. Its log is read by said.
func startAgent(t *testing.T, text string, environ ...string) *agent {
	t.Helper()
	directory := shortDirectory(t)
	read, write := io.Pipe()
	a := &agent{
		t: t, config: filepath.Join(directory, "sternpost.toml"), socket: filepath.Join(directory, console.SocketName),
		hangups: make(chan os.Signal), ended: make(chan error, 1), log: make(chan string, 1000),
	}
	a.configure(text)
	sh := &shell{ctx: t.Context(), stderr: write, configFile: a.config, environ: append(environ, "STERNPOST_QUEUE_DIRECTORY="+directory)}
	c, err := loadConfig(sh)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() {
		defer write.Close()
		s, err := openService(sh, c)
		if err == nil {
			err = s.run(ctx, a.hangups)
			err = errors.Join(err, s.Close())
		}
		a.ended <- err
	}()
	go func() {
		defer close(a.log)
		for lines := bufio.NewScanner(read); lines.Scan(); {
			a.log <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		stop()
		for range a.log { // it ends when the agent has
		}
	})
	return a
}

func (a *agent) configure(text string) {
	a.t.Helper()
	if err := os.WriteFile(a.config, []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// said waits for a line of the log with that message, and returns its keys.
func (a *agent) said(message string) map[string]any {
	a.t.Helper()
	for text := range a.log {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			a.t.Fatalf("%v: %s", err, text)
		}
		if text, _ := line["msg"].(string); strings.HasPrefix(text, message) {
			return line
		}
	}
	a.t.Fatalf("the log ended without %q", message)
	return nil
}

// ready is the status of /readyz.
func (a *agent) ready() int {
	a.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", a.socket)
	}}
	request, err := http.NewRequestWithContext(a.t.Context(), "GET", "http://sternpost/readyz", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// agentWorld is a domain whose exchanger has the dialogue, and the environment in which it is found.
func agentWorld(t *testing.T, dialogue string) (*smtptest.Server, []string) {
	t.Helper()
	dns := dnstest.New(t, "example.test. MX 10 mx.example.test.\nmx.example.test. A 127.0.0.1\none.test. A 127.0.0.1\n")
	mx := smtptest.New(t, dialogue)
	_, port, err := net.SplitHostPort(mx.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return mx, []string{
		"STERNPOST_RESOLVER_SERVERS=" + dns.Addr(), "STERNPOST_DELIVERY_PORT=" + port, "STERNPOST_DELIVERY_ALLOW_ADDRESSES=127.0.0.0/8",
		"STERNPOST_SUBMISSION_LISTEN=127.0.0.1:0", "STERNPOST_DELIVERY_SESSION_IDLE=0s",
	}
}

// submitTo hands in one message.
func submitTo(t *testing.T, address string) {
	t.Helper()
	if err := smtp.SendMail(address, nil, "me@client.test", []string{"you@example.test"}, []byte("Subject: hello\r\n\r\nhello\r\n")); err != nil {
		t.Fatal(err)
	}
}

// A reload puts another name and another level in force at once, and says what waits for a restart. The line of a delivery has the values that docs/log.md tells.
func TestReloadIsInForce(t *testing.T) {
	mx, environ := agentWorld(t, "")
	a := startAgent(t, "[delivery]\nhostname = \"one.test\"\n", environ...)
	door := a.said("listening for mail")["address"].(string)
	submitTo(t, door)
	line := a.said("delivery")
	delays, _ := line["delays"].(map[string]any)
	reply, _ := line["reply"].([]any)
	if line["level"] != "info" || line["next"] != "" || line["tls"] != "" || line["code"] != 250.0 || line["in_doubt"] != false || line["attempt"] != 1.0 ||
		line["from"] != "me@client.test" || line["to"] != "you@example.test" || len(reply) != 1 || len(delays) != 4 || delays["queued"] != 0.0 {
		t.Errorf("the line of a delivery is %v", line)
	}

	a.configure("[delivery]\nhostname = \"two.test\"\n")
	a.hangups <- syscall.SIGHUP
	if keys, _ := a.said("some changes need a restart")["keys"].([]any); !slices.Equal(keys, []any{"delivery.hostname, in the banner and in reports"}) {
		t.Errorf("a restart is asked for because of %v", keys)
	}
	a.said("configuration reloaded")
	if warning := a.said("our name")["level"]; warning != "warn" { // two.test does not resolve
		t.Errorf("the name is told at level %v", warning)
	}
	submitTo(t, door)
	a.said("delivery")
	var names []string
	for _, c := range mx.Connections() {
		names = append(names, c.Commands[0])
	}
	if want := []string{"EHLO one.test", "EHLO two.test"}; !slices.Equal(names, want) {
		t.Errorf("the exchanger heard %q, want %q", names, want)
	}

	a.configure("[delivery]\nhostname = \"one.test\"\n[log]\nlevel = \"error\"\n")
	a.hangups <- syscall.SIGHUP
	a.hangups <- syscall.SIGHUP // the first one is done when this is taken
	submitTo(t, door)
	a.stop()
	for line := range a.log {
		if strings.Contains(line, `"delivery"`) {
			t.Errorf("logged in spite of the level: %s", line)
		}
	}
	if err := <-a.ended; err != nil {
		t.Error(err)
	}
}

// From the signal on nobody is told that mail is taken, while what is under way comes to its end.
func TestStoppingIsSaid(t *testing.T) {
	mx, environ := agentWorld(t, "dot stall")
	a := startAgent(t, "[delivery]\nhostname = \"one.test\"\n", environ...)
	door := a.said("listening for mail")["address"].(string)
	submitTo(t, door)
	if _, err := mx.WaitMessages(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if status := a.ready(); status != http.StatusOK {
		t.Errorf("ready: %d", status)
	}
	a.stop()
	if cause := a.said("stopping")["cause"]; cause != "context canceled" {
		t.Errorf("stopping because of %v", cause)
	}
	if status := a.ready(); status != http.StatusServiceUnavailable {
		t.Errorf("ready while it stops: %d", status)
	}
	if err := mx.Close(); err != nil { // which ends the wait for the reply to the dot
		t.Error(err)
	}
	if line := a.said("delivery"); line["in_doubt"] != true || line["next"] == "" || line["code"] != 0.0 {
		t.Errorf("the line of a delivery in doubt is %v", line)
	}
	if err := <-a.ended; err != nil {
		t.Error(err)
	}
}

// Whoever runs an agent may take its log away when it has ended: all that it says is said then.
func TestNothingIsSaidBehindTheEnd(t *testing.T) {
	directory := shortDirectory(t)
	for range 20 {
		log := &sharedLog{}
		sh := &shell{ctx: t.Context(), stderr: log, environ: []string{"STERNPOST_QUEUE_DIRECTORY=" + directory, "STERNPOST_SUBMISSION_LISTEN=127.0.0.1:0"}}
		c, err := loadConfig(sh)
		if err != nil {
			t.Fatal(err)
		}
		s, err := openService(sh, c)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err = s.run(ctx, nil)
		told := log.String()
		if err := errors.Join(err, s.Close()); err != nil {
			t.Error(err)
		}
		if !strings.Contains(told, `"stopping"`) {
			t.Fatalf("the agent has ended, and has not said that it is stopping:\n%s", told)
		}
	}
}

// sharedLog keeps what many write. What is said of stopping takes it a while.
type sharedLog struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *sharedLog) Write(p []byte) (int, error) {
	for range 1000 * strings.Count(string(p), `"stopping"`) {
		runtime.Gosched()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// String returns what was written so far.
func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
