//go:build bench

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// The ways of our client beside SMTP.
const (
	wayHTTP    = "http"
	wayJSON    = "json"
	wayCommand = "command"
)

// visit is what goes from one message to the next: a session, a connection, or nothing at all.
type visit interface {
	hand(from, to string, content []byte) error
	close() error
}

// way gives the function that begins a visit.
func (c *client) way() (func() (visit, error), error) {
	text, err := plainText(c.content)
	if err != nil {
		return nil, err
	}
	switch c.Way {
	case "":
		return func() (visit, error) { return openSession(c.Address) }, nil
	case wayHTTP:
		return func() (visit, error) { return &request{c.web(), text, nil}, nil }, nil
	case wayJSON:
		_, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		return func() (visit, error) { return &request{c.web(), nil, body}, nil }, nil
	case wayCommand:
		return func() (visit, error) { return command{filepath.Join(c.Home, "sternpost.toml"), c.Binary, text}, nil }, nil
	}
	return nil, fmt.Errorf("no way %q", c.Way)
}

// plainText takes the form of the wire from a content: its final dot, and the dots that stand for one.
func plainText(content []byte) ([]byte, error) {
	text, found := bytes.CutSuffix(content, []byte(".\r\n"))
	if !found {
		return nil, fmt.Errorf("the content has no end")
	}
	return bytes.ReplaceAll(text, []byte("\n.."), []byte("\n.")), nil
}

// web is a client of the admin socket that keeps its one connection.
func (c *client) web() *http.Client { return asking(filepath.Join(c.Home, "queue", "sternpost.sock")) }

// request is the door of HTTP: MIME, or where there is none a JSON object with a text.
type request struct {
	web  *http.Client
	mime []byte
	text []byte
}

func (r *request) hand(from, to string, _ []byte) error {
	address, kind, body := "http://sternpost/v1/messages", "application/json", r.mime
	if r.mime != nil {
		kind, address = "message/rfc822", address+"?"+url.Values{"from": {from}, "to": {to}}.Encode()
	} else {
		var err error
		if body, err = json.Marshal(map[string]any{"from": from, "to": []string{to}, "subject": "bench", "text": string(r.text)}); err != nil {
			return err
		}
	}
	answer, err := r.web.Post(address, kind, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body) // to its end, so that the connection is kept
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s: %s", answer.Status, said)
	}
	return err
}

func (r *request) close() error {
	r.web.CloseIdleConnections()
	return nil
}

// command is the door of programs that know sendmail: a process for each message.
type command struct {
	config, binary string
	text           []byte
}

func (c command) hand(from, to string, _ []byte) error {
	run := exec.Command(c.binary)
	run.Args = []string{"sendmail", "-i", "-f", from, to} // it is called by that name
	run.Env = append(os.Environ(), "STERNPOST_CONFIG="+c.config)
	run.Stdin = bytes.NewReader(c.text)
	if said, err := run.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

func (command) close() error { return nil }
