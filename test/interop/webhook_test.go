//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	toldMessages = 100 // in each round, with a kill in its middle; every fourth fails
	toldRounds   = 3
	hookPort     = "8080"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// hookKinds are the receivers, by the names of their endpoints.
func hookKinds() map[string]struct {
	host    string
	command []string
} {
	return map[string]struct {
		host    string
		command []string
	}{
		"node":   {"127.0.0.81", []string{"/usr/bin/node", "testdata/webhook.cjs"}},
		"python": {"127.0.0.82", []string{"/usr/bin/python3", "testdata/webhook.py"}},
	}
}

// toldEvent is one request as a receiver saw it.
type toldEvent struct {
	ID, Digest, Type, Recipient, Error string
	Ours                               bool
}

// TestWebhooks has the agent tell receivers in two other languages, one with the library of Standard Webhooks, while it is killed again and again and they refuse or lose answers:
// nothing is lost, every request is signed so that they know it, and what comes again is the same event.
func TestWebhooks(t *testing.T) {
	w := newWorld(t)
	w.zone = "no.test. MX 10 mx.no.test.\nmx.no.test. A 127.0.0.71\n"
	w.exchanger("127.0.0.71", "rcpt <.*> 550 5.1.1 nobody of that name")
	config := ""
	logs := map[string]string{}
	for name, kind := range hookKinds() {
		logs[name] = filepath.Join(w.dir, name+".told")
		receiver := w.start(name, "/usr/bin/env", slices.Concat(w.environment(), kind.command, []string{kind.host, hookPort, hookSecret, logs[name]})...)
		receiver.await(t, "a receiver", func() bool {
			conn, err := net.DialTimeout("tcp", net.JoinHostPort(kind.host, hookPort), time.Second)
			if err != nil {
				return false
			}
			return conn.Close() == nil
		})
		config += fmt.Sprintf("\n[[webhooks]]\nname = %q\nurl = \"http://%s:%s/hook\"\nsecrets = [%q]\nsenders = [\"sink.test\"]\n", name, kind.host, hookPort, hookSecret)
	}
	s := w.serve("", config)
	want := map[string]string{}
	for round := range toldRounds {
		for i := range toldMessages {
			to, event := fmt.Sprintf("u%d-%d@sink.test", round, i), "delivered"
			if i%4 == 0 {
				to, event = fmt.Sprintf("u%d-%d@no.test", round, i), "failed"
			}
			want[to] = event
			if err := smtp.SendMail(serviceHost+":"+servicePort, nil, "app@sink.test", []string{to}, []byte("Subject: x\r\n\r\nhello\r\n")); err != nil {
				t.Fatal(err)
			}
			if i == toldMessages/2 {
				s.killed(t)
				w.run(s)
			}
		}
	}
	for name, log := range logs {
		for last, n := -1, 0; n != last; n = len(distinct(toldOf(t, log))) { // each step has its own patience
			last = n
			s.await(t, name+" to be told more", func() bool { n := len(distinct(toldOf(t, log))); return n >= len(want) || n > last })
		}
	}
	ids := map[string]map[string]string{}
	for name, log := range logs {
		ids[name] = judgeTold(t, name, toldOf(t, log), want)
	}
	for to, id := range ids["node"] {
		if ids["python"][to] != id {
			t.Errorf("of %s one was told the event %s, the other %s", to, id, ids["python"][to])
		}
	}
	s.await(t, "both to be well", func() bool { // the last event may be one that comes again
		var list struct {
			Webhooks []struct {
				State string
				Lag   int64
			}
		}
		err := json.Unmarshal([]byte(s.runs(t, "webhooks", "--json")), &list)
		well := err == nil && len(list.Webhooks) == len(logs)
		for _, one := range list.Webhooks {
			well = well && one.State == "good" && one.Lag == 0
		}
		return well
	})
}

// killed ends the agent without a word.
func (s *service) killed(t *testing.T) {
	t.Helper()
	if err := s.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
}

// judgeTold compares what a receiver was told with what had to come, and returns the ids by recipients.
func judgeTold(t *testing.T, name string, told []toldEvent, want map[string]string) map[string]string {
	ids, digests, repeats := map[string]string{}, map[string]string{}, 0
	for _, e := range told {
		switch {
		case !e.Ours:
			t.Errorf("%s does not know a request of ours: %+v", name, e)
			continue
		case want[e.Recipient] != e.Type:
			t.Errorf("%s was told %s of %s, want %q", name, e.Type, e.Recipient, want[e.Recipient])
		case ids[e.Recipient] != "" && ids[e.Recipient] != e.ID:
			t.Errorf("%s was told of %s by two events", name, e.Recipient)
		}
		if digest, again := digests[e.ID]; again {
			repeats++
			if digest != e.Digest {
				t.Errorf("%s: %s came again with another body", name, e.ID)
			}
		}
		ids[e.Recipient], digests[e.ID] = e.ID, e.Digest
	}
	for to := range want {
		if ids[to] == "" {
			t.Errorf("%s was not told of %s", name, to)
		}
	}
	if repeats == 0 {
		t.Errorf("%s lost or refused answers, and nothing came again", name)
	}
	t.Logf("%s: %d events in %d requests", name, len(digests), len(told))
	return ids
}

func distinct(told []toldEvent) map[string]bool {
	ids := map[string]bool{}
	for _, e := range told {
		ids[e.ID] = true
	}
	return ids
}

// toldOf reads what a receiver has written down so far.
func toldOf(t *testing.T, log string) []toldEvent {
	text, err := os.ReadFile(log)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var list []toldEvent
	for line := range strings.Lines(string(text)) {
		var e toldEvent
		if json.Unmarshal([]byte(line), &e) == nil { // the last one may not be whole
			list = append(list, e)
		}
	}
	return list
}
