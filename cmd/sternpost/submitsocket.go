package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"sternpost/mail"
)

const (
	// connectWait is how long the agent may take to let us in.
	connectWait = 30 * time.Second
	// connectAgain is how long an agent is left alone that has too many clients.
	connectAgain = 50 * time.Millisecond
)

// localDoor is where and how local programs submit.
type localDoor struct {
	socket string
	domain mail.Domain // of addresses of the header that have none; empty: the agent's name
	unread string      // the configuration file that may not be read; empty: there is none such
}

// findDoor reads the configuration. Any local user may submit, but not everybody may read the configuration, which holds secrets: without it the defaults and the environment
// decide. What else is wrong in it is for the agent to tell: a mistake there must not keep mail from the agent that runs.
func findDoor(sh *shell) (localDoor, error) {
	c := &configuration{settings: defaultSettings(), sources: map[string]source{}}
	list := settingsOf(&c.settings)
	_, told, err := c.readFile(sh.configFile, list)
	unread := ""
	if errors.Is(err, fs.ErrPermission) {
		unread = cmp.Or(sh.configFile, defaultFile)
	} else if err != nil {
		return localDoor{}, withCode(exitConfig, err)
	}
	told = append(told, c.readEnvironment(sh.environ, list))
	for _, err := range told {
		if err != nil && strings.Contains(err.Error(), "submission.socket") {
			return localDoor{}, withCode(exitConfig, err)
		}
	}
	path := c.Submission.SocketPath(c.Queue.Directory)
	if path == "" {
		return localDoor{}, withCode(exitConfig, errors.New("submission.socket is none: the agent takes mail only where submission.listen says"))
	}
	domain, _ := mail.ParseDomain(c.Submission.Domain) // without one the agent's name is as good
	return localDoor{path, domain, unread}, nil
}

// dial connects with the agent that listens on the socket. While it has more clients than it can let in, it is asked again: that is how a burst of programs looks.
func (d localDoor) dial(ctx context.Context) (*net.UnixConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWait)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", d.socket)
		if err == nil {
			return conn.(*net.UnixConn), nil
		}
		if !errors.Is(err, syscall.EAGAIN) || ctx.Err() != nil {
			return nil, d.unreachable(err)
		}
		select {
		case <-time.After(connectAgain):
		case <-ctx.Done():
		}
	}
}

// unreachable is the error of an agent that does not answer, with what can be done about it.
func (d localDoor) unreachable(err error) error {
	hint := "is `sternpost serve` running, and is submission.socket the same?"
	switch {
	case errors.Is(err, os.ErrPermission):
		hint = "every directory above the socket must let this user in, and the socket must have mode 0666"
	case errors.Is(err, syscall.EAGAIN):
		hint = "it has more clients than it can take; try again"
	case d.unread != "":
		hint = "this user may not read " + d.unread + ", so name the socket by STERNPOST_SUBMISSION_SOCKET if it is another one"
	}
	if bare := new(net.OpError); errors.As(err, &bare) {
		err = bare.Err
	}
	return withCode(exitAgain, fmt.Errorf("the agent does not answer at %s: %w; %s", d.socket, err, hint))
}
