//go:build interop

package interop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	honestAddress = "127.0.0.9" // hostile clients have others
	honestLimit   = time.Second
	honestMails   = 150
	tlsPort       = "2465"
	honestPace    = 20 * time.Millisecond
)

// hostility is what one hostile program does. The limits of the agent are those of its own configuration, or others where the trouble needs more connections than these allow.
type hostility struct {
	name        string
	behaviour   string
	connections int
	addresses   int // that they come from
	limits      string
	port        string // empty: that of the service
}

func hostilities() []hostility {
	const room = "max_connections = 12000\n"
	return []hostility{
		{"10000 connections that say nothing", "silent", 10_000, 25, room, ""},
		{"10000 connections from one address", "silent", 10_000, 1, "", ""},
		{"slowloris", "slowloris", 2_000, 10, room, ""},
		{"an endless command line", "endless", 40, 2, "", ""},
		{"100000 recipients", "recipients", 4, 1, "", ""},
		{"pipelining before EHLO", "early", 40, 2, "", ""},
		{"DATA that stalls", "stalled", 2_000, 10, room, ""},
		{"a TLS handshake that stalls", "half-hello", 2_000, 10, room + fmt.Sprintf("listen_tls = [%q]\n", net.JoinHostPort(serviceHost, tlsPort)), tlsPort},
	}
}

// An honest client is answered within a second whatever others do, and when they have gone nothing of them is left.
func TestHostileClients(t *testing.T) {
	for _, h := range hostilities() {
		t.Run(strings.ReplaceAll(h.name, " ", "-"), func(t *testing.T) {
			w := newWorld(t)
			s := w.serve(h.limits, "")
			s.honest(t, "warm", 5)
			s.drained(t)
			sockets := s.settled(t)
			program := w.hostile(h)
			took := s.honest(t, "honest", honestMails)
			during := s.sockets(t)
			program.stop()
			after := s.settled(t)
			slices.Sort(took)
			t.Logf("%s: %s; an honest client: p50 %v, p99 %v, most %v; sockets of the agent: %d before, %d meanwhile, %d after; %s",
				h.name, strings.TrimSpace(string(program.said(t))), took[len(took)/2], took[len(took)*99/100], took[len(took)-1], sockets, during, after, s.memory(t))
			if slowest := took[len(took)-1]; slowest > honestLimit {
				t.Errorf("an honest client waited for %v, longer than %v", slowest, honestLimit)
			}
			if after > sockets {
				t.Errorf("%d sockets are left, and there were %d before", after, sockets)
			}
			s.drained(t)
			for _, m := range s.sink.Messages() {
				if m.From() != "honest@client.test" && m.From() != "warm@client.test" {
					t.Errorf("a message from %s was taken", m.From())
				}
			}
		})
	}
}

// The door of HTTP on TCP: requests that never come to their end, from those who have no token.
func TestHostileRequests(t *testing.T) {
	for _, behaviour := range []string{"half-request", "half-body"} {
		t.Run(behaviour, func(t *testing.T) {
			w := newWorld(t)
			address := net.JoinHostPort(serviceHost, "8025")
			s := w.serve("", fmt.Sprintf("[console]\nlisten = [%q]\ntoken = %q\n", address, token))
			sockets := s.settled(t)
			program := w.hostile(hostility{name: behaviour, behaviour: behaviour, connections: 2000, addresses: 10, port: "8025"})
			took := posts(t, "http://"+address+"/v1/messages")
			during := s.sockets(t)
			program.stop()
			after := s.settled(t)
			slices.Sort(took)
			t.Logf("%s: %s; an honest client: p50 %v, p99 %v, most %v; sockets of the agent: %d before, %d meanwhile, %d after; %s",
				behaviour, strings.TrimSpace(string(program.said(t))), took[len(took)/2], took[len(took)*99/100], took[len(took)-1], sockets, during, after, s.memory(t))
			if slowest := took[len(took)-1]; slowest > honestLimit || after > sockets {
				t.Errorf("an honest client waited for %v; %d sockets are left of %d", slowest, after, sockets)
			}
		})
	}
}

// posts makes a connection for each message and returns how long each took.
func posts(t *testing.T, address string) []time.Duration {
	t.Helper()
	from := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(honestAddress), 0))}
	web := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: from.DialContext}}
	var took []time.Duration
	pace := time.NewTicker(honestPace)
	defer pace.Stop()
	for range honestMails {
		<-pace.C
		began := time.Now()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(posting(t, nil)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		answer, err := web.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		took = append(took, time.Since(began))
		if err != nil || answer.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s %v", answer.Status, said, err)
		}
	}
	return took
}

// hostile starts the program, which is this one again, and returns when it says that it has begun.
func (w *world) hostile(h hostility) *program {
	w.t.Helper()
	text, err := json.Marshal(plague{
		Behaviour: h.behaviour, Connections: h.connections, Addresses: h.addresses, To: net.JoinHostPort(serviceHost, cmp.Or(h.port, servicePort)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p := w.start("hostile", "/usr/bin/env", hostileVariable+"="+string(text), os.Args[0])
	p.await(w.t, "a begin", func() bool { return strings.Contains(string(p.said(w.t)), "begun") })
	return p
}

// said is what the program has printed so far.
func (p *program) said(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(p.logs[0])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// honest makes a connection for each mail and returns how long each took, from the dial until the reply to the dot.
func (s *service) honest(t *testing.T, name string, mails int) []time.Duration {
	t.Helper()
	var took []time.Duration
	pace := time.NewTicker(honestPace)
	defer pace.Stop()
	for range mails {
		<-pace.C
		began := time.Now()
		d := dial(t, honestAddress, net.JoinHostPort(serviceHost, servicePort))
		d.envelope(t, name+"@client.test")
		d.ask(t, "DATA", "354")
		d.ask(t, letter(name)+".", "250")
		took = append(took, time.Since(began))
		d.ask(t, "QUIT", "221")
		d.Close()
	}
	return took
}

// sockets is how many sockets the program has.
func (s *service) sockets(t *testing.T) int {
	t.Helper()
	handles, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", s.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, handle := range handles {
		if target, err := os.Readlink(handle); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// settled waits until the agent has no connection to the sink and none of a client, and returns how many sockets it has then. What is left are its listeners.
func (s *service) settled(t *testing.T) int {
	t.Helper()
	least, since := s.sockets(t), time.Now()
	s.await(t, "sockets to be closed", func() bool {
		now := s.sockets(t)
		if now != least {
			least, since = now, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
	return least
}

// memory is the most resident memory that the agent has had.
func (s *service) memory(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilo, _ := strconv.Atoi(strings.Fields(value)[0])
			return fmt.Sprintf("%d MB of memory at most", kilo/1000)
		}
	}
	return "memory unknown"
}

// What comes before EHLO is not mail, however much of it there is, and a command has an end.
func TestHostileDialogues(t *testing.T) {
	w := newWorld(t)
	s := w.serve("", "")
	for name, octets := range map[string]string{
		"a transaction before the greeting": evil("evil@client.test"),
		"an endless line":                   "MAIL FROM:<" + strings.Repeat("x", 1<<20),
		"endless EHLO":                      "EHLO " + strings.Repeat("x", 100_000) + "\r\n" + evil("evil@client.test"),
		"HTTP":                              "POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO a\r\n" + evil("evil@client.test"),
		"a TLS handshake in clear":          "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 300) + "\r\n" + evil("evil@client.test"),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := connect("", net.JoinHostPort(serviceHost, servicePort))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			d.pour(octets + "QUIT\r\n")
			t.Logf("%.300q", d.rest())
		})
	}
	s.drained(t)
	if n := len(s.sink.Messages()); n > 0 {
		t.Errorf("%d messages were taken", n)
	}
}
