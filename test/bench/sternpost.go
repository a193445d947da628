//go:build bench

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

const sternpostAddress = "127.0.0.1:2587"

// sternpostConfig says where everything is; the loopback network is open to delivery, and all else is as it comes.
const sternpostConfig = `[queue]
directory = "@DIR@/queue"
@QUEUE@

[submission]
listen = ["` + sternpostAddress + `"]

[resolver]
servers = ["` + dnsHost + `:53"]

[delivery]
hostname = "bench.test"
allow_addresses = ["127.0.0.0/8"]
`

// startSternpost starts the program to measure with a queue of its own.
func startSternpost(_ *bed, dir string) (*server, error) { return firstStart(dir, "") }

// firstStart makes a home for the agent, with more lines for its queue, and starts it there.
func firstStart(dir, queue string) (*server, error) {
	text := strings.NewReplacer("@DIR@", dir, "@QUEUE@", queue).Replace(sternpostConfig)
	err := os.MkdirAll(filepath.Join(dir, "queue"), 0o700)
	if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "sternpost.toml"), []byte(text), 0o600)); err != nil {
		return nil, err
	}
	return startAgain(dir)
}

// startAgain starts the agent in its home, with what is queued there, and returns when it greets.
func startAgain(dir string) (*server, error) {
	p, err := launch(dir, os.Getenv(binaryVariable), "--config", filepath.Join(dir, "sternpost.toml"), "serve")
	if err != nil {
		return nil, err
	}
	ask := asking(filepath.Join(dir, "queue", "sternpost.sock"))
	s := &server{program: p, home: dir, address: sternpostAddress, empty: func() (bool, error) { return nothingQueued(ask) }}
	if err := p.greets(sternpostAddress); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return s, nil
}

// asking is a client of the admin socket.
func asking(socket string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

// nothingQueued asks for the messages of the queue.
func nothingQueued(ask *http.Client) (bool, error) {
	response, err := ask.Get("http://sternpost/v1/queue?limit=1")
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return false, err
	}
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the console: %s: %s", response.Status, text.Bytes())
	}
	var page struct {
		Messages []json.RawMessage `json:"messages"`
	}
	err = json.Unmarshal(text.Bytes(), &page)
	return len(page.Messages) == 0, err
}
