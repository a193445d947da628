package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"sternpost/console"
)

// client asks the running agent, over its admin socket.
type client struct {
	socket string
	http   *http.Client
}

// patience is how long the agent may take to begin an answer. Changes of a deep queue take a while.
const patience = 5 * time.Minute

func newClient(c *configuration) *client {
	socket := filepath.Join(c.Queue.Directory, console.SocketName)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &client{socket, &http.Client{Transport: &http.Transport{DialContext: dial, ResponseHeaderTimeout: patience}}}
}

// Close ends idle connections.
func (c *client) Close() { c.http.CloseIdleConnections() }

// get asks for an object.
func (c *client) get(ctx context.Context, path string, into any) error {
	response, err := c.send(ctx, "GET", path, "application/json", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return c.broken(json.NewDecoder(response.Body).Decode(into))
}

// destinations are what the agent knows of recipient domains that mail waits for.
type destinations map[string]console.Destination

func (d destinations) suspended(domain string) bool {
	until := d[domain].Suspended
	return until != nil && until.After(time.Now())
}

func (c *client) destinations(ctx context.Context) (destinations, error) {
	var list console.DestinationList
	if err := c.get(ctx, "/v1/destinations", &list); err != nil {
		return nil, err
	}
	known := destinations{}
	for _, d := range list.Destinations {
		known[d.Domain] = d
	}
	return known, nil
}

// messages asks for the messages of a selection, and yields them as they come.
func (c *client) messages(ctx context.Context, s console.Selection) iter.Seq2[console.Message, error] {
	return objects[console.Message](ctx, c, "/v1/queue?"+s.Values().Encode())
}

// change asks for an action, and returns how many recipients were changed.
func (c *client) change(ctx context.Context, action string, s console.Selection) (changed console.Changed, err error) {
	body, err := json.Marshal(s)
	if err != nil {
		return changed, err
	}
	response, err := c.send(ctx, "POST", "/v1/queue/"+url.PathEscape(action), "application/json", body)
	if err != nil {
		return changed, err
	}
	defer response.Body.Close()
	err = json.NewDecoder(response.Body).Decode(&changed)
	return changed, c.broken(err)
}

// send asks one question. The body of the answer is open when there is no error.
func (c *client) send(ctx context.Context, method, path, accept string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://sternpost"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.silent(err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	return nil, refused(response)
}

// silent is the error of an agent that does not answer.
func (c *client) silent(err error) error {
	hint := "is `sternpost serve` running, and is queue.directory the same?"
	if errors.Is(err, os.ErrPermission) {
		hint = "only its owner and group may use the socket"
	}
	var bare *net.OpError
	if errors.As(err, &bare) {
		err = bare.Err
	}
	return withCode(exitAgain, fmt.Errorf("the agent does not answer at %s: %w; %s", c.socket, err, hint))
}

// broken is the error of an answer that ended too early.
func (c *client) broken(err error) error {
	if err == nil {
		return nil
	}
	return withCode(exitAgain, fmt.Errorf("the agent broke off its answer: %w", err))
}

// longestProblem is more than any problem of ours has.
const longestProblem = 64 << 10

// refused is the problem that the agent told.
func refused(response *http.Response) error {
	code := exitFailed
	switch {
	case response.StatusCode == http.StatusBadRequest:
		code = exitUsage
	case response.StatusCode >= 500:
		code = exitAgain
	}
	var p console.Problem
	err := json.NewDecoder(io.LimitReader(response.Body, longestProblem)).Decode(&p)
	if err != nil || p.Detail == "" {
		p.Detail = "the agent answers " + response.Status
	}
	return withCode(code, errors.New(p.Detail))
}
