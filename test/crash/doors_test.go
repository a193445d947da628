//go:build crash

package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// door is a way for mail to come in. All doors give the same promise.
type door int

const (
	smtpDoor door = iota
	httpDoor
	commandDoor
)

func doors() []door { return []door{smtpDoor, httpDoor, commandDoor} }

func (d door) String() string { return [...]string{"SMTP", "HTTP", "command"}[d] }

// visitor is a client of all doors. Its SMTP session is opened when it is needed first, and kept.
type visitor struct {
	home    *home
	session *conversation
	web     *http.Client
}

// visitor makes a client of the agent that lives here.
func (h *home) visitor() *visitor {
	socket := filepath.Join(h.queue, "sternpost.sock")
	return &visitor{home: h, web: &http.Client{Timeout: clientPatience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
}

func (v *visitor) close() {
	v.web.CloseIdleConnections()
	if v.session != nil {
		_ = v.session.conn.Close() // the agent may be dead
	}
}

// hand brings the letter to a door. What came of it is the fate; the reply tells more, and has the id of what was accepted where the door gives one. An error that is not errRefused means
// that the agent is not there any more.
func (v *visitor) hand(ctx context.Context, d door, l letter) (f fate, reply string, err error) {
	switch d {
	case httpDoor:
		return v.post(ctx, l)
	case commandDoor:
		return v.command(ctx, l)
	}
	if v.session == nil {
		if v.session, err = dialAgent(ctx, v.home.address); err != nil {
			return refused, "", err
		}
	}
	return v.session.hand(l)
}

// post is the door of HTTP. As long as a part of the message is still here nobody can have it.
func (v *visitor) post(ctx context.Context, l letter) (fate, string, error) {
	query := url.Values{"from": {l.sender()}, "to": l.recipients()}
	content := bytes.NewReader(l.message())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/v1/messages?"+query.Encode(), content)
	if err != nil {
		return refused, "", err
	}
	request.Header.Set("Content-Type", "message/rfc822")
	answer, err := v.web.Do(request)
	if err != nil {
		if content.Len() > 0 {
			return refused, "", err
		}
		return inDoubt, "", err
	}
	defer answer.Body.Close()
	var said struct{ ID, Detail string }
	err = json.NewDecoder(answer.Body).Decode(&said)
	switch {
	case answer.StatusCode != http.StatusAccepted && answer.StatusCode != http.StatusOK:
		return refused, answer.Status + " " + said.Detail, errRefused
	case err != nil: // the head said that it was taken
		return accepted, "", err
	}
	return accepted, "queued as " + said.ID, nil
}

// command is the door of the command, which prints the id.
func (v *visitor) command(ctx context.Context, l letter) (fate, string, error) {
	args := []string{"--config", v.home.file(), "submit", "--from", l.sender()}
	for _, to := range l.recipients() {
		args = append(args, "--to", to)
	}
	run := exec.CommandContext(ctx, os.Getenv(binaryVariable), args...)
	run.Stdin = bytes.NewReader(l.message())
	said, err := run.CombinedOutput()
	exit := new(exec.ExitError)
	switch {
	case err == nil:
		return accepted, "queued as " + strings.TrimSpace(string(said)), nil
	case !errors.As(err, &exit) || exit.ExitCode() < 0: // it was killed, since the load ends
		return inDoubt, "", err
	case exit.ExitCode() == exitAgain:
		return inDoubt, string(said), err
	}
	return refused, string(said), errRefused
}

// exitAgain is EX_TEMPFAIL of sysexits.h.
const exitAgain = 75

// idOf is the id of a reply that tells it.
func idOf(reply string) string {
	_, id, _ := strings.Cut(reply, "queued as ")
	return id
}

// mostRepeats is how many letters of a round are brought once more.
const mostRepeats = 30

// repeat brings letters that have a key once more, each to some door, as a client does who got no answer. It is the same message then, with the same id.
func (r *round) repeat(t *testing.T) {
	v := r.home.visitor()
	defer v.close()
	for _, l := range r.book.keyed(mostRepeats) {
		d := doors()[r.random.IntN(len(doors()))]
		f, reply, err := v.hand(t.Context(), d, l)
		if f != accepted {
			t.Fatalf("%s, once more by %s: %q, %v", l.name, d, reply, err)
		}
		r.book.note(l, accepted)
		r.book.given(l, idOf(reply))
		r.sum.repeats++
	}
	for _, l := range r.book.keyed(1) { // the same key with another content is a mistake, and is told
		l.size += 1000
		for _, d := range doors() {
			if f, reply, err := v.hand(t.Context(), d, l); f != refused || !errors.Is(err, errRefused) {
				t.Errorf("%s with another content by %s: fate %d, %q, %v", l.name, d, f, reply, err)
			}
		}
	}
}

// same checks that each letter with a key was one message, however often and through whichever doors it came.
func (r *round) same(t *testing.T) {
	for name, ids := range r.home.ids(t) {
		if l, _, known := r.book.find(name); known && l.keyed {
			for id := range ids {
				r.book.given(l, id)
			}
		}
	}
	for name, ids := range r.book.ids {
		if len(ids) > 1 {
			t.Errorf("%s was accepted %d times, as %v", name, len(ids), ids)
		}
	}
}

// pick is a door.
func (l load) pick(random *rand.Rand) door {
	if len(l.doors) == 0 {
		return smtpDoor
	}
	return l.doors[random.IntN(len(l.doors))]
}

// recipients are the addresses of a letter.
func (l letter) recipients() []string {
	var list []string
	for _, d := range l.domains {
		list = append(list, fmt.Sprintf("to@%s", d))
	}
	return list
}
