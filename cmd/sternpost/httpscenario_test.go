package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sternpost/console"
)

// askHTTP asks the agent: over its admin socket, or over TCP where the path is a whole URL. FILE gets the status, and the body behind it. The variable ID is the last part of
// Location, where the answer has one.
func askHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: http FILE METHOD PATH [BODY FIELD: VALUE...]")
	}
	url, transport := args[2], new(http.Transport)
	if !strings.HasPrefix(url, "http://") {
		socket := filepath.Join(ts.Getenv("STERNPOST_QUEUE_DIRECTORY"), console.SocketName)
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}
		url = "http://sternpost" + url
	}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	var body io.Reader
	if len(args) > 3 {
		body = strings.NewReader(ts.ReadFile(args[3]))
	}
	request, err := http.NewRequestWithContext(ctx, args[1], url, body)
	ts.Check(err)
	for _, field := range args[min(4, len(args)):] {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Set(name, value)
	}
	response, err := transport.RoundTrip(request)
	ts.Check(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	if at := response.Header.Get("Location"); at != "" {
		ts.Setenv("ID", at[strings.LastIndexByte(at, '/')+1:])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Appendf(nil, "%d\n%s", response.StatusCode, text), 0o600))
}

// askHTTPUntil asks a question with GET until the answer has what is looked for: some things are known a moment after they have happened.
func askHTTPUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: http-until PATTERN FILE PATH")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patient); ; <-again.C {
		askHTTP(ts, false, []string{args[1], "GET", args[2]})
		text := ts.ReadFile(args[1])
		if pattern.MatchString(text) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%s is not in\n%s", args[0], text)
		}
	}
}
