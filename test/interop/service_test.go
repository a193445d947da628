//go:build interop

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sternpost/delivery/smtptest"
	"sternpost/resolver/dnstest"
)

// Where a service and the sink behind it are. The sink takes the mail of every address at sink.test.
const (
	serviceHost = "127.0.0.60"
	servicePort = "2587"
	sinkHost    = "127.0.0.70"
	sinkZone    = "sink.test. MX 10 mx.sink.test.\nmx.sink.test. A " + sinkHost + "\nagent.test. A " + serviceHost + "\n"
)

// service is `sternpost serve` between a client and a sink. The sink is scripted and belongs to this process, so that what has left the agent is counted octet by octet.
type service struct {
	*program
	config string
	queue  string // its directory
	sink   *smtptest.Server
}

// serve starts the agent with more keys of [submission] and then more of [delivery] and other sections, with a queue of its own.
func (w *world) serve(submission, more string) *service {
	w.t.Helper()
	if !strings.Contains(submission, "listen =") {
		submission += fmt.Sprintf("\nlisten = [%q]", net.JoinHostPort(serviceHost, servicePort))
	}
	return w.serveBy(filepath.Join(w.dir, "queue"), "[submission]\n"+submission+"\n[delivery]\n"+more)
}

// serveBy starts the agent with a configuration that has a section [delivery] in the end. What the world has to say is added.
func (w *world) serveBy(queue, config string) *service {
	w.t.Helper()
	s := &service{queue: queue}
	l, err := net.Listen("tcp", net.JoinHostPort(sinkHost, mailPort))
	if err != nil {
		w.t.Fatal(err)
	}
	if s.sink, err = smtptest.Start("keep wire", l); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.sink.Close() })
	ours := fmt.Sprintf(`
[queue]
directory = %q
[resolver]
servers = [%q]
[delivery]
hostname = "agent.test"
port = %s
allow_addresses = ["127.0.0.0/8"]
session_idle = "1s"
`, queue, dnstest.New(w.t, sinkZone+w.zone).Addr(), mailPort)
	s.config = w.write("serve.toml", []byte(strings.Replace(config, "[delivery]\n", ours, 1)))
	w.run(s)
	return s
}

// run starts the program with its configuration, and returns when it answers.
func (w *world) run(s *service) {
	w.t.Helper()
	s.program = w.start("sternpost", os.Getenv(binaryVariable), "--config", s.config, "serve")
	s.await(w.t, "readiness", func() bool {
		answer, err := s.ask(w.t.Context(), http.MethodGet, "/readyz", nil)
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// close ends the agent and its sink, so that another one can have their places.
func (s *service) close() {
	s.stop()
	if err := s.sink.Close(); err != nil {
		s.w.t.Error(err)
	}
}

// console is a client of the admin socket.
func (s *service) console() *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.queue, "sternpost.sock"))
		},
	}}
}

// ask is one request to the admin socket; a body is JSON.
func (s *service) ask(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return s.console().Do(request)
}

// waiting is how many messages are in the queue, by destination; -1: it does not say.
func (s *service) waiting(t *testing.T) int {
	answer, err := s.ask(t.Context(), http.MethodGet, "/v1/destinations", nil)
	if err != nil {
		return -1
	}
	defer answer.Body.Close()
	var list struct {
		Destinations []struct {
			Messages int `json:"messages"`
		} `json:"destinations"`
	}
	if answer.StatusCode != http.StatusOK || json.NewDecoder(answer.Body).Decode(&list) != nil {
		return -1
	}
	n := 0
	for _, d := range list.Destinations {
		n += d.Messages
	}
	return n
}

// drained waits until the agent owes nothing.
func (s *service) drained(t *testing.T) {
	t.Helper()
	s.await(t, "an empty queue", func() bool { return s.waiting(t) == 0 })
}

// from lists what the sink has got from this reverse-path.
func (s *service) from(sender string) []smtptest.Transaction {
	var list []smtptest.Transaction
	for _, m := range s.sink.Messages() {
		if m.From() == sender {
			list = append(list, m)
		}
	}
	return list
}

// arrives waits for the message with this subject and returns it. It must come once.
func (s *service) arrives(t *testing.T, subject string) smtptest.Transaction {
	t.Helper()
	var found []smtptest.Transaction
	s.await(t, "the mail "+subject, func() bool {
		found = found[:0]
		for _, m := range s.sink.Messages() {
			if subjectOf(m.Content) == subject {
				found = append(found, m)
			}
		}
		return len(found) > 0
	})
	if len(found) > 1 {
		t.Errorf("%s arrived %d times", subject, len(found))
	}
	return found[0]
}

// subjectOf is the subject as a person reads it.
func subjectOf(content []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return ""
	}
	text, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return ""
	}
	return text
}

// logged is what the service has logged so far.
func (s *service) logged(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(s.logs[0])
	if err != nil {
		t.Fatal(err)
	}
	return text
}
